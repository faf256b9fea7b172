# MySQL's GTIDs through all of Weir: tags, gaps that are filled late, logs that
# begin with what was before; stops in between; gtid_mode switched while it
# runs.  Nothing lost, nothing twice.
use Weir;
use Weir::Shop;
use Weir::Lines qw(read_lines read_values);

my $t  = Weir->new;
my $db = $t->mysql(cnf => "binlog_transaction_compression = ON");
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)', 'CREATE DATABASE other',
    'CREATE TABLE other.t (i INT PRIMARY KEY)');
my $uuid = $db->value('SELECT @@server_uuid');
my $next = 0;

sub rows_of
{
    my ($n) = @_;
    return map { 'INSERT INTO shop.t VALUES (' . ++$next . ')' } 1 .. $n;
}

# One transaction with a GTID of ours, as `uuid:5000` or `uuid:tag:7`.
sub row_as
{
    my ($gtid) = @_;
    return ("SET gtid_next = '$gtid'", rows_of(1), "SET gtid_next = 'AUTOMATIC'");
}

my $weir = $t->weir;
my $file = $weir->dir . '/files/t.jsonl';

sub config
{
    my ($start) = @_;
    my $source = shop_source($db, $start);
    mkdir $weir->dir . '/files';
    return "pipeline shop { $source relay { tables = {\"shop.*\"} }"
        . ' sink lines { tables = {"shop.t"} file { root = "'
        . $weir->dir . '/files"  path = "t.jsonl" } } }';
}

sub arrived
{
    my ($what) = @_;
    my @want = (1 .. $next);
    my @have;
    eval {
        wait_for('rows', 30, sub {
            @have = read_values($file, qr/"operation":"insert".*"after":\{"i":(\d+)\}/);
            @have >= @want;
        });
    };
    is("@have", "@want", "$what: each row once, in order");
    return;
}

$db->do(rows_of(3), row_as("$uuid:5000"), row_as("$uuid:blue:1"), rows_of(1));
$weir->write_config(config('start = earliest'));
$weir->start;
arrived('from the beginning');
my @ids = map { $_->{payload}{metadata}{transaction_id} } read_lines($file);
is_deeply([ grep { /:(?:5000|blue:1)$/ } @ids ], [ "$uuid:5000", "$uuid:blue:1" ], 'a GTID of ours, and one with a tag');

# Gaps: filled while it is away, below and above what it has.
$weir->stop;
$db->do(rows_of(2), row_as("$uuid:4000"), 'FLUSH BINARY LOGS', row_as("$uuid:blue:5"), row_as("$uuid:4999"));
$weir->start;
arrived('gaps filled while it was away');
$db->do(row_as("$uuid:blue:3"), row_as("$uuid:5001"), 'INSERT INTO other.t VALUES (1)', rows_of(1));
arrived('and while it runs');
my $set = $db->gtids;
like($set, qr/:4000:4999-5001:blue:1:3:5$/, 'the server has gaps and a tag');

# A table that nobody wants moves the position too.
$db->do('INSERT INTO other.t VALUES (2)', 'FLUSH BINARY LOGS', 'INSERT INTO other.t VALUES (3)');
$weir->stop;
$db->do(rows_of(1));
$weir->start;
arrived('behind what is not kept');
like($weir->wait_log(qr/connected to .* behind GTID $uuid:1-\d+:4000:4999-5001:blue:1:3:5$/), qr/./,
    'it goes on behind the whole set');

# The logs before are gone; what it has is enough.
my $last = $db->place->[0];
$db->do('FLUSH BINARY LOGS', "PURGE BINARY LOGS TO '$last'");
$weir->crash;
$weir->start;
$db->do(rows_of(1));
arrived('after a purge of what it has, and a crash');

# Switched off and on while it runs.
for my $modes ([qw(ON_PERMISSIVE OFF_PERMISSIVE OFF)], [qw(OFF_PERMISSIVE ON_PERMISSIVE ON)]) {
    for my $mode (@$modes) {
        $db->do("SET GLOBAL gtid_mode = $mode", rows_of(2));
    }
    arrived("gtid_mode $modes->[-1]");
    $weir->stop;
    $db->do(rows_of(2));
    $weir->start;
    arrived("gtid_mode $modes->[-1] and a restart");
}
$weir->stop;

# From the middle of a file: what came before it is not sent later.
my $place = $db->place;
$weir = $t->weir;
$file = $weir->dir . '/files/t.jsonl';
$weir->write_config(config("start = \"file:$place->[0]:$place->[1]\""));
$weir->start;
$db->do('INSERT INTO shop.t VALUES (10001)');
wait_for('the row', 30, sub { -s $file });
$weir->stop;
$db->do('INSERT INTO shop.t VALUES (10002)');
$weir->start;
wait_for('the next', 30, sub { (() = read_lines($file)) >= 2 });
is(join(' ', read_values($file, qr/"after":\{"i":(\d+)\}/)), '10001 10002', 'start = file, and on by GTID');
like($weir->wait_log(qr/connected to .* behind GTID/), qr/blue/, 'with the whole set');
$t->done;
