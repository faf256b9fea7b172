# A column of each collation that the server has, with the numbers of the binlog
# and without: its text is that of the server.
use Weir;
use Weir::Compare qw(same_as_hashes);
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->database;
my $redis = $t->redis;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', "SET sql_mode = ''");

# MariaDB's newer ones go with several charsets, under another name in each.
my ($full) = $db->rows('SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_NAME ='
        . " 'COLLATION_CHARACTER_SET_APPLICABILITY' AND COLUMN_NAME = 'FULL_COLLATION_NAME'");
my $name = $full ? 'FULL_COLLATION_NAME' : 'COLLATION_NAME';
my @collations = $db->rows("SELECT CHARACTER_SET_NAME, $name FROM"
        . ' information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE'
        . " CHARACTER_SET_NAME <> 'binary' ORDER BY 2");
my ($source, $port) = (shop_source($db), $redis->port);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink cache { redis { host = "127.0.0.1"  port = $port  key = "t:{id}" } }
}
EOT

my $id = 0;
sub check
{
    my ($how) = @_;
    my @left = @collations;
    while (my @some = splice @left, 0, 100) {
        my @columns = map { "c$_ VARCHAR(6) CHARACTER SET $some[$_][0] COLLATE $some[$_][1]" } 0 .. $#some;
        my $values = join ', ', map { "'a\xc3\xa9\xd0\x96\xe6\xb0\xb4'" } @some;
        $id++;
        $db->do("CREATE TABLE shop.t$id (id INT PRIMARY KEY, " . join(', ', @columns) . ')',
            "INSERT INTO shop.t$id VALUES ($id, $values)");
        wait_for("row $id", 30, sub { $redis->ask('EXISTS', "t:$id") });
        my ($n, @wrong) = same_as_hashes($db, $redis, 'shop', "t$id", "t:$id",
            sub { "t:$_[0]{id}" });
        is(join("\n", @wrong), '', "$how: $some[0][1] to $some[-1][1]");
    }
    return;
}

cmp_ok(scalar @collations, '>', 200, @collations . ' collations');
check('as it is');
if ($db->rows("SHOW VARIABLES LIKE 'binlog_row_metadata'")) {
    $db->do('SET GLOBAL binlog_row_metadata = MINIMAL');
    check('MINIMAL');
}
$t->done;
