# What a real server refuses, and what becomes of it: each outcome of the README's
# table that a server without faults can be brought to.
use Weir;
use Weir::Shop qw(shop_source);

my $t      = Weir->new;
my $search = $t->search(settings => [ 'action.auto_create_index=-never*,+*',
        'http.max_content_length=1mb' ]);
my $db = $t->mariadb;
$db->make_weir_user;
$db->do('CREATE DATABASE shop',
    'CREATE TABLE shop.moves (id INT PRIMARY KEY, customer INT, day VARCHAR(20))',
    'CREATE TABLE shop.months (id INT PRIMARY KEY, month VARCHAR(9))',
    'CREATE TABLE shop.large (id INT PRIMARY KEY, text LONGTEXT)',
    'CREATE TABLE shop.never (id INT PRIMARY KEY)',
    'CREATE TABLE shop.piped (id INT PRIMARY KEY)',
    'CREATE TABLE shop.parts (id INT PRIMARY KEY, n INT)');
my $url = $search->url;
sub sink
{
    my ($table, $more, $set) = @_;
    $set //= '';
    return qq(sink $table { tables = {"shop.$table"} $set retry { cap = 500ms } breaker { failures = 1000 }
        elasticsearch { url = {"$url"}  id = "{id}"  $more } }\n);
}
my $config = 'pipeline shop { ' . shop_source($db) . ' relay { size = 256m } '
    . sink('moves', 'index = "moves"  routing = "{customer}"', 'on_reject = dead_letter')
    . sink('months', 'index = "months-{month}"')
    . sink('large', 'index = "large"  request = 64m', 'on_reject = dead_letter')
    . sink('never', 'index = "never"')
    . sink('piped', 'index = "piped"  pipeline = "none-such"')
    . sink('parts', 'index = "parts"  action = update') . '}';
$search->ask('PUT', '/moves', { mappings => { properties => { day => { type => 'date',
    format => 'yyyy-MM-dd' } } } });
is($search->{status}, 200, 'a mapping that refuses some');
my $weir = $t->weir(config => $config);

# ---- -t says what each action gives
my (undef, $told) = $weir->command('-t');
like($told, qr{^sink shop/$_: effectively-once, causal per key; checkpoint kept here}m, "-t of $_")
    for qw(moves parts);
$weir->start;

sub arrives { my ($what, $code) = @_; return ok(eval { wait_for($what, 40, $code) }, $what) }
sub state_of { return $weir->status->{ $_[0] }{state} }

# ---- Dead letters of a mapping, mended and sent again
$db->do("INSERT INTO shop.moves VALUES (1, 7, '2026-01-01'), (2, 7, 'not one'), (3, 7, '2026-03-03')");
arrives('what can be written is', sub { $search->count('moves') == 2 });
$db->do("UPDATE shop.moves SET customer = 8, day = 'no date' WHERE id = 1",
    "UPDATE shop.moves SET day = '2026-02-02' WHERE id = 2",
    "UPDATE shop.moves SET day = 'none' WHERE id = 3", 'DELETE FROM shop.moves WHERE id = 3',
    "INSERT INTO shop.moves VALUES (4, 7, '2026-04-04')");
arrives('the table goes on', sub { $search->document('moves', 4, 7) });
my ($exit, $said) = $weir->ctl('dead', 'list', '--json');
my @letters = $said =~ /"id":"\d+"/g;
cmp_ok(scalar @letters, '>=', 3, 'what is refused is put aside') or diag $said;
like($said, qr/parsing_exception/, 'with what the server said');
($exit, $said) = $weir->ctl('dead', 'replay', 'moves', 'all');
isnt($exit, 0, 'not mended: refused again');
$search->ask('PUT', '/moves/_mapping', { properties => { day => { type => 'date',
    format => 'yyyy-MM-dd', ignore_malformed => JSON::PP::true() } } });
is($search->{status}, 200, 'the mapping is mended');
($exit, $said) = $weir->ctl('dead', 'replay', 'moves', 'all');
is($exit, 0, 'all is sent again') or diag $said;
arrives('equal, row by row', sub {
    my %are = map { $_->{_id} => "$_->{_routing} $_->{_source}{day}" } values %{ $search->documents('moves') };
    my %want = map { $_->[0] => "$_->[1] $_->[2]" } $db->rows('SELECT * FROM shop.moves');
    return join(',', map { "$_ $are{$_}" } sort keys %are) eq join(',', map { "$_ $want{$_}" } sort keys %want);
}) or diag(JSON::PP->new->canonical->encode($search->documents('moves')));

# ---- Blocks
for my $case ([ { 'index.blocks.write' => 'true' }, 'an index blocked for writing', '/8/' ],
    [ { 'index.blocks.read_only_allow_delete' => 'true' }, 'a disk that is full', '/12/' ]) {
    my ($settings, $what, $code) = @$case;
    my ($name) = keys %$settings;
    $search->ask('PUT', '/moves/_settings', $settings);
    is($search->{status}, 200, $what);
    my $id = 10 + $db->rows('SELECT id FROM shop.moves');
    $db->do("INSERT INTO shop.moves VALUES ($id, 7, '2026-05-05')");
    $weir->wait_log(qr{shop/moves: .*cluster_block_exception.*$code});
    is(state_of('moves') =~ /stopped|parked/ ? 1 : 0, 0, 'is waited for');
    $search->ask('PUT', '/moves/_settings', { $name => undef });
    arrives("$what: until it is not", sub { $search->document('moves', $id, 7) });
}
sub cluster { my ($name, $value) = @_;
    $search->ask('PUT', '/_cluster/settings', { transient => { $name => $value } });
    return is($search->{status}, 200, "$name: " . ($value // 'as before')) }
cluster('cluster.blocks.read_only', JSON::PP::true());
$db->do("INSERT INTO shop.months VALUES (1, 'a')");
$weir->wait_log(qr{shop/months: .*cluster_block_exception});
cluster('cluster.blocks.read_only', undef);
arrives('a cluster that is read-only is waited for', sub { $search->document('months-a', 1) });

# ---- Too many shards
cluster('cluster.max_shards_per_node', 1);
$db->do("INSERT INTO shop.months VALUES (2, 'b')");
$weir->wait_log(qr{shop/months: .*shards});
cluster('cluster.max_shards_per_node', undef);
arrives('the limit of shards is waited for', sub { $search->document('months-b', 2) });

# ---- Requests and documents that are too large
$db->do("INSERT INTO shop.large SELECT seq, REPEAT('x', 200000) FROM shop.seq_1_to_30",
    "INSERT INTO shop.large VALUES (31, REPEAT('y', 2000000))", "INSERT INTO shop.large VALUES (32, 'z')");
arrives('halves of a request that is too large', sub { $search->count('large') == 31 });
arrives('a document that is too large by itself is put aside', sub {
    my (undef, $list) = $weir->ctl('dead', 'list', '--json');
    return $list =~ /large.*HTTP 413/;
});

# ---- What a person has to change
$t->expect_log(qr{shop/never: .*});
$db->do('INSERT INTO shop.never VALUES (1)');
$weir->wait_log(qr{ error .*shop/never: .*index_not_found_exception});
arrives('an index that is not there, and may not be made', sub { state_of('never') eq 'stopped' });
$t->expect_log(qr{shop/piped: table shop\.piped is parked: .*pipeline});
$db->do('INSERT INTO shop.piped VALUES (1)');
$weir->wait_log(qr{ error .*shop/piped: table shop\.piped is parked: .*none-such});
pass('a pipeline that is not there parks the table');

# ---- The contract, on this server
for my $action (qw(index update)) {
    open my $out, '>', $t->dir . '/modtest.conf' or die;
    print {$out} qq(elasticsearch { url = {"$url"}  index = "contract-{table}"  id = "{id}"  action = $action }\n);
    close $out or die;
    $said = qx($t->{prefix}/bin/weir-modtest $t->{prefix}/lib/weir/modules/sink_elasticsearch.so @{[ $t->dir ]}/modtest.conf 2>&1);
    is($?, 0, "action = $action keeps the contract") or diag $said;
}
$t->done;
