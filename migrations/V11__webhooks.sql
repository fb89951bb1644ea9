-- Webhooks: who wants to be told, what there is to tell, and how often it was tried -------------------------------------------------

create table webhook (
  id text collate "C" primary key check (id ~ '^whk_[0-9a-z]{26}$'),
  project text collate "C" not null default 'default',
  url text not null,
  events text[] not null check (cardinality(events) > 0),
  description text not null,
  enabled boolean not null,
  -- Why it is not: client (somebody said so), gone (the receiver answered 410), failing (nothing arrived for too long).
  disabled_reason text check (disabled_reason in ('client', 'gone', 'failing')),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  failing_since timestamptz,
  last_success_at timestamptz,
  -- The name of a file that holds the secret; or the secret itself, encrypted (nonce and AES-GCM), and which key opens it.
  secret_ref text,
  secret bytea,
  secret_key text,
  -- The secret before, which signs as well until then.
  previous_secret bytea,
  previous_secret_key text,
  previous_until timestamptz,
  constraint one_secret check ((secret_ref is null) = (secret is not null) and (secret is null) = (secret_key is null)),
  constraint previous_whole check ((previous_secret is null) = (previous_until is null)
    and (previous_secret is null) = (previous_secret_key is null)),
  constraint reason_when_disabled check (enabled = (disabled_reason is null))
);

create index webhook_project_id on webhook (project, id desc);

-- What happened, in the words that are sent, whoever gets them. Written in the transaction in which it happened.
create table webhook_event (
  id text collate "C" primary key check (id ~ '^evt_[0-9a-z]{26}$'),
  project text collate "C" not null default 'default',
  type text not null,
  at timestamptz not null,
  -- Which job, and which line of its history; both null for a test.
  job_id text collate "C",
  sequence bigint,
  body text not null,
  constraint job_and_line check ((job_id is null) = (sequence is null))
);

create index webhook_event_at on webhook_event (at);

create table webhook_delivery (
  id text collate "C" primary key check (id ~ '^dlv_[0-9a-z]{26}$'),
  webhook_id text collate "C" not null references webhook (id) on delete cascade,
  event_id text collate "C" not null references webhook_event (id) on delete cascade,
  -- The event's, for the order among those of one job.
  job_id text collate "C",
  sequence bigint,
  state text not null check (state in ('pending', 'delivered', 'failed')),
  -- Tries since it was made or asked for again; how often it was taken, which is the number of an attempt and the fence of whoever took it.
  tries integer not null default 0 check (tries >= 0),
  claims integer not null default 0 check (claims >= tries),
  created_at timestamptz not null,
  due_at timestamptz not null,
  -- Somebody is at it until then.
  leased_until timestamptz,
  finished_at timestamptz,
  constraint finished_when_not_pending check ((state = 'pending') = (finished_at is null))
);

create index webhook_delivery_due on webhook_delivery (due_at) where state = 'pending';
create index webhook_delivery_order on webhook_delivery (webhook_id, job_id, sequence) where state = 'pending';
create index webhook_delivery_list on webhook_delivery (webhook_id, id desc);
create index webhook_delivery_event on webhook_delivery (event_id);

create table webhook_attempt (
  delivery_id text collate "C" not null references webhook_delivery (id) on delete cascade,
  number integer not null check (number > 0),
  at timestamptz not null,
  -- What the receiver answered; null when it did not.
  status integer check (status between 100 and 999),
  latency_ms bigint not null check (latency_ms >= 0),
  -- Why it did not arrive; null when it did.
  error text,
  primary key (delivery_id, number)
);
