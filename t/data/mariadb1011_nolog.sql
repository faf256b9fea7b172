-- binlog_row_metadata=NO_LOG; old times are of mysql56_temporal_format=OFF
CREATE TABLE plain (k bigint unsigned primary key, i int, iu int unsigned, d decimal(10,2), v varchar(20) charset latin1, n char(3) charset utf8mb4, b varbinary(9), bi binary(4), t text charset utf8mb4, e enum('a','b'), s set('x','y'), js json, u uuid, i4 inet4, i6 inet6, c varchar(500) compressed, g int as (i+1) stored, y year, bt bit(10));
INSERT INTO plain(k,i,iu,d,v,n,b,bi,t,e,s,js,u,i4,i6,c,y,bt) VALUES (18446744073709551615,-1,4294967295,-1.5,'é','äöü',x'ff','ab','text','b','x,y','{"a": 1}','123e4567-e89b-12d3-a456-426655440000','192.0.2.1','2001:db8::1',repeat('z',400),1999,513),(2,1,1,1.5,'','','','','','a','','[]','00000000-0000-0000-0000-000000000000','0.0.0.0','::','',0,0);
SET GLOBAL mysql56_temporal_format=OFF;
CREATE TABLE oldtimes (k int primary key, t time, dt datetime, ts timestamp null);
CREATE TABLE hires (k int primary key, t time(3), dt datetime(6), ts timestamp(2) null);
SET GLOBAL mysql56_temporal_format=ON;
SET time_zone='+00:00', sql_mode='';
INSERT INTO oldtimes VALUES (1,'-838:59:59','2024-02-29 23:59:58','2024-02-29 23:59:58'),(2,'00:00:00','0000-00-00 00:00:00','0000-00-00 00:00:00'),(3,'12:34:56','9999-12-31 23:59:59','2038-01-19 03:14:07');
INSERT INTO hires VALUES (1,'01:02:03.456','2024-02-29 23:59:58.123456','2024-02-29 23:59:58.12');
