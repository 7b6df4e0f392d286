-- breaking: stop the workers of the version before; its receivers may go on.
--
-- A card's money is moved by more than authorizations. Every kind of transaction has its row now, in one table: what was
-- the table `authorizations` is renamed to `transactions`, with its rows, clocks and grants, and a view of that name
-- shows the authorizations in it as before, with what became of each. The new primary key is built as an index (a
-- million rows: some seconds); no row is rewritten. A worker of the version before finds no unique key to insert by:
-- what it tries fails, costs its events no attempt, and is done by the workers of this version.

-- What hangs on the table and cannot be moved to the view by itself stops the migration, by its name. A view that selects
-- from the table is built anew below; anything else would from here on be about all kinds of transactions, or about
-- nothing.
do $$
declare
  found text;
begin
  select string_agg(distinct thing, '; ' order by thing) into found
  from (
    select pg_describe_object(dependent.classid, dependent.objid, 0)
    from pg_depend dependent
    left join pg_rewrite rule on dependent.classid = 'pg_rewrite'::regclass and rule.oid = dependent.objid
    left join pg_class shown on shown.oid = rule.ev_class
    left join pg_constraint bond on dependent.classid = 'pg_constraint'::regclass and bond.oid = dependent.objid
    left join pg_trigger started on dependent.classid = 'pg_trigger'::regclass and started.oid = dependent.objid
    left join pg_class relation on dependent.classid = 'pg_class'::regclass and relation.oid = dependent.objid
    where dependent.deptype in ('n', 'a')
      and (
        dependent.refclassid = 'pg_class'::regclass and dependent.refobjid = 'authorizations'::regclass
        or dependent.refclassid = 'pg_type'::regclass
          and dependent.refobjid in (
            select unnest(array[type.oid, type.typarray]) from pg_type type where type.typrelid = 'authorizations'::regclass
          )
      )
      and case dependent.classid
        when 'pg_rewrite'::regclass then shown.relkind is distinct from 'v'
        when 'pg_constraint'::regclass then bond.conrelid <> 'authorizations'::regclass
        when 'pg_trigger'::regclass then not started.tgisinternal
        when 'pg_class'::regclass then relation.relkind not in ('i', 'I', 't', 'S')
        when 'pg_attrdef'::regclass then false
        when 'pg_statistic_ext'::regclass then false
        else true
      end
    union all
    select 'row level security'
    from pg_class
    where oid = 'authorizations'::regclass and relrowsecurity
  ) hanging (thing);
  if found is not null then
    raise exception 'authorizations becomes a view over the new table transactions, and these of yours cannot follow it: %', found
      using errcode = 'dependent_objects_still_exist',
        hint = 'Drop them before the migration, and create them again after it: on transactions, or on the view.';
  end if;
end $$;

create temporary table views_on_authorizations as
select distinct
  shown.oid as view,
  pg_get_viewdef(shown.oid) as definition,
  'with (' || array_to_string(shown.reloptions, ', ') || ')' as options
from pg_depend dependent
join pg_rewrite rule on dependent.classid = 'pg_rewrite'::regclass and rule.oid = dependent.objid
join pg_class shown on shown.oid = rule.ev_class and shown.relkind = 'v'
where dependent.refclassid = 'pg_class'::regclass and dependent.refobjid = 'authorizations'::regclass
  and shown.oid <> 'mcc_declines'::regclass;

alter table authorizations rename to transactions;
alter index authorizations_by_card rename to transactions_by_card;
alter index authorizations_by_time rename to transactions_by_time;
alter index authorizations_mcc_declined rename to transactions_mcc_declined;
alter table transactions rename constraint authorizations_mcc_is_four_digits to transactions_mcc_is_four_digits;
alter table transactions rename constraint authorizations_category_is_known to transactions_category_is_known;
alter table transactions rename constraint authorizations_mcc_flag_follows_category to transactions_mcc_flag_follows_category;
alter table transactions rename constraint authorizations_field_clocks_by_column to transactions_field_clocks_by_column;

alter table transactions
  add column kind text collate "C" not null default 'authorization',
  add column account_id text,
  add column short_transaction_id text,
  add column reference_id text,
  add column remark text,
  add column fee_pass_through text,
  add column card_available_balance numeric,
  alter column card_id drop not null;
alter table transactions alter column kind drop default;

-- What is stored satisfies it.
alter table transactions drop constraint authorizations_category_when_declined;
alter table transactions add constraint transactions_category_when_declined
  check ((decline_category is not null) = (kind = 'authorization' and transaction_status = 'DECLINED')) not valid;

-- What became of a transaction: little of what is stored names an original. Twice, since ids are compared by code points
-- and this column was not made for it: what is compared with another id finds the first, what is compared with a text the
-- second.
create index transactions_of_original on transactions (original_transaction_id collate "C", kind)
  where original_transaction_id is not null;
create index transactions_by_original on transactions (original_transaction_id) where original_transaction_id is not null;

-- An unused sum costs nothing: PostgreSQL leaves a subquery out whose column nobody selects.
create view authorizations as
select
  a.transaction_id,
  a.event_id,
  a.card_id,
  a.cardholder_id,
  a.transaction_type,
  a.transaction_status,
  a.description,
  a.transaction_amount,
  a.transaction_currency,
  a.billing_amount,
  a.billing_currency,
  a.transaction_fee,
  a.transaction_fee_currency,
  a.authorization_code,
  a.original_transaction_id,
  a.wallet_type,
  a.mcc,
  a.merchant_name,
  a.merchant_city,
  a.merchant_country,
  a.transaction_time,
  a.posted_time,
  a.decline_category,
  a.mcc_declined,
  a.received_at,
  a.updated_at,
  a.field_clocks,
  (
    select sum(t.billing_amount)
    from transactions t
    where t.original_transaction_id = a.transaction_id and t.kind = 'settlement.debit'
      and t.transaction_status = 'APPROVED' and t.billing_currency = a.billing_currency
  ) as settled_amount,
  (
    select sum(t.billing_amount)
    from transactions t
    where t.original_transaction_id = a.transaction_id and t.kind = 'settlement.credit'
      and t.transaction_status = 'APPROVED' and t.billing_currency = a.billing_currency
  ) as settlement_credited_amount,
  (
    select sum(t.billing_amount)
    from transactions t
    where t.original_transaction_id = a.transaction_id and t.kind = 'settlement.reversal'
      and t.transaction_status = 'APPROVED' and t.billing_currency = a.billing_currency
  ) as settlement_reversed_amount,
  (
    select sum(t.billing_amount)
    from transactions t
    where t.original_transaction_id = a.transaction_id and t.kind = 'reversal'
      and t.transaction_status = 'APPROVED' and t.billing_currency = a.billing_currency
  ) as reversed_amount,
  (
    select sum(t.billing_amount)
    from transactions t
    where t.original_transaction_id = a.transaction_id and t.kind = 'refund'
      and t.transaction_status = 'APPROVED' and t.billing_currency = a.billing_currency
  ) as refunded_amount
from transactions a
where a.kind = 'authorization';

create or replace view mcc_declines as
select
  a.transaction_id,
  a.event_id,
  a.card_id,
  a.cardholder_id,
  a.transaction_type,
  a.transaction_status,
  a.description,
  a.transaction_amount,
  a.transaction_currency,
  a.billing_amount,
  a.billing_currency,
  a.transaction_fee,
  a.transaction_fee_currency,
  a.authorization_code,
  a.original_transaction_id,
  a.wallet_type,
  a.mcc,
  a.merchant_name,
  a.merchant_city,
  a.merchant_country,
  a.transaction_time,
  a.posted_time,
  a.decline_category,
  a.mcc_declined,
  a.received_at,
  a.updated_at,
  c.card_status,
  c.allowed_mcc,
  c.blocked_mcc,
  case
    when c.mcc_mode is null or a.mcc is null then 'unknown'
    when a.mcc = any (c.blocked_mcc) then 'card'
    when c.mcc_mode = 'allow' and a.mcc <> all (c.allowed_mcc) then 'card'
    else 'account'
  end as rule_scope,
  a.settled_amount,
  a.settlement_credited_amount,
  a.settlement_reversed_amount,
  a.reversed_amount,
  a.refunded_amount
from authorizations a
left join cards c using (card_id)
where a.mcc_declined;

-- Who may read the table may read the view, column by column where it was so.
do $$
declare
  right_to record;
begin
  for right_to in
    select null as col, given.grantee, given.is_grantable
    from pg_class, aclexplode(relacl) given
    where oid = 'transactions'::regclass and given.privilege_type = 'SELECT' and given.grantee <> relowner
    union all
    select attname, given.grantee, given.is_grantable
    from pg_attribute, aclexplode(attacl) given
    where attrelid = 'transactions'::regclass and given.privilege_type = 'SELECT'
  loop
    execute format(
      'grant select %s on authorizations to %s %s',
      '(' || quote_ident(right_to.col) || ')',
      case when right_to.grantee = 0 then 'public' else right_to.grantee::regrole::text end,
      case when right_to.is_grantable then 'with grant option' end
    );
  end loop;
end $$;

-- The views of others that selected from the table select from the view of its name.
do $$
declare
  other record;
  reason text;
begin
  for other in select * from views_on_authorizations loop
    begin
      execute format('create or replace view %s %s as %s', other.view::regclass, other.options, other.definition);
    exception when others then
      get stacked diagnostics reason = message_text;
      raise exception 'authorizations becomes a view over the new table transactions, and your view % cannot follow it: %', other.view::regclass, reason
        using errcode = 'dependent_objects_still_exist',
          hint = 'Drop it before the migration, and create it again after it.';
    end;
  end loop;
end $$;
drop table views_on_authorizations;

-- Last: a view that was grouped by the old key needed it.
alter table transactions drop constraint authorizations_pkey;
alter table transactions add constraint transactions_pkey primary key (transaction_id, kind);

comment on table transactions is 'The projection: one row a transaction and kind, with its outcome. Converges like cards.';
comment on column transactions.kind is 'What of the transaction it is: the last words of the event type, such as authorization, reversal, refund, settlement.debit, fee, network_protection_fee.';
comment on column transactions.card_id is 'The card that it is about; NULL where the event names none. May be unknown to cards'' announcements so far.';
comment on column transactions.account_id is 'UQPAY''s id of the account, where the event names one: that of a fee that is no card''s.';
comment on column transactions.transaction_type is 'AUTHORIZATION, REFUND, SETTLEMENT DEBIT, FEE, or another word that UQPAY uses.';
comment on column transactions.transaction_amount is 'What the merchant asked for or gave back, in transaction_currency.';
comment on column transactions.billing_amount is 'What the card is charged or given back, in billing_currency; 0 on a decline. UQPAY does not say what its sign means: kind says which way the money goes.';
comment on column transactions.original_transaction_id is 'The transaction that this one undoes, settles or refunds. It may be one that no event told of.';
comment on column transactions.short_transaction_id is 'UQPAY''s short id of the transaction, as its dashboard shows it.';
comment on column transactions.reference_id is 'UQPAY''s id of the entry in its ledger.';
comment on column transactions.remark is 'UQPAY''s text for a fee.';
comment on column transactions.fee_pass_through is 'Y: the fee came off the card, and billing_amount includes it; N: the account paid it.';
comment on column transactions.card_available_balance is 'The card''s balance after it, as the event states it. cards.available_balance is the latest of these and of those that other events state.';
comment on column transactions.decline_category is 'Of an authorization, what the description speaks of: mcc, cvv, limit, balance, card_status, or other for words that are not recognised. NULL when not declined, and of every other kind.';
comment on column transactions.mcc_declined is 'An authorization that was declined, and the description speaks of the merchant category code.';
comment on column transaction_cards.transaction_id is 'See transactions and card_orders.';
comment on column cards.balance_as_of is 'The time of that event; of a transaction, when UQPAY booked it.';

comment on view authorizations is 'The authorizations among the transactions, one row a transaction, with the sums of what became of each. A sum is over the approved transactions of its kind that name the authorization as their original, in billing_currency; NULL where there is none. UQPAY does not say how the three kinds of settlement add up, so each stands for itself.';
comment on column authorizations.settled_amount is 'The sum of the settlements (settlement.debit), in billing_currency; NULL where none is known.';
comment on column authorizations.settlement_credited_amount is 'The sum of what was settled to the card''s credit (settlement.credit), in billing_currency; NULL where none is known.';
comment on column authorizations.settlement_reversed_amount is 'The sum of the settlements that were undone (settlement.reversal), in billing_currency; NULL where none is known.';
comment on column authorizations.reversed_amount is 'The sum of what was undone (reversal), in billing_currency; NULL where none is known.';
comment on column authorizations.refunded_amount is 'The sum of what the merchant gave back (refund), in billing_currency; NULL where none is known.';
comment on column mcc_declines.settled_amount is 'See authorizations.';
comment on column mcc_declines.settlement_credited_amount is 'See authorizations.';
comment on column mcc_declines.settlement_reversed_amount is 'See authorizations.';
comment on column mcc_declines.reversed_amount is 'See authorizations.';
comment on column mcc_declines.refunded_amount is 'See authorizations.';

-- The other columns of the view say what those of the table say.
do $$
declare
  described record;
begin
  for described in
    select shown.attname as col, col_description(stored.attrelid, stored.attnum) as text
    from pg_attribute shown
    join pg_attribute stored on stored.attname = shown.attname and stored.attrelid = 'transactions'::regclass
    where shown.attrelid = 'authorizations'::regclass and shown.attnum > 0
  loop
    execute format('comment on column authorizations.%I is %L', described.col, described.text);
  end loop;
end $$;
