# Every type, charset and odd name goes through as it is, with each kind of row
# image, into tables with and without keys: both hold the same bytes.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
my @kind   = map { ref($_) =~ /(\w+)$/ ? lc $1 : '' } $db, $target;
my $both   = sub { my ($kind) = @_; return $kind[0] eq $kind && $kind[1] eq $kind };
$db->make_weir_user;

my $bytes = 'x' . "'" . join('', map { sprintf '%02x', $_ } 0 .. 255) . "'";

# name, columns, rows, and what else is done.
my @tables = (
    [ 'ints', 'k INT PRIMARY KEY, a TINYINT, b SMALLINT, c MEDIUMINT, d BIGINT, e TINYINT UNSIGNED, f SMALLINT UNSIGNED, g MEDIUMINT UNSIGNED, h BIGINT UNSIGNED, i INT UNSIGNED ZEROFILL, y YEAR',
        '1,-128,-32768,-8388608,-9223372036854775808,0,0,0,0,0,0',
        '2,127,32767,8388607,9223372036854775807,255,65535,16777215,18446744073709551615,4294967295,2155',
        '0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1901' ],
    [ 'auto', 'k INT AUTO_INCREMENT PRIMARY KEY, a INT', '5,1', 'NULL,2', '-1,3' ],
    [ 'decimals', 'k INT PRIMARY KEY, a DECIMAL(65,30), b DECIMAL(65,0), c DECIMAL(1,1)',
        '1,99999999999999999999999999999999999.999999999999999999999999999999,-' . '9' x 65 . ',-0.9', '2,-0.000000000000000000000000000001,0,0' ],
    [ 'floats', 'k INT PRIMARY KEY, a FLOAT, b DOUBLE',
        '1,0.1,0.1', '2,3.4028234e38,1.7976931348623157e308', '3,1.17549435e-38,2.3e-308',
        '4,-0.0,5e-324', '5,16777217,9007199254740993', '6,1e30,123456789012345680', '7,1.4e-45,-1' ],
    [ 'float_key', 'a FLOAT PRIMARY KEY, b INT', '0.1,1', '1.1754944e-38,2', '-3.3333333,3' ],
    [ 'double_key', 'a DOUBLE, b DECIMAL(5,2), c INT, PRIMARY KEY (a, b)', '0.1,0.10,1', '1e300,-1,2' ],
    [ 'times', 'k INT PRIMARY KEY, a DATE, b DATETIME, c DATETIME(6), d TIMESTAMP NULL, e TIMESTAMP(3) NULL, f TIME, g TIME(6)',
        "1,'0000-00-00','0000-00-00','0000-00-00','0000-00-00','0000-00-00','00:00:00','-838:59:59'",
        "2,'9999-12-31','9999-12-31 23:59:59','9999-12-31 23:59:59.999999','1970-01-01 00:00:01','2038-01-19 03:14:07.999','838:59:59','-00:00:00.000001'",
        "3,'2024-00-10','2024-02-00 01:02:03','1000-01-01','2024-03-31 02:30:00','2024-10-27 01:30:00','-00:00:01','01:02:03.456'" ],
    [ 'bits', 'k BIT(10) PRIMARY KEY, a BIT(1), b BIT(64), c BIT(17)', "1,1,x'8000000000000001',3", "x'03ff',0,x'ffffffffffffffff',NULL" ],
    [ 'texts', 'k INT PRIMARY KEY, a VARCHAR(300) CHARACTER SET utf8mb4, b CHAR(20) CHARACTER SET latin1, c TEXT CHARACTER SET utf8mb4, d TINYTEXT, e MEDIUMTEXT, f LONGTEXT, g VARCHAR(30) CHARACTER SET utf16, h VARCHAR(30) CHARACTER SET sjis, i VARCHAR(30) CHARACTER SET gbk, j VARCHAR(30) CHARACTER SET cp1251, l VARCHAR(30) CHARACTER SET utf32',
        "1,'it''s \\\\ \\n \\0 \\Z \" %_ \`;--','caf\xc3\xa9','\xf0\x9f\x90\x9f\xcc\x88','','x','','\xf0\x9f\x90\x9f','\xe8\xa1\xa8\\\\','\xe4\xb8\x8a','\xd0\x96','\xf0\x9f\x90\x9f'",
        "2,'trailing  ','trailing  ','\\t','a','b','c','','','','',''" ],
    [ 'bytes', 'k INT PRIMARY KEY, a BINARY(8), b VARBINARY(300), c TINYBLOB, d BLOB, e MEDIUMBLOB, f LONGBLOB',
        "1,x'00',$bytes,x'',$bytes,$bytes,REPEAT(x'00',70000)", "2,x'6100000000000062','\\\\''',NULL,'','',''" ],
    [ 'binary_key', 'k VARBINARY(20) PRIMARY KEY, a INT', "x'00',1", "x'0000',2", "'''',3", "'\\\\',4", "x'ff80',5" ],
    [ 'enums', "k INT PRIMARY KEY, a ENUM('x','it''s','a,b'), b SET('x','y','z'), c ENUM('','full') NOT NULL, d SET('p')",
        "1,'it''s','x,z','full','p'", "2,'none','','',''", "3,NULL,NULL,'',NULL", "4,'x',7,'',1",
        "5,'x',7,'none',1", "6,'none',0,'none',''" ],
    [ 'enum_key', "k ENUM('b','a') PRIMARY KEY, a INT", "'a',1", "'zz',2" ],
    [ 'enum_empty_key', "k ENUM('b','') PRIMARY KEY, a INT", "'',1", "'zz',2" ],
    [ 'shapes', 'k INT PRIMARY KEY, a GEOMETRY, b POINT, c POLYGON',
        "1,ST_GeomFromText('POINT(1 2)',4326),ST_GeomFromText('POINT(-1 1e10)'),ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')", '2,NULL,NULL,NULL' ],
    [ 'documents', 'k INT PRIMARY KEY, a JSON', q(1,'{"a": [1, -2, 1.5, "it''s \\\\\\\\ \\\\" ", null, true], "big": 18446744073709551615}'), q(2,'[]'), '3,NULL', q(4,'"text"') ],
    [ 'we`ird.n' . "\xc3\xa4" . "me;'--", "`a``b` INT PRIMARY KEY, `c.d` INT, `select` VARCHAR(9), `it's` INT, `\xc3\xbc \xe6\xb0\xb4` INT, `\\\\` INT", "1,2,'x',3,4,5", "2,NULL,'y',0,0,0" ],
    [ 'Case', 'k INT PRIMARY KEY, a INT', '1,1' ],
    [ 'case', 'k INT PRIMARY KEY, b VARCHAR(5) UNIQUE', "1,'x'", "2,NULL" ],
    [ 'computed', 'k INT PRIMARY KEY, a INT, s INT GENERATED ALWAYS AS (a * 2) STORED, v INT GENERATED ALWAYS AS (a + 1) VIRTUAL, h INT DEFAULT 7 INVISIBLE', '1,2,3', '2,NULL,NULL' ],
    [ 'computed_key', 'a INT, k INT GENERATED ALWAYS AS (a * 2) STORED, b INT, UNIQUE (k)', '1,2', '2,3' ],
    [ 'keyless', 'a INT, b VARCHAR(20), c FLOAT, d BLOB, e GEOMETRY',
        "1,'x',0.1,'b',NULL", "1,'x',0.1,'b',NULL", "1,'x',0.2,'b',NULL", 'NULL,NULL,NULL,NULL,NULL', 'NULL,NULL,NULL,NULL,NULL',
        "2,'y',1,$bytes,ST_GeomFromText('POINT(1 2)')", "2,'y',1,$bytes,ST_GeomFromText('POINT(1 3)')" ],
    [ 'unique_only', 'a INT NOT NULL, b VARCHAR(10), c INT, UNIQUE (a), UNIQUE (b)', "1,'x',1", '2,NULL,2', '3,NULL,3' ],
    [ 'unique_null', 'a INT, b INT, UNIQUE (a)', '1,1', 'NULL,2', 'NULL,2' ],
    [ 'text_key', 'k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, l CHAR(5), a INT, PRIMARY KEY (k, l)', "'a','',1", "'b ','x ',2", "'\xc3\xa9','\\\\',3" ],
    [ 'prefix_key', 'k TEXT NOT NULL, a INT, PRIMARY KEY (k(3))', "'abcdef',1", "'abd',2" ],
    [ 'time_key', 'k DATETIME(6) PRIMARY KEY, l TIMESTAMP(2) NULL, a INT', "'0000-00-00',NULL,1", "'2024-01-02 03:04:05.000001','2024-01-02 03:04:05.12',2" ],
);
push @tables,
    [ 'own', 'k UUID PRIMARY KEY, a INET6, b INET4, c VARCHAR(500) COMPRESSED, d TEXT COMPRESSED', "'123e4567-e89b-12d3-a456-426655440000','2001:db8::1','10.0.0.1',REPEAT('z',400),REPEAT('y',900)", "'00000000-0000-0000-0000-000000000000','::','0.0.0.0','',NULL" ]
    if $both->('mariadb');
push @tables, [ 'vectors', 'k INT PRIMARY KEY, a VECTOR(3)', "1,TO_VECTOR('[1,-2.5,3e10]')", '2,NULL' ]
    if $both->('mysql') && !grep { $_->release < 900 } $db, $target;
push @tables, [ 'srid', 'k INT PRIMARY KEY, g GEOMETRY SRID 4326', "1,ST_GeomFromText('POINT(1 2)',4326)", '2,NULL' ],
    [ 'keyless_documents', 'a INT, b JSON', q(1,'{"a": 1}'), q(1,'{"a": 2}'), '1,NULL' ]
    if $both->('mysql');

# Each charset that both have: all bytes where each is a character, else what it
# has of some letters.
my %known;
for my $server ($db, $target) {
    $known{ $_->[0] } .= $_->[1] for $server->rows(
        "SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS");
}
my $letters = "CONVERT(_utf8mb4'a\xc3\xa4\xc3\xb1\xd0\x96\xce\xa9\xd7\xa9\xe4\xb8\x8a\xe8\xa1\xa8\xed\x95\x9c\xe3\x81\x82\xe2\x82\xac\xf0\x9f\x90\x9f~\\\\' USING %s)";
for my $charset (grep { $_ ne 'binary' && length $known{$_} == 2 } sort keys %known) {
    my $text = $charset =~ /^(?:latin[125]|cp8..|koi8.)$/ ? $bytes : sprintf $letters, $charset;
    push @tables, [ "in_$charset", "k INT PRIMARY KEY, a VARCHAR(300) CHARACTER SET $charset,
        b TEXT CHARACTER SET $charset, c CHAR(9) CHARACTER SET $charset, d ENUM('x', 'y') CHARACTER SET $charset",
        "1,$text,$text,'z','y'", "2,'','','','x'" ];
}

sub quoted { my ($name) = @_; return '`' . $name =~ s/`/``/gr . '`' }

for my $server ($db, $target) {
    $server->do('SET NAMES utf8mb4', "SET sql_mode = ''", "SET time_zone = '+00:00'",
        'CREATE DATABASE shop CHARACTER SET utf8mb4',
        'CREATE TABLE shop.ledger (n INT)',
        map { 'CREATE TABLE shop.' . quoted($_->[0]) . " ($_->[1], touched INT NOT NULL DEFAULT 0)" } @tables);
}

# The columns that can be written.
sub names_of
{
    my ($table) = @_;
    my $name = $table =~ s/'/''/gr;
    return join ', ', map { quoted(pack 'H*', $_->[0]) } $db->rows("SELECT HEX(COLUMN_NAME)
        FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = '$name'
        AND CAST(TABLE_NAME AS BINARY) = _binary'$name' AND COLUMN_NAME <> 'touched'
        AND EXTRA NOT LIKE '%GENERATED%' ORDER BY ORDINAL_POSITION");
}

sub insert_rows
{
    for my $table (@tables) {
        my ($name, $columns, @rows) = @$table;
        my $names = names_of($name);
        $db->do(map { 'INSERT IGNORE INTO shop.' . quoted($name) . " ($names) VALUES ($_)" } @rows);
    }
    return;
}

sub each_table
{
    my ($sql) = @_;
    $db->do(map { $sql =~ s/TABLE/'shop.' . quoted($_->[0])/er } @tables);
    return;
}

insert_rows();
each_table('UPDATE TABLE SET touched = 1');
$db->do('SET SESSION binlog_row_image = MINIMAL');
each_table('UPDATE TABLE SET touched = touched + 1');
each_table('DELETE FROM TABLE LIMIT 1');
insert_rows();    # again what is gone; without a key all
$db->do('SET SESSION binlog_row_image = NOBLOB');
each_table('UPDATE TABLE SET touched = touched + 1');
each_table('DELETE FROM TABLE LIMIT 1');
$db->do('SET SESSION binlog_row_image = FULL');
$db->do('UPDATE shop.float_key SET a = a * 3', "UPDATE shop.text_key SET k = 'B' WHERE k = 'b'",
    'UPDATE shop.double_key SET b = b + 1', 'UPDATE shop.bits SET k = k - 1 WHERE k > 1',
    "UPDATE shop.binary_key SET k = CONCAT(k, x'00')", 'UPDATE shop.computed_key SET a = a + 10',
    "UPDATE shop.time_key SET k = '2025-01-01' WHERE k > '2000-01-01'",
    "UPDATE shop.enums SET a = 'none' WHERE k = 1",
    "UPDATE shop.enums SET c = IF(k = 5, '', 'none') WHERE k > 3",
    'INSERT INTO shop.ledger VALUES (1)');

my $weir = $t->weir(config => replay_config($db, $target, $t->dir,
    mysql => $ENV{WEIR_CONFLICT} ? "conflict = $ENV{WEIR_CONFLICT}" : ''))->start;
wait_replayed($db, $target);
same_tables($db, $target, 'shop', "from $kind[0] to $kind[1]");
cmp_ok($target->value('SELECT COUNT(*) FROM shop.ints'), '>', 0, 'and there is something to compare');

# What an ENUM keeps for a value that it did not take, and a member that is empty,
# are two rows, and two values, in one transaction, too.
$_->do("CREATE TABLE shop.both_empty (e ENUM('', 'a') PRIMARY KEY, v INT)",
    "CREATE TABLE shop.either_empty (k INT PRIMARY KEY, e ENUM('', 'a') NOT NULL, v INT)") for $db, $target;
my @both = (
    [ 'UPDATE both_empty SET v = 2 WHERE e = 1', 'DELETE FROM both_empty WHERE e = 0' ],
    [ 'DELETE FROM both_empty WHERE e = 1', "INSERT INTO both_empty VALUES ('', 5)", 'DELETE FROM both_empty WHERE e = 0' ],
    [ 'UPDATE both_empty SET v = 3 WHERE e = 0', 'UPDATE both_empty SET v = 4 WHERE e = 1' ],
);
for my $statements (@both) {
    put_replayed($db, $target, "INSERT IGNORE INTO both_empty VALUES ('', 1), ('zz', 1)",
        'BEGIN', @$statements, 'COMMIT');
    same_tables($db, $target, 'shop', "behind @$statements");
}
put_replayed($db, $target, 'INSERT INTO either_empty VALUES ' . join ',', map { "($_, '', 0)" } 1 .. 40);
if (!$ENV{WEIR_CONFLICT}) {
    $t->expect_log(qr/either_empty.* is parked/);
    $target->do("SET sql_mode = ''", "UPDATE IGNORE shop.either_empty SET e = 'zz' WHERE k = 7");
    $db->do('UPDATE shop.either_empty SET v = v + 1');
    $weir->wait_log(qr/either_empty.* is parked/);
    is($target->value('SELECT v FROM shop.either_empty WHERE k = 7'), 0, 'a row with the other one is refused');
}
$t->done;
