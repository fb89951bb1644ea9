-- Where the files of an artifact are, and whether they still are -------------------------------------------------------------------

alter table artifact add column store text not null default 'files' check (store in ('files', 's3'));
-- Bucket and prefix of its objects: an artifact is found again when the settings name another bucket.
alter table artifact add column location text;
alter table artifact add constraint location_when_stored_elsewhere check ((store = 's3') = (location is not null)
  and coalesce(location ~ '^s3://[^/]+/.+/$', true));
-- The row of a deleted artifact stays with its job; its files go, and when they are known to be gone it is noted.
alter table artifact add column deleted_at timestamptz;
alter table artifact add column gone_at timestamptz;
alter table artifact add constraint deleted_before_gone check (gone_at is null or deleted_at is not null);

create index artifact_going on artifact (id) where deleted_at is not null and gone_at is null;

-- Those of a job's artifacts that were deleted, while its result is still told.
alter table pruning_job add column deleted_artifacts jsonb not null default '[]' check (jsonb_typeof(deleted_artifacts) = 'array');
