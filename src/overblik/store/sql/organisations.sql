-- name: read_organisations
-- scope: shared
-- The whole directory, to be held in memory.
select sor, parent, name, kind, gln, yder, phone, address, id from organisation;

-- name: read_routing
-- scope: shared
select org, message, unit from routing;

-- name: organisations_like
-- scope: shared
-- What is known under the numbers of one organisation: itself, and any other.
select sor, parent from organisation where sor = %(sor)s or gln = %(gln)s or yder = %(yder)s;

-- name: put_organisation
-- scope: shared
insert into organisation (sor, parent, name, kind, gln, yder, phone, address, id)
values (%(sor)s, %(parent)s, %(name)s, %(kind)s, %(gln)s, %(yder)s, %(phone)s, %(address)s, %(id)s)
on conflict (sor) do update set parent = excluded.parent, name = excluded.name, kind = excluded.kind,
    gln = excluded.gln, yder = excluded.yder, phone = excluded.phone, address = excluded.address,
    id = excluded.id;

-- name: put_route
-- scope: shared
insert into routing (org, message, unit) values (%(org)s, %(message)s, %(unit)s)
on conflict (org, message, unit) do nothing;

-- name: put_source
-- scope: shared
insert into source (name, organisations, registered_at) values (%(name)s, %(organisations)s, %(now)s)
on conflict (name) do update set organisations = excluded.organisations;

-- name: read_source
-- scope: shared
select name, organisations from source where name = %(name)s;

-- name: read_sources
-- scope: shared
select name, organisations, registered_at from source order by name;

-- name: read_connections
-- scope: shared
-- The systems that deliver, or should, and whether they do; the operator's word.
select name, kind, state, since from connection order by place, name;

-- name: put_connection
-- scope: shared
insert into connection (name, kind, state, since, place)
values (%(name)s, %(kind)s, %(state)s, %(since)s, %(place)s)
on conflict (name) do update set kind = excluded.kind, state = excluded.state, since = excluded.since,
    place = excluded.place;

-- name: withheld_units
-- scope: shared
-- Units whose staff are not named to citizens, and every unit below them.
with recursive below as (
    select w.sor from withheld_unit w
    union
    select o.sor from organisation o join below b on o.parent = b.sor
)
select sor from below;

-- name: put_withheld_unit
-- scope: shared
insert into withheld_unit (sor, since) values (%(sor)s, %(now)s) on conflict (sor) do nothing;

-- name: clear_withheld_unit
-- scope: shared
delete from withheld_unit where sor = %(sor)s;

-- name: read_withheld_units
-- scope: shared
select w.sor, w.since, coalesce(o.name, '') as name from withheld_unit w left join organisation o on o.sor = w.sor
order by w.sor;
