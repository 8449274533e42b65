-- What a Provenance names is read from its index row where its body is sealed: the token of a reference is the
-- exclusive or of the digest of a parameter (`way`, noted at every start) and the `link` of what it names. Where
-- that cannot be said, a row counts as named: what is blocked is rather hidden with too much than read.
create table index_way (
    type    text not null,
    param   text not null,
    digest  bigint not null,
    primary key (type, param)
);

create or replace function block_carries(
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
               or case when substring(p.body from 1 for 1) = '\x01'
                       then x.link = 0 or not exists (select from index_way y where y.type = 'Provenance')
                            or p.tokens && array(select x.link # y.digest from index_way y where y.type = 'Provenance')
                       else position(convert_to('"' || x.type || '/' || x.id || '"', 'UTF8') in p.body) > 0 end)
          and not (d.excepting
              and (block_excepts(d.pid, d.did, in_now, in_person, in_org, in_orgs, x.rid, x.type, x.source, x.origins,
                                 x.clinical_from, x.clinical_to)
                   or (exists (select from deny e where e.pid = d.pid and e.parent = d.did
                               and (e.rid = c.rid or e.type = c.type))
                       and block_excepts(d.pid, d.did, in_now, in_person, in_org, in_orgs, c.rid, c.type, c.source,
                                         c.origins, c.clinical_from, c.clinical_to)))))
$$;
