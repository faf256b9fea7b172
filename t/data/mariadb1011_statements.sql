-- What is not a plain row change: recorded with binlog_row_metadata=NO_LOG, so
-- that columns have no names.
DROP DATABASE IF EXISTS w; CREATE DATABASE w; USE w;
CREATE TABLE t (id int unsigned primary key, c varchar(20) charset utf8mb4, d decimal(5,2)) engine=innodb;
CREATE TABLE m (id int primary key) engine=myisam;
INSERT INTO t VALUES (1,'eins',1.5),(2,'zwei',-2.25),(4000000000,NULL,NULL);
TRUNCATE TABLE t;
BEGIN; INSERT INTO t VALUES (3,'drei',0); SAVEPOINT a; INSERT INTO t VALUES (4,'vier',0); ROLLBACK TO a; COMMIT;
BEGIN; INSERT INTO t VALUES (5,'no',0); INSERT INTO m VALUES (1); ROLLBACK;
XA START 'x1'; INSERT INTO t VALUES (6,'xa',0); XA END 'x1'; XA PREPARE 'x1'; XA COMMIT 'x1';
XA START 'x2'; INSERT INTO t VALUES (7,'one',0); XA END 'x2'; XA COMMIT 'x2' ONE PHASE;
SET NAMES latin1;
ALTER TABLE t COMMENT 'Grün ist schön';
SET NAMES utf8mb4;
RENAME TABLE t TO u;
CREATE TABLE v AS SELECT 1 AS one;
CREATE TEMPORARY TABLE tmp (a int); INSERT INTO tmp VALUES (1); DROP TEMPORARY TABLE tmp;
SET SESSION binlog_format=STATEMENT; UPDATE u SET c='changed' WHERE id=3; SET SESSION binlog_format=ROW;
SET SESSION binlog_row_image=NOBLOB; UPDATE u SET c='"\\	Ã©' WHERE id=3;
DROP TABLE v, m;
CREATE USER someone@localhost;
DROP DATABASE w;
FLUSH LOGS;
