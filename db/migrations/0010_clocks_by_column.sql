-- breaking: stop the workers of the version before; its receivers may go on.
--
-- field_clocks becomes an object by column, in one format for all rows, so that field_clocks->'card_status'->>'event_id'
-- answers. Rewrites every row of cards and authorizations (a million rows: some minutes, in which nothing is applied and
-- deliveries are stored as ever). Workers of the version before read and write lists; what they try meanwhile fails by
-- the constraints below and can be applied with `replay --failed`.

lock table cards, authorizations in share row exclusive mode;

-- One entry of a list, of each of its three forms: a text "<at> <signed_at> <finality> <authority> <fields> <event_id>", or
-- an object whose fields are a text with spaces, or a list.
create function pg_temp.entry(written jsonb) returns table (fields text[], clock jsonb)
language plpgsql immutable as $$
declare
  parts text[];
begin
  if jsonb_typeof(written) = 'string' then
    parts := regexp_match(written #>> '{}', '^(\S+) (\S+) (\d) (\d) (\S+) (.*)$', 's');
    fields := string_to_array(parts[5], ',');
    clock := jsonb_build_object('event_id', parts[6], 'at', parts[1], 'signed_at', parts[2],
      'finality', parts[3]::int, 'authority', parts[4]::int);
  else
    fields := case jsonb_typeof(written -> 'fields')
      when 'array' then array(select jsonb_array_elements_text(written -> 'fields'))
      else string_to_array(written ->> 'fields', ' ')
    end;
    clock := jsonb_build_object('event_id', written -> 'event_id', 'at', written -> 'at', 'signed_at', written -> 'signed_at',
      'finality', coalesce(written -> 'finality', '0'), 'authority', coalesce(written -> 'authority', '0'));
  end if;
  if clock ->> 'finality' = '0' then clock := clock - 'finality'; end if;
  if clock ->> 'authority' = '0' then clock := clock - 'authority'; end if;
  return next;
end $$;

-- The columns of a row that have a clock in its list: `*` stands for all that are known, and some fields were one where
-- the table has several columns.
create function pg_temp.by_column(clocks jsonb, known jsonb, last_event text) returns jsonb
language sql immutable as $$
  select coalesce(jsonb_object_agg(col, clock), '{}')
  from (
    select distinct on (col) col, clock
    from jsonb_array_elements(clocks) with ordinality as list (written, place)
    cross join lateral pg_temp.entry(written) as entry
    cross join lateral unnest(case when entry.fields = '{*}' then array(select jsonb_object_keys(known)) || last_event
                                   else entry.fields end) as field
    cross join lateral unnest(case field
      when 'card_status' then '{card_status,status_reason}'
      when 'risk_control' then '{risk_control,allowed_mcc,blocked_mcc}'
      when 'last_event' then array[last_event]
      else array[field]
    end) as col
    where col in (last_event, 'status_reason') or known -> col is not null
    order by col, place
  ) columns
$$;

-- Instants as the service writes them.
create function pg_temp.instant(moment timestamptz) returns text
language sql immutable as $$
  select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

create function pg_temp.time_in(body text, field text) returns timestamptz
language plpgsql stable as $$
begin
  return substring(body from '"' || field || '"\s*:\s*"(\d{4}-\d\d-\d\d[T ][^"]*)"')::timestamptz;
exception when others then
  return null;
end $$;

-- The first times had no clock. Each gets that of the event that set it; where several did, of the first in the order of
-- clocks; where its body is gone, of the one that may have.
create function pg_temp.first_event(card text, moment timestamptz, saying text) returns jsonb
language sql stable as $$
  select jsonb_build_object('event_id', event_id, 'at', pg_temp.instant(moment), 'signed_at', pg_temp.instant(signed_at))
  from webhook_events
  where card_id = card and state = 'processed' and signed_at >= moment
    and case
      when saying is null then signed_at = moment
      when body is null then true
      else body like '%' || saying || '%'
        and moment in (signed_at, least(signed_at, pg_temp.time_in(body, 'update_time')))
    end
  order by body is null, signed_at, event_id collate "C"
  limit 1
$$;

create function pg_temp.first_receipt(transaction text, clocks jsonb, moment timestamptz) returns jsonb
language sql stable as $$
  select jsonb_build_object('event_id', event_id, 'at', pg_temp.instant(signed_at), 'signed_at', pg_temp.instant(signed_at))
  from (
    select event_id, signed_at, 1 as place
    from webhook_events
    where event_id = any (array(select value ->> 'event_id' from jsonb_each(clocks))) and received_at = moment
    union all
    select event_id, signed_at, case when source_id = transaction then 2 else 3 end
    from webhook_events
    where received_at = moment and state = 'processed' and event_type = 'issuing.transaction.authorization'
      and (body is null or strpos(body, transaction) > 0)
      and not exists (
        select from webhook_events
        where event_id = any (array(select value ->> 'event_id' from jsonb_each(clocks))) and received_at = moment
      )
  ) found
  order by place, signed_at, event_id collate "C"
  limit 1
$$;

update cards
set field_clocks = jsonb_strip_nulls(
  pg_temp.by_column(
    field_clocks,
    jsonb_strip_nulls(to_jsonb(cards) - '{card_id,field_clocks,status_changed_at,observed_status_at,status_contradicted,balance_as_of,per_transaction_limit,mcc_mode,controls_updated_at,cancel_requested_at,cancelled_at,first_seen_at,last_event_id,last_event_at,updated_at}'::text[]),
    'last_event_id'
  )
  || jsonb_build_object('first_seen_at', pg_temp.first_event(card_id, first_seen_at, null))
  || jsonb_build_object('cancel_requested_at', pg_temp.first_event(card_id, cancel_requested_at, 'PRE_CANCEL'))
)
where jsonb_typeof(field_clocks) = 'array';

update authorizations
set field_clocks = (
  select jsonb_strip_nulls(clocks || jsonb_build_object('received_at', pg_temp.first_receipt(transaction_id, clocks, received_at)))
  from pg_temp.by_column(
    field_clocks,
    jsonb_strip_nulls(to_jsonb(authorizations) - '{transaction_id,event_id,field_clocks,decline_category,mcc_declined,received_at,updated_at}'::text[]),
    'event_id'
  ) as clocks
)
where jsonb_typeof(field_clocks) = 'array';

drop function pg_temp.first_receipt, pg_temp.first_event, pg_temp.time_in, pg_temp.instant, pg_temp.by_column, pg_temp.entry;

-- Not valid, so that a row which was edited by hand does not stop the migration: `verify` finds it and `rebuild` mends it.
alter table cards add constraint cards_field_clocks_by_column check (jsonb_typeof(field_clocks) = 'object') not valid;
alter table authorizations
  add constraint authorizations_field_clocks_by_column check (jsonb_typeof(field_clocks) = 'object') not valid;

comment on column cards.field_clocks is 'Which event set which column, by column: {"card_status": {"event_id": "…", "at": "…", "signed_at": "…"}, …}, and "finality" and "authority" where not 0. Columns that follow from others have none. at is the event''s own time, else the time of signing.';
comment on column authorizations.field_clocks is 'Which event set which column, as in cards.';
