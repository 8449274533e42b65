-- The birth date that a CPR's digits state (as in fhir/identifiers.py), null where there is no such date.
create function cpr_birth_date(value text) returns date language plpgsql immutable parallel safe as $$
declare
    y integer; s integer; century integer;
begin
    if value !~ '^[0-9]{10}$' then return null; end if;
    y := substr(value, 5, 2)::integer;
    s := substr(value, 7, 1)::integer;
    century := case when s <= 3 then 1900
                    when s in (4, 9) then case when y <= 36 then 2000 else 1900 end
                    else case when y <= 57 then 2000 else 1800 end end;
    return make_date(century + y, substr(value, 3, 2)::integer, substr(value, 1, 2)::integer);
exception when datetime_field_overflow then return null;
end $$;

-- When custody ends by itself: as the fifteenth birthday begins, in Copenhagen. A record whose age nobody
-- knows has none to give.
create function custody_ends(in_pid bigint) returns timestamptz language sql stable parallel safe as $$
    select coalesce(min((cpr_birth_date(k.value) + interval '15 years')::timestamp at time zone 'Europe/Copenhagen'),
                    '-infinity')
    from person_key k where k.pid = in_pid and k.system = 'urn:oid:1.2.208.176.1.2'
$$;
