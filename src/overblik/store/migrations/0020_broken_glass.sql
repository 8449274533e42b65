-- Who broke the glass in a record lately: the citizen is told, however much came after it in their log.
create index access_log_glass on access_log (pid, at) where action = 'break glass';
