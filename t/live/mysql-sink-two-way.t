# Two servers that are both written to, each replayed into the other: what came
# from there does not go back, and both end up with the same.
use Weir;
use Weir::Replay;

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
for my $i (1 .. $count) {
    for my $who (0, 1) {
        my $id = $i * 2 + $who;
        $db[$who]->do('BEGIN', "INSERT INTO shop.items VALUES ($id, $i, $who)",
            "UPDATE shop.items SET n = n + 1 WHERE id = " . ($i > 9 ? $id - 18 : $id),
            "INSERT INTO shop.log VALUES ($who, $i)",
            $i % 5 ? () : "DELETE FROM shop.items WHERE id = $id", 'COMMIT');
    }
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
$t->done;
