-- API keys ----------------------------------------------------------------------------------------------------------------------

create table api_key (
  -- "C": ids sort by the time they were made.
  id text collate "C" primary key check (id ~ '^key_[0-9a-z]{26}$'),
  name text not null check (length(name) between 1 and 100),
  -- Null: its holder sees every project.
  project text collate "C" check (project ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  role text not null check (role in ('viewer', 'submitter', 'admin')),
  -- Of the whole key, of which 256 bits are random. The key itself is nowhere.
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  created_by text not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  -- To the hour: most requests write nothing.
  last_used_at timestamptz
);

-- Scores belong to a project ----------------------------------------------------------------------------------------------------

-- Equal scores of two projects are two sets: whoever finds that scores exist already would learn what another project measured.
alter table score_set add column project text collate "C" not null default 'default';
alter table score_set drop constraint score_set_address_key;
alter table score_set add constraint score_set_project_address_key unique (project, address);
create index score_set_project_id on score_set (project, id desc);

-- For the limit on unfinished jobs of a project.
create index pruning_job_unfinished on pruning_job (project) where state in ('queued', 'running', 'paused', 'cancelling');

-- The project of the job that measured it, or, when that is gone, of the oldest that refers to it.
update score_set s set project = coalesce((select j.project from pruning_job j where j.id = s.job_id),
  (select j.project from pruning_job j where j.score_set_id = s.id order by j.id limit 1), 'default');

-- A set that jobs of other projects refer to as well is copied for each of them.
create temporary table shared_set on commit drop as
  select distinct s.id, j.project, s.id || 'p' || substr(md5(j.project), 1, 12) as copy
  from score_set s join pruning_job j on j.score_set_id = s.id and j.project <> s.project;
insert into score_set (id, job_id, project, created_at, sha256, bytes, summary, address, origin)
  select c.copy, null, c.project, s.created_at, s.sha256, s.bytes, s.summary, s.address, s.origin from shared_set c join score_set s on s.id = c.id;
insert into score_set_chunk (score_set_id, number, content)
  select c.copy, k.number, k.content from shared_set c join score_set_chunk k on k.score_set_id = c.id;
update pruning_job j set score_set_id = c.copy,
    slicing = case when j.slicing ->> 'score_set' = c.id then jsonb_set(j.slicing, '{score_set}', to_jsonb(c.copy)) else j.slicing end
  from shared_set c where j.score_set_id = c.id and j.project = c.project;
