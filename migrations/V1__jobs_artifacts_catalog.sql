-- Jobs and their history ------------------------------------------------------------------------------------------------

create table pruning_job (
  -- "C": ids sort by the time they were made, whatever the locale of the server.
  id text collate "C" primary key check (id ~ '^job_[0-9a-z]{26}$'),
  created_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  state text not null check (state in ('queued', 'running', 'cancelling', 'cancelled', 'succeeded', 'failed')),
  recipe jsonb not null,
  inputs jsonb not null,
  -- The fencing token: one more at every claim. A worker writes only where its attempt still stands.
  attempt integer not null check (attempt >= 0),
  worker text,
  device text,
  percent double precision not null check (percent between 0 and 100),
  phase text check (phase in ('open', 'calibrate', 'score', 'plan', 'cut', 'check', 'publish')),
  layer integer,
  layers integer,
  tokens_per_second double precision,
  eta_seconds bigint check (eta_seconds >= 0),
  phases jsonb not null,
  result jsonb,
  error jsonb,
  artifact_id text collate "C",
  score_set_id text collate "C",
  -- Sequence number of the last event.
  last_event bigint not null check (last_event >= 0),
  version bigint not null,
  constraint finished_when_terminal check ((state in ('cancelled', 'succeeded', 'failed')) = (finished_at is not null)),
  constraint claimed_when_running check (state not in ('running', 'cancelling') or (attempt > 0 and worker is not null and started_at is not null)),
  constraint outcome_when_succeeded check ((state = 'succeeded') = (result is not null)),
  constraint error_when_failed check ((state = 'failed') = (error is not null))
);

create index pruning_job_state_id on pruning_job (state, id desc);

-- The same table as JobState.mayBecome; a test holds them together.
create function refuse_job_transition() returns trigger language plpgsql as $$
begin
  raise exception 'pruning_job %: % may not become %', old.id, old.state, new.state using errcode = 'check_violation';
end $$;

create trigger pruning_job_transition before update of state on pruning_job for each row
  when (old.state is distinct from new.state and (old.state, new.state) not in (
    ('queued', 'running'), ('queued', 'cancelled'),
    ('running', 'queued'), ('running', 'cancelling'), ('running', 'succeeded'), ('running', 'failed'),
    ('cancelling', 'cancelled')))
  execute function refuse_job_transition();

create table job_event (
  job_id text collate "C" not null references pruning_job (id) on delete cascade,
  seq bigint not null check (seq > 0),
  at timestamptz not null,
  type text not null,
  message text not null,
  data jsonb not null,
  primary key (job_id, seq)
);

-- Finished files --------------------------------------------------------------------------------------------------------

create table artifact (
  id text collate "C" primary key check (id ~ '^art_[0-9a-z]+$'),
  job_id text collate "C" not null references pruning_job (id),
  created_at timestamptz not null,
  -- SHA-256 of the list of files and their digests.
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  bytes bigint not null check (bytes >= 0)
);

create index artifact_job on artifact (job_id);

create table artifact_file (
  artifact_id text collate "C" not null references artifact (id) on delete cascade,
  name text collate "C" not null,
  bytes bigint not null check (bytes >= 0),
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  primary key (artifact_id, name)
);

-- What can be pruned and with what --------------------------------------------------------------------------------------

create table model (
  name text collate "C" primary key,
  path text not null,
  kind text not null check (kind in ('demo', 'registered')),
  description text not null,
  created_at timestamptz not null
);

create table corpus (
  name text collate "C" primary key,
  path text not null,
  kind text not null check (kind in ('demo', 'registered')),
  description text not null,
  created_at timestamptz not null
);

create table score_set (
  id text collate "C" primary key check (id ~ '^scr_[0-9a-z]+$'),
  job_id text collate "C" not null unique references pruning_job (id),
  created_at timestamptz not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  bytes bigint not null check (bytes >= 0),
  summary jsonb not null
);

-- The safetensors file of a score set, cut into pieces of 1 MiB, so that neither side ever holds it whole.
create table score_set_chunk (
  -- Deferred: the row holds the sum of its chunks, so it is written after them.
  score_set_id text collate "C" not null references score_set (id) on delete cascade deferrable initially deferred,
  number integer not null check (number >= 0),
  content bytea not null,
  primary key (score_set_id, number)
);

-- Safetensors are dense floats: compressing them costs time and wins nothing.
alter table score_set_chunk alter column content set storage external;

alter table pruning_job add foreign key (artifact_id) references artifact (id);
alter table pruning_job add foreign key (score_set_id) references score_set (id);

-- The queue: db-scheduler 16.12, its own definition for PostgreSQL -------------------------------------------------------

create table scheduled_tasks (
  task_name text not null,
  task_instance text not null,
  task_data bytea,
  execution_time timestamp with time zone not null,
  picked boolean not null,
  picked_by text,
  last_success timestamp with time zone,
  last_failure timestamp with time zone,
  consecutive_failures int,
  last_heartbeat timestamp with time zone,
  version bigint not null,
  priority smallint,
  primary key (task_name, task_instance)
);

create index execution_time_idx on scheduled_tasks (execution_time);
create index last_heartbeat_idx on scheduled_tasks (last_heartbeat);
create index priority_execution_time_idx on scheduled_tasks (priority desc, execution_time asc);
