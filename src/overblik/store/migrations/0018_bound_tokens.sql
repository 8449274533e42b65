-- The key that an app's tokens are bound to (RFC 9449), '' for none.
alter table app_grant add column jkt text not null default '';
