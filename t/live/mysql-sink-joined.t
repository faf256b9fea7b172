# Many changed or deleted rows go as one statement, joined with a list of values:
# that they do, for every type, with NULLs and without; that a row that isn't as
# the source had it is still refused, alone; and that a column which a target
# sets by itself is what it was on the source.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;

my @tables = (
    [ 'numbers', 'a TINYINT UNSIGNED, b BIGINT, c BIGINT UNSIGNED, d DECIMAL(65,30), e FLOAT, f DOUBLE, g BIT(64), y YEAR',
        '0,-9223372036854775808,18446744073709551615,-99999999999999999999999999999999999.999999999999999999999999999999,0.1,5e-324,18446744073709551615,1901',
        '255,9223372036854775807,0,0.000000000000000000000000000001,3.4028234e38,-1.5e308,0,2155',
        '1,1,9223372036854775808,0,1.4e-45,-0.0,1,0' ],
    [ 'times', 'a DATE, b DATETIME, c DATETIME(6), d TIMESTAMP NULL, e TIMESTAMP(3) NULL, f TIME, g TIME(6)',
        "'0000-00-00','0000-00-00','0000-00-00','0000-00-00','0000-00-00','00:00:00','-838:59:59'",
        "'9999-12-31','9999-12-31 23:59:59','9999-12-31 23:59:59.999999','1970-01-01 00:00:01','2038-01-19 03:14:07.999','838:59:59','-00:00:00.000001'",
        "'2024-00-10','2024-02-00 01:02:03','1000-01-01','2024-03-31 02:30:00','2024-10-27 01:30:00','-00:00:01','01:02:03.456'" ],
    [ 'texts', "a VARCHAR(300), b CHAR(20) CHARACTER SET latin1, c TEXT, d VARCHAR(9) CHARACTER SET utf16, e ENUM('x','it''s'), f SET('p','q','r')",
        "'it''s \\\\','caf\xc3\xa9','','\xf0\x9f\x90\x9f','x','p,r'", "'trailing  ','trailing  ','\t','a','it''s',''",
        "'','',REPEAT('\xf0\x9f\x90\x9f', 500),'','x','q'" ],
    [ 'bytes', 'a BINARY(8), b VARBINARY(300), c BLOB',
        "'a',x'0000','\\\\'''", "x'6100000000000062','',REPEAT(x'ff',2000)", "x'',x'20',x'0a20'" ],
);
$db->do('CREATE DATABASE shop CHARACTER SET utf8mb4', 'USE shop', "SET sql_mode = 'ALLOW_INVALID_DATES'",
    'CREATE TABLE ledger (n INT)',
    'CREATE TABLE stamped (k INT PRIMARY KEY, a INT, b TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)',
    map { "CREATE TABLE $_->[0] (k INT, l BIGINT UNSIGNED, m INT, $_->[1], PRIMARY KEY (k, l))" } @tables);
copy_definitions($db, $target, 'shop');
$t->expect_log(qr/is parked/);
my $weir = $t->weir(config => replay_config($db, $target, $t->dir))->start;

# Five rows of each value, and five of NULLs.
sub fill
{
    for my $table (@tables) {
        my ($name, $columns, @values) = @$table;
        my $nulls = join ',', ('NULL') x (() = $columns =~ /(?:^|, )[a-z] /g);
        my $k = 0;
        $db->do("INSERT INTO shop.$name VALUES " . join ',',
            map { my $v = $_; map { '(' . ++$k . ",18446744073709551615,0,$v)" } 1 .. 5 } @values, $nulls);
    }
    $db->do('INSERT INTO shop.stamped VALUES ' . join ',', map { "($_, 0, '2001-02-03 04:05:06')" } 1 .. 20);
    return;
}

sub put        { put_replayed($db, $target, @_); return }
sub statements { return statements_since($target) }

my @names = map { $_->[0] } @tables;
fill();
put();
statements();
put(map { "UPDATE $_ SET m = m + 1" } @names);
my $since = statements();
is($since->{update}, 0, 'no UPDATE of one row');
is($since->{update_multi}, scalar @names, 'one for all rows of a table');
same_tables($db, $target, 'shop', 'after one column of all rows changed');

# Each row becomes what another one was: all columns are written, NULLs too.
put(map {
    my ($name, $columns) = @$_;
    my $set = join ', ', map { "t.$_ = o.$_" } $columns =~ /(?:^|, )([a-z]) /g;
    "UPDATE $name AS t JOIN (SELECT * FROM $name) AS o ON o.k = (t.k + 4) % 20 + 1 SET $set"
} @tables);
$since = statements();
is($since->{update}, 0, 'no UPDATE of one row, where all columns change');
is($since->{update_multi}, scalar @names, 'one for all rows of a table');
same_tables($db, $target, 'shop', 'after all columns of all rows changed');

put(map { "DELETE FROM $_ WHERE k % 2 = 0" } @names);
$since = statements();
is($since->{delete}, 0, 'no DELETE by OR');
is($since->{delete_multi}, scalar @names, 'one for all rows of a table');
same_tables($db, $target, 'shop', 'after half of them were deleted');

# What the source did not change, the target must not either.
put('UPDATE stamped SET a = 1, b = b');
put('UPDATE stamped SET a = 2, b = b WHERE k = 7');
put("SET binlog_row_image = MINIMAL", 'UPDATE stamped SET a = 3, b = b WHERE k > 10',
    'UPDATE stamped SET a = 4, b = b WHERE k = 12', 'SET binlog_row_image = FULL');
same_tables($db, $target, 'shop', 'where the target would set a time');

# Upper case is the same to the target's collation: not worth a refusal, and not
# joined.
$target->do('UPDATE shop.texts SET a = UPPER(a)');
put('UPDATE texts SET m = m + 1');
is($target->value('SELECT COUNT(*) FROM shop.texts WHERE m <> 2'), 0, 'the change is there');

$target->do('UPDATE shop.numbers SET b = 17 WHERE k = 3');
$db->do('UPDATE shop.numbers SET m = m + 1');
$weir->wait_log(qr/numbers.*is parked|is parked.*numbers/);
is($target->value('SELECT m FROM shop.numbers WHERE k = 3'), 1, 'a row that differs is not changed');
$t->done;
