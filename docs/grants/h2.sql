-- A read-only account for the lakehouse on H2: SELECT on the tables of load_config.csv and nothing else.
-- Run as the database's administrator. Replace CHANGE-ME.

CREATE USER rcm_reader PASSWORD 'CHANGE-ME';

GRANT SELECT ON dbo.departments TO rcm_reader;
GRANT SELECT ON dbo.providers TO rcm_reader;
GRANT SELECT ON dbo.patients TO rcm_reader;
GRANT SELECT ON dbo.encounters TO rcm_reader;
GRANT SELECT ON dbo.transactions TO rcm_reader;

-- There is no right to see when open transactions began: H2 does not tell. Windows end settle_seconds before now.
