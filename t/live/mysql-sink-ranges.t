# Many changed or deleted rows of a table with one whole number for a key are
# looked at together, and written by where they stand among each other: keys that
# follow one another and ones that don't, every type of column, what the target
# has otherwise than the source, rows that differ, and lanes side by side.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;

my @columns = (
    'a TINYINT UNSIGNED, b BIGINT, c BIGINT UNSIGNED, d DECIMAL(65,30), e MEDIUMINT(9) ZEROFILL',
    'a DATE, b DATETIME, c DATETIME(6), d TIMESTAMP NULL, e TIMESTAMP(3) NULL, f TIME, g TIME(6)',
    "a VARCHAR(300), b CHAR(20) CHARACTER SET latin1, c TEXT, d VARCHAR(9) CHARACTER SET utf16, e ENUM('x','it''s'), f SET('p','q','r')",
    'a BINARY(8), b VARBINARY(300), c BLOB',
    'a FLOAT, b DOUBLE, c BIT(64), d YEAR',
);
my @values = (
    [ '0,-9223372036854775808,18446744073709551615,-99999999999999999999999999999999999.999999999999999999999999999999,5',
      '255,9223372036854775807,0,0.000000000000000000000000000001,0', '1,0,9223372036854775808,0,7654321' ],
    [ "'0000-00-00','0000-00-00','0000-00-00','0000-00-00','0000-00-00','00:00:00','-838:59:59'",
      "'9999-12-31','9999-12-31 23:59:59','9999-12-31 23:59:59.999999','1970-01-01 00:00:01','2038-01-19 03:14:07.999','838:59:59','-00:00:00.000001'",
      "'2024-00-10','2024-02-00 01:02:03','1000-01-01','2024-03-31 02:30:00','2024-10-27 01:30:00','-00:00:01','01:02:03.456'" ],
    [ "'it''s \\\\','caf\xc3\xa9','','\xf0\x9f\x90\x9f','x','p,r'", "'trailing  ','trailing  ','\t','a','it''s',''",
      "'NULL','',REPEAT('\xf0\x9f\x90\x9f', 500),'','x','q'" ],
    [ "'a',x'0000','\\\\'''", "x'6100000000000062','',REPEAT(x'ff',2000)", "x'',x'20',x'0a20'" ],
    [ '0.1,5e-324,18446744073709551615,1901', '3.4028234e38,-1.5e308,0,2155', '1.4e-45,-0.0,1,0' ],
);
# Keys: without gaps around 0, with gaps, and larger than what sums are done with.
my %keys = (
    dense  => [ 'INT', map { $_ - 20 } 1 .. 60 ],
    sparse => [ 'BIGINT UNSIGNED', map { $_ * $_ * $_ + 7 } 1 .. 60 ],
    mixed  => [ 'BIGINT', 1 .. 25, (map { $_ * 10 } 3 .. 18), 1000 .. 1018 ],
    large  => [ 'BIGINT UNSIGNED', map { 18446744073709551615 - $_ } 0 .. 59 ],
);
$db->do('CREATE DATABASE shop CHARACTER SET utf8mb4', 'USE shop', "SET sql_mode = 'ALLOW_INVALID_DATES'",
    'CREATE TABLE ledger (n INT)');

my %names;
for my $kind (sort keys %keys) {
    for my $n ($kind eq 'dense' ? 0 .. $#columns : 0) {
        my $name = "$kind$n";
        my ($type, @k) = @{ $keys{$kind} };
        push @{ $names{$kind} }, $name;
        my @rows = (@{ $values[$n] }, join ',', ('NULL') x (() = $columns[$n] =~ /(?:^|, )[a-z] /g));
        $db->do("CREATE TABLE $name (k $type PRIMARY KEY, m INT, $columns[$n])",
            "INSERT INTO $name VALUES " . join ',', map { "($k[$_], 0, " . $rows[ $_ % @rows ] . ')' } 0 .. $#k);
    }
}
$db->do(
    'CREATE TABLE stamped (k INT PRIMARY KEY, a INT, b TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)',
    'INSERT INTO stamped VALUES ' . join(',', map { "($_, 0, '2001-02-03 04:05:06')" } 1 .. 40),
    'CREATE TABLE side (k INT PRIMARY KEY, m INT, a INT)',
    'CREATE TABLE cased (k INT PRIMARY KEY, a VARCHAR(120) COLLATE utf8mb4_general_ci, m INT)');
copy_definitions($db, $target, 'shop');
$t->expect_log(qr/is parked/);
my $weir = $t->weir(config => replay_config($db, $target, $t->dir))->start;

sub put        { put_replayed($db, $target, @_); return }
sub statements { return statements_since($target) }

put();
same_tables($db, $target, 'shop', 'before');
for my $kind (qw(dense sparse mixed large)) {
    my @tables = @{ $names{$kind} };
    my $ranges = $kind eq 'dense' ? 4 : $kind eq 'large' ? 0 : 1;
    my $parts  = $kind eq 'mixed' ? 3 : 1;
    statements();
    put(map { "UPDATE $_ SET m = m + 1" } @tables);
    my $since = statements();
    is($since->{update}, $ranges * $parts, "$kind: UPDATEs by position");
    is($since->{update_multi}, @tables - $ranges, "$kind: and joined ones, for what has no position");

    # Each row becomes what another one was: all columns are written, NULLs too.
    put(map {
        my $table = $_;
        my @all = map { $_->[0] } $db->rows("SHOW COLUMNS FROM shop.$table WHERE Field NOT IN ('k', 'm')");
        ("CREATE TEMPORARY TABLE old AS SELECT * FROM $table", 'SET @n = 0, @o = 0',
         'CREATE TEMPORARY TABLE moved AS SELECT o.*, p.k AS goes_to FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY k) AS i FROM old) AS o'
         . " JOIN (SELECT k, ROW_NUMBER() OVER (ORDER BY k) AS i FROM $table) AS p ON o.i = p.i % 60 + 1",
         "UPDATE $table AS t JOIN moved AS o ON o.goes_to = t.k SET " . join(', ', map { "t.$_ = o.$_" } @all),
         'DROP TEMPORARY TABLE old, moved')
    } @tables);
    same_tables($db, $target, 'shop', "$kind: after all columns of all rows changed");

    statements();
    put(map { "DELETE FROM $_ ORDER BY k LIMIT 30" } @tables);
    $since = statements();
    is($since->{delete}, 0, "$kind: no DELETE of its own for a row");
    cmp_ok($since->{delete_multi}, '<=', @tables * 3, "$kind: many rows in each");
    same_tables($db, $target, 'shop', "$kind: after half of them were deleted");
}

# What the source did not change, the target must not either.
put('UPDATE stamped SET a = 1, b = b');
put("SET binlog_row_image = MINIMAL", 'UPDATE stamped SET a = 3, b = b WHERE k > 10', 'SET binlog_row_image = FULL');
same_tables($db, $target, 'shop', 'where the target would set a time');

# 1.50 is 1.5000 there, and a time has a fraction of nothing.  What is the same to
# the target's collation only is not refused; looking at it was in vain, so it is
# joined from then on.
put('CREATE TABLE otherwise (k INT UNSIGNED PRIMARY KEY, m INT, a VARCHAR(10), b DATETIME, c DECIMAL(9,2), d INT)');
$target->do('CREATE TABLE shop.otherwise (k BIGINT PRIMARY KEY, z INT, a CHAR(20), b DATETIME(6), c DECIMAL(12,4), d BIGINT, m INT)');
put('INSERT INTO otherwise VALUES ' . join ',', map { "($_, 0, 'x', '2001-02-03 04:05:06', 1.50, 3)" } 1 .. 40);
statements();
put('UPDATE otherwise SET m = m + 1, c = c + 1, b = b + INTERVAL 1 SECOND');
is(statements()->{update}, 1, 'types that say the same otherwise');
$target->do("UPDATE shop.otherwise SET a = 'X' WHERE k = 7");
put('UPDATE otherwise SET m = m + 1');
is($target->value("SELECT COUNT(*) FROM shop.otherwise WHERE m = 2 AND c = 2.5 AND b = '2001-02-03 04:05:07'"), 40,
    'all rows were changed');
statements();
put('UPDATE otherwise SET m = m + 1');
is(statements()->{update_multi}, 1, 'and are joined');

# Of several tables it is the one that was looked at in vain, not the last one.
for my $server ($db, $target) {
    $server->do('USE shop', (map { "CREATE TABLE $_ (k INT PRIMARY KEY, m INT, a VARCHAR(10))" } qw(vain beside)),
        'CREATE TABLE coded (k INT PRIMARY KEY, a ' . ($server == $db ? 'INT, b INT UNSIGNED)' : "DATE, b ENUM('3', '2', '1'))"),
        'CREATE TABLE many (k INT PRIMARY KEY, m INT)');
}
put(map { my $table = $_; "INSERT INTO $table VALUES " . join ',', map { "($_, 0, 'x')" } 1 .. 40 } qw(vain beside));
$target->do("UPDATE shop.vain SET a = 'X' WHERE k = 7");
put('BEGIN', (map { "UPDATE $_ SET m = m + 1" } qw(vain beside)), 'COMMIT');
statements();
put('UPDATE beside SET m = m + 1');
is(statements()->{update}, 1, 'the one beside it is still written by position');
put('UPDATE vain SET m = m + 1');
is(statements()->{update_multi}, 1, 'and that one is joined');

# To a date or an ENUM a number is not what its digits are.
put('INSERT INTO coded (k) VALUES ' . join ',', map { "($_)" } 1 .. 40);
put("UPDATE coded SET a = 10101, b = 1 WHERE k $_") for '= 1', '> 1';
is_deeply([ map { "@$_" } $target->rows('SELECT a, b, COUNT(*) FROM shop.coded GROUP BY a, b') ], ['2001-01-01 3 40'],
    'a number becomes the same date and member whichever way it goes');

# MariaDB makes temporary tables of long lists.
put('INSERT INTO many VALUES ' . join ',', map { '(' . $_ * 3 . ', 0)' } 1 .. 2000);
sub temporary { return ($target->rows("SHOW GLOBAL STATUS LIKE 'Created_tmp_tables'"))[0][1] }
my $temporary = temporary();
my $of_asking = temporary() - $temporary;
put('UPDATE many SET m = 1');
is(temporary(), $temporary + 2 * $of_asking, 'lists of keys are no temporary tables');
put('DELETE FROM many');    # that is one for a MariaDB of 11, with a range, too

# A row there that differs by its case only: no look takes it, a single statement
# does.  What was written behind the look and not sent yet is not sent as well.
put('INSERT INTO cased VALUES ' . join ',', map { "($_, REPEAT('a', 100), 0)" } 1 .. 1300);
$target->do("UPDATE shop.cased SET a = REPEAT('A', 100) WHERE k = 5");
put('BEGIN', 'UPDATE cased SET a = CONCAT(a, k)', 'INSERT INTO ledger VALUES (-1)', 'COMMIT');
is($target->value('SELECT COUNT(*) FROM shop.ledger WHERE n = -1'), 1, 'a row of a table without a key is there once');

# Rows that differ, each in one column, and one that is missing.
my @differ = (
    [ dense1 => "c = '2001-02-03 04:05:06.000001'" ], [ dense2 => "a = 'else'" ], [ dense3 => 'c = NULL' ],
    [ sparse0 => 'd = d + 0.000000000000000000000000000001' ],
);
for my $case (@differ) {
    my ($table, $set) = @$case;
    my $k = $db->value("SELECT k FROM shop.$table WHERE c IS NOT NULL ORDER BY k LIMIT 1")
        // die "no row in $table";
    my $mark = $weir->log_mark;
    $target->do("UPDATE shop.$table SET $set WHERE k = $k");
    my $was = $target->value("SELECT m FROM shop.$table WHERE k = $k");
    $db->do("UPDATE shop.$table SET m = m + 1");
    $weir->wait_log(qr/$table.*is parked|is parked.*$table/, from => $mark);
    is($target->value("SELECT m FROM shop.$table WHERE k = $k"), $was, "a row that differs is not changed: $table SET $set");
}
$target->do('DELETE FROM shop.mixed0 WHERE k = 1010');
$db->do('UPDATE shop.mixed0 SET m = m + 1');
$weir->wait_log(qr/mixed0.*is not there/);
is($target->value('SELECT COUNT(*) FROM shop.mixed0 WHERE k = 1010'), 0, 'nor is one made that is missing');
$weir->stop;

# Two lanes with ranges that meet: neither waits for a row of the other's.
my $side = join ',', map { "($_, 0, 0)" } 1 .. 1600;
$_->do('CREATE TABLE shop.down (k INT, m INT, a INT, PRIMARY KEY (k DESC))',
    'CREATE TABLE shop.parts (k INT PRIMARY KEY, m INT, a INT) PARTITION BY KEY (k) PARTITIONS 4',
    map { "INSERT INTO shop.$_ VALUES $side" } qw(side down parts)) for $db, $target;
$target->do('DROP DATABASE weir');
my $lanes = $t->weir(config => replay_config($db, $target, $t->dir, sink => 'lanes = 2 events = 200')
    =~ s/start = earliest/start = now/r =~ s/"shop\.\*"/"shop.side", "shop.down", "shop.parts", "shop.ledger"/r)->start;
$lanes->wait_log(qr/ connected to /);
my $other = $target->client;
for my $table (qw(side down parts)) {
    $other->do('BEGIN', "SELECT * FROM shop.$table WHERE k IN (600, 651) FOR UPDATE");
    put("UPDATE $table SET m = m + 1 WHERE k BETWEEN 601 AND 650");
    put("DELETE FROM $table WHERE k BETWEEN 601 AND 650");
    $other->do('ROLLBACK');
    is($target->value("SELECT COUNT(*) FROM shop.$table"), 1550, "changed and deleted: $table");
    is($lanes->log_count(qr/Lock wait/), 0, "nothing waits for rows at the edge: $table");
}
sub part { my ($i) = @_; return 'k > ' . $i * 200 . ' AND k <= ' . ($i + 1) * 200 }
for my $round (1 .. 5) {
    put(map { 'UPDATE side SET m = m + 1 WHERE ' . part($_) } 0 .. 7);
}
put(map { 'DELETE FROM side WHERE ' . part($_) } 1 .. 6);
is($target->value('SELECT COUNT(*) FROM shop.side WHERE m = 5'), 400, 'two lanes wrote all');
is($lanes->log_count(qr/Lock wait/), 0, 'and neither waited for the other');
$t->done;
