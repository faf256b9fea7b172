# Rows that a target can't take, among others, with each policy: what it says
# comes of them, and of no others, once; and read = applied + filtered + parked +
# dead + skipped.  The same again with kill -9 of the sinks, and with lost
# connections, in the middle: of a batch that is written in parts, around what is
# refused, no part comes twice.
use Weir;
use Weir::Proxy;
use Weir::Shop;
use JSON::PP qw(decode_json);
use Time::HiRes qw(sleep);

my $rounds = long_run() ? 20 : 3;
my $t      = Weir->new;
my $db     = $t->mariadb;
my $redis  = $t->redis;
my $dir    = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', map { "CREATE TABLE shop.$_ (i INT PRIMARY KEY, k INT)" } qw(t u other));
my $proxy = Weir::Proxy->new($t, $redis->port);
my ($source, $port) = (shop_source($db), $proxy->port);
my @policies = qw(park dead_letter skip);
my @kinds    = qw(hash stream file);
my ($i, %rows, @bad) = (0);

# Each writes a row's `i` under its table; none can where k is NULL.
sub target
{
    my ($kind, $name) = @_;
    return qq(redis { port = $port  key = "$name:{table}:{k}:{i}" }) if $kind eq 'hash';
    return qq(lanes = 3 redis { port = $port  command = stream  key = "$name:{table}:{k}"  format = row })
        if $kind eq 'stream';
    $t->make_dir($name);
    return qq(file { root = "$dir/$name"  path = "{table}-{k}.jsonl"  format = row });
}

my %sink = map {
    my $policy = $_;
    map { ("$_-$policy" => [ $_, $policy ]) } @kinds
} @policies;
my $sinks = join '', map {
    my ($kind, $policy) = @{ $sink{$_} };
    "    sink $_ { events = 10  on_reject = $policy  " . target($kind, $_) . " }\n"
} sort keys %sink;
my $weir = $t->weir(config => <<"EOC")->start;
pipeline shop {
    $source
    relay { size = 64m  segment = 1m }
    filter tables { table { exclude = {"shop.other"} } }
$sinks
}
EOC
$t->expect_log(qr/table shop\.t is parked/, qr/signal 9/, qr/dead letter/, qr/the last line \d+ more/);
diag 'seed ' . seed() . ", $rounds rounds";

# One transaction of some rows; the last rows of all are good ones.
sub insert_some
{
    my ($bad_ones) = @_;
    my @sql;
    for (1 .. 1 + int rand 6) {
        my $table = (qw(t t u other))[ rand 4 ];
        my $k = $bad_ones && $table eq 't' && rand() < 0.1 ? 'NULL' : ++$i % 7;
        push @bad, $k eq 'NULL' ? ++$i : () if $table eq 't';
        push @{ $rows{$table} }, [ $i, $k ];
        push @sql, "INSERT INTO shop.$table VALUES ($i, $k)";
    }
    $db->do('BEGIN', @sql, 'COMMIT');
    return;
}

# The numbers that a sink has of a table: { i => how often }.
sub found
{
    my ($name, $table) = @_;
    my %have;
    my $kind = $sink{$name}[0];
    if ($kind eq 'hash') {
        $have{ (split /:/)[3] }++ for @{ $redis->ask('KEYS', "$name:$table:*") };
    } elsif ($kind eq 'stream') {
        for my $key (@{ $redis->ask('KEYS', "$name:$table:*") }) {
            /"i":(\d+)/ and $have{$1}++ for map { $_->[1][1] } @{ $redis->ask('XRANGE', $key, '-', '+') };
        }
    } else {
        /"i":(\d+)/ and $have{$1}++ for map { Weir::Server::lines_of($_) } glob "$dir/$name/$table-*.jsonl";
    }
    return \%have;
}

# ---- What has to hold

sub workers
{
    my ($exit, $said) = $weir->ctl('--json', 'status');
    return map { $_->{name} => $_ } @{ decode_json($said)->{pipelines}[0]{workers} };
}

# A row behind all others, and waits until every sink has it.
sub insert_last
{
    $db->do('INSERT INTO shop.u VALUES (' . ++$i . ', 1)');
    push @{ $rows{u} }, [ $i, 1 ];
    for my $name (sort keys %sink) {
        wait_for("$name has all", 60, sub { found($name, 'u')->{$i} });
    }
    return;
}

sub all_done
{
    insert_some(0) for 1 .. 3;
    insert_last();
    my %worker;
    wait_for('all have caught up', 60, sub {
        %worker = workers();
        return !grep { !$worker{$_}{caught_up} } keys %sink;
    });
    return \%worker;
}

sub few { return join ' ', @_[ 0 .. ($#_ < 5 ? $#_ : 5) ] }

# That numbers are there once, and none else.
sub exactly
{
    my ($what, $have, @want) = @_;
    my %want = map { $_ => 1 } @want;
    is(few(grep { !$have->{$_} } @want), '', "$what: nothing lost of " . @want);
    is(few(grep { !$want{$_} || $have->{$_} > 1 } sort keys %$have), '', "$what: nothing else, nothing twice");
    return;
}

# The numbers of rows put aside.
sub aside
{
    my ($what, $name) = @_;
    return ($weir->ctl('park', 'show', $name, 'shop.t'))[1] =~ /"rows":\[\{"after":\{"i":(\d+)/g
        if $what eq 'park';
    my ($exit, $said) = $weir->ctl('dead', 'list', $name, '--json');
    return $said =~ /"id":/g;
}

# Each row is in the target or is kept, what stood before the first bad one in
# the target; of one that refuses single rows others of their batch may be.
sub check_parked
{
    my ($what, $name) = @_;
    my ($have, %kept) = (found($name, 't'));
    $kept{$_}++ for aside('park', $name);
    my @all = map { $_->[0] } @{ $rows{t} };
    my @odd = grep { ($have->{$_} // 0) + ($kept{$_} // 0) != 1 } @all;
    is(few(map { "$_: " . ($have->{$_} // 0) . ' there, ' . ($kept{$_} // 0) . ' kept;' } @odd), '',
        "$what: each of " . @all . ' is there or kept, once');
    is(few(grep { $have->{$_} } @bad), '', "$what: no bad one is there");
    is(few(grep { !$have->{$_} } grep { $_ < $bad[0] } @all), '',
        "$what: those before the first bad one are");
    return;
}

sub check
{
    my ($when) = @_;
    my $worker = all_done();
    my @good = map { $_->[0] } grep { $_->[1] ne 'NULL' } @{ $rows{t} };
    for my $name (sort keys %sink) {
        my ($kind, $policy) = @{ $sink{$name} };
        exactly("$when, $name, u", found($name, 'u'), map { $_->[0] } @{ $rows{u} });
        if ($policy eq 'park') {
            check_parked("$when, $name", $name);
        } else {
            exactly("$when, $name, t", found($name, 't'), @good);
        }
        is(scalar(() = aside('dead', $name)), @bad, "$when, $name: " . @bad . ' dead letters')
            if $policy eq 'dead_letter';
        my $w = $worker->{$name};
        is($w->{rows_read}, $w->{rows} + $w->{rows_filtered} + $w->{rows_parked} + $w->{rows_dead}
            + $w->{rows_skipped}, "$when, $name: read = what became of it")
            or diag join ' ', map { "$_=$w->{$_}" } grep { /^rows/ } sort keys %$w;
    }
    return $worker;
}

# ---- Undisturbed: each count is known

insert_some(1) for 1 .. 100;
my $worker = check('undisturbed');
for my $name (sort keys %sink) {
    my $w = $worker->{$name};
    is($w->{rows_read} - $w->{rows_filtered}, @{ $rows{t} } + @{ $rows{u} }, "$name: each row was read once");
    is($w->{rows_dead}, @bad, "$name: the bad ones") if $sink{$name}[1] eq 'dead_letter';
    is($w->{rows_skipped}, @bad, "$name: the bad ones") if $sink{$name}[1] eq 'skip';
}

# ---- Killed in the middle

for my $round (1 .. $rounds) {
    for my $name (sort keys %sink) {
        insert_some(1) for 1 .. 5;
        my $pid = $weir->wait_worker("sink shop/$name");
        insert_some(1) for 1 .. 3;
        sleep rand 0.02;    # the moment is the point
        CORE::kill 'KILL', $pid;
        insert_some(1) for 1 .. 3;
        $proxy->reset if rand() < 0.3;
    }
    insert_last();
    next if $round % 3 || $round == $rounds;
    $weir->crash;    # or the master waits longer each time
    $weir->start;
}
check('killed and cut off');
$t->done;
