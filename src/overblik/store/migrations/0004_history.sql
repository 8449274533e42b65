-- History on type and system level walks the changes in the order of their numbers. There is no index
-- on resource (pid, cid): it would end HOT updates, and a record is small enough to look through.
create index change_seq on change (seq) where seq is not null;

-- What belongs to no patient changes too: its change rows have pid 0.
alter table shared_resource add column cid bigint;
alter table shared_history add column cid bigint;
create index shared_resource_cid on shared_resource (cid);
create index shared_history_cid on shared_history (cid);
