-- binlog_row_metadata=MINIMAL, which is MySQL's default
CREATE TABLE j (k int unsigned primary key, j json);
INSERT INTO j VALUES (1,'null'),(2,'true'),(3,'[]'),(4,'{}'),(5,'"a\\"b\\\\c\\n\\u0001é😀"'),(6,'[0,-1,32767,-32768,32768,65535,-32769,65536,2147483647,-2147483648,4294967295,4294967296,-2147483649,9223372036854775807,-9223372036854775808,18446744073709551615]'),(7,'[1.5,-0.1,1e100,1e-7,3.141592653589793,0.1,123456789.123,1.0,-2.0,5e-324,1.7976931348623157e308]'),(8,'{"b":1,"aa":{"c":[1,{"d":"e"}]},"":[]}');
INSERT INTO j SELECT 9, JSON_OBJECT('d', CAST('-12.340' AS DECIMAL(10,3)), 'dt', CAST('2024-02-29 12:34:56.123456' AS DATETIME(6)), 'da', CAST('2024-02-29' AS DATE), 't', CAST('-12:34:56.5' AS TIME(1)), 'bin', CAST(x'00ff10' AS BINARY(3)), 'n', NULL);
SET SESSION binlog_transaction_compression=ON;
INSERT INTO j SELECT 10, JSON_OBJECT('long', REPEAT('x', 70000), 'n', 70000, 'm', -5, 's', 'tail');
INSERT INTO j SELECT 11, JSON_ARRAY(REPEAT('y', 66000), 40000, 3000000000, -2000000000, true);
CREATE TABLE m (k int unsigned primary key, n int, t varchar(10) character set latin1, u tinytext, b varbinary(5), e enum('a','b'), s set('x','y'), p point srid 0, v vector(2), d double, f float unsigned);
INSERT INTO m VALUES (4294967295, -1, 'é', 'ü', x'ff', 'b', 'x', ST_GeomFromText('POINT(1 2)'), TO_VECTOR('[1,2]'), -1.5, 0.1);
