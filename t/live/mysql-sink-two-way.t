# Two servers that are both written to, each replayed into the other: what came
# from there does not go back, and both end up with the same.
use Weir;
use Weir::Replay;
use POSIX ();

my $t = Weir->new;
my @db = ($t->database, replay_target($t));
$_->make_weir_user for @db;
$db[0]->do("CREATE USER 'replay'\@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO 'replay'\@'%'");
my @tables = ('CREATE DATABASE shop CHARACTER SET utf8mb4',
    'CREATE TABLE shop.items (id INT PRIMARY KEY, n INT, who INT)',
    'CREATE TABLE shop.log (who INT, n INT)', 'CREATE TABLE shop.gone (id INT PRIMARY KEY)');
$_->do(@tables) for @db;
my @begin = map { $_->gtids } @db;

sub pipeline
{
    my ($from, $to) = @_;
    return <<"EOT";
pipeline from$from {
    source { mysql { host = "127.0.0.1" port = @{[ $db[$from]->port ]} user = "weir"
                     password = "secret" start = "gtid:$begin[$from]" } }
    relay { leave_out = {"weir.weir_mark"} }
    sink to$to {
        tables = {"shop.*"}
        mysql { host = "127.0.0.1" port = @{[ $db[$to]->port ]} user = "replay"
                password = "secret" two_way = on }
    }
}
EOT
}

my $weir = $t->weir(config => pipeline(0, 1) . pipeline(1, 0));
my ($exit, $said) = $weir->command('-t');
is($exit, 0, 'the configuration is fine') or diag $said;
$weir->launch;
my $count = long_run() ? 3000 : 150;

# Both are written to at the same time, each by a client of its own.
my @writers = map {
    my $who = $_;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        close $t->{guard};
        my $ok = eval {
            my $client = $db[$who]->client;
            for my $i (1 .. $count) {
                my $id = $i * 2 + $who;
                $client->do('BEGIN', "INSERT INTO shop.items VALUES ($id, $i, $who)",
                    'UPDATE shop.items SET n = n + 1 WHERE id = ' . ($i > 9 ? $id - 18 : $id),
                    "INSERT INTO shop.log VALUES ($who, $i)",
                    $i % 5 ? () : "DELETE FROM shop.items WHERE id = $id", 'COMMIT');
            }
            1;
        };
        print STDERR $@ if !$ok;
        POSIX::_exit($ok ? 0 : 1);
    }
    $pid;
} 0, 1;
for my $pid (@writers) {
    waitpid $pid, 0;
    is($?, 0, 'a writer came to its end');
}

# An echo would have come before the answer to what was written behind it.
my $turn = 0;
sub turn
{
    my ($who) = @_;
    $turn++;
    $db[$who]->do("INSERT INTO shop.log VALUES (9, $turn)");
    wait_for("turn $turn", 60, sub { $db[1 - $who]->value("SELECT COUNT(*) FROM shop.log WHERE who = 9 AND n = $turn") });
    return;
}
turn($_) for 0, 1, 0, 1;
$db[0]->do('INSERT INTO shop.gone VALUES (1), (2)');
turn(0);
$db[1]->do('TRUNCATE shop.gone');
turn(1);
$db[0]->do('INSERT INTO shop.gone VALUES (3)');
turn($_) for 0, 1, 0;
same_tables($db[0], $db[1], 'shop', 'on both');
is($db[0]->value('SELECT COUNT(*) FROM shop.log'), 2 * $count + $turn, 'each row once');
is($db[0]->value('SELECT GROUP_CONCAT(id) FROM shop.gone'), 3, 'TRUNCATE came once, too');

# ---- log_bin = off: who reads the target's binlog sees nothing of it

$weir->stop;
$db[1]->do('CREATE DATABASE quiet CHARACTER SET utf8mb4', 'CREATE TABLE quiet.ledger (n INT)');
$db[0]->do('CREATE TABLE shop.ledger (n INT)');
my $start = $db[0]->gtids;
my $quiet = $t->weir(config => replay_config($db[0], $db[1], $t->dir, mysql => 'database = "quiet" log_bin = off')
    =~ s/start = earliest/start = "gtid:$start"/r)->start;
wait_for('its checkpoint', 30, sub { $db[1]->value("SELECT COUNT(*) FROM weir.weir_checkpoint WHERE id = 'shop/copy' AND data <> ''") });
my $logged = $db[1]->gtids;
$db[0]->do('INSERT INTO shop.ledger VALUES (1), (2), (3)');
wait_replayed($db[0], $db[1], 'quiet');
$quiet->stop;
is($db[1]->gtids, $logged, 'log_bin = off: nothing was logged');
$t->done;
