-- Models that clients register: paths, fetched ones, uploaded ones ------------------------------------------------------------

alter table model add column id uuid not null unique default gen_random_uuid();
-- A name is a project's; a bundled model is everybody's.
alter table model add column project text collate "C" not null default 'default' check (project ~ '^[a-z0-9][a-z0-9-]{0,62}$');
alter table model drop constraint model_pkey;
alter table model add primary key (name, project);
alter table model add column state text not null default 'ready'
  check (state in ('uploading', 'verifying', 'fetching', 'ready', 'failed'));
alter table model add column source jsonb check (source is null or jsonb_typeof(source) = 'object');
alter table model add column reason text;
alter table model add column bytes_total bigint check (bytes_total >= 0);
alter table model add column bytes_done bigint not null default 0 check (bytes_done >= 0);
alter table model add column revision text;
alter table model add column inspection jsonb check (inspection is null or jsonb_typeof(inspection) = 'object');
alter table model add column files jsonb not null default '[]' check (jsonb_typeof(files) = 'array');
-- Whether the sums of a ready model's files were computed, or could not be.
alter table model add column summed boolean not null default false;
-- Who brings it in: every write of his shows the lease, and one whose heart stopped is replaced.
alter table model add column lease uuid;
alter table model add column lease_until timestamptz;
alter table model add constraint failed_has_a_reason check (state <> 'failed' or reason is not null);

create index model_work on model (state, created_at) where state in ('verifying', 'fetching') or (state = 'ready' and not summed);
