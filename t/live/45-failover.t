# Several hosts: the primary is killed under load, its replica is promoted, and
# the stream goes on there, each row once and in order; after a restart too,
# where the first of the list is no longer the one that is followed.
use Weir;
use Weir::Lines qw(read_values);
use Weir::Replica;

my $t     = Weir->new;
my $first = $t->database(cnf => replica_cnf());
$first->make_weir_user;
$first->do("GRANT SLAVE MONITOR ON *.* TO 'weir'\@'%'")
    if !$first->isa('Weir::Mysql');
my $second = $t->database(cnf => replica_cnf());
replicate($second, $first);
$first->do('CREATE DATABASE shop',
    'CREATE TABLE shop.t (i INT PRIMARY KEY, v VARCHAR(40))');

my $weir = $t->weir;
my $file = $weir->dir . '/files/t.jsonl';
my $hosts = join ', ', map { '"127.0.0.1:' . $_->port . '"' } $first, $second;
mkdir $weir->dir . '/files';

# What makes no sense is said at the test.
for my $case (
    [ 'hosts = {"db1", "db1:3306"}', qr/stands there twice/ ],
    [ 'hosts = {"db1", "localhost"}', qr/write 127\.0\.0\.1/ ],
    [ 'hosts = {"db1:0"}', qr/is none of db1, db1:3306/ ],
    [ 'hosts = {"[::1", "db2"}', qr/is none of db1, db1:3306/ ],
    [ 'hosts = {"db1", "db2"}  host = "db3"', qr/takes the place of host/ ],
    [ 'hosts = {"db1", "db2"}  start = "file:bin.000001:4"', qr/mean nothing on another/ ],
    )
{
    $weir->write_config("pipeline shop { source { mysql { user = \"weir\"  $case->[0] } } }");
    my ($exit, $said) = $weir->command('-t');
    ok($exit != 0 && $said =~ $case->[1], $case->[0]) or diag "$exit $said";
}

$weir->write_config(<<"EOT");
pipeline shop {
    source { mysql { hosts = {$hosts}  user = "weir"  password = "secret"
        start = earliest  heartbeat = 200ms  connect_timeout = 2s } }
    relay { tables = {"shop.*"} }
    sink lines { tables = {"shop.t"}  file { root = "@{[$weir->dir]}/files"  path = "t.jsonl" } }
}
EOT

sub numbers { return read_values($file, qr/"after":\{"i":(\d+)/) }

sub arrived
{
    my ($db, $what) = @_;
    my @want = map { $_->[0] } $db->rows('SELECT i FROM shop.t ORDER BY i');
    my @have;
    eval { wait_for('rows', 30, sub { @have = numbers(); @have >= @want }) };
    ok("@have" eq "@want", "$what: each of " . @want . ' rows once, in order')
        or diag "have @have\nwant @want";
    return;
}

sub position
{
    my ($exit, $json) = $weir->ctl('status', '--json');
    return $json =~ /"name":\s*"source".*?"gtid":\s*"([^"]+)"/s ? $1 : '';
}

$weir->start;
my $writer = fork // die;
if (!$writer) {
    open STDOUT, '>', '/dev/null' or die;
    open STDERR, '>', '/dev/null' or die;
    alarm 120;
    my $client = $first->client;
    for my $i (1 .. 1_000_000) {
        eval { $client->do("INSERT INTO shop.t VALUES ($i, REPEAT('x', 30))"); 1 }
            or POSIX::_exit(0);
    }
    POSIX::_exit(0);
}
wait_for('load', 60, sub { numbers() >= 200 });

# Killed where its replica has all that was read: otherwise it is the other
# case, that of 46-failover-late.t.
wait_for(
    'a moment at which the replica has what was read', 60,
    sub {
        freeze($first);
        my $read = position();
        my $end = time + 3;
        while (time < $end) {
            my $now = position();
            return 1 if $now eq $read && has_executed($second, $now);
            $read = $now;
            select undef, undef, undef, 0.05;
        }
        thaw($first);
        return 0;
    }
);
my $mark = $weir->log_mark;
$first->crash;
waitpid $writer, 0;
$weir->wait_log(qr/goes on with another server.*127\.0\.0\.1:@{[$second->port]}/, from => $mark);
promote($second);
$second->do(map { "INSERT INTO shop.t VALUES (" . (2_000_000 + $_) . ", 'new')" } 1 .. 20);
arrived($second, 'the replica took over');
like($weir->status_text, qr/^pipeline shop: .*from 127\.0\.0\.1:@{[$second->port]} \(/m,
    'status says which one it is');

# The old one is back, alone and with its old data: not taken back.
$first->start;
$weir->stop;
$second->do("INSERT INTO shop.t VALUES (3000000, 'while away')");
$mark = $weir->log_mark;
$weir->start;
arrived($second, 'after a restart');
is($weir->log_count(qr/connected to 127\.0\.0\.1:@{[$first->port]} /, $mark), 0,
    'the old primary is not asked');

# The one that is followed is there again soon: what the old one lacks is no
# reason to stop.
$mark = $weir->log_mark;
$second->stop;
$weir->wait_log(qr/:@{[$first->port]} has not executed .* nobody's replica/, from => $mark);
$second->start;
$second->do("INSERT INTO shop.t VALUES (3000001, 'back')");
arrived($second, 'after a restart of the one that is followed');
$weir->crash;
$weir->start;
$second->do("INSERT INTO shop.t VALUES (3000002, 'back')");
arrived($second, 'after a crash');
$t->done;
