/** What DATABASE_URL says, decoded. What it does not say is undefined. */
export interface DatabaseUrl {
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** A name, an address or the folder of a socket. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly database: string | undefined;
  readonly sslMode: SslMode | undefined;
  /** Everything else behind the question mark. */
  readonly parameters: ReadonlyMap<string, string>;
}

const SSL_MODES = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
  "no-verify",
] as const;
export type SslMode = (typeof SSL_MODES)[number];

const PERCENT_ENCODED =
  "characters such as @ : / in a user or a password are written percent-encoded (@ is %40, / is %2F)";

/** libpq's `conninfo_uri_parse_options`: a user ends at the first colon or @, a password at the first @, each before a slash. */
const URL_OF_LIBPQ =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<host>\[[^\]]+\]|[^:/?,]*)(?::(?<port>[^/?,]*))?(?<more>,[^/?]*)?(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/s;

/**
 * Reads a connection URL as psql does: socket folders in `host`, percent-encoding in every part, a user and a password
 * without a host. Node.js's URL and pg read some of these otherwise or refuse them.
 *
 * @throws Error saying what is wrong with it, without quoting it: its parts may belong to a password
 */
export function parseDatabaseUrl(text: string): DatabaseUrl {
  const parts = URL_OF_LIBPQ.exec(text)?.groups;
  if (parts === undefined) {
    throw new Error(
      /^\s*\w+\s*=/.test(text)
        ? "must be a postgres:// URL; the form host=… dbname=… is not read"
        : "must be a postgres:// URL",
    );
  }
  const parameters = readParameters(parts["query"]);
  if (parts["more"] !== undefined || parameters.get("host")?.includes(","))
    throw new Error(
      "names several hosts: name one address that leads to the primary",
    );
  if (parameters.has("service"))
    throw new Error("names a service: write host, port and database instead");
  // What follows an @ too many may be the end of a password, which no message may show.
  if (/@/.test(`${parts["host"] ?? ""}${parts["database"] ?? ""}`))
    throw new Error(`has an @ too many: ${PERCENT_ENCODED}`);
  const said = (name: string, parameter: string) =>
    parameters.get(parameter) ?? decode(parts[name]);
  const host =
    parameters.get("hostaddr") ??
    said("host", "host")?.replace(/^\[(.*)\]$/, "$1");
  return {
    user: said("user", "user"),
    password: said("password", "password"),
    host,
    port: readPort(said("port", "port")),
    database: said("database", "dbname"),
    sslMode: readSslMode(parameters),
    parameters,
  };
}

function readParameters(query = ""): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split("&").filter(Boolean)) {
    const [name = "", ...value] = pair.split("=");
    // Its parts are divided by blanks, which many programs write as a plus.
    const text =
      name === "options"
        ? value.join("=").replaceAll("+", " ")
        : value.join("=");
    const decoded = decode(text);
    if (decoded !== undefined) parameters.set(decode(name) ?? "", decoded);
  }
  return parameters;
}

function decode(part: string | undefined): string | undefined {
  if (part === undefined || part === "") return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Error(
      "has a % that begins no percent-encoded character: a % itself is written %25",
    );
  }
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535)
    throw new Error(`has no number as its port: ${PERCENT_ENCODED}`);
  return port;
}

function readSslMode(
  parameters: ReadonlyMap<string, string>,
): SslMode | undefined {
  const text = parameters.get("sslmode") ?? sslModeOf(parameters.get("ssl"));
  if (text === undefined) return undefined;
  const mode = SSL_MODES.find((known) => known === text);
  if (mode === undefined)
    throw new Error(
      `has an unknown sslmode: ${SSL_MODES.join(", ")} are known`,
    );
  return mode;
}

/** Of other drivers: `ssl=true`. */
function sslModeOf(ssl: string | undefined): string | undefined {
  if (ssl === "true" || ssl === "1") return "require";
  if (ssl === "false" || ssl === "0") return "disable";
  return ssl;
}
