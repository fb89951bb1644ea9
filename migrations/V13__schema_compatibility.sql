-- How old a program may be that goes on working with newer tables ------------------------------------------------------------------

-- A migration that older programs do not notice says so with a row of its own; one that says nothing stops them.
create table schema_compatibility (
  -- The migration's own version, and the version that the oldest program knows that works with its tables.
  version text collate "C" primary key check (version ~ '^[0-9]+$'),
  works_from text collate "C" not null check (works_from ~ '^[0-9]+$')
);

-- Since when this database is. Artifacts of earlier jobs on the same disk are another database's, lost or restored elsewhere, and nobody's to delete.
create table installation (
  one boolean primary key default true check (one),
  since timestamptz not null
);
insert into installation (since) select least(now(), min(created_at)) from pruning_job;
