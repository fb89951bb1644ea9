-- Orders that came with an Idempotency-Key: the same key and body are the same job ---------------------------------------------

create table idempotency_key (
  project text collate "C" not null,
  key text collate "C" not null check (length(key) between 1 and 255),
  -- SHA-256 of the body, in one spelling.
  fingerprint text not null check (fingerprint ~ '^[0-9a-f]{64}$'),
  -- Deferred: the key is taken first, so that of two posts at once one waits for the other before it makes a job.
  job_id text collate "C" not null references pruning_job (id) on delete cascade deferrable initially deferred,
  created_at timestamptz not null,
  primary key (project, key)
);

create index idempotency_key_job on idempotency_key (job_id);
create index idempotency_key_created on idempotency_key (created_at);

-- What is written as JSON can be read again, whoever wrote it ------------------------------------------------------------------

alter table pruning_job add constraint slicing_shape check (slicing is null or (
  slicing -> 'fingerprint' is not null and slicing ->> 'fingerprint' ~ '^[0-9a-f]{64}$'
  and coalesce(slicing ->> 'sequences_per_batch' ~ '^[1-9][0-9]{0,8}$', false)
  and coalesce(slicing ->> 'sequence_length' ~ '^[1-9][0-9]{0,8}$', false)
  and coalesce(jsonb_typeof(slicing -> 'slices') = 'array', false)
  and jsonb_array_length(slicing -> 'slices') = slices
  and not slicing @? '$.slices[*] ? (!(@.from >= 0 && @.to > @.from) || (@.from >= 0 && @.to > @.from) is unknown)'));
-- Times are seconds since 1970 as Hibernate writes them.
alter table pruning_job add constraint phases_shape check (not phases @? '$[*] ? (@.type() != "object" || !exists(@.phase) || !exists(@.started_at)
  || @.phase.type() != "string" || !(@.phase like_regex "^(open|calibrate|score|plan|cut|check|publish)$")
  || @.started_at.type() != "number"
  || (exists(@.finished_at) && @.finished_at != null && @.finished_at.type() != "number"))');
alter table pruning_job add constraint error_shape check (error is null or (
  coalesce(error ->> 'code' ~ '^[a-z0-9_]+$', false) and coalesce(jsonb_typeof(error -> 'message') = 'string', false)
  and coalesce(jsonb_typeof(error -> 'violations') = 'array', false)));
