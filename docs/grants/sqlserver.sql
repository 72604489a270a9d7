-- A read-only account for the lakehouse on SQL Server: SELECT on the tables of load_config.csv and nothing else.
-- Run as an administrator. Replace CHANGE-ME, and hospital_a by the name of the database.

USE [master];
CREATE LOGIN [rcm_reader] WITH PASSWORD = 'CHANGE-ME', DEFAULT_DATABASE = [hospital_a];

USE [hospital_a];
CREATE USER [rcm_reader] FOR LOGIN [rcm_reader];
GRANT SELECT ON OBJECT::[dbo].[departments] TO [rcm_reader];
GRANT SELECT ON OBJECT::[dbo].[providers] TO [rcm_reader];
GRANT SELECT ON OBJECT::[dbo].[patients] TO [rcm_reader];
GRANT SELECT ON OBJECT::[dbo].[encounters] TO [rcm_reader];
GRANT SELECT ON OBJECT::[dbo].[transactions] TO [rcm_reader];

-- Optional: the right to see when open transactions began (sys.dm_tran_active_transactions), so that a window waits for them.
-- It also shows the statements that other accounts are running. From SQL Server 2022 on VIEW SERVER PERFORMANCE STATE is enough.
-- Without it windows end settle_seconds before now.

USE [master];
GRANT VIEW SERVER STATE TO [rcm_reader];
