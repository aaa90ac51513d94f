-- The API reads as authenticator, whose statements end after 8 seconds; people looked into the
-- incident as service_role, which has no limit.
ALTER ROLE authenticator SET statement_timeout = '8s';
ALTER ROLE service_role SET statement_timeout = 0;
