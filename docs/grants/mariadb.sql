-- A read-only account for the lakehouse on MariaDB or MySQL: SELECT on the tables of load_config.csv and nothing else.
-- Run as an administrator. Replace CHANGE-ME, and hospital_a by the name of the database.

CREATE USER 'rcm_reader'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 8;
-- A server that still has its anonymous user takes that one for connections from itself, and they are refused:  DROP USER ''@'localhost';
-- Where the server offers TLS:  ALTER USER 'rcm_reader'@'%' REQUIRE SSL;

GRANT SELECT ON `hospital_a`.`departments` TO 'rcm_reader'@'%';
GRANT SELECT ON `hospital_a`.`providers` TO 'rcm_reader'@'%';
GRANT SELECT ON `hospital_a`.`patients` TO 'rcm_reader'@'%';
GRANT SELECT ON `hospital_a`.`encounters` TO 'rcm_reader'@'%';
GRANT SELECT ON `hospital_a`.`transactions` TO 'rcm_reader'@'%';

-- Optional: the right to see when open transactions began (information_schema.innodb_trx), so that a window waits for them.
-- It also shows the statements that other accounts are running. Without it windows end settle_seconds before now.

GRANT PROCESS ON *.* TO 'rcm_reader'@'%';
