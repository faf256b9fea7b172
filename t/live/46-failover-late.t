# Several hosts, and the next one lacks what was read.  A replica that has not
# got so far is waited for; where nobody is left to bring it, the pipeline stops
# as diverged, lists what differs, and goes on once that was executed there.
use Weir;
use Weir::Lines qw(read_values);
use Weir::Replica;

my $t  = Weir->new;
my @db = ($t->database(cnf => replica_cnf()));
$db[0]->make_weir_user;
$db[0]->do("GRANT SLAVE MONITOR ON *.* TO 'weir'\@'%'")
    if !$db[0]->isa('Weir::Mysql');
push @db, $t->database(cnf => replica_cnf()) for 1, 2;
replicate($db[1], $db[0]);
replicate($db[2], $db[1]);
for my $n (1, 2) {    # the user comes with it
    wait_for('replica', 30, sub { has_executed($db[$n], $db[0]->gtids) });
}
replica_stop($db[2]);
$db[0]->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, v INT)');

my $weir = $t->weir;
my $file = $weir->dir . '/files/t.jsonl';
my $hosts = join ', ', map { '"127.0.0.1:' . $_->port . '"' } @db;
mkdir $weir->dir . '/files';
$weir->write_config(<<"EOT");
pipeline shop {
    source { mysql { hosts = {$hosts}  user = "weir"  password = "secret"
        start = earliest  heartbeat = 200ms  connect_timeout = 2s } }
    relay { tables = {"shop.*"} }
    sink lines { tables = {"shop.t"}  file { root = "@{[$weir->dir]}/files"  path = "t.jsonl" } }
}
EOT

sub arrived
{
    my ($want, $what) = @_;
    my $have = '';
    eval {
        wait_for('rows', 30, sub {
            $have = join ' ', read_values($file, qr/"operation":"insert".*"after":\{"i":(\d+)/);
            $have eq $want;
        });
    };
    is($have, $want, $what);
    return;
}

sub insert { my ($db, @n) = @_; return $db->do(map { "INSERT INTO shop.t VALUES ($_, 0)" } @n) }
sub catch_up { my ($db, $from) = @_; return wait_for('replica', 30, sub { has_executed($db, $from->gtids) }) }

insert($db[0], 1 .. 3);
$weir->start;
arrived('1 2 3', 'from the first');

# Behind: the second has got it all, and not executed it.
catch_up($db[1], $db[0]);
replica_stop($db[1], 'SQL_THREAD');
insert($db[0], 4, 5);
arrived('1 2 3 4 5', 'more of the first');
wait_for('it is received', 30, sub { received($db[1], $db[0]->gtids) });
$db[0]->crash;
my $port = $db[1]->port;
like($weir->wait_log(qr/127\.0\.0\.1:$port is behind: it has not executed GTIDs/), qr/applies: No/,
    'the second is behind, and that is said');
replica_start($db[1], 'SQL_THREAD');
$weir->wait_log(qr/goes on with another server.*:$port/);
promote($db[1]);
insert($db[1], 6);
arrived('1 2 3 4 5 6', 'gone on with once it has executed them');

# Diverged: the third never gets what was read last, and is nobody's replica.
replica_start($db[2]);
catch_up($db[2], $db[1]);
promote($db[2]);
my $before = $db[1]->gtids;
insert($db[1], 7, 8);
$db[1]->do('UPDATE shop.t SET v = 1 WHERE i = 2');
arrived('1 2 3 4 5 6 7 8', 'what only the second has');
wait_for('the update', 30, sub { (() = read_values($file, qr/"operation":"(update)"/)) == 1 });
$db[1]->crash;
$t->expect_log(qr/diverged/);
my $reason = $weir->wait_state('source', 'stopped');
$port = $db[2]->port;
like($reason, qr/diverged: 127\.0\.0\.1:$port never executed 3 transactions .* with 3 rows/, 'it stops and says so');
my $path = $weir->state . '/shop/diverged';
open my $in, '<', $path or die "$path: $!\n";
my @list = grep { !/^#/ } <$in>;
close $in;
my @gtids = map { (split / /)[0] } @list;
is(join('', map { s/^\S+ //r } @list),
    qq(insert shop.t {"i":7}\ninsert shop.t {"i":8}\nupdate shop.t {"i":2}\n), 'the rows are listed by key');
like($reason, qr/\Q$gtids[0]\E/, 'the GTIDs are named');
my $pattern = $db[0]->gtid_pattern;
is((grep { $_ =~ $pattern } @gtids), 3, 'each row with its GTID');
is((stat $path)[2] & 0777, 0600, 'for nobody else to read');

# As it says: executed there, under these GTIDs.
sub execute_as
{
    my ($db, $gtid, $sql) = @_;
    return $db->do("SET gtid_next = '$gtid'", $sql, "SET gtid_next = 'AUTOMATIC'")
        if $db->isa('Weir::Mysql');
    my ($domain, $server, $number) = split /-/, $gtid;
    return $db->do("SET gtid_domain_id = $domain, server_id = $server, gtid_seq_no = $number",
        $sql, 'SET server_id = DEFAULT, gtid_domain_id = DEFAULT');
}
execute_as($db[2], $gtids[0], 'INSERT INTO shop.t VALUES (7, 0)');
execute_as($db[2], $gtids[1], 'INSERT INTO shop.t VALUES (8, 0)');
execute_as($db[2], $gtids[2], 'UPDATE shop.t SET v = 1 WHERE i = 2');
my ($exit, $said) = $weir->reload;
is($exit, 0, 'reload') or diag $said;
insert($db[2], 9);
arrived('1 2 3 4 5 6 7 8 9', 'then it goes on, and nothing comes twice');
$t->done;
