-- Whose a text is stands in its index: two names together are found without reading a row of either.
drop index index_string_value;
create index index_string_value on index_string (param, value) include (pid, rid);
