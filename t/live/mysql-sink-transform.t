# Behind a transform: text that it made is what the target gets, whatever the
# source logged, and what it leaves alone has the source's bytes.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
my $top    = $t->make_dir('new');
$db->make_weir_user;

$ENV{PKG_CONFIG_PATH} = "$t->{prefix}/lib/pkgconfig";
my $said = qx(cd $top && PATH=$t->{prefix}/bin:\$PATH weir-newmodule transform stars 2>&1 && make -C transform_stars 2>&1);
is($?, 0, 'a transform is built') or diag $said;

my $columns = join ', ', map { "hidden_$_ VARCHAR(20) CHARACTER SET $_, shown_$_ VARCHAR(20) CHARACTER SET $_" }
    qw(cp932 latin1 utf8mb4 utf16);
$db->do('CREATE DATABASE shop CHARACTER SET utf8mb4', 'USE shop', 'CREATE TABLE ledger (n INT)',
    "CREATE TABLE t (k INT, l INT, $columns, PRIMARY KEY (k, l))");
copy_definitions($db, $target, 'shop');
my $config = replay_config($db, $target, $t->dir);
$config =~ s/^    sink/    transform x { stars { column = "hidden_*" } }\n    sink/m;
my $weir = $t->weir(config => qq(load_module("$top/transform_stars/transform_stars.so")\n$config))->start;

my $row = q(_cp932 x'8790', _cp932 x'8790', 'caf\xc3\xa9', 'caf\xc3\xa9', 'abc', 'abc', '\xf0\x9f\x90\x9f', '\xf0\x9f\x90\x9f')
    =~ s/\\x(..)/chr hex $1/ger;
my $want = sub {
    my ($twice) = @_;
    return join ' ', map { $_ x $twice } '2A2A2A', '8790', '2A2A2A2A2A', '636166E9', '2A2A2A', '616263',
        '002A002A002A002A', 'D83DDC1F';
};
sub rows_there
{
    my @columns = map { $_->[0] } $target->rows("SELECT COLUMN_NAME FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 't' ORDER BY ORDINAL_POSITION");
    my $hex = join ', ', map { "HEX($_)" } @columns[2 .. $#columns];
    my %seen = map { join(' ', @$_) => 1 } $target->rows("SELECT $hex FROM shop.t");
    return join "\n", sort keys %seen;
}

put_replayed($db, $target, 'INSERT INTO t VALUES ' . join ',', map { "($_, 1, $row)" } 1 .. 60);
is(rows_there(), $want->(1), 'many rows');
my $sets = join ', ', map { my $c = $_; map { "${_}_$c = CONCAT(${_}_$c, ${_}_$c)" } qw(hidden shown) }
    qw(cp932 latin1 utf8mb4 utf16);
put_replayed($db, $target, "UPDATE t SET $sets");
is(rows_there(), $want->(2), 'changed together');
put_replayed($db, $target, 'DELETE FROM t', "INSERT INTO t VALUES (1, 2, $row)");
is(rows_there(), $want->(1), 'one row');
$t->done;
