-- What begins at no known time, or lasts for long, is not found by the date in its row: it is walked by itself.
create index resource_wide on resource (type, sort_at, rid) where sort_to is null;
create index resource_headline_wide on resource (headline, sort_at, rid) where headline is not null and sort_to is null;
