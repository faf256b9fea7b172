# A MySQL whose server_uuid is another one after a restart (auto.cnf removed, a
# backup restored elsewhere): gone on with by GTID, where it has executed what
# was read; refused without GTIDs.
use Weir;
use Weir::Shop;
use Weir::Lines qw(read_values);

my $t  = Weir->new;
my $db = $t->mysql;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)');
my $weir = $t->weir;
my $file = $weir->dir . '/files/t.jsonl';
mkdir $weir->dir . '/files';
$weir->write_config('pipeline shop { ' . shop_source($db) . ' relay { tables = {"shop.*"} }'
    . ' sink lines { tables = {"shop.t"}  file { root = "' . $weir->dir
    . '/files"  path = "t.jsonl" } } }');

sub arrived
{
    my ($want, $what) = @_;
    my $have = '';
    eval {
        wait_for('rows', 30, sub {
            $have = join ' ', read_values($file, qr/"after":\{"i":(\d+)\}/);
            $have eq $want;
        });
    };
    is($have, $want, $what);
    return;
}

sub new_uuid
{
    my $old = $db->value('SELECT @@server_uuid');
    $db->stop;
    my ($auto) = grep { -e } map { "$db->{dir}/$_/auto.cnf" } '.', 'data';
    unlink $auto or die "no auto.cnf in $db->{dir}\n";
    $db->start;
    isnt($db->value('SELECT @@server_uuid'), $old, 'another server_uuid');
    return;
}

$db->do('INSERT INTO shop.t VALUES (1)');
$weir->start;
arrived('1', 'before');
new_uuid();
$db->do('INSERT INTO shop.t VALUES (2)');
arrived('1 2', 'gone on with');
like($weir->wait_log(qr/goes on with another server/), qr/"uuid:\S+" in place of "uuid:/, 'and said');
$weir->stop;
$db->do('INSERT INTO shop.t VALUES (3)');
$weir->start;
arrived('1 2 3', 'after a restart');

# By file and offset nothing shows that it is the same log.
for my $mode (qw(ON_PERMISSIVE OFF_PERMISSIVE OFF)) {
    $db->do("SET GLOBAL gtid_mode = $mode");
}
$db->{cnf} = "gtid_mode = OFF\n";
$db->do('INSERT INTO shop.t VALUES (4)');
arrived('1 2 3 4', 'without GTIDs');
$t->expect_log(qr/another server answers/);
new_uuid();
like($weir->wait_state('source', 'stopped'), qr/another server answers/, 'then it stops');
$t->done;
