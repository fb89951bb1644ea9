-- What is told of a job beside its state: its trace, its series of figures, the log lines of its workers. All of it goes with the job ------------

create table job_record (
  job_id text collate "C" primary key references pruning_job (id) on delete cascade,
  -- W3C trace context of the request that ordered the job; null where nobody traces.
  traceparent text check (traceparent ~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'),
  -- Seconds that one point of a series stands for: doubled when there are too many points.
  point_seconds integer not null default 1 check (point_seconds > 0),
  -- Bytes that all workers have read of the model.
  read_bytes double precision not null default 0,
  -- Number of the last log line ever written, what the lines that are kept weigh, and how many were dropped, oldest first.
  last_line bigint not null default 0 check (last_line >= 0),
  line_bytes bigint not null default 0 check (line_bytes >= 0),
  lines_dropped bigint not null default 0 check (lines_dropped >= 0)
);

insert into job_record (job_id) select id from pruning_job;

create table job_point (
  job_id text collate "C" not null references pruning_job (id) on delete cascade,
  name text collate "C" not null check (name ~ '^[a-z_]+$'),
  -- Begin of the time that the point stands for.
  at timestamptz not null,
  value double precision not null,
  -- How many figures it was made from.
  samples bigint not null check (samples > 0),
  primary key (job_id, name, at)
);

create table job_line (
  job_id text collate "C" not null references pruning_job (id) on delete cascade,
  seq bigint not null check (seq > 0),
  at timestamptz not null,
  level text not null check (level in ('trace', 'debug', 'info', 'warn', 'error')),
  logger text not null,
  message text not null,
  piece integer not null,
  attempt integer not null,
  worker text not null,
  trace_id text,
  bytes integer not null check (bytes >= 0),
  primary key (job_id, seq)
);
