# Where a charset has several codes for one character, the target gets the one
# that the source has: each code of such a charset goes through, as a value and
# as a key, whichever way the rows are written.  In a long run, of every charset.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;

my %known;
for my $server ($db, $target) {
    $known{ $_->[0] }++ for $server->rows('SELECT CHARACTER_SET_NAME
        FROM information_schema.CHARACTER_SETS WHERE MAXLEN < 4 OR CHARACTER_SET_NAME = "gb18030"');
}
my @charsets = grep { !/^(?:binary|ascii|utf8.*|filename)$/ && $known{$_} == 2 } sort keys %known;

# All codes there could be, as bytes; of these, what the source takes for a text
# of the charset.
my @codes = map { sprintf '%02x', $_ } 1 .. 255;
for my $first (0x81 .. 0xfe) {
    push @codes, map { sprintf '%02x%02x', $first, $_ } 0x40 .. 0xfe;
}
for my $second (0xa1 .. 0xfe) {
    push @codes, map { sprintf '8f%02x%02x', $second, $_ } 0xa1 .. 0xfe;
}
$db->do('CREATE DATABASE shop CHARACTER SET utf8mb4', 'CREATE DATABASE code', 'USE shop',
    'SET sql_log_bin = 0', "SET sql_mode = ''", 'CREATE TABLE ledger (n INT)',
    'CREATE TABLE code.bytes (n INT AUTO_INCREMENT PRIMARY KEY, b VARBINARY(4))');
while (my @some = splice @codes, 0, 5000) {
    $db->do('INSERT INTO code.bytes (b) VALUES ' . join ',', map { "(x'$_')" } @some);
}
my ($several, @tested) = (0);
for my $charset (@charsets) {
    my $c = "c VARCHAR(4) CHARACTER SET $charset COLLATE ${charset}_bin";
    $db->do("CREATE TABLE code.$charset (n INT AUTO_INCREMENT PRIMARY KEY, b VARBINARY(4), $c,
            text VARBINARY(16), KEY (text))",
        "INSERT IGNORE INTO code.$charset (b, c) SELECT b, b FROM code.bytes",
        "DELETE FROM code.$charset WHERE HEX(b) <> HEX(c)
            OR HEX(CONVERT(c USING utf8mb4)) REGEXP '^(..)*EFBFBD'
            OR ('$charset' = 'ucs2' AND HEX(b) REGEXP '^D[89A-F]')
            OR (CONVERT(c USING utf8mb4) LIKE '%?%' AND b <> '?')",
        "UPDATE code.$charset SET text = CONVERT(c USING utf8mb4)");
    my $doubles = $db->value("SELECT COUNT(*) - COUNT(DISTINCT text) FROM code.$charset");
    note "$charset: $doubles codes beside the first of a character";
    $several += $doubles;
    next if $doubles == 0 && !$ENV{WEIR_LONG};
    push @tested, $charset;
    $db->do("CREATE TABLE ${charset}_by_number (k INT PRIMARY KEY, $c)",
        "CREATE TABLE ${charset}_by_two (k INT, l INT, $c, PRIMARY KEY (k, l))",
        "CREATE TABLE ${charset}_by_text ($c PRIMARY KEY, k INT)",
        "CREATE TABLE ${charset}_by_all ($c, k INT)");
}
$db->do('SET sql_log_bin = 1');
copy_definitions($db, $target, 'shop');
my $weir = $t->weir(config => replay_config($db, $target, $t->dir,
    mysql => $ENV{WEIR_CONFLICT} ? "conflict = $ENV{WEIR_CONFLICT}" : ''))->start;

for my $charset (@tested) {
    my $some = $db->value("SELECT COUNT(*) FROM code.$charset") > 300 ? 'WHERE n % 40 = 7' : '';
    $db->do("INSERT INTO ${charset}_by_number SELECT n, c FROM code.$charset",
        "INSERT INTO ${charset}_by_two SELECT n, -n, c FROM code.$charset",
        "INSERT INTO ${charset}_by_text SELECT c, n FROM code.$charset",
        "INSERT INTO ${charset}_by_all SELECT c, n FROM code.$charset $some");
    put_replayed($db, $target);
}
cmp_ok($several, '>', 400, 'some characters have several codes');
same_tables($db, $target, 'shop', 'inserted');

# Each becomes the next one, and then, where it has one, another code of the same
# character.
for my $charset (@tested) {
    $db->do("UPDATE ${charset}_by_number AS t JOIN code.$charset AS n ON n.n = t.k + 1 SET t.c = n.c",
        "UPDATE ${charset}_by_two AS t JOIN code.$charset AS n ON n.n = t.k + 1 SET t.c = n.c",
        "UPDATE ${charset}_by_text SET k = -k",
        "DELETE FROM ${charset}_by_text WHERE k % 3 = 0",
        "UPDATE ${charset}_by_all SET k = -k",
        "DELETE FROM ${charset}_by_all WHERE k % 3 = 0");
    put_replayed($db, $target);
}
same_tables($db, $target, 'shop', 'changed');
for my $charset (@tested) {
    $db->do("CREATE TEMPORARY TABLE code.twins (KEY (c)) SELECT a.c, MAX(b.c) AS twin FROM code.$charset AS a
            JOIN code.$charset AS b ON a.text = b.text AND a.c <> b.c GROUP BY a.c",
        map({ "UPDATE ${charset}_by_$_ AS t JOIN code.twins AS n ON n.c = t.c SET t.c = n.twin" } qw(number two all)),
        "DELETE FROM ${charset}_by_text", "INSERT INTO ${charset}_by_text SELECT MIN(c), 1 FROM code.twins",
        "UPDATE ${charset}_by_text SET c = (SELECT MAX(twin) FROM code.twins)",
        'DROP TEMPORARY TABLE code.twins');
    put_replayed($db, $target);
}
same_tables($db, $target, 'shop', 'of other codes');

# What was copied to the target as UTF-8 has the target's own codes: it is the
# same text, so it is no conflict.
$_->do('CREATE TABLE shop.copied (k INT PRIMARY KEY, v INT, c VARCHAR(40) CHARACTER SET cp932,
    s VARCHAR(40) CHARACTER SET sjis)') for $db, $target;
put_replayed($db, $target, 'INSERT INTO copied VALUES ' . join ',',
    map { "($_, 0, _cp932 x'879a', _sjis x'433a5c646972')" } 1 .. 40);
$target->do('UPDATE shop.copied SET c = CONVERT(c USING utf8mb4), s = CONVERT(s USING utf8mb4)');
put_replayed($db, $target, 'UPDATE copied SET v = 1 WHERE k = 1', 'UPDATE copied SET v = 2 WHERE k > 1');
is($target->value('SELECT COUNT(*) FROM shop.copied WHERE v > 0'), 40, 'other codes of the same text are no conflict');
put_replayed($db, $target, "UPDATE copied SET c = CONCAT(c, 'x'), s = CONCAT(s, 'x')");
same_tables($db, $target, 'shop', 'and changed');

# Nobody says that the target's column has another charset by now.
$_->do('CREATE TABLE shop.altered (k INT PRIMARY KEY, c VARCHAR(40) CHARACTER SET cp932)') for $db, $target;
put_replayed($db, $target, "INSERT INTO altered VALUES (0, _cp932 x'879a')");
$target->do('ALTER TABLE shop.altered MODIFY c VARCHAR(40) CHARACTER SET utf8mb4');
put_replayed($db, $target, 'INSERT INTO altered VALUES ' . join ',', map { "($_, _cp932 x'879a')" } 1 .. 100);
is_deeply([ map { "@$_" } $target->rows('SELECT HEX(c), COUNT(*) FROM shop.altered GROUP BY c') ], ['E288B5 101'],
    'text becomes what the column has now');
$t->done;
