-- name: grants
-- scope: cross
-- The statements that give a role a running server's rights, and take all others from it.
select format('revoke all on all tables in schema public from %%I', %(role)s::text) as statement
union all select format('revoke create on schema public from %%I', %(role)s::text)
union all select format('grant usage on schema public to %%I', %(role)s::text)
union all select format('grant usage on all sequences in schema public to %%I', %(role)s::text)
union all select format('grant %%s on %%I to %%I',
    case when t.tablename = 'schema_migration' then 'select'
         when t.tablename = 'log_tree' then 'select'
         when t.tablename in ('access_log', 'log_leaf', 'log_node', 'log_head', 'log_rotation', 'log_cosignature', 'history',
                              'shared_history', 'locator', 'policy', 'past_ground')
           then 'select, insert'
         else 'select, insert, update, delete' end,
    t.tablename, %(role)s::text)
from pg_tables t where t.schemaname = 'public';
