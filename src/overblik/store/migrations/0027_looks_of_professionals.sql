-- Which professionals have looked lately stands on the citizen's page, however often the citizen has looked since.
create index access_log_professional on access_log (pid, at, lid) where actor_kind = 'professional';
