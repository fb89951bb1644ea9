-- Score sets outlive the job that measured them: other jobs may refer to them -----------------------------------------------------

-- What the scores are a function of. Equal addresses are equal scores; null for sets of before, which nobody finds and nothing is planned from.
alter table score_set add column address text unique check (address ~ '^[0-9a-f]{64}$');
alter table score_set add column origin jsonb;
alter table score_set add constraint origin_when_addressed check ((address is null) = (origin is null)
  and coalesce(jsonb_typeof(origin), 'object') = 'object');
-- For the filters of the list.
alter table score_set add column model text generated always as (origin ->> 'model') stored;
alter table score_set add column method text generated always as (coalesce(origin -> 'method' ->> 'name', summary ->> 'method')) stored;

-- The job it came from, while there is one; several attempts of a job may leave several sets where its inputs changed in between.
alter table score_set alter column job_id drop not null;
alter table score_set drop constraint score_set_job_id_key;
alter table score_set drop constraint score_set_job_id_fkey;
alter table score_set add foreign key (job_id) references pruning_job (id) on delete set null deferrable initially deferred;
create index score_set_job on score_set (job_id);
create index pruning_job_score_set on pruning_job (score_set_id) where score_set_id is not null;

-- What one job's plan makes of its scores, by layer and expert.
create table job_scores (
  job_id text collate "C" primary key references pruning_job (id) on delete cascade deferrable initially deferred,
  summary jsonb not null
);
insert into job_scores (job_id, summary) select job_id, summary from score_set;

-- The last job that refers to a score set takes it along. The row is locked first: of two jobs that go at once, the second sees the first gone.
create function forget_score_set() returns trigger language plpgsql as $$
begin
  perform 1 from score_set where id = old.score_set_id for update;
  delete from score_set s where s.id = old.score_set_id and not exists (select 1 from pruning_job j where j.score_set_id = s.id);
  return null;
end $$;

create trigger pruning_job_forgets_scores after delete on pruning_job for each row when (old.score_set_id is not null)
  execute function forget_score_set();
create trigger pruning_job_changes_scores after update of score_set_id on pruning_job for each row
  when (old.score_set_id is not null and old.score_set_id is distinct from new.score_set_id)
  execute function forget_score_set();
