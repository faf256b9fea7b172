# What a real server makes of rows that move, of partial images, of documents
# that others write to, of deletes that are long ago, of mappings that refuse.
use Weir;
use Weir::Shop qw(shop_source);

my $t      = Weir->new;
my $search = $t->search;
my $db     = $t->mariadb;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', <<'EOT', <<'EOT', <<'EOT', <<'EOT');
CREATE TABLE shop.orders (id INT PRIMARY KEY, customer INT, made DATETIME,
    n INT, place POINT, shut DATE)
EOT
CREATE TABLE shop.parts (id INT PRIMARY KEY, a INT, price DECIMAL(20,4), doc JSON)
EOT
CREATE TABLE shop.pairs (a VARCHAR(9), b INT, n INT, PRIMARY KEY (a, b))
EOT
CREATE TABLE shop.odd (id VARCHAR(600) PRIMARY KEY, n INT)
EOT
my $url = $search->url;
my $sinks = <<"EOT";
    sink orders {
        tables = {"shop.orders"}
        elasticsearch { url = {"$url"}  index = "orders-{made:%Y.%m}"  id = "{id}"
            routing = "{customer}"  template = on  truncate = all  weir_seq = on
            fields = {"*.customer=keyword"} }
    }
    sink parts {
        tables = {"shop.parts"}
        elasticsearch { url = {"$url"}  index = "parts"  id = "{id}"  action = update
            compress = on  refresh = on  truncate = all }
    }
    sink pairs {
        tables = {"shop.pairs"}
        elasticsearch { url = {"$url"}  index = "{database}-{table}" }
    }
EOT
my $odd = <<"EOT";
    sink odd {
        tables = {"shop.odd"}
        elasticsearch { url = {"$url"}  index = "odd"  id = "{id}" }
    }
EOT
my $head = 'pipeline shop { ' . shop_source($db) . ' relay { size = 256m } ';
my $weir = $t->weir(config => "$head $sinks $odd }");
$weir->start;

sub arrives { my ($what, $code) = @_; return wait_for($what, 30, $code) }

# ---- A row that moves between indices, and between shards
$db->do("INSERT INTO shop.orders VALUES (1, 7, '2026-01-31 10:00:00', 1, POINT(2.5, 1), '0000-00-00')",
    "INSERT INTO shop.orders VALUES (2, 8, '2026-01-31 10:00:00', 1, NULL, '2026-02-03')");
my $doc = arrives('order 1', sub { $search->document('orders-2026.01', 1, 7) });
is($doc->{place}, 'POINT(2.5 1)', 'a point is one');
is($doc->{shut}, undef, 'a zero date is null');
like($doc->{weir_seq}, qr/^\d{19}$/, 'the version is in the document');
my $mapping = $search->ask('GET', '/orders-2026.01/_mapping')
    ->{'orders-2026.01'}{mappings}{properties};
is_deeply([ map { $mapping->{$_}{type} } qw(id customer made place shut weir_seq) ],
    [qw(integer keyword date geo_point date long)], 'fields are what columns are');
$db->do("UPDATE shop.orders SET made = '2026-02-01 10:00:00', n = 2 WHERE id = 1",
    'UPDATE shop.orders SET customer = 9 WHERE id = 2');
arrives('the order moves', sub { $search->document('orders-2026.02', 1, 7) });
arrives('the other, too', sub { $search->document('orders-2026.01', 2, 9) });
is($search->count('orders-2026.01'), 1, 'and neither stays where it was');
is($search->count('orders-2026.02'), 1, 'once each');
$db->do('TRUNCATE shop.orders');
arrives('TRUNCATE', sub { $search->count('orders-*') == 0 });
$db->do("INSERT INTO shop.orders VALUES (1, 7, '2026-02-01 10:00:00', 3, NULL, NULL)");
arrives('the same order again', sub { $search->document('orders-2026.02', 1, 7) });

# ---- Columns written into documents
$db->do(q{INSERT INTO shop.parts VALUES (1, 1, '9999999999999999.9999', '{"x":1,"y":2}')});
arrives('part 1', sub { $search->document('parts', 1) });
my $version = $search->ask('GET', '/parts/_doc/1')->{_version};
$search->ask('POST', '/parts/_doc/1?version=' . ($version + 1) . '&version_type=external',
    '{"id":1,"a":1,"price":9999999999999999.9999,"doc":{"x":1,"y":2},"stars":4.50}');
is($search->{status}, 200, 'somebody adds a field');
$db->do('SET SESSION binlog_row_image = MINIMAL',
    'UPDATE shop.parts SET a = 2 WHERE id = 1',
    q{UPDATE shop.parts SET doc = '{"z":3}' WHERE id = 1},
    'UPDATE shop.parts SET a = 3 WHERE id = 1');
arrives('columns', sub { $search->document('parts', 1)->{a} == 3 });
my $text = $search->{http}->get("$url/parts/_doc/1")->{content};
like($text, qr/"_source":\{"id":1,"a":3,"price":9999999999999999\.9999,"doc":\{"z":3\},"stars":4\.50\}/,
    'what changed is written, what did not keeps its digits, and what others added stays');
$search->ask('DELETE', '/parts/_doc/1?version=' . 9e18 . '&version_type=external');
$search->ask('DELETE', '/parts');
$db->do('UPDATE shop.parts SET a = 4 WHERE id = 1', 'SET SESSION binlog_row_image = FULL');
$weir->wait_log(qr/1 changes of parts of rows found no document/);
is($search->count('parts'), 0, 'no document is made of a part of a row');
$db->do('UPDATE shop.parts SET a = 5 WHERE id = 1');
arrives('the whole row', sub { ($search->document('parts', 1) // {})->{price} });
$db->do('DELETE FROM shop.parts');
arrives('and it goes', sub { !$search->document('parts', 1) });

# ---- The table's key as _id
$db->do("INSERT INTO shop.pairs VALUES ('a:b', 1, 1), ('a', 2, 2)");
arrives('pairs', sub { $search->document('shop-pairs', 'a:2') });
ok($search->document('shop-pairs', 'a%3Ab:1'), 'keys of several columns stay apart');
$db->do('TRUNCATE shop.pairs');
arrives('TRUNCATE', sub { $search->count('shop-pairs') == 0 });

# ---- Ids that would fail their whole request
$db->do("INSERT INTO shop.odd VALUES (REPEAT('x', 600), 1), ('short', 2)");
arrives('odd', sub { $search->count('odd') == 2 });
$db->do('DELETE FROM shop.odd');
arrives('and they go', sub { $search->count('odd') == 0 });

# ---- A replay that comes when deletes are forgotten
$search->ask('PUT', '/odd/_settings', { index => { gc_deletes => '1ms' } });
arrives('an older version is taken again',
    sub {
        $search->ask('PUT', '/odd/_doc/short?version=5&version_type=external', { n => 0 });
        return $search->{status} == 201;
    });
my ($rewound, $words) = $weir->ctl('rewind', '--yes', 'shop/odd', '--to', 'earliest');
is($rewound, 0, 'all is sent again') or diag $words;
$db->do("INSERT INTO shop.odd VALUES ('behind', 2)");
arrives('the end of it', sub { $search->document('odd', 'behind') });
is($search->count('odd'), 1, 'what was deleted is deleted again');
$db->do('DELETE FROM shop.odd');
arrives('all of it goes', sub { $search->count('odd') == 0 });

# ---- The server is away
$search->stop;
$db->do("INSERT INTO shop.odd VALUES ('while away', 3)");
$weir->wait_log(qr{shop/odd: .*(?:connect|refused)}i);
$search->start;
arrives('what came meanwhile', sub { $search->count('odd') == 1 });

# ---- A mapping that refuses a row
$t->expect_log(qr{shop/conflict: table shop\.odd is parked: .*parsing_exception});
$search->ask('PUT', '/conflict', { mappings => { properties => { id => { type => 'date',
    format => 'yyyy-MM-dd' } } } });
is($search->{status}, 200, 'an index with a mapping of its own');
(my $conflict = $odd) =~ s/sink odd/sink conflict/;
$conflict =~ s/index = "odd"/index = "conflict"/;
my ($exit, $said) = $weir->reload("$head $sinks $odd $conflict }");
is($exit, 0, 'a sink more') or diag $said;
$weir->wait_state('conflict', 'running');
$db->do("INSERT INTO shop.odd VALUES ('no date', 4)");
my $why = $weir->wait_log(qr{ error .*shop/conflict: table shop\.odd is parked});
like($why, qr/shop\.odd, row of version \d+.*parsing_exception: .*failed to parse field \[id\]/,
    'the row is named, with the reason of the server');
unlike($why, qr/Preview/, 'and not its values');
arrives('the other sink has it', sub { $search->document('odd', 'no date') });
$search->ask('DELETE', '/conflict');
($exit, $said) = $weir->ctl('park', 'resume', 'conflict', 'shop.odd');
is($exit, 0, 'the table is resumed') or diag $said;
arrives('the mapping is mended', sub { $search->document('conflict', 'no date') });
$t->done;
