-- Three roles with no more rights than their work needs. Run it for each database before the first migration, so that
-- the migrator may create things, and again after it, since the reader's rights name tables. A database that is in use
-- already needs it once. Running it again changes nothing.
--
--   psql -v ON_ERROR_STOP=1 -d cards -f db/roles.sql      (as a superuser, or as the administrator of a managed server)
--
-- | role           | for                                                     | may                                        |
-- | -------------- | ------------------------------------------------------- | ------------------------------------------ |
-- | uqpay_migrator | `npm run cli -- migrate`, before a new release starts   | own, create and alter our schemas          |
-- | uqpay_writer   | the service, and the operator's other commands          | read, insert and update; delete queue jobs |
-- | uqpay_reader   | your own software, dashboards, analysts                 | read what is kept of cards, see below      |
--
-- They are groups that nobody logs in as. Roles belong to the whole server, hence the prefix. The logins are yours:
--
--   create role cards_deploy login password '…' in role uqpay_migrator;
--   alter  role cards_deploy set role uqpay_migrator;
--   create role cards_service login password '…' in role uqpay_writer;
--   alter  role cards_service set role uqpay_writer;
--   create role cards_reports login password '…' in role uqpay_reader;
--
-- `set role` makes what a login creates the group's, so that a later login of the group can use it.
--
-- The service migrates at its start; as a writer it can only find that nothing is pending. So let `migrate` run as
-- the migrator first, and start the service then.
--
-- The reader sees neither webhook_events nor quarantined_events: their bodies hold everything that UQPAY sent, also
-- what no column was made for (names, e-mail addresses, identity checks). Who must look there is an operator, and a
-- writer. It gets no new tables by itself either: they are private until a line here says otherwise.

begin;

do $$
declare
  name text;
begin
  foreach name in array array['uqpay_migrator', 'uqpay_writer', 'uqpay_reader'] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I nologin', name);
    end if;
  end loop;
  -- Only a member may give things to a role. A superuser counts as one; who may merely create roles is none yet.
  -- Before PostgreSQL 16 every member may also act as the role, and that right has no name of its own.
  if not pg_has_role(
    current_user,
    'uqpay_migrator',
    case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end
  ) then
    execute format('grant uqpay_migrator to %I', current_user);
  end if;
  -- Create: BullMQ's migrations ask for it even where their schema exists. Temporary: BullMQ adds jobs through one.
  execute format('grant connect, create, temporary on database %I to uqpay_migrator', current_database());
  execute format('grant connect, temporary on database %I to uqpay_writer', current_database());
  execute format('grant connect on database %I to uqpay_reader', current_database());
end
$$;

-- Our schemas, so that rights can be given in them before the first migration.
create schema if not exists bullmq;
create schema if not exists uqpay_card_sync_migrations;

-- What a database has that was migrated by another user before.
do $$
declare
  thing record;
begin
  for thing in
    select format('schema %I', nspname) as name
    from pg_namespace
    where nspname in ('bullmq', 'uqpay_card_sync_migrations')
      and nspowner <> 'uqpay_migrator'::regrole
    union all
    select format('%s %s', case relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, c.oid::regclass)
    from pg_class c
    where relkind in ('r', 'p', 'v', 'S')
      and relowner <> 'uqpay_migrator'::regrole
      and (
        relnamespace in (select oid from pg_namespace where nspname in ('bullmq', 'uqpay_card_sync_migrations'))
        or c.oid in (
          to_regclass('public.webhook_events'),
          to_regclass('public.quarantined_events'),
          to_regclass('public.cards'),
          to_regclass('public.transactions'),
          to_regclass('public.authorizations'),
          to_regclass('public.earlier_copies'),
          to_regclass('public.transaction_cards'),
          to_regclass('public.api_budget'),
          to_regclass('public.card_orders'),
          to_regclass('public.cardholders'),
          to_regclass('public.events_without_card'),
          to_regclass('public.mcc_declines')
        )
      )
      -- A column's sequence goes with its table.
      and not exists (
        select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i') and relkind = 'S'
      )
    union all
    select format('routine %s', oid::regprocedure)
    from pg_proc
    where pronamespace = 'bullmq'::regnamespace and proowner <> 'uqpay_migrator'::regrole
    union all
    select format('type %s', oid::regtype)
    from pg_type
    where typnamespace = 'bullmq'::regnamespace and typtype in ('e', 'd') and typowner <> 'uqpay_migrator'::regrole
  loop
    execute format('alter %s owner to uqpay_migrator', thing.name);
  end loop;
end
$$;

-- No table is made in public but by the migrator. From PostgreSQL 15 on that is so in new databases.
revoke create on schema public from public;
grant usage, create on schema public to uqpay_migrator;
grant usage on schema public to uqpay_writer, uqpay_reader;
-- Create: BullMQ makes the sequence of a queue's job ids when the first job comes, and asks for it with each job.
-- Unused where the queue is in Redis.
grant usage, create on schema bullmq to uqpay_writer;
grant usage on schema uqpay_card_sync_migrations to uqpay_writer;

-- The writer. No delete in public: nothing that was received is ever deleted, retention only empties bodies.
do $$
begin
  if to_regclass('public.webhook_events') is not null then
    grant select, insert, update on webhook_events, quarantined_events, cards to uqpay_writer;
    grant select on authorizations, mcc_declines to uqpay_writer;
    grant select on cards, authorizations, mcc_declines to uqpay_reader;
  end if;
  if to_regclass('public.transactions') is not null then
    grant select, insert, update on transactions to uqpay_writer;
    grant select on transactions to uqpay_reader;
  end if;
  if to_regclass('public.earlier_copies') is not null then
    grant select, insert, update on earlier_copies, transaction_cards to uqpay_writer;
  end if;
  if to_regclass('public.api_budget') is not null then
    grant select, update on api_budget to uqpay_writer;
  end if;
  if to_regclass('public.card_orders') is not null then
    grant select, insert, update on card_orders, events_without_card to uqpay_writer;
    grant select on card_orders to uqpay_reader;
  end if;
  if to_regclass('public.cardholders') is not null then
    grant select, insert, update on cardholders to uqpay_writer;
    grant select on cardholders to uqpay_reader;
  end if;
end
$$;
grant select, insert, update, delete on all tables in schema bullmq to uqpay_writer;
grant usage, select on all sequences in schema bullmq to uqpay_writer;
-- Only to see that nothing is pending.
grant select on all tables in schema uqpay_card_sync_migrations to uqpay_writer;

-- The same for what migrations will make.
alter default privileges for role uqpay_migrator in schema public
  grant select, insert, update on tables to uqpay_writer;
alter default privileges for role uqpay_migrator in schema bullmq
  grant select, insert, update, delete on tables to uqpay_writer;
alter default privileges for role uqpay_migrator in schema bullmq
  grant usage, select on sequences to uqpay_writer;
alter default privileges for role uqpay_migrator in schema uqpay_card_sync_migrations
  grant select on tables to uqpay_writer;

commit;
