# Rows that change their key, to one that the target can't write and from one
# that another row takes next; their table is parked for it, by one lane or by
# several of which each has its half of the change; now and then with kill -9.
# Once that is mended and the table is resumed, the target is what the source is.
use Weir;
use Weir::Shop;

my $rounds = long_run() ? 60 : 8;
my $t      = Weir->new;
my $db     = $t->mariadb;
my $redis  = $t->redis;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', map { "CREATE TABLE shop.$_ (i INT PRIMARY KEY, v INT)" } qw(t u));
my ($source, $port) = (shop_source($db), $redis->port);
my %lanes = (one => 1, three => 3);
my $sinks = join '', map { "    sink $_ { lanes = $lanes{$_}  events = 20  redis { port = $port  key = \"$_:{table}:{i}\" } }\n" }
    sort keys %lanes;
my $weir = $t->weir(config => <<"EOC")->start;
pipeline shop {
    $source
$sinks
}
EOC
$t->expect_log(qr/table shop\.t is parked/);
diag 'seed ' . seed() . ", $rounds rounds";
my ($v, %row, $marks) = (0);    # of the source: i => v

# One statement: a new row, one that goes, or changes, or moves.
sub change
{
    my ($to)  = @_;
    my @there = sort keys %row;
    my @free  = grep { !exists $row{$_} } 1 .. 12;
    my $i     = @there ? $there[ rand @there ] : undef;
    my $kind  = rand;
    if (defined $to) {
        delete $row{$i} if defined $i;
        $row{$to} = ++$v;
        return defined $i ? "UPDATE shop.t SET i = $to, v = $v WHERE i = $i" : "INSERT INTO shop.t VALUES ($to, $v)";
    }
    if (@free && (!defined $i || $kind < 0.35)) {
        my $new = $free[ rand @free ];
        $row{$new} = ++$v;
        return "INSERT INTO shop.t VALUES ($new, $v)";
    }
    if ($kind < 0.55) {
        delete $row{$i};
        return "DELETE FROM shop.t WHERE i = $i";
    }
    if (@free && $kind < 0.8) {
        return change($free[ rand @free ]);
    }
    $row{$i} = ++$v;
    return "UPDATE shop.t SET v = $v WHERE i = $i";
}

# All sinks are behind what was done until now.
sub catch_up
{
    my $mark = ++$marks;
    $db->do("INSERT INTO shop.u VALUES ($mark, $mark)");
    for my $sink (sort keys %lanes) {
        wait_for("$sink has it all", 30, sub { $redis->ask('EXISTS', "$sink:u:$mark") });
    }
    return;
}

sub found
{
    my ($sink) = @_;
    my %have;
    for my $key (@{ $redis->ask('KEYS', "$sink:t:*") }) {
        my ($i) = $key =~ /(\d+)$/;
        $have{$i} = $redis->ask('HGET', $key, 'v');
    }
    return join ' ', map { "$_=$have{$_}" } sort keys %have;
}

for my $round (1 .. $rounds) {
    my $bad = 100 + $round;
    $redis->ask('SET', "$_:t:$bad", 'a string') for sort keys %lanes;
    my @sql = map { change() } 1 .. 6;
    push @sql, change($bad), map { change() } 1 .. 8;
    $db->do('BEGIN', @sql, 'COMMIT');
    my $crash = rand() < 0.4;
    wait_for('the table is parked', 30, sub { ($weir->ctl('park', 'list'))[1] =~ /shop\.t/ }) if $crash;
    $weir->crash, $weir->start if $crash;
    catch_up();
    $db->do('BEGIN', (map { change() } 1 .. 4), 'COMMIT');
    catch_up();
    $redis->ask('DEL', "$_:t:$bad") for sort keys %lanes;
    for my $sink (sort keys %lanes) {
        # What is sent again after a kill may do by now: another row has left that key.
        next if $crash && ($weir->ctl('park', 'list'))[1] !~ m{^shop/$sink  shop\.t:}m;
        my ($exit, $said) = $weir->ctl('park', 'resume', $sink, 'shop.t');
        is($exit, 0, "round $round, $sink: resumed") or diag $said;
    }
    catch_up();
    my $want = join ' ', map { "$_=$row{$_}" } sort keys %row;
    is(found($_), $want, "round $round, $_ lane" . ($crash ? ', killed' : '')) or diag join "\n", @sql for sort keys %lanes;
}
$t->done;
