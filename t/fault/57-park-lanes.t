# A table is parked by one lane while others have written rows of it from behind
# the one that was refused; then kill -9, before all lanes have stored how far
# they are.  Those rows come again, to a table that is parked by now: they are in
# the target, and so are not kept as well.
use Weir;
use Weir::Shop;

my $rounds = long_run() ? 100 : 10;
my $t      = Weir->new;
my $db     = $t->mariadb;
my $redis  = $t->redis;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', map { "CREATE TABLE shop.$_ (i INT PRIMARY KEY, k INT)" } qw(t u));
my ($source, $port) = (shop_source($db), $redis->port);
my $weir = $t->weir(config => <<"EOC")->start;
pipeline shop {
    $source
    sink s { lanes = 3  redis { port = $port  command = stream  key = "{table}:{k}"  format = row } }
}
EOC
$t->expect_log(qr/table shop\.t is parked/);
diag 'seed ' . seed() . ", $rounds rounds";
my $i = 0;

# The numbers in a table's streams: { i => how often }.
sub there
{
    my ($table) = @_;
    my %have;
    for my $key (@{ $redis->ask('KEYS', "$table:*") }) {
        /"i":(\d+)/ and $have{$1}++ for map { $_->[1][1] } @{ $redis->ask('XRANGE', $key, '-', '+') };
    }
    return \%have;
}

# A row for each lane, which has had one within the last second from then on:
# it stores its place with its next row only.
sub visit_lanes
{
    my @new = map { ++$i } 1 .. 12;
    $db->do('INSERT INTO shop.u VALUES ' . join ', ', map { "($_, $_)" } @new);
    wait_for('each lane has written', 30, sub { my $have = there('u'); !grep { !$have->{$_} } @new });
    return;
}

my ($written, $kept) = (0, 0);
for my $round (1 .. $rounds) {
    visit_lanes();
    my $k   = int rand 10;    # one lane's, and the third is behind
    my @sql = map { 'INSERT INTO shop.t VALUES (' . ++$i . ", $k)" } 1 .. 8;
    my $bad = ++$i;
    splice @sql, rand 6, 0, "INSERT INTO shop.t VALUES ($bad, NULL)";
    $db->do('BEGIN', @sql, 'COMMIT');
    wait_for('the table is parked', 30, sub { ($weir->ctl('park', 'list'))[1] =~ /shop\.t/ });
    $weir->crash;
    $weir->start;
    visit_lanes();
    my $have = there('t');
    my %aside;
    $aside{$_}++ for ($weir->ctl('park', 'show', 's', 'shop.t'))[1] =~ /"rows":\[\{"after":\{"i":(\d+)/g;
    my @rows = map { /\((\d+),/ } @sql;
    is(join(' ', map { "$_: " . ($have->{$_} // 0) . ' there, ' . ($aside{$_} // 0) . ' kept;' }
            grep { ($have->{$_} // 0) + ($aside{$_} // 0) != 1 } @rows),
        '', "round $round: each of " . @rows . ' is there or kept, once');
    ok($aside{$bad}, "round $round: the bad one is kept");
    $written += grep { $have->{$_} } @rows;
    $kept    += keys %aside;
    my ($exit, $said) = $weir->ctl('park', 'discard', 's', 'shop.t');
    is($exit, 0, "round $round: discarded") or diag $said;
}
diag "$written rows were written, $kept were kept";
$t->done;
