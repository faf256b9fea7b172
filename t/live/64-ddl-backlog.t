# A backlog with DDL in it, of a server that logs no names: every row under the
# names that it had then.  So after a restart in the middle of it, and through
# what gh-ost and pt-online-schema-change send.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->database(cnf => "binlog_row_metadata = NO_LOG\ncharacter_set_server = latin1");
$db->make_weir_user;
$t->make_dir('files');
my ($source, $dir) = (shop_source($db), $t->dir);
my $file = "$dir/files/all.jsonl";
my @want;

# A row, and the names that its values have now.
sub row
{
    my ($table) = @_;
    my $n = @want + 1;
    my @names = map { $_->[0] } $db->rows('SELECT COLUMN_NAME FROM'
            . " information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop' AND"
            . " TABLE_NAME = '$table' ORDER BY ORDINAL_POSITION");
    $db->do("INSERT INTO shop.$table VALUES (" . join(', ', map { $n } @names) . ')');
    push @want, join ' ', $table, sort @names;
    return;
}

$db->do('CREATE DATABASE shop', 'USE shop', 'CREATE TABLE t (c0 INT PRIMARY KEY, v VARCHAR(9))');
row('t');
# Neither 5.6 nor MariaDB before 10.5 has RENAME COLUMN; and with GTIDs 5.6 takes
# no CREATE TABLE of a SELECT.
my $old = $db->isa('Weir::Mysql') && $db->release < 800;
sub renames
{
    my ($from, $to, $type) = @_;
    return $old ? "CHANGE COLUMN $from $to $type" : "RENAME COLUMN $from TO $to";
}

# Two columns of one type change places and names: nothing but DDL tells.
for my $i (1 .. 50) {
    my $to = $i % 2 ? 'w' : 'v';
    my $from = $i % 2 ? 'v' : 'w';
    $db->do($i % 5 == 0 ? "ALTER TABLE t ADD a$i VARCHAR(9), " . renames($from, $to, 'VARCHAR(9)')
        : $i % 5 == 1   ? "ALTER TABLE t CHANGE $from $to VARCHAR(9) FIRST"
        :                 "ALTER TABLE t " . renames($from, $to, 'VARCHAR(9)') . ", ADD b$i INT FIRST");
    row('t') for 1 .. 20;
}
# gh-ost
$db->do('CREATE TABLE g (id INT PRIMARY KEY, a INT)');
row('g');
$db->do('create /* gh-ost */ table `shop`.`_g_gho` like `shop`.`g`',
    'alter /* gh-ost */ table `shop`.`_g_gho` add b int after id, drop column a, add c int',
    'create /* gh-ost */ table `shop`.`_g_del` (id int auto_increment primary key) engine=InnoDB comment=\'ghost-cut-over-sentry\'');
row('g');
row('_g_gho');
$db->do('drop table `shop`.`_g_del`',
    'rename /* gh-ost */ table `shop`.`g` to `shop`.`_g_del`, `shop`.`_g_gho` to `shop`.`g`');
row('g');
row('_g_del');
$db->do('drop /* gh-ost */ table `shop`.`_g_del`');
# pt-online-schema-change
$db->do("CREATE TABLE `shop`.`_p_new` (\n  `id` int(11) NOT NULL,\n  `x` int(11) DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=latin1",
    'CREATE TABLE p (id INT PRIMARY KEY, x INT)', 'ALTER TABLE `shop`.`_p_new` ' . renames('x', 'y', 'INT'));
row('p');
$db->do('RENAME TABLE `shop`.`p` TO `shop`.`_p_old`, `shop`.`_p_new` TO `shop`.`p`');
row('p');
$db->do('DROP TABLE IF EXISTS `shop`.`_p_old`');
# A table made from a SELECT.
if (!$old) {
    $db->do('CREATE TABLE s AS SELECT id, y AS z FROM p');
    push @want, 's id z';
    row('s');
}

sub names_of
{
    my @have;
    for (Weir::Server::lines_of($file)) {
        my ($table) = /"table":"(\w+)"/ or next;
        my ($after) = /"after":\{([^}]*)\}/ or next;
        push @have, join ' ', $table, sort $after =~ /"(\w+)":/g;
    }
    return @have;
}

my $weir = $t->weir(config => <<"EOT");
pipeline shop {
    $source
    sink all { file { root = "$dir/files"  path = "all.jsonl" } }
}
EOT
$weir->start;
wait_for('all rows', 60, sub { my @have = names_of(); @have >= @want });
is_deeply([ names_of() ], \@want, 'every row of ' . @want . ' under its names');
is(scalar(grep { /unknown/ } $weir->log_lines), 0, 'nothing was unknown');

# Again: what is known comes from the relay.
$db->do('INSERT INTO p VALUES (1000, 1)', 'ALTER TABLE p ADD late INT');
push @want, 'p id y';
wait_for('one more', 30, sub { my @have = names_of(); @have >= @want });
$weir->stop;
row('p');
$db->do('ALTER TABLE p ' . renames('y', 'yy', 'INT'));
row('p');
$weir->start;
wait_for('rows after a restart', 30, sub { my @have = names_of(); @have >= @want });
is_deeply([ names_of() ], \@want, 'what is known comes back from the relay');
is(scalar(grep { /unknown/ } $weir->log_lines), 0, 'nothing was unknown');
$t->done;
