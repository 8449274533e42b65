-- Whether a row is what brought a message (its bytes, its document, its Provenance) in which blocked entries
-- came: what is blocked must not be read there. By the change that wrote both, and by what the Provenance
-- names, because a fact that is told again is not written again. A function, for the reason of block_excepts.
create function block_carries(in_pid bigint, in_rid bigint, in_type text, block_rid bigint, block_type text)
returns boolean language sql stable parallel safe as $$
    select in_type in ('Binary', 'DocumentReference', 'Provenance', 'MessageHeader') and exists (
        select from resource c
        join resource x on x.pid = c.pid and x.rid <> c.rid
            and (block_rid is null or x.rid = block_rid) and (block_type is null or x.type = block_type)
        where c.pid = in_pid and c.rid = in_rid
          and exists (select from raw w join resource b on b.pid = w.pid and b.rid = w.rid
                      where w.pid = c.pid and b.created_cid = c.created_cid)
          and (c.created_cid in (x.cid, x.created_cid)
               or exists (select from history h where h.pid = x.pid and h.rid = x.rid and h.cid = c.created_cid)
               or exists (select from resource p
                          where p.pid = c.pid and p.type = 'Provenance' and p.created_cid = c.created_cid
                            and position(convert_to('"' || x.type || '/' || x.id || '"', 'UTF8') in p.body) > 0)))
$$;
