-- A read-only account for the lakehouse on PostgreSQL: SELECT on the tables of load_config.csv and nothing else.
-- Run with psql as an administrator, connected to the hospital's database. Replace CHANGE-ME, and hospital_a by the name of the database.

CREATE ROLE rcm_reader LOGIN PASSWORD 'CHANGE-ME' CONNECTION LIMIT 8;
ALTER ROLE rcm_reader SET default_transaction_read_only = on;

GRANT CONNECT ON DATABASE "hospital_a" TO rcm_reader;
GRANT USAGE ON SCHEMA dbo TO rcm_reader;
GRANT SELECT ON dbo.departments, dbo.providers, dbo.patients, dbo.encounters, dbo.transactions TO rcm_reader;

-- Optional: the right to see when open transactions began (pg_stat_activity), so that a window waits for them.
-- It also shows the statements that other accounts are running. Without it windows end settle_seconds before now.

GRANT pg_read_all_stats TO rcm_reader;
