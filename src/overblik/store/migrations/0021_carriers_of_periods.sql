-- Whether a row is what brought a message (its bytes, its document, its Provenance) in which something came that one
-- block hides from one viewer: by type or entry as before, and by time or source too, for what is blocked must not be
-- read there whatever the date of the message. An exception shows a carrier where it names it by entry or type;
-- otherwise only where it shows all that came with it. Whoever asks says that the row is of a type that carries.
drop function block_carries(bigint, bigint, text, bigint, text);
create function block_carries(
    in_pid bigint, in_rid bigint, block_pid bigint, in_block bigint,
    in_now timestamptz, in_person text, in_org text, in_orgs text[]
) returns boolean language sql stable parallel safe as $$
    select exists (
        select from deny d
        join resource c on c.pid = in_pid and c.rid = in_rid
        left join resource p on p.pid = c.pid and p.type = 'Provenance' and p.created_cid = c.created_cid
        join resource x on x.pid = c.pid and x.rid <> c.rid
            and (d.rid is null or d.rid = x.rid) and (d.type is null or d.type = x.type)
            and (d.source is null or d.source = x.source or d.source = any(x.origins))
            and ((d.data_from is null and d.data_until is null) or x.type <> 'Patient')
            and (d.data_from is null or x.clinical_to is null or d.data_from < x.clinical_to)
            and (d.data_until is null or x.clinical_from is null or d.data_until > x.clinical_from)
        where d.pid = block_pid and d.did = in_block
          and exists (select from raw w join resource b on b.pid = w.pid and b.rid = w.rid
                      where w.pid = c.pid and b.created_cid = c.created_cid)
          and (c.created_cid in (x.cid, x.created_cid)
               or exists (select from history h where h.pid = x.pid and h.rid = x.rid and h.cid = c.created_cid)
               or position(convert_to('"' || x.type || '/' || x.id || '"', 'UTF8') in p.body) > 0)
          and not (d.excepting
              and (block_excepts(d.pid, d.did, in_now, in_person, in_org, in_orgs, x.rid, x.type, x.source, x.origins,
                                 x.clinical_from, x.clinical_to)
                   or (exists (select from deny e where e.pid = d.pid and e.parent = d.did
                               and (e.rid = c.rid or e.type = c.type))
                       and block_excepts(d.pid, d.did, in_now, in_person, in_org, in_orgs, c.rid, c.type, c.source,
                                         c.origins, c.clinical_from, c.clinical_to)))))
$$;
