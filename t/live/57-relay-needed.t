# What a sink has of its own checkpoint may be older than what is kept here: a
# stretch of the relay without any row of its tables passes while it is at work.
# The relay keeps what the sink would begin with, all the same.
use Weir;
use Weir::Shop;
use Time::HiRes qw(sleep);

my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis(durable => 1);
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)',
    'CREATE TABLE shop.fat (i INT PRIMARY KEY, body LONGTEXT)');
my ($source, $port) = (shop_source($db), $redis->port);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    relay { size = 4m  segment = 1m }
    sink slow { tables = {"shop.t"}  lanes = 2  redis { port = $port  key = "t:{i}" } }
    sink fast { tables = {"shop.fat"}  null { } }
}
EOT
$t->expect_log(qr/the relay is/);

sub segments { return sort glob $weir->state . '/shop/relay/*.relay' }

# A row, and while it is on its way, more than the relay may hold of another
# table.  Gives the relay's first segment.
my $fat = 0;
sub fill_beside
{
    my ($row) = @_;
    $db->do("INSERT INTO shop.t VALUES (${row}0)");
    wait_for('a row', 30, sub { $redis->ask('EXISTS', "t:${row}0") });
    my ($first) = segments();
    $redis->ask('CLIENT', 'PAUSE', 60_000, 'WRITE');
    $db->do("INSERT INTO shop.t VALUES ($row)",
        map { 'INSERT INTO shop.fat VALUES (' . ++$fat . ", REPEAT('x', 700000))" } 1 .. 5);
    sleep 0.5;    # nothing tells how far a sink at work has read ahead
    $redis->ask('CLIENT', 'UNPAUSE');
    wait_for('the row', 30, sub { $redis->ask('EXISTS', "t:$row") });
    return $first;
}

for my $row (1 .. 3) {
    my $first = fill_beside($row);
    for (1 .. 8) {    # the relay has its chance to let go of what it must not
        last if (segments())[0] ne $first;
        sleep 0.1;
    }
    $weir->crash;
    $weir->start;
    $db->do("INSERT INTO shop.t VALUES (${row}00)");
    wait_for('it goes on', 30, sub { $redis->ask('EXISTS', "t:${row}00") });
    pass('it goes on');
}
my $first = fill_beside(4);
wait_for('the first segment is gone', 30, sub { (segments())[0] ne $first });
pass('a place is stored, and the relay let go of, though nothing more comes');
$t->done;
