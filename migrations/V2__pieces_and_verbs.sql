-- Jobs are carried out in pieces: one that opens, one for each slice of the calibration set, one that finishes ------------------

-- Nothing runs while a migration does: what a worker held starts again, piece by piece.
update pruning_job set state = 'queued', worker = null, device = null, started_at = null, phases = '[]', percent = 0, phase = null,
  layer = null, tokens_per_second = null, eta_seconds = null where state = 'running';
update pruning_job set state = 'cancelled', finished_at = now(), eta_seconds = null where state = 'cancelling';

alter table pruning_job drop constraint pruning_job_state_check;
alter table pruning_job add constraint pruning_job_state_check
  check (state in ('queued', 'running', 'paused', 'cancelling', 'cancelled', 'succeeded', 'failed'));
alter table pruning_job drop constraint claimed_when_running;
alter table pruning_job drop column worker, drop column device;
-- attempt stays: it counts the claims of all pieces, and each piece remembers the count at its own claim as its fencing token.
alter table pruning_job add constraint claimed_when_running
  check (state not in ('running', 'cancelling') or (attempt > 0 and started_at is not null));
-- How the calibration set is cut, decided when the job was first opened.
alter table pruning_job add column slicing jsonb;
alter table pruning_job add column slices integer check (slices >= 0);
alter table pruning_job add column slices_done integer not null default 0 check (slices_done >= 0);
alter table pruning_job add constraint slices_when_sliced check ((slices is null) = (slicing is null) and slices_done <= coalesce(slices, 0));
-- Whose job it is and how much it hurries: said in the order, and only there.
alter table pruning_job add column project text collate "C" not null generated always as (coalesce(recipe ->> 'project', 'default')) stored;
alter table pruning_job add column priority smallint not null generated always as (coalesce((recipe ->> 'priority')::smallint, 0)) stored;
alter table pruning_job add constraint json_shapes check (jsonb_typeof(recipe) = 'object' and jsonb_typeof(inputs) = 'object'
  and jsonb_typeof(phases) = 'array' and coalesce(jsonb_typeof(result), 'object') = 'object'
  and coalesce(jsonb_typeof(error), 'object') = 'object' and coalesce(jsonb_typeof(slicing), 'object') = 'object');

create index pruning_job_project_id on pruning_job (project, id desc);

-- What was ordered is never changed, by nobody: a job whose order was edited by hand would be neither the old one nor a new one.
create function refuse_job_edit() returns trigger language plpgsql as $$
begin
  raise exception 'pruning_job %: an order can not be edited; delete the job and order again', old.id using errcode = 'check_violation';
end $$;

create trigger pruning_job_unedited before update on pruning_job for each row
  when (old.id is distinct from new.id or old.created_at is distinct from new.created_at or old.recipe is distinct from new.recipe
    or old.inputs is distinct from new.inputs or (old.result is not null and old.result is distinct from new.result))
  execute function refuse_job_edit();

-- The same table as JobState.mayBecome; a test holds them together.
drop trigger pruning_job_transition on pruning_job;
create trigger pruning_job_transition before update of state on pruning_job for each row
  when (old.state is distinct from new.state and (old.state, new.state) not in (
    ('queued', 'running'), ('queued', 'paused'), ('queued', 'cancelled'), ('queued', 'failed'),
    ('running', 'queued'), ('running', 'paused'), ('running', 'cancelling'), ('running', 'cancelled'), ('running', 'succeeded'),
    ('running', 'failed'),
    ('paused', 'queued'), ('paused', 'cancelled'),
    ('cancelling', 'cancelled'),
    ('cancelled', 'queued'), ('failed', 'queued')))
  execute function refuse_job_transition();

create table job_piece (
  job_id text collate "C" not null references pruning_job (id) on delete cascade,
  -- 0 opens, 1 to n are the slices in the order in which they are merged, n + 1 finishes.
  number integer not null check (number >= 0),
  kind text not null check (kind in ('open', 'slice', 'finish')),
  -- blocked: others come first; ready: waits to be let into the queue; queued: has an entry there.
  state text not null check (state in ('blocked', 'ready', 'queued', 'running', 'done')),
  -- Which of the queue's entries for this piece counts; an older one is dropped when it comes up.
  entry integer not null check (entry >= 0),
  -- The fencing token: the job's count of claims when this piece was claimed last.
  attempt integer not null check (attempt >= 0),
  -- How often it was claimed; how many of those workers were lost; how many tries in a row failed for a reason that may pass.
  tries integer not null check (tries >= 0),
  lost_workers integer not null check (lost_workers >= 0),
  failures integer not null check (failures >= 0),
  -- Writes of workers that had lost their lease: refused, and counted here.
  rejected_writes bigint not null check (rejected_writes >= 0),
  worker text,
  device text,
  started_at timestamptz,
  finished_at timestamptz,
  percent double precision not null check (percent between 0 and 100),
  tokens_per_second double precision,
  -- Of a finished slice's statistics.
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
  bytes bigint check (bytes >= 0),
  primary key (job_id, number),
  constraint one_opens check ((kind = 'open') = (number = 0)),
  constraint claimed_when_running check (state <> 'running' or (attempt > 0 and worker is not null and started_at is not null)),
  constraint finished_when_done check ((state = 'done') = (finished_at is not null)),
  constraint measured_when_done check ((kind = 'slice' and state = 'done') = (sha256 is not null))
);

create index job_piece_busy on job_piece (job_id) where state in ('ready', 'queued', 'running');

insert into job_piece (job_id, number, kind, state, entry, attempt, tries, lost_workers, failures, rejected_writes, percent)
  select id, 0, 'open', 'ready', 0, 0, 0, 0, 0, 0, 0 from pruning_job where state = 'queued';
-- The entries of whole jobs go; housekeeping lets the pieces in.
delete from scheduled_tasks where task_name = 'pruning_job';

-- Statistics of finished slices, a safetensors file each, in pieces of 1 MiB; gone when the job has succeeded.
create table slice_chunk (
  job_id text collate "C" not null references pruning_job (id) on delete cascade,
  piece integer not null,
  -- Of the claim that wrote it: what a worker wrote that lost its lease is nobody's.
  attempt integer not null,
  number integer not null check (number >= 0),
  content bytea not null,
  primary key (job_id, piece, attempt, number)
);

alter table slice_chunk alter column content set storage external;

-- A job takes what it produced with it when it is deleted.
alter table artifact drop constraint artifact_job_id_fkey;
alter table artifact add foreign key (job_id) references pruning_job (id) on delete cascade deferrable initially deferred;
alter table score_set drop constraint score_set_job_id_fkey;
alter table score_set add foreign key (job_id) references pruning_job (id) on delete cascade deferrable initially deferred;
alter table pruning_job drop constraint pruning_job_artifact_id_fkey;
alter table pruning_job add foreign key (artifact_id) references artifact (id) deferrable initially deferred;
alter table pruning_job drop constraint pruning_job_score_set_id_fkey;
alter table pruning_job add foreign key (score_set_id) references score_set (id) deferrable initially deferred;
