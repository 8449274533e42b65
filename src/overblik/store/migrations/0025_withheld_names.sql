-- Units whose staff are named to citizens by a pseudonym (sundhedsloven § 37, EHDS article 9(3)), sub-units with them.
create table withheld_unit (
    sor    text primary key,
    since  timestamptz not null
);
