# A backlog with DDL in it, of a server that logs no names: every row under the
# names that it had then.  So after restarts in the middle of it, and through
# what gh-ost and pt-online-schema-change send.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->database(cnf => "binlog_row_metadata = NO_LOG\ncharacter_set_server = latin1\nlog_bin_trust_function_creators = ON");
$db->make_weir_user;
$t->make_dir('files');
my ($source, $dir) = (shop_source($db), $t->dir);
my $file = "$dir/files/all.jsonl";
my (@want, $n);

# Rows in a transaction each; each value says which row and which column, so
# that names which changed places are seen.
sub rows_of
{
    my ($count, $table, $insert) = @_;
    my @names = map { $_->[0] } $db->rows('SELECT COLUMN_NAME FROM'
            . " information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop' AND"
            . " TABLE_NAME = '$table' ORDER BY ORDINAL_POSITION");
    my @sql;
    for (1 .. $count) {
        $n++;
        my @values = map { $n * 100 + $_ } 1 .. @names;
        push @sql, ($insert // 'INSERT') . " INTO shop.$table VALUES (" . join(', ', @values) . ')';
        push @want, said($table, map { ($names[$_] => $values[$_]) } 0 .. $#names);
    }
    $db->do(join ";\n", @sql);
    return;
}

sub said
{
    my ($table, %row) = @_;
    return join ' ', $table, map { "$_:$row{$_}" } sort keys %row;
}

sub row { rows_of(1, @_); return }

$db->do('CREATE DATABASE shop', 'USE shop', 'CREATE TABLE t (c0 INT PRIMARY KEY, v VARCHAR(9))');
# MySQL 5.6 has no RENAME COLUMN, and with GTIDs no CREATE TABLE of a SELECT.
my $old = $db->isa('Weir::Mysql') && $db->release < 800;
my @types = ('VARCHAR(9)', 'INT');

# `v` and `c0` take each other's name.
sub swap
{
    return 'RENAME COLUMN v TO c0, RENAME COLUMN c0 TO v' if !$old;
    my ($v, $c0) = @types;
    @types = ($c0, $v);
    return "CHANGE v c0 $v, CHANGE c0 v $c0";
}

# Two columns of one type change places and names: nothing but DDL tells.
for my $i (1 .. 50) {
    rows_of(200, 't');
    my $to = $i % 2 ? 'w' : 'v';
    my $from = $i % 2 ? 'v' : 'w';
    $db->do($i % 5 == 1 || $old ? "ALTER TABLE t CHANGE $from $to VARCHAR(9) FIRST"
        : $i % 5 == 0   ? "ALTER TABLE t ADD a$i VARCHAR(9), RENAME COLUMN $from TO $to"
        : $i % 5 == 2   ? "ALTER TABLE t RENAME COLUMN $from TO c0, RENAME COLUMN c0 TO $to"
        :                 "ALTER TABLE t RENAME COLUMN $from TO $to, ADD b$i INT FIRST");
}
# gh-ost
$db->do('CREATE TABLE g (id INT PRIMARY KEY, a INT)');
row('g');
$db->do('drop /* gh-ost */ table if exists `shop`.`_g_gho`',
    'drop /* gh-ost */ table if exists `shop`.`_g_ghc`',
    "create /* gh-ost */ table `shop`.`_g_ghc` (\n\t\t\tid bigint unsigned auto_increment,"
        . "\n\t\t\tlast_update timestamp not null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
        . "\n\t\t\thint varchar(64) charset ascii not null,\n\t\t\tvalue varchar(4096) charset ascii not null,"
        . "\n\t\t\tprimary key(id),\n\t\t\tunique key hint_uidx(hint)\n\t\t) auto_increment=256 comment='gh-ost-changelog'",
    'create /* gh-ost */ table `shop`.`_g_gho` like `shop`.`g`',
    'alter /* gh-ost */ table `shop`.`_g_gho` add b int after id, drop column a, add c int',
    "insert /* gh-ost */ into `shop`.`_g_ghc` (id, hint, value, last_update) values (NULLIF(1, 0), 'state', 'GhostTableMigrated', '2020-02-02')");
push @want, '_g_ghc hint:state id:1 last_update:* value:GhostTableMigrated';
row('g');
row('_g_gho', 'replace /* gh-ost */');
$db->do('create /* gh-ost */ table `shop`.`_g_del` (id int auto_increment primary key) engine=InnoDB comment=\'ghost-cut-over-sentry\'',
    'drop /* gh-ost */ table `shop`.`_g_del`',
    'rename /* gh-ost */ table `shop`.`g` to `shop`.`_g_del`, `shop`.`_g_gho` to `shop`.`g`');
row('g');
row('_g_del');
$db->do('drop /* gh-ost */ table `shop`.`_g_ghc`', 'drop /* gh-ost */ table `shop`.`_g_del`');
# pt-online-schema-change
$db->do('CREATE TABLE p (id INT PRIMARY KEY, x INT)');
row('p');
$db->do("CREATE TABLE `shop`.`_p_new` (\n  `id` int(11) NOT NULL,\n  `x` int(11) DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=latin1",
    'ALTER TABLE `shop`.`_p_new` CHANGE x y INT, ADD z INT FIRST',
    'CREATE TRIGGER `pt_osc_shop_p_del` AFTER DELETE ON `shop`.`p` FOR EACH ROW DELETE IGNORE FROM `shop`.`_p_new` WHERE `shop`.`_p_new`.`id` <=> OLD.`id`',
    'CREATE TRIGGER `pt_osc_shop_p_ins` AFTER INSERT ON `shop`.`p` FOR EACH ROW REPLACE INTO `shop`.`_p_new` (`id`, `y`) VALUES (NEW.`id`, NEW.`x`)');
row('p');
push @want, said('_p_new', z => 'null', id => $n * 100 + 1, y => $n * 100 + 2);
$db->do('INSERT LOW_PRIORITY IGNORE INTO `shop`.`_p_new` (`id`, `y`) SELECT `id`, `x` FROM `shop`.`p` LOCK IN SHARE MODE /*pt-online-schema-change 7 copy table*/');
push @want, said('_p_new', z => 'null', id => ($n - 1) * 100 + 1, y => ($n - 1) * 100 + 2);
$db->do('ANALYZE TABLE `shop`.`_p_new` /* pt-online-schema-change */',
    'RENAME TABLE `shop`.`p` TO `shop`.`_p_old`, `shop`.`_p_new` TO `shop`.`p`',
    'DROP TABLE IF EXISTS `shop`.`_p_old`', 'DROP TRIGGER IF EXISTS `shop`.`pt_osc_shop_p_del`',
    'DROP TRIGGER IF EXISTS `shop`.`pt_osc_shop_p_ins`');
row('p');
# A table made from a SELECT: a row, then.
if (!$old) {
    $db->do('CREATE TABLE s AS SELECT id, y AS w FROM p ORDER BY id DESC LIMIT 1');
    push @want, said('s', id => $n * 100 + 2, w => $n * 100 + 3);
    row('s');
}

sub names_of
{
    my @have;
    for (Weir::Server::lines_of($file)) {
        my ($table) = /"table":"(\w+)"/ or next;
        my ($after) = /"after":\{([^}]*)\}/ or next;
        $after =~ s/("last_update":)"[^"]*"/$1"*"/;
        push @have, said($table, $after =~ /"(\w+)":"?([^",]*)"?/g);
    }
    return @have;
}

my $weir;

sub same
{
    my ($what) = @_;
    my @have = names_of();
    my ($at) = grep { ($have[$_] // '') ne $want[$_] } 0 .. $#want;
    is($at // 'none', 'none', "$what: the first of " . @want . ' rows with other names')
        or diag("have: $have[$at]\nwant: $want[$at]");
    is(scalar @have, scalar @want, "$what: no more rows");
    is(scalar(grep { /unknown/ } $weir->log_lines), 0, "$what: nothing was unknown");
    return;
}

$weir = $t->weir(config => <<"EOT");
pipeline shop {
    $source
    relay { segment = 1m  size = 256m }
    sink all { file { root = "$dir/files"  path = "all.jsonl" } }
}
EOT
# Of rows: statements have lines, too.
sub lines { return scalar grep { /"after":\{/ } Weir::Server::lines_of($file) }
$weir->start;
wait_for('all rows', 120, sub { lines() >= @want });
same('a backlog');

# Again: what is known comes from the relay, wherever it was killed.
for my $round (1 .. 3) {
    $round == 1 ? $weir->stop : $weir->crash;
    for my $i (1 .. 4) {
        $db->do("ALTER TABLE t " . swap(),
            "ALTER TABLE g ADD x${round}_$i INT FIRST");
        rows_of(50, 't');
        row('g');
    }
    my $before = lines();
    $weir->start;
    wait_for('one more row', 60, sub { lines() > $before });
}
$weir->crash;
$db->do('ALTER TABLE p ADD late INT');
row('p');
$db->do('ALTER TABLE p CHANGE y yy INT');
row('p');
row('g');
$weir->start;
wait_for('rows after a restart', 30, sub { lines() >= @want });
same('after a restart');
$t->done;
