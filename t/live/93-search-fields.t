# Fields that are made of columns, searched as what they are; and children in the
# index of their parents.
use Weir;
use Weir::Shop qw(shop_source);

my $t      = Weir->new;
my $search = $t->search;
my $db     = $t->mariadb;
$db->make_weir_user;

# Servers from Maven lack some modules, and the usual packages don't.
sub has_type
{
    my ($type, %more) = @_;
    $search->ask('PUT', '/probe', { mappings => { properties => { f => { type => $type, %more } } } });
    my $has = $search->{status} == 200;
    $search->ask('DELETE', '/probe');
    return $has;
}
my $flat = $search->{kind} =~ /^open/ ? 'flat_object' : 'flattened';
my %has = (
    scaled_float => has_type('scaled_float', scaling_factor => 100),
    (map { $_ => has_type($_) } qw(geo_point geo_shape unsigned_long), $flat),
    join => has_type('join', relations => { a => 'b' }),
);
my %column = (scaled_float => 'price', geo_shape => 'area', unsigned_long => 'big', $flat => 'doc');
my $fields = join ', ', map { qq("*.$column{$_}=keyword") } grep { !$has{$_} } sort keys %column;
$fields = "fields = {$fields}" if $fields;

$db->do('CREATE DATABASE shop', <<'EOT',
CREATE TABLE shop.kinds (id INT PRIMARY KEY, price DECIMAL(12,2), exact DECIMAL(30,10),
    spot POINT, area POLYGON, doc JSON, big BIGINT UNSIGNED, ratio DOUBLE, born DATE,
    met DATETIME(3), seen TIMESTAMP(3) NULL, name VARCHAR(20), story TEXT, raw VARBINARY(9), tiny TINYINT UNSIGNED)
EOT
    'CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARCHAR(20))',
    'CREATE TABLE shop.orders (id INT PRIMARY KEY, customer INT, total INT)',
    'CREATE TABLE shop.items (id INT PRIMARY KEY, customer INT, order_id INT, what VARCHAR(20))');
my $url = $search->url;
my $head = 'pipeline shop { ' . shop_source($db) . ' relay { size = 256m } ';
my $kinds = <<"EOT";
    sink kinds {
        tables = {"shop.kinds"}
        elasticsearch { url = {"$url"}  index = "kinds"  id = "{id}"  template = on  $fields
            json = flattened }
    }
EOT
my $kin = qq(index = "kin"  url = {"$url"}  truncate = all  template = on)
    . ' relations = {"customer=order,card", "order=item"}';
my $joins = !$has{join} ? '' : <<"EOT";
    sink customers { tables = {"shop.customers"}
        elasticsearch { $kin  id = "c{id}"  join = "customer" } }
    sink orders { tables = {"shop.orders"}
        elasticsearch { $kin  id = "o{id}"  join = "order"  parent = "c{customer}" } }
    sink items { tables = {"shop.items"}
        elasticsearch { $kin  id = "i{id}"  join = "item"  parent = "o{order_id}"
            routing = "c{customer}" } }
EOT
# Children stand elsewhere than others with their _id, so that there is something
# to be found wrong.
$search->ask('PUT', '/kin', { settings => { number_of_shards => 3 } }) if $joins;
my $weir = $t->weir(config => "$head $kinds $joins }");
$weir->start;

sub found
{
    my ($index, $query) = @_;
    $search->ask('POST', "/$index/_refresh");
    my $said = $search->ask('POST', "/$index/_search", { query => $query, size => 100 });
    return $said->{error}{root_cause}[0]{reason} // 'error' if $search->{status} != 200;
    return join ' ', sort map { $_->{_id} } @{ $said->{hits}{hits} };
}
sub comes { my ($index, $query, $want, $what) = @_;
    eval { wait_for($what, 30, sub { found($index, $query) eq $want }) };
    return is(found($index, $query), $want, $what) }

# ---- Fields
$db->do(<<'EOT', <<'EOT');
INSERT INTO shop.kinds VALUES (1, 12.34, 12345678901234567890.0123456789, POINT(13.4, 52.5),
    ST_GeomFromText('POLYGON((0 0, 10 0, 10 10, 0 10, 0 0))'), '{"a":{"b":"x"},"n":1}',
    18446744073709551615, 1e300, '1066-10-14', '2026-01-02 03:04:05.678',
    '2026-01-02 03:04:05.678', 'Ada', 'a long story', x'00ff', 255)
EOT
INSERT INTO shop.kinds VALUES (2, -9999999999.99, -0.0000000001, POINT(-74, 40.7),
    ST_GeomFromText('POLYGON((20 20, 30 20, 30 30, 20 20))'), '{"a":{"b":"y"},"n":2}',
    9223372036854775808, -0.1, '9999-12-31', '1000-01-01 00:00:00.001', NULL, 'ada', 'short', NULL, 0)
EOT
comes('kinds', { match_all => {} }, '1 2', 'two rows');
my $types = $search->ask('GET', '/kinds/_mapping')->{kinds}{mappings}{properties};
my %want = (id => 'integer', exact => 'keyword', spot => 'geo_point', ratio => 'double', born => 'date',
    met => 'date', seen => 'date', name => 'keyword', story => 'text', raw => 'binary', tiny => 'short');
is($types->{$_}{type}, $want{$_}, "$_ is $want{$_}") for sort keys %want;
comes('kinds', { term => { exact => '12345678901234567890.0123456789' } }, '1', 'all digits of a DECIMAL');
comes('kinds', { geo_distance => { distance => '10km', spot => { lat => 52.5, lon => 13.4 } } }, '1',
    'geo_point: what is near');
comes('kinds', { range => { ratio => { gte => 9e299 } } }, '1', 'double');
comes('kinds', { range => { born => { lt => '1100-01-01' } } }, '1', 'DATE');
comes('kinds', { term => { met => '2026-01-02 03:04:05.678' } }, '1', 'DATETIME, with its format');
comes('kinds', { range => { seen => { gte => '2026-01-01T00:00:00Z' } } }, '1', 'TIMESTAMP');
comes('kinds', { term => { name => 'Ada' } }, '1', 'keyword');
comes('kinds', { match => { story => 'LONG' } }, '1', 'text');
comes('kinds', { term => { tiny => 255 } }, '1', 'TINYINT UNSIGNED');
for my $case (
    [ 'scaled_float', { range => { price => { gte => 12.34, lte => 12.34 } } } ],
    [ 'scaled_float', { range => { price => { gt => -9999999999.99 } } } ],
    [ 'geo_shape', { geo_shape => { area => { relation => 'intersects',
        shape => { type => 'point', coordinates => [ 5, 5 ] } } } } ],
    [ 'unsigned_long', { term => { big => '18446744073709551615' } } ],
    [ $flat, { term => { 'doc.a.b' => 'x' } } ],
) {
    my ($type, $query) = @$case;
    SKIP: {
        Test::More::skip("$search->{kind} of t/servers has no $type", 2) if !$has{$type};
        is($types->{ $column{$type} }{type}, $type, "$column{$type} is $type");
        comes('kinds', $query, '1', "$type: what is searched is found");
    }
}

# ---- Joins
SKIP: {
    Test::More::skip("$search->{kind} of t/servers has no join", 1) if !$has{join};
    $db->do("INSERT INTO shop.items VALUES ($_ * 10, $_, $_ * 100, 'thing'), ($_ * 10 + 1, $_, $_ * 100, 'other')",
        "INSERT INTO shop.orders VALUES ($_ * 100, $_, $_), ($_ * 100 + 1, $_, 50 + $_)",
        "INSERT INTO shop.customers VALUES ($_, 'n$_')") for 1 .. 9;
    my $of = sub { +{ has_parent => { parent_type => 'customer', query => { term => { name => $_[0] } } } } };
    comes('kin', $of->("n$_"), "o${_}00 o${_}01", "orders of $_") for 1 .. 9;
    comes('kin', { has_child => { type => 'order', query => { term => { total => 53 } } } }, 'c3', 'whose order');
    comes('kin', { has_child => { type => 'order', query => { has_child => { type => 'item',
        query => { term => { what => 'thing' } } } } } }, join(' ', map { "c$_" } 1 .. 9), 'whose thing');
    $db->do('UPDATE shop.orders SET customer = 4 WHERE id = 301', 'UPDATE shop.orders SET id = 999 WHERE id = 300',
        'UPDATE shop.items SET order_id = 999 WHERE customer = 3', 'DELETE FROM shop.orders WHERE id = 200',
        "UPDATE shop.customers SET id = 77 WHERE id = 7", 'UPDATE shop.orders SET customer = 77 WHERE customer = 7',
        'UPDATE shop.items SET customer = 77 WHERE customer = 7', 'DELETE FROM shop.customers WHERE id = 8');
    my $same = sub {
        my ($what) = @_;
        comes('kin', $of->('n4'), 'o301 o400 o401', "$what: a child with another parent");
        comes('kin', $of->('n3'), 'o999', "$what: and not with the former");
        comes('kin', $of->('n2'), 'o201', "$what: a child less");
        comes('kin', $of->('n7'), 'o700 o701', "$what: a parent by another key, its children after it");
        my @want = sort((map { "c$_->[0]" } $db->rows('SELECT id FROM shop.customers')),
            (map { "o$_->[0] c$_->[1]" } $db->rows('SELECT id, customer FROM shop.orders')),
            (map { "i$_->[0] o$_->[1]" } $db->rows('SELECT id, order_id FROM shop.items')));
        my @are = sort map { join ' ', $_->{_id}, ref $_->{_source}{join} ? $_->{_source}{join}{parent} : () }
            values %{ $search->documents('kin') };
        is("@are", "@want", "$what: each row once");
        is($search->count('kin'), scalar @want, "$what: and no more");
    };
    $same->('changed');
    for my $sink (qw(items customers orders)) {
        my ($exit, $said) = $weir->ctl('rewind', '--yes', "shop/$sink", '--to', 'earliest');
        is($exit, 0, "$sink again") or diag $said;
    }
    $db->do("INSERT INTO shop.customers VALUES (5000, 'x')", 'INSERT INTO shop.orders VALUES (5000, 5000, 1)',
        "INSERT INTO shop.items VALUES (5000, 5000, 5000, 'x')");
    comes('kin', { ids => { values => [qw(c5000 o5000 i5000)] } }, 'c5000 i5000 o5000', 'all was sent again');
    $same->('a replay');
    $db->do('TRUNCATE shop.orders');
    comes('kin', { term => { join => 'order' } }, '', 'TRUNCATE of children empties theirs');
    is($search->count('kin'), $db->rows('SELECT id FROM shop.customers') + $db->rows('SELECT id FROM shop.items'),
        'and of no other table');
    $search->ask('DELETE', '/kin');
    (my $alone = $joins) =~ s/"kin"/"alone"/g;
    my ($exit, $said) = $weir->reload("$head $kinds " . $alone =~ s/sink (\w+)/sink a$1/gr . ' }');
    is($exit, 0, 'sinks of an index that is not there') or diag $said;
    $weir->wait_state($_, 'running') for qw(acustomers aorders aitems);
    $db->do("INSERT INTO shop.orders VALUES (600, 5, 5)", "UPDATE shop.customers SET name = 'new' WHERE id = 5");
    comes('alone', $of->('new'), 'o600', 'which is made with its join field');
    is($search->ask('GET', '/alone/_mapping')->{alone}{mappings}{properties}{total}{type}, 'integer',
        'and fields of each table');
}
$t->done;
