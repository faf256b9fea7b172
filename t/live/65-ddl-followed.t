# What core/schema/ddl.h makes of a statement is what the server has after it:
# a list of statements, then random ones.
use Weir;
use Weir::Ddlhost;

my $t    = Weir->new;
my $db   = $t->mariadb;
my $host = Weir::Ddlhost->new($t);
my %bits = (ANSI_QUOTES => 4, NO_BACKSLASH_ESCAPES => 0x100000, REAL_AS_FLOAT => 1);
my ($mode, $said) = (0, '');

sub mode
{
    my (@names) = @_;
    $mode = 0;
    $mode |= $bits{$_} for @names;
    $db->do("SET sql_mode = '" . join(',', @names, 'STRICT_TRANS_TABLES') . "'");
    return;
}

# In which order indexes stand matters only for which of them is the key.
sub differs
{
    my ($table) = @_;
    my ($have, $want) = map { join "\n", (grep { !/^index/ } @$_), sort grep { /^index/ } @$_ }
        [ $host->table('d', $table) ], [ Weir::Ddlhost::of_server($db, 'd', $table) ];
    return $have eq $want ? '' : "followed:\n$have\nserver:\n$want";
}

# Each on both sides; the table compared.
sub same
{
    my ($table, @statements) = @_;
    for my $sql (@statements) {
        my $error = $db->{client}->try($sql);
        if ($error ne '') {
            fail("the server takes: $sql");
            diag $error;
            return;
        }
        $said = $host->follow('d', $sql, $mode);
        is($said, '', "understood: " . $sql =~ s/\s+/ /gr);
        my $differs = differs($table);
        is($differs, '', '  as the server has it');
    }
    return;
}

sub refused
{
    my ($sql, $pattern) = @_;
    like($host->follow('d', $sql, $mode), qr/^why: .*$pattern/, "not followed: $sql");
    return;
}

mode();
for ('CREATE DATABASE d /* default */ CHARACTER SET = latin1') {
    $db->do($_);
    $host->follow('', $_);
}
$db->do('USE d');

# ---- Types and their synonyms
my @types = (
    qw(int integer int1 int2 int3 int4 int8 middleint bigint bool boolean dec numeric
        fixed float double real bit year date time datetime tinytext text mediumtext
        longtext tinyblob blob mediumblob longblob json uuid inet6 point geometry char
        binary),
    'int(5) unsigned', 'int unsigned zerofill', 'tinyint signed', 'bigint unsigned',
    'smallint(3) zerofill', 'decimal(12)', 'decimal(12,3) unsigned', 'dec(0)',
    'float(7,3)', 'float(20)', 'float(30)', 'double precision unsigned', 'double(9,2)',
    'bit(12)', 'time(3)', 'datetime(6)', 'timestamp NULL', 'timestamp(2) NULL',
    'char(7)', 'character(7)', 'character varying(9)', 'varchar(20)',
    'national char(3)', 'national varchar(3)', 'nchar(4)', 'nchar varchar(4)',
    'nvarchar(5)', 'long', 'long varchar', 'long varbinary', 'long char varying',
    'text(100)', 'text(300)', 'text(70000)', 'blob(20)', 'blob(100000)',
    'varchar(20) character set utf8mb4', 'text(100) charset utf8mb4',
    'varchar(20) charset utf8', 'char(3) ascii', 'char(3) unicode', 'char(3) byte',
    'varchar(9) binary', 'text binary charset utf8mb4', 'varchar(9) charset binary',
    'text charset binary', 'varchar(5) collate latin1_bin',
    'varchar(5) character set utf8mb4 collate utf8mb4_unicode_ci',
    q{enum('a','b')}, q{enum('it''s', "q""x", 'tr  ')}, q{set('x','y') charset utf8mb4},
    q{enum('x,)','y(')}, q{enum('1') collate latin1_bin}, q{enum('a\\\\b','c\\'d')},
    'varchar(50) compressed', 'text compressed', 'text compressed character set utf8mb4', 'varbinary(16)', 'binary(3)',
    'longtext check (json_valid(`c`))', 'varchar(20) default uuid()',
    q{varchar(20) default 'a, b) c' comment 'x, y'}, q{int default -5}, q{double default 1.5e-3},
    q{double default .5}, q{int default (1 + (2 * 3)) comment "it's"}, q{int not null default 1},
    q{datetime default current_timestamp() on update now()}, q{varchar(9) default _latin1'x' 'y'},
    q{bit(3) default b'101'}, q{int as (1 + 1) virtual}, 'int generated always as (length("a,(")) stored',
    'int invisible', 'int check (c > 0)', 'varchar(9) null default null',
    q{varchar(9) charset latin1 default concat('a', ',') collate latin1_german1_ci not null},
    'int unique', 'int unique key not null', 'int key', 'serial', 'int auto_increment primary key',
    'bigint unsigned not null auto_increment unique comment "k"',
);
for my $type (@types) {
    same('t', "CREATE OR REPLACE TABLE t (a INT, c $type, z CHAR(1))");
}

# ---- CREATE TABLE
same('t', $_) for (
    'CREATE OR REPLACE TABLE t (a INT, b INT, PRIMARY KEY (b, a))',
    'CREATE OR REPLACE TABLE t (a INT NOT NULL, b INT NOT NULL, UNIQUE (b), UNIQUE KEY k (a))',
    'CREATE OR REPLACE TABLE t (a INT, b INT NOT NULL, UNIQUE (a), UNIQUE k (b), INDEX (a), KEY (a, b))',
    'CREATE OR REPLACE TABLE t (a INT, CONSTRAINT c UNIQUE (a), CONSTRAINT d UNIQUE e (a, b), b INT)',
    'CREATE OR REPLACE TABLE `t` (`a``b` INT, `primary` INT, `order` INT UNIQUE) ENGINE=InnoDB',
    'CREATE OR REPLACE TABLE t (a VARCHAR(10), b TEXT) DEFAULT CHARSET=utf8mb4',
    'CREATE OR REPLACE TABLE t (a VARCHAR(10), b TEXT) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin ROW_FORMAT=DYNAMIC',
    "CREATE OR REPLACE TABLE t (a VARCHAR(10)) COLLATE = utf8mb4_unicode_ci, COMMENT 'a, (b) CHARSET=latin1'",
    'CREATE OR REPLACE TABLE t (a VARCHAR(10), b TEXT, c CHAR(2)) CHARSET binary',
    "CREATE OR REPLACE TABLE t (a VARCHAR(30) NOT NULL, UNIQUE (a(5)), b INT NOT NULL, UNIQUE USING BTREE (b) COMMENT 'x')",
    'CREATE OR REPLACE TABLE t (id INT, PRIMARY KEY USING BTREE (id) KEY_BLOCK_SIZE=8, FULLTEXT KEY f (x), x TEXT) ENGINE=InnoDB AUTO_INCREMENT=7',
    "CREATE OR REPLACE TABLE t (a INT, -- one, two)\n b INT # three (\n, /* c INT, */ d INT /*! , e INT */ /*M!100100 , f INT */)",
    'CREATE OR REPLACE TABLE d.t (a INT PRIMARY KEY, b INT) PARTITION BY HASH (a) PARTITIONS 4',
    'CREATE OR REPLACE TABLE t (a INT, b INT, CHECK (a > 0), CONSTRAINT x CHECK (b < (a + 1)))',
    'CREATE OR REPLACE TABLE t (id INT, a DATE, b DATE, PERIOD FOR p (a, b), UNIQUE (a, b))',
    'ALTER TABLE t DROP PERIOD FOR p',
    'CREATE OR REPLACE TABLE t (id INT, a DATE, b DATE, UNIQUE (a, b))',
    'ALTER TABLE t ADD PERIOD FOR p (a, b)',
    'SET STATEMENT max_statement_time=0, lock_wait_timeout = 5 FOR CREATE OR REPLACE TABLE t (a INT)',
    'CREATE TABLE IF NOT EXISTS t (other INT)',
    'CREATE TABLE u LIKE t', 'DROP TABLE u', 'CREATE TABLE u (LIKE t)',
);
is(differs('u'), '', 'LIKE');
same('t', 'CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), b INT NOT NULL, c ENUM("x"), UNIQUE (a), UNIQUE (b), d JSON)');

# ---- ALTER TABLE
same('t', $_) for (
    'ALTER TABLE t ADD e INT', 'ALTER TABLE d.t ADD COLUMN f INT NOT NULL FIRST',
    'ALTER TABLE t ADD COLUMN g VARCHAR(9) DEFAULT "x, FIRST" AFTER a',
    'ALTER TABLE t ADD (h INT, i INT UNIQUE, KEY (h))', 'ALTER TABLE t DROP h, DROP COLUMN i',
    'ALTER TABLE t ADD COLUMN IF NOT EXISTS e TEXT, ADD COLUMN IF NOT EXISTS j INT',
    'ALTER TABLE t DROP COLUMN IF EXISTS nope', 'ALTER TABLE t CHANGE a aa VARCHAR(20) NOT NULL',
    'ALTER TABLE t CHANGE COLUMN aa a VARCHAR(20) CHARSET utf8mb4 FIRST',
    'ALTER TABLE t MODIFY b BIGINT UNSIGNED NOT NULL AFTER id', 'ALTER TABLE t MODIFY COLUMN IF EXISTS nope INT, MODIFY e INT',
    'ALTER TABLE t RENAME COLUMN e TO ee', 'ALTER TABLE t RENAME COLUMN d TO dd',
    'ALTER TABLE t RENAME COLUMN ee TO j, RENAME COLUMN j TO ee', 'ALTER TABLE t DROP j, ADD j DATE AFTER id',
    'ALTER TABLE t ADD k INT AFTER newname, CHANGE j newname DATETIME', 'ALTER TABLE t DROP PRIMARY KEY',
    'ALTER TABLE t ADD PRIMARY KEY (b, id)', 'ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id)',
    'ALTER TABLE t DROP INDEX b', 'ALTER TABLE t ADD UNIQUE (b)', 'ALTER TABLE t ADD UNIQUE INDEX q (f), ADD INDEX (f), DROP KEY a',
    'ALTER TABLE t RENAME INDEX q TO qq', 'ALTER TABLE t ALTER COLUMN f SET DEFAULT 5, ALTER k DROP DEFAULT',
    'ALTER TABLE t ENGINE=InnoDB, ALGORITHM=COPY, LOCK=SHARED', 'ALTER TABLE t FORCE', 'ALTER TABLE t COMMENT "a, DROP b"',
    'ALTER ONLINE TABLE t ADD l INT', 'ALTER TABLE t ADD m TEXT, DEFAULT CHARACTER SET utf8mb4', 'ALTER TABLE t ADD n TEXT',
    'ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', 'ALTER TABLE t ADD o CHAR(3)',
    'ALTER TABLE /* a */ t -- b' . "\n" . ' ADD p INT # c' . "\n" . ' AFTER /* d */ o', 'ALTER TABLE t ORDER BY id, b',
    'ALTER TABLE IF EXISTS t WAIT 5 ADD r INT', 'CREATE UNIQUE INDEX ci ON t (r)', 'CREATE INDEX IF NOT EXISTS ci ON t (p)',
    'DROP INDEX ci ON t', 'CREATE OR REPLACE INDEX qq ON d.t (id, b)', 'CREATE UNIQUE INDEX cj USING BTREE ON t (id) ALGORITHM=INPLACE',
    'SET STATEMENT alter_algorithm = COPY FOR ALTER TABLE t ADD se INT, DROP COLUMN IF EXISTS se2',
    'ALTER TABLE t DROP COLUMN IF EXISTS se, DROP COLUMN IF EXISTS se',
    'ALTER TABLE t DISABLE KEYS', 'ALTER TABLE t ADD s INT AS (id + 1) VIRTUAL, ADD tt INT INVISIBLE',
    'ALTER TABLE t MODIFY tt INT', 'TRUNCATE TABLE t',
    '/*!40000 ALTER TABLE `t` DISABLE KEYS */', 'ALTER TABLE t ADD CONSTRAINT uq UNIQUE (p), ADD CONSTRAINT ck CHECK (p > 1)',
    'ALTER TABLE t DROP CONSTRAINT uq', 'ALTER TABLE t ADD FULLTEXT ft (m)',
    'CREATE OR REPLACE TABLE t (a TEXT COMPRESSED CHARSET latin1, b TINYTEXT CHARSET latin1)',
    'ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4', 'ALTER TABLE t RENAME COLUMN a TO id',
);
same('v', 'ALTER TABLE t RENAME TO v');
is(join('', $host->table('d', 't')), '', 'RENAME TO: the old one is gone');
same('u', 'RENAME TABLE u TO tmp, v TO u, tmp TO v');
is(differs('v'), '', 'a swap');
same('v', 'ALTER TABLE v ADD back INT, RENAME d.t');
is(differs('t'), '', 'RENAME without TO');

# ---- sql_mode
mode('ANSI_QUOTES');
same('t', 'CREATE OR REPLACE TABLE "t" ("a b" INT, "c" VARCHAR(9) DEFAULT \'x"y\', UNIQUE ("c"))',
    'ALTER TABLE t ADD "d" ENUM(\'"\')');
mode('NO_BACKSLASH_ESCAPES');
same('t', q{ALTER TABLE t ADD e VARCHAR(9) DEFAULT '\\', ADD f INT});
mode('REAL_AS_FLOAT');
same('t', 'ALTER TABLE t ADD g REAL');
mode();
same('t', 'ALTER DATABASE d COLLATE utf8mb4_unicode_ci', 'CREATE OR REPLACE TABLE t (a TEXT, b CHAR(3) CHARSET latin1)',
    'ALTER TABLE t ADD `n' . "\xc3\xa4" . 'me` INT');

# ---- What the text does not settle
refused('CREATE TABLE x AS SELECT 1', 'option|missing');
refused('CREATE TABLE x (a INT) SELECT 1', 'option');
refused('CREATE TABLE x LIKE nowhere', 'LIKE');
refused('CREATE TABLE nodb.x (a TEXT, b VARCHAR(3))', 'default charset');
refused('CREATE TABLE x (a INT, b FROB(3))', 'type');
refused('CREATE TABLE x (a INT) WITH SYSTEM VERSIONING', 'option');
refused('ALTER TABLE nowhere ADD a INT', 'not known');
refused('ALTER TABLE t ADD SYSTEM VERSIONING', 'versioning');
is(join('', $host->table('d', 't')), '', 'nothing known of it any more');

# ---- Random ones
srand(seed());
my ($rounds, $understood, $taken, @bad) = (long_run() ? 3000 : 400, 0, 0);
my $columns = sub { map { $_->[0] } $db->rows("SELECT COLUMN_NAME FROM information_schema.COLUMNS"
        . " WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 'r' ORDER BY ORDINAL_POSITION") };
my @plain = grep { !/key|unique|serial|auto_inc|check|`c`|\bas\b/ } @types;
my $any  = sub { $_[ int rand @_ ] };
my $next = 0;
my $fresh = sub {
    $db->do('DROP TABLE IF EXISTS r', 'CREATE TABLE r (id INT NOT NULL, x VARCHAR(9), UNIQUE (x))');
    $host->follow('d', $_) for 'DROP TABLE IF EXISTS r', 'CREATE TABLE r (id INT NOT NULL, x VARCHAR(9), UNIQUE (x))';
};
$fresh->();
for my $round (1 .. $rounds) {
    my @now   = $columns->();
    my @index = map { $_->[0] } $db->rows("SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS"
            . " WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 'r'");
    $fresh->(), next if @now > 25;
    my $place = sub { $any->('', '', ' FIRST', ' AFTER ' . $any->(@now)) };
    my $new   = sub { 'c' . ++$next };
    my $null  = sub { $any->('', ' NOT NULL') };
    my $spec  = sub {
        $any->(
            sub { 'ADD ' . $new->() . ' ' . $any->(@plain) . $place->() },
            sub { 'ADD COLUMN ' . $new->() . ' INT' . $null->() . $any->('', ' UNIQUE') . $place->() },
            sub { 'ADD (' . $new->() . ' INT, ' . $new->() . ' ' . $any->(@plain) . ')' },
            sub { 'DROP COLUMN ' . $any->(@now) },
            sub { 'CHANGE ' . $any->(@now) . ' ' . $new->() . ' INT' . $null->() . $place->() },
            sub { 'MODIFY ' . $any->(@now) . ' INT' . $null->() . $place->() },
            sub { 'MODIFY ' . $any->(@now) . ' ' . $any->(@plain) . $place->() },
            sub { 'RENAME COLUMN ' . $any->(@now) . ' TO ' . $new->() },
            sub { 'ADD UNIQUE (' . $any->(@now) . ')' },
            sub { 'ADD UNIQUE ' . $new->() . ' (' . join(',', $any->(@now), $any->(@now)) . ')' },
            sub { 'ADD PRIMARY KEY (' . $any->(@now) . ')' },
            sub { 'ADD INDEX (' . $any->(@now) . ')' },
            sub { 'DROP PRIMARY KEY' },
            sub { 'DROP INDEX ' . $any->(@index, 'x') },
            sub { 'CONVERT TO CHARACTER SET ' . $any->(qw(utf8mb4 latin1)) },
            sub { 'CHARSET ' . $any->(qw(utf8mb4 latin1)) },
        )->();
    };
    my $sql = 'ALTER TABLE r ' . join ', ', map { $spec->() } 1 .. 1 + rand 3;
    next if $db->{client}->try($sql) ne '';
    $taken++;
    my $why = $host->follow('d', $sql);
    if ($why ne '') {
        note "not followed: $sql: $why";
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
