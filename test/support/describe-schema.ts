import type pg from "pg";

const HEAD = `-- The schema as all migrations leave it, for reading. Written by \`npm run schema\`; change it by a migration.
`;

interface Relation {
  readonly oid: string;
  readonly name: string;
  readonly kind: "r" | "v";
  readonly comment: string;
  readonly options: readonly string[] | null;
}

interface Column {
  readonly name: string;
  readonly comment: string | null;
  readonly text: string;
}

/**
 * The tables, indexes and views of schema public in SQL, comments above what they describe. Own code, since `pg_dump` is
 * not on a bare machine, and must not be older than the server.
 *
 * @param client connected to a migrated database
 */
export async function describeSchema(client: pg.Client): Promise<string> {
  const { rows } = await client.query<Relation>(`
    select oid, relname as name, relkind as kind, obj_description(oid, 'pg_class') as comment, reloptions as options
    from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
    order by relkind, relname collate "C"`);
  const parts: string[] = [];
  for (const relation of rows)
    parts.push(
      relation.kind === "r"
        ? await describeTable(client, relation)
        : await describeView(client, relation),
    );
  return [HEAD, ...parts].join("\n");
}

async function describeTable(
  client: pg.Client,
  { oid, name, comment, options }: Relation,
): Promise<string> {
  const columns = await columnsOf(client, oid);
  const constraints = await client.query<{ text: string }>(
    `select format('constraint %I %s', conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '')) as text
     from pg_constraint where conrelid = $1 and contype in ('p', 'u', 'c', 'f', 'x')
     order by contype = 'c', conname collate "C"`,
    [oid],
  );
  const indexes = await client.query<{ text: string }>(
    `select pg_get_indexdef(indexrelid) as text
     from pg_index where indrelid = $1 and not exists (select from pg_constraint where conindid = indexrelid)
     order by indexrelid::regclass::text collate "C"`,
    [oid],
  );
  const members = [
    ...columns.map((column) => `${commentLine(column)}  ${column.text}`),
    ...constraints.rows.map(({ text }) => `  ${text}`),
  ];
  const settings = options === null ? "" : ` with (${options.join(", ")})`;
  return `-- ${comment}
create table ${name} (
${members.join(",\n")}
)${settings};
${indexes.rows.map(({ text }) => `${text};\n`).join("")}`;
}

async function describeView(
  client: pg.Client,
  { oid, name, comment }: Relation,
): Promise<string> {
  const columns = await columnsOf(client, oid);
  const { rows } = await client.query<{ text: string }>(
    "select pg_get_viewdef($1::oid) as text",
    [oid],
  );
  return `-- ${comment}
${columns.map(({ name, comment }) => `--   ${name}: ${String(comment)}\n`).join("")}create view ${name} as
${rows.map(({ text }) => text.trim()).join("")}
`;
}

function commentLine({ comment }: Column): string {
  return comment === null ? "" : `  -- ${comment}\n`;
}

async function columnsOf(
  client: pg.Client,
  oid: string,
): Promise<readonly Column[]> {
  const { rows } = await client.query<Column>(
    `select a.attname as name, col_description(a.attrelid, a.attnum) as comment,
       concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
         case when a.attcollation <> t.typcollation then 'collate ' || quote_ident(c.collname) end,
         case when a.attidentity <> '' then 'generated always as identity' when a.attnotnull then 'not null' end,
         case when d.oid is not null then 'default ' || pg_get_expr(d.adbin, d.adrelid) end) as text
     from pg_attribute a
     join pg_type t on t.oid = a.atttypid
     left join pg_collation c on c.oid = a.attcollation
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
     order by a.attnum`,
    [oid],
  );
  return rows;
}
