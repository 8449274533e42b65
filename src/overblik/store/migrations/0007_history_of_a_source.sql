-- A source's history walks its own changes, so that its pages cost by what it delivered and tell of nobody else's.
create index change_via on change (via, seq) where seq is not null;
