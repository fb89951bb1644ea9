-- Corpora that clients register: texts, files, addresses, mixtures ------------------------------------------------------------

alter table corpus add column id uuid not null unique default gen_random_uuid();
-- A name is a project's; a bundled corpus is everybody's.
alter table corpus add column project text collate "C" not null default 'default' check (project ~ '^[a-z0-9][a-z0-9-]{0,62}$');
alter table corpus drop constraint corpus_pkey;
alter table corpus add primary key (name, project);
-- Where it came from: of path the file is somebody else's, of text, upload and url it is a copy of ours, of mix there is none.
alter table corpus add column source text not null default 'path' check (source in ('path', 'text', 'upload', 'url', 'mix'));
alter table corpus alter column path drop not null;
alter table corpus add constraint mix_has_no_path check ((source = 'mix') = (path is null));
alter table corpus add column field text;
alter table corpus add column bytes bigint check (bytes >= 0);
alter table corpus add column documents bigint check (documents >= 0);
alter table corpus add column sha256 text check (sha256 ~ '^[0-9a-f]{64}$');

-- What a mixture is made of. A part cannot go while a mixture has it, so that no circle can close.
create table corpus_part (
  corpus uuid not null references corpus (id) on delete cascade,
  position integer not null check (position >= 0),
  part uuid not null references corpus (id),
  weight numeric not null check (weight > 0 and weight < 'Infinity'),
  primary key (corpus, position),
  unique (corpus, part),
  check (corpus <> part)
);
create index corpus_part_part on corpus_part (part);

-- How many tokens a corpus has by a tokenizer, once somebody asked.
create table corpus_tokens (
  corpus uuid not null references corpus (id) on delete cascade,
  tokenizer_sha256 text not null check (tokenizer_sha256 ~ '^[0-9a-f]{64}$'),
  tokens bigint not null check (tokens >= 0),
  counted_at timestamptz not null,
  primary key (corpus, tokenizer_sha256)
);
