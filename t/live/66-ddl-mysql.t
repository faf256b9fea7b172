# As 65-ddl-followed.t, of MySQL: its types, its defaults, its ALTERs.
use Weir;
use Weir::Ddlhost;

my $t    = Weir->new;
my $db   = $t->mysql(cnf => "sql_generate_invisible_primary_key = OFF");
my $host = Weir::Ddlhost->new($t, 'mysql', 90700);

# In which order indexes stand matters only for which of them is the key.
sub differs
{
    my ($table) = @_;
    my ($have, $want) = map { join "\n", (grep { !/^index/ } @$_), sort grep { /^index/ } @$_ }
        [ $host->table('d', $table) ], [ Weir::Ddlhost::of_server($db, 'd', $table) ];
    return $have eq $want ? '' : "followed:\n$have\nserver:\n$want";
}

sub same
{
    my ($table, @statements) = @_;
    for my $sql (@statements) {
        my $error = $db->{client}->try($sql);
        is($error, '', "the server takes: $sql") or return;
        my $said = $host->follow('d', $sql);
        my $differs = $said eq '' ? differs($table) : $said;
        is($differs, '', '  followed');
    }
    return;
}

sub anew
{
    my (@statements) = @_;
    for my $sql (@statements) {
        for ('DROP TABLE IF EXISTS t') {
            $db->do($_);
            $host->follow('d', $_);
        }
        same('t', $sql);
    }
    return;
}

for ('CREATE DATABASE d') {
    $db->do($_);
    $host->follow('', $_);
}
$db->do('USE d');

my @types = (
    qw(int integer int1 int2 int3 int4 int8 middleint bigint bool boolean dec numeric fixed
        float double real bit year date time datetime tinytext text mediumtext longtext
        tinyblob blob mediumblob longblob json point geometry char binary vector),
    'int(5) unsigned', 'int unsigned zerofill', 'bigint unsigned', 'decimal(12,3) unsigned',
    'float(7,3)', 'float(20)', 'float(30)', 'double precision', 'bit(12)', 'time(3)',
    'datetime(6)', 'timestamp NULL', 'timestamp(2) NULL', 'varchar(20)', 'nchar(4)',
    'national varchar(3)', 'long', 'long varbinary', 'text(100)', 'text(70000)',
    'blob(20)', 'varchar(20) character set latin1', 'text(100) charset latin1',
    'varchar(20) charset utf8', 'char(3) ascii', 'char(3) byte', 'varchar(9) binary',
    'varchar(9) charset binary', 'varchar(5) collate utf8mb4_bin', 'vector(3)',
    q{enum('a','b')}, q{enum('it''s', "q""x", 'tr  ')}, q{set('x','y') charset latin1},
    'varbinary(16)', 'binary(3)', 'varchar(36) default (uuid())',
    q{int default (1 + (2 * 3)) comment "it's"}, q{varchar(9) default _latin1'x'},
    'int invisible', 'int check (c > 0)', 'int as (1 + 1) virtual', 'geomcollection',
    'int unique', 'int key', 'serial', 'int auto_increment primary key',
);
for my $type (grep { $_ ne 'geomcollection' } @types) {
    anew("CREATE TABLE t (a INT, c $type, z CHAR(1))");
}
anew(
    'CREATE TABLE t (a INT, b INT NOT NULL, UNIQUE (a), UNIQUE k (b), INDEX (a), KEY x (a DESC, b))',
    'CREATE TABLE t (a INT NOT NULL, UNIQUE f ((a + 1)), UNIQUE (a), INDEX g ((a * 2)) INVISIBLE)',
    'CREATE TABLE t (a VARCHAR(10), b TEXT) DEFAULT CHARSET=latin1 COLLATE latin1_bin',
    "CREATE TABLE t (a INT, b INT /*!80023 INVISIBLE */) /*!50100 PARTITION BY HASH (a) PARTITIONS 4 */",
    'CREATE TABLE t (a INT PRIMARY KEY, b INT, CONSTRAINT c CHECK (b > 0) NOT ENFORCED) ENGINE=InnoDB ENCRYPTION="N"',
    'CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), b INT NOT NULL, c ENUM("x"), d TEXT, UNIQUE (a), UNIQUE (b)) CHARSET latin1',
);
same('t', $_) for (
    'ALTER TABLE t ADD e INT, ALGORITHM=INSTANT', 'ALTER TABLE d.t ADD COLUMN f INT NOT NULL FIRST',
    'ALTER TABLE t ADD (h INT, i INT UNIQUE, KEY (h))', 'ALTER TABLE t DROP h, DROP COLUMN i',
    'ALTER TABLE t CHANGE a aa VARCHAR(20) NOT NULL', 'ALTER TABLE t CHANGE COLUMN aa a VARCHAR(20) CHARSET utf8mb4 FIRST',
    'ALTER TABLE t MODIFY b BIGINT UNSIGNED NOT NULL AFTER id', 'ALTER TABLE t RENAME COLUMN e TO f, RENAME COLUMN f TO e',
    'ALTER TABLE t DROP PRIMARY KEY', 'ALTER TABLE t ADD PRIMARY KEY (b, id)', 'ALTER TABLE t RENAME INDEX b TO bb',
    'ALTER TABLE t ALTER INDEX bb INVISIBLE', 'ALTER TABLE t ALTER COLUMN f SET INVISIBLE', 'ALTER TABLE t ALTER f SET VISIBLE',
    'ALTER TABLE t ALTER f SET DEFAULT (1 + 2), ALTER d DROP DEFAULT', 'ALTER TABLE t ADD CONSTRAINT ck CHECK (f > 1)',
    'ALTER TABLE t DROP CHECK ck', 'ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4', 'ALTER TABLE t ADD o CHAR(3)',
    'ALTER TABLE t DEFAULT CHARSET latin1', 'ALTER TABLE t ADD p CHAR(3), ADD FULLTEXT ft (d)', 'DROP INDEX ft ON t',
    'CREATE UNIQUE INDEX ci ON t (o)', 'ALTER TABLE t FORCE', 'TRUNCATE TABLE t', 'ALTER TABLE t ADD `n' . "\xc3\xa4" . 'me` INT',
    'ALTER TABLE t RENAME = t2', 'ALTER TABLE t2 RENAME t', 'ALTER DATABASE d COLLATE latin1_swedish_ci',
    'ALTER DATABASE d READ ONLY = 0', 'ALTER TABLE t ADD q TEXT',
);
like($host->follow('d', 'CREATE TABLE g (a GEOMCOLLECTION)'), qr/^why/, 'a type that is not known');

# Invisible primary keys stand in the log's CREATE TABLE.
$db->do('SET sql_generate_invisible_primary_key = ON', 'CREATE TABLE gipk (a INT)');
my ($create) = map { $_->[5] =~ /use `d`; (CREATE.*gipk.*?)(?: \/\* xid=.*)?$/s ? $1 =~ s/\\n/\n/gr : () }
    $db->rows('SHOW BINLOG EVENTS');
is($host->follow('d', $create), '', "followed: $create");
is(differs('gipk'), '', 'with its invisible primary key');
$db->do('SET sql_generate_invisible_primary_key = OFF');

# ---- Random ones
srand(seed());
my ($rounds, $understood, $taken, $next, @bad) = (long_run() ? 2000 : 60, 0, 0, 0);
my @plain = grep { !/key|unique|serial|auto_inc|check|\bas\b|vector|geomc/ } @types;
my $any   = sub { $_[ int rand @_ ] };
my $fresh = sub {
    for ('DROP TABLE IF EXISTS r', 'CREATE TABLE r (id INT NOT NULL, x VARCHAR(9), UNIQUE (x))') {
        $db->do($_);
        $host->follow('d', $_);
    }
};
$fresh->();
for my $round (1 .. $rounds) {
    my @now = map { $_->[0] } $db->rows("SELECT COLUMN_NAME FROM information_schema.COLUMNS"
            . " WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 'r' ORDER BY ORDINAL_POSITION");
    $fresh->(), next if @now > 15;
    my $place = sub { $any->('', '', ' FIRST', ' AFTER ' . $any->(@now)) };
    my $new   = sub { 'c' . ++$next };
    my $null  = sub { $any->('', ' NOT NULL') };
    my $spec  = sub {
        $any->(
            sub { 'ADD ' . $new->() . ' ' . $any->(@plain) . $place->() },
            sub { 'ADD COLUMN ' . $new->() . ' INT' . $null->() . $any->('', ' UNIQUE') . $place->() },
            sub { 'DROP COLUMN ' . $any->(@now) },
            sub { 'CHANGE ' . $any->(@now) . ' ' . $new->() . ' INT' . $null->() . $place->() },
            sub { 'MODIFY ' . $any->(@now) . ' ' . $any->(@plain) . $place->() },
            sub { 'RENAME COLUMN ' . $any->(@now) . ' TO ' . $new->() },
            sub { 'ADD UNIQUE (' . $any->(@now) . ')' },
            sub { 'ADD PRIMARY KEY (' . $any->(@now) . ')' },
            sub { 'ADD INDEX (' . $any->(@now) . ')' },
            sub { 'DROP PRIMARY KEY' },
            sub { 'CONVERT TO CHARACTER SET ' . $any->(qw(utf8mb4 latin1)) },
            sub { 'CHARSET ' . $any->(qw(utf8mb4 latin1)) },
        )->();
    };
    my $sql = 'ALTER TABLE r ' . join ', ', map { $spec->() } 1 .. 1 + rand 3;
    next if $db->{client}->try($sql) ne '';
    $taken++;
    if ($host->follow('d', $sql) ne '') {
        $fresh->();
        next;
    }
    $understood++;
    my $differs = differs('r');
    if ($differs ne '') {
        push @bad, "$sql\n$differs";
        $fresh->();
    }
}
is(join("\n\n", @bad), '', "random ALTERs, seed " . seed());
cmp_ok($understood, '>', $taken * 0.5, "followed $understood of $taken");
$t->done;
