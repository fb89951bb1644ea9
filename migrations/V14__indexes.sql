-- What retention and a deleted artifact look for among many jobs ------------------------------------------------------------------------

create index pruning_job_artifact on pruning_job (artifact_id) where artifact_id is not null;
create index pruning_job_finished on pruning_job (finished_at) where finished_at is not null;

-- Older programs do not notice.
insert into schema_compatibility (version, works_from) values ('14', '13');
