# XA transactions come in commit order and only if they are committed: over
# restarts of Weir and of the server, kill -9, and rotated logs.  A commit of
# what was prepared before the beginning stops the pipeline and names the XID.
use Weir;
use Weir::Shop;

my $t = Weir->new;
$t->make_dir('files');
my $db = $t->database(cnf => "sync_binlog = 1\ninnodb_flush_log_at_trx_commit = 1");
if ($db->isa('Weir::Mysql') && $db->release < 507) {
    $t->close_all;
    plan(skip_all => 'MySQL before 5.7 does not log what is prepared');
}
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)',
    'CREATE TABLE shop.other (i INT PRIMARY KEY)');
my ($source, $dir) = (shop_source($db), $t->dir);
my $config = sub {
    my ($from) = @_;
    return <<"EOT";
pipeline shop {
    $from
    relay { size = 64m }
    sink lines { tables = {"shop.t"} file { root = "$dir/files" path = "t.jsonl" } }
}
EOT
};
my $weir = $t->weir(config => $config->($source))->start;
my $file = "$dir/files/t.jsonl";

# What arrived, in its order.
sub numbers
{
    return join ' ', map { /"after":\{"i":(\d+)/ ? $1 : () }
        Weir::Server::lines_of($file);
}

sub arrives
{
    my ($want, $what) = @_;
    eval { wait_for($what, 30, sub { numbers() eq $want }) };
    is(numbers(), $want, $what);
    return;
}

sub kept { return grep { !m{/new$} } glob $t->{servers}[0]->state . '/shop/xa.prepared/*' }

# A connection of its own, as one that has prepared may do nothing else.
sub prepare
{
    my ($xid, @sql) = @_;
    my $client = $db->client;
    $client->do("XA START $xid", @sql, "XA END $xid", "XA PREPARE $xid");
    return;
}

# By another session, which sees it once the first has gone.
sub finish
{
    my ($how, $xid) = @_;
    wait_for("XA $how $xid", 30, sub { eval { $db->do("XA $how $xid"); 1 } });
    return;
}

# Behind it, all before it was read.
my $mark = 1000;
sub passed
{
    my ($have, $what) = @_;
    $db->do('INSERT INTO shop.t VALUES (' . ++$mark . ')');
    arrives("$have $mark", $what);
    return "$have $mark";
}

my $hostile = q{X'2f2e2e2f00ff27', X'} . ('ff' x 64) . q{', 2147483647};
prepare(q{'later'}, 'INSERT INTO shop.t VALUES (1)', 'INSERT INTO shop.t VALUES (2)');
prepare($hostile, 'INSERT INTO shop.t VALUES (3)', 'INSERT INTO shop.other VALUES (3)');
prepare(q{'never'}, 'INSERT INTO shop.t VALUES (4)');
$db->do('INSERT INTO shop.t VALUES (5)');
arrives('5', 'nothing of what is only prepared');
is(scalar kept(), 3, 'each is kept in a file');
finish('COMMIT', $hostile);
arrives('5 3', 'in commit order, with any bytes in its XID');
finish('ROLLBACK', q{'never'});
finish('COMMIT', q{'later'});
arrives('5 3 1 2', 'what was rolled back never comes');
my $have = passed('5 3 1 2', 'and the stream goes on');
wait_for('the files are gone', 10, sub { !kept() });

$db->do(q{XA START 'one'}, 'INSERT INTO shop.t VALUES (6)', q{XA END 'one'},
    q{XA COMMIT 'one' ONE PHASE});
arrives($have .= ' 6', 'ONE PHASE');
$db->do(q{XA START 'none'}, 'INSERT INTO shop.t VALUES (7)', q{XA END 'none'},
    q{XA ROLLBACK 'none'});

# Between PREPARE and the end: restarts of all kinds, and other log files.
prepare(q{'clean','b'}, 'INSERT INTO shop.t VALUES (10)');
prepare(q{'unwanted'}, 'INSERT INTO shop.other VALUES (10)');
prepare(q{'undone'}, 'INSERT INTO shop.t VALUES (11)');
$have = passed($have, 'three are prepared');
$weir->stop;
$weir->start;
finish('COMMIT', q{'clean','b'});
finish('COMMIT', q{'unwanted'});
finish('ROLLBACK', q{'undone'});
arrives($have .= ' 10', 'Weir was restarted in between');

prepare(q{'killed'}, 'INSERT INTO shop.t VALUES (12)');
prepare(q{'killed too'}, 'INSERT INTO shop.t VALUES (13)');
$have = passed($have, 'two are prepared');
$weir->crash;
finish('COMMIT', q{'killed'});
$weir->start;
arrives($have .= ' 12', 'kill -9 before the commit was read');
$weir->crash;
$weir->start;
$have = passed($have, 'kill -9 behind it: not twice');
$db->stop;
$db->start;
$db->do('FLUSH BINARY LOGS', 'INSERT INTO shop.t VALUES (14)', 'FLUSH BINARY LOGS');
finish('COMMIT', q{'killed too'});
arrives($have .= ' 14 13', 'the server was restarted, and two logs later');

# The same XID again and again, and a group larger than what gathers.
for my $i (20 .. 29) {
    my $end = $i % 3 ? 'COMMIT' : 'ROLLBACK';
    prepare(q{'again'}, "INSERT INTO shop.t VALUES ($i)");
    finish($end, q{'again'});
    $have .= " $i" if $i % 3;
}
arrives($have, 'one XID ten times');
prepare(q{'large'}, map { "INSERT INTO shop.t VALUES ($_)" } 10_000 .. 10_999);
finish('COMMIT', q{'large'});
$have .= join '', map { " $_" } 10_000 .. 10_999;
arrives($have, 'a group of a thousand rows');
my @of_it = grep { /"i":10\d{3}\}/ } Weir::Server::lines_of($file);
my %gtids = map { /"gtid":"([^"]*)"/ ? ($1 => 1) : () } @of_it;
is(scalar keys %gtids, 1, 'is one transaction');
wait_for('no file is left', 10, sub { !kept() });

# What was prepared before the beginning.
prepare(q{'order-17'}, 'INSERT INTO shop.t VALUES (30)');
my $later = $t->weir(name => 'later', config => $config->(shop_source($db, 'start = now  server_id = 77'))
    =~ s/t\.jsonl/later.jsonl/r)->start;
$file = "$dir/files/later.jsonl";
$later->wait_state('source', 'running');
$db->do('INSERT INTO shop.t VALUES (31)');
arrives('31', 'a second one begins behind a PREPARE');
$t->expect_log(qr/XA/);
finish('COMMIT', q{'order-17'});
$db->do('INSERT INTO shop.t VALUES (32)');
my $said = $later->wait_log(qr/ error .*XA COMMIT/);
like($said, qr/X'6f726465722d3137'/, 'the XID is named');
$later->wait_state('source', 'stopped');
is(numbers(), '31', 'nothing behind it is written');
my ($empty) = $said =~ m{make the empty file (\S+),};
ok($empty, 'a way out is offered');
open my $out, '>', $empty or die "$empty: $!";
close $out;
$later->reload;
arrives('31 32', 'and leads on');
$t->done;
