# Where it begins, and positions that are not there: never a jump.
use Weir;
use Weir::Shop;
use Weir::Lines qw(read_values);

my $t  = Weir->new;
my $db = $t->database;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)',
    'INSERT INTO shop.t VALUES (1)');
my $gtid = $db->gtids;
$db->do('INSERT INTO shop.t VALUES (2)');
my $place = $db->place;
$db->do('FLUSH BINARY LOGS', 'INSERT INTO shop.t VALUES (3)');

# What a new Weir with this start finds, after one more row.
my $next = 100;
my %server_ids;
sub config
{
    my ($start, $dir) = @_;
    my $source = shop_source($db, $start);
    mkdir "$dir/files";
    return "pipeline shop { $source sink lines {"
        . " file { root = \"$dir/files\" path = \"t.jsonl\" } } }";
}

sub numbers
{
    my ($dir) = @_;
    return join ' ',
        read_values("$dir/files/t.jsonl", qr/"operation":"insert".*"after":\{"i":(\d+)\}/);
}

sub found
{
    my ($start) = @_;
    my $weir = $t->weir;
    $weir->write_config(config($start, $weir->dir));
    $weir->start;
    my $n = $next++;
    $db->do("INSERT INTO shop.t VALUES ($n)");
    wait_for("row $n", 30, sub { numbers($weir->dir) =~ /\b$n$/ });
    $server_ids{$1}++ if $weir->wait_log(qr/connected to/) =~ /as replica (\d+)/;
    $weir->stop;
    $db->do('DELETE FROM shop.t WHERE i >= 100');
    return numbers($weir->dir);
}

like(found('start = earliest'), qr/^1 2 3 100$/, 'start = earliest');
like(found("start = \"gtid:$gtid\""), qr/^2 3 .*101$/, 'start = gtid');
like(found("start = \"file:$place->[0]:$place->[1]\""), qr/^3 .*102$/, 'start = file');
is(found('start = now'), '103', 'start = now');
is(scalar keys %server_ids, 4, 'each Weir has a server_id of its own');

# Stopped, and its position is purged meanwhile.
my $weir = $t->weir;
$weir->write_config(config('start = earliest', $weir->dir));
$weir->start;
wait_for('rows', 30, sub { numbers($weir->dir) =~ /^1 2 3/ });
$weir->stop;
my $had = numbers($weir->dir);
$db->do('INSERT INTO shop.t VALUES (200)', 'FLUSH BINARY LOGS',
    'INSERT INTO shop.t VALUES (201)', 'FLUSH BINARY LOGS');
my $last = $db->place;
wait_for(
    'the files are purged', 30,    # not while somebody reads them
    sub {
        $db->do("PURGE BINARY LOGS TO '$last->[0]'");
        $db->rows('SHOW BINARY LOGS') == 1;
    }
);
$t->expect_log(qr/purged|no longer|not in the binlog|1236/i);
$weir->start;
like($weir->wait_log(qr/ error .*(?:purged|no longer)/i), qr/./, 'a purged position is said');
$weir->wait_state('source', 'stopped');
$db->do('INSERT INTO shop.t VALUES (202)');
is(numbers($weir->dir), $had, 'and nothing is skipped over');
$weir->stop;

# Another server behind the address.
my $other = $t->database;
$other->make_weir_user;
$other->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)',
    map { "INSERT INTO shop.t VALUES ($_)" } 1 .. 30);
$weir = $t->weir;
$weir->write_config(config('start = now', $weir->dir));
$weir->start;
$db->do('INSERT INTO shop.t VALUES (300)');
wait_for('a row', 30, sub { numbers($weir->dir) eq '300' });
$weir->stop;
$t->expect_log(qr/another server|not the server|server_id|GTID|gtid/);
{
    local $db->{port} = $other->port;
    $weir->write_config(config('start = now', $weir->dir));
}
$weir->start;
$weir->wait_state('source', 'stopped');
like(join("\n", $weir->log_lines), qr/ error /, 'another server is an error');
is(numbers($weir->dir), '300', 'nothing of it was taken');
$t->done;
