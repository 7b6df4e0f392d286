-- The allowance of calls of UQPAY's API, shared by all instances. New: the version before knows nothing of it.
create table api_budget (
  is_only      boolean not null default true,
  emptied_at   timestamptz not null default '-infinity',
  closed_until timestamptz not null default '-infinity',
  constraint api_budget_pkey primary key (is_only),
  constraint api_budget_has_one_row check (is_only)
);

insert into api_budget default values;

comment on table api_budget is 'How many calls of UQPAY''s API may be sent, for all instances together: one row, by the database''s clock.';
comment on column api_budget.is_only is 'Always true: there is one row.';
comment on column api_budget.emptied_at is 'When the calls that were taken count no longer. A call may be taken while this is at most some calls ahead.';
comment on column api_budget.closed_until is 'Before this no call is sent: UQPAY has answered 429.';
