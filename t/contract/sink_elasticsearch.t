# The search sink: each line of its README's table of outcomes, and what it
# sends.  What a real server makes of it is in t/live/90-search*.t.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use lib "$ENV{WEIR_SOURCE}/t/contract";
use Fakesearch;
use Sinkhost;

plan skip_all => 'sink_elasticsearch was not built'
    if !-e Sinkhost::module_path('sink_elasticsearch');
my $dir   = tempdir(CLEANUP => 1);
my $users = 'table shop users id id:int name:text';
my @rows  = map { "insert $_ n$_" } 1 .. 6;

sub fake { return Fakesearch->new($dir, answer => $_[0], @_[1 .. $#_]) }

sub host
{
    my ($fake, %directive) = @_;
    return Sinkhost->new('sink_elasticsearch', $dir, url => ref $fake ? $fake->url : $fake,
        index => '{database}-{table}', id => '{id}', format => 'row', %directive);
}

# The outcome of a write of these lines, and the verdicts that were given.
sub outcome
{
    my ($h, @lines) = @_;
    my $st = $h->run('open', $users, @lines, 'write 1 0 a');
    return ($st, grep { /^verdict/ } @{ $h->{lines} });
}

# ---- Config
my %refused = (
    'url=example:9200'     => qr/^url: "example:9200": write it as/,
    'url=http://u:p@h:1'   => qr/^url: a password has no place in it/,
    'url=http://h:1?x'     => qr/a host, a port and a path/,
    'id=one'               => qr/^id: names no column/,
    'index={name}'         => qr/^index: begins with a column/,
    'user=weir'            => qr/^user goes with one of password/,
    'cert_file=a'          => qr/^cert_file and key_file: give both/,
);
for my $case (sort keys %refused) {
    my $h = host('http://h:9200', split /=/, $case, 2);
    is($h->tell('check'), 'FATAL', "$case is refused");
    like($h->{reason}, $refused{$case}, 'with why');
}
my $h = host('http://h:9200', token_file => 'a', api_key_file => 'b');
is($h->tell('check'), 'FATAL', 'two ways to log in are one too many');
$h = host('http://h:9200');
is($h->run('check', 'batching'), 'OK', 'the rest is good');
like($h->lines, qr/^guarantee 2\nmax_lanes 16\n/, 'effectively-once, by key');

# ---- What is sent
my $fake = fake(sub { Fakesearch::items($_[2]) });
$h = host($fake);
is_deeply([ outcome($h, 'insert 1 Ada', 'update 1 Ada > 2 "B%0a"', 'delete 2 x') ],
    ['OK'], 'an insert, a change of key, a delete');
my $body = $fake->requests =~ s/^(?:GET|POST) .*\n//mgr;
is($body, <<'EOT', 'as items with their versions');
{"index":{"_index":"shop-users","_id":"1","version":1,"version_type":"external"}}
{"id":1,"name":"Ada"}
{"index":{"_index":"shop-users","_id":"2","version":2,"version_type":"external"}}
{"id":2,"name":"\"B\n\""}
{"delete":{"_index":"shop-users","_id":"1","version":1,"version_type":"external_gte"}}
{"delete":{"_index":"shop-users","_id":"2","version":3,"version_type":"external"}}
EOT
like($fake->requests, qr{^POST /_bulk\?filter_path=}m, 'to _bulk');
$h->end;

$fake = fake(sub { Fakesearch::items($_[2]) });
$h = host($fake, id => '{name}', weir_seq => 'on', routing => '{id}',
    pipeline => 'p-{table}', compress => 'on', refresh => 'wait_for');
is_deeply([ outcome($h, 'insert 1 @512', 'insert 2 @513', 'insert 3 %ff%00',
        'insert 4 ~x6162', 'insert 5 a%22b') ], ['OK'], 'ids of all kinds');
my @ids = $fake->requests =~ /"_id":"((?:[^"\\]|\\.)*)"/g;
is($ids[0], 'x' x 512, '512 bytes are an id');
is($ids[1], '~h' . sha256_hex('x' x 513), 'of more it is the SHA-256');
is($ids[2], '~xff00', 'what is no UTF-8 is in hexadecimal');
is($ids[3], '~x7e7836313632', 'and what looks like that, too');
is($ids[4], 'a\\"b', 'quotes are escaped');
like($fake->requests, qr/"routing":"1","version":1,"version_type":"external","pipeline":"p-users"/,
    'routing and pipeline');
like($fake->requests, qr/,"weir_seq":5\}$/m, 'the version in the document');
like($fake->requests, qr{_bulk\?refresh=wait_for&.*content-encoding=gzip}, 'refresh, gzip');
is($h->run('insert 6 @0', 'insert 7 %', 'write 1 0 a'), 'OK', 'an empty id');
is_deeply([ grep { /verdict/ } @{ $h->{lines} } ],
    ['verdict 0 REJECT: the _id of this row is empty, which the server does not take'],
    'is none');
$h->end;

sub sha256_hex { require Digest::SHA; return Digest::SHA::sha256_hex($_[0]) }

# ---- Items
my @types = (
    [ 200, '', '', undef ], [ 201, '', '', undef ],
    [ 409, 'version_conflict_engine_exception', 'current version [9] is higher', undef ],
    [ 429, 'es_rejected_execution_exception', 'queue full', 'RETRY' ],
    [ 503, 'unavailable_shards_exception', 'primary', 'RETRY' ],
    [ 403, 'cluster_block_exception', 'read-only', 'RETRY' ],
    [ 400, 'mapper_parsing_exception', "failed. Preview of field's value: 'geheim'", 'REJECT' ],
    [ 400, 'illegal_argument_exception', 'Document contains at least one immense term in field'
        . " ='a'. The prefix of the first immense term is: '[geheim", 'REJECT' ],
    [ 400, 'validation_exception', 'Validation Failed: 1: this action would add [2] total shards,'
        . ' but this cluster currently has [1000]/[1000] maximum shards open;', 'RETRY' ],
);
for my $case (@types) {
    my ($status, $type, $reason, $verdict) = @$case;
    $fake = fake(sub { Fakesearch::items($_[2], sub { $_[0] == 1 ? ($status, $type, $reason) : 201 }) });
    $h = host($fake);
    my ($st, @verdicts) = outcome($h, @rows[ 0 .. 2 ]);
    is($st, 'OK', "item $status $type");
    is(scalar @verdicts, defined $verdict ? 1 : 0, 'verdicts');
    like($verdicts[0], qr/^verdict 1 $verdict: \S+: $status \Q$type\E: /, 'for that item')
        if $verdict;
    unlike("@verdicts", qr/geheim/, 'without what is in the row');
    $h->end;
}
for my $case ([ 401, 'security_exception' ], [ 403, 'security_exception' ],
    [ 404, 'index_not_found_exception' ]) {
    $fake = fake(sub { Fakesearch::items($_[2], sub { (@$case, 'no') }) });
    $h = host($fake);
    is((outcome($h, $rows[0]))[0], 'FATAL', "item @$case");
    $h->end;
}
$fake = fake(sub { Fakesearch::items($_[2], sub { (404, '', '') }) });
$h = host($fake);
is_deeply([ outcome($h, 'delete 1 a') ], ['OK'], 'what is not there is deleted');
$h->end;

$fake = fake(sub { Fakesearch::items($_[2], sub { $_[0] % 3 == 2 ? (429, 'x', 'y') : 201 }) });
$h = host($fake);
my ($st, @verdicts) = outcome($h, @rows);
is($st, 'OK', '429 on every third item');
is_deeply([ map { /^verdict (\d) (RETRY)/ ? "$1 $2" : $_ } @verdicts ],
    [ '2 RETRY', '5 RETRY' ], 'asks again for these, and no others');
$h->end;

# A version that none of ours has had, at an event that came in while we ran.
my $newer = 'current version [900] is higher or equal to the one provided [5]';
for my $case ([ 1, 'OK', 'in a replay' ], [ 9e18, 'FATAL', 'of a new event' ]) {
    $fake = fake(sub { Fakesearch::items($_[2], sub { (409, 'version_conflict_engine_exception', $newer) }) });
    $h = host($fake);
    my ($said) = outcome($h, sprintf('seq 5 %.0f', $case->[0]), $rows[0]);
    is($said, $case->[1], "a newer document, $case->[2]");
    like($h->{reason}, qr/has version 900, and the newest that was sent is 5: another Weir/,
        'is somebody else\'s') if $said eq 'FATAL';
    $h->end;
}

# ---- Documents that columns are written into
sub updating
{
    my ($mget, @more) = @_;
    $fake = fake(sub { $_[1] =~ m{^/_mget} ? $mget->($_[2]) : Fakesearch::items($_[2]) });
    $h = host($fake, action => 'update', @more);
    return;
}
my $there = '{"_id":"%d","_version":%s,"found":true,"_source":{"id":%d,"name":"x","stars":4.50}}';
my $docs = sub {
    my ($version) = @_;
    return sub { return { body => '{"docs":[' . join(',',
        map { sprintf $there, $_, $version, $_ } $_[0] =~ /"_id":"(\d+)"/g) . ']}' } };
};
updating($docs->(1));
is_deeply([ outcome($h, 'seq 50 1', 'update 1 - > 1 Ada', 'update 2 a > 2 -') ], ['OK'],
    'columns of rows');
like($fake->requests, qr/\{"id":1,"name":"Ada","stars":4.50\}\n.*\n\{"id":2,"name":"x","stars":4.50\}/,
    'are written into what is there');
$h->end;
for my $case ([ 1, 'OK', 'in a replay' ], [ 9e18, 'FATAL', 'of a new event' ]) {
    updating($docs->('900000000'));
    my ($said) = outcome($h, sprintf('seq 5 %.0f', $case->[0]), $rows[0]);
    is($said, $case->[1], "update: a newer document, $case->[2]");
    $h->end;
}
updating($docs->(6));
is((outcome($h, 'seq 5 9000000000000000000', $rows[0]))[0], 'OK',
    'update: one that others have written to since is none of another Weir');
$h->end;
updating(sub { ($_[0] =~ /"_id":"1".*"_id":"2"/ ? { body => ' ' x 68e6 } : $docs->(1)->($_[0])) });
is_deeply([ outcome($h, 'seq 50 1', @rows[ 0 .. 3 ]) ], ['OK'],
    'documents that are too large at once are read in parts') or diag $h->{reason};
$h->end;
for my $case ([ '{"docs":[', 'half of them' ], [ '{"docs":[]}', 'none' ], [ '[' x 100000, 'a depth' ],
    [ '{"docs":[{"_id":"1","found":true}]}', 'no _source' ],
    [ '{"docs":[{"_id":"1","error":{"type":"x","reason":"y"}}]}', 'an error' ]) {
    updating(sub { { body => $case->[0] } });
    is((outcome($h, $rows[0]))[0], 'RETRY', "_mget: $case->[1]");
    $h->end;
}

# ---- Joins
$fake = fake(sub { Fakesearch::items($_[2]) });
$h = host($fake, join => 'order', parent => 'c{name}', weir_seq => 'on', join_field => 'kin');
is_deeply([ outcome($h, 'insert 1 7', 'update 1 7 > 1 8', 'delete 1 8') ], ['OK'], 'children');
is($fake->requests =~ s/^(?:GET|POST) .*\n//mgr, <<'EOT', 'are with their parents');
{"index":{"_index":"shop-users","_id":"1","routing":"c7","version":1,"version_type":"external"}}
{"id":1,"name":"7","kin":{"name":"order","parent":"c7"},"weir_seq":1}
{"index":{"_index":"shop-users","_id":"1","routing":"c8","version":2,"version_type":"external"}}
{"id":1,"name":"8","kin":{"name":"order","parent":"c8"},"weir_seq":2}
{"delete":{"_index":"shop-users","_id":"1","routing":"c7","version":1,"version_type":"external_gte"}}
{"delete":{"_index":"shop-users","_id":"1","routing":"c8","version":3,"version_type":"external"}}
EOT
is($h->run('insert 2 NULL', 'write 1 0 a'), 'OK', 'one without a parent');
like("@{ $h->{lines} }", qr/verdict 0 REJECT: /, 'is refused');
$h->end;
$h = host($fake, join => '{table}');
is_deeply([ outcome($h, 'insert 3 b') ], ['OK'], 'a parent');
like($fake->requests, qr/"_id":"3","version".*\n\{"id":3,"name":"b","join":"users"\}\n/, 'says what it is');
is($h->tell('table shop kin id id:int join:text'), 'REJECT', 'a column that is called as the field');
$h->end;
for my $case ([ join => '{name}' ], [ parent => '{name}' ],
    [ join => 'a', template => 'on', index => 'all' ]) {
    $h = host($fake, @$case);
    is($h->tell('check'), 'FATAL', "join: @$case") or diag $h->{reason};
    like($h->{reason}, qr/join/, 'is refused with why');
}

# ---- Whole requests
my $limit = 300;
$fake = fake(sub { length $_[2] > $limit ? { status => 413 } : Fakesearch::items($_[2]) });
$h = host($fake);
is_deeply([ outcome($h, @rows) ], ['OK'], '413: halves fit');
my @sizes = $fake->requests =~ /^POST \S+ items=(\d+)/mg;
is_deeply(\@sizes, [ 6, 3, 1, 2, 3, 1, 2 ], 'each half as small as it has to be');
$h->end;
$h = host($fake);
($st, @verdicts) = outcome($h, 'insert 1 a', 'insert 2 @400', 'insert 3 b');
is($st, 'OK', '413 of one document');
is_deeply([ map { /^verdict (\d REJECT): \S+ _bulk: HTTP 413/ ? $1 : $_ } @verdicts ],
    ['1 REJECT'], 'refuses that one');
$h->end;

$fake = fake(
    sub {
        $_[2] =~ /"_id":"4"/
            ? { status => 400, body => '{"error":{"type":"bad","reason":"id"},"status":400}' }
            : Fakesearch::items($_[2]);
    }
);
$h = host($fake);
($st, @verdicts) = outcome($h, @rows);
is($st, 'OK', '400 of a request for one item of it');
like("@verdicts", qr/^verdict 3 REJECT: \S+ _bulk: HTTP 400 bad: id$/, 'is found');
$h->end;

for my $case ([ 429, 'RETRY' ], [ 503, 'RETRY' ], [ 500, 'RETRY' ], [ 403, 'FATAL' ],
    [ 404, 'FATAL' ], [ 301, 'FATAL' ]) {
    my ($status, $want) = @$case;
    $fake = fake(sub { { status => $status, body => '{"error":{"type":"t","reason":"r"}}' } });
    $h = host($fake);
    is((outcome($h, $rows[0]))[0], $want, "HTTP $status");
    like($h->{reason}, qr/_bulk: HTTP $status t: r/, 'with its reason');
    $h->end;
}
my $answer = '{"items":[{"index":{"status":201}}]}';
for my $case (
    [ 'no answer',        sub { undef } ],
    [ 'an answer cut off', sub { { body => $answer, more => 5 } } ],
    [ 'half of the JSON',  sub { { body => substr $answer, 0, 30 } } ],
    [ 'too few items',     sub { { body => '{"items":[]}' } } ],
    [ 'a depth',           sub { { body => '{"items":' . '[' x 200000 . ']' x 200000 . '}' } } ],
    [ 'items of no sense', sub { { body => '{"items":[[[{"status":201}]],7,"x",{"index":7}]}' } } ],
    [ 'a status of many digits', sub { { body => '{"items":[{"index":{"status":201000000000}}]}' } } ],
    [ 'more than there can be', sub { { body => $answer . ' ' x 200000 } } ],
    [ 'a late answer',     sub { select undef, undef, undef, 1; { body => $answer } } ],
) {
    $fake = fake($case->[1]);
    $h = host($fake, timeout => '300ms');
    is((outcome($h, $rows[0]))[0], 'RETRY', $case->[0]);
    $h->end;
}

$fake = fake(sub { length $_[2] > 300 ? { status => 413 }
    : $_[2] =~ /"_id":"5"/ ? undef : Fakesearch::items($_[2]) });
$h = host($fake);
($st, @verdicts) = outcome($h, @rows);
is($st, 'OK', 'no answer to the last requests of several');
is_deeply([ map { /^verdict (\d RETRY)/ ? $1 : $_ } @verdicts ],
    [ '4 RETRY', '5 RETRY' ], 'asks again for what they held only');
$h->end;

# ---- Who answers
my @servers = (
    [ { body => 'hello' }, 'FATAL', qr/neither Elasticsearch nor OpenSearch/ ],
    [ { body => '{"version":{"number":"6.8.1"},"tagline":"You Know, for Search"}' },
        'FATAL', qr/is Elasticsearch 6.8.1; this sink needs 7.0/ ],
    [ { status => 401 }, 'FATAL', qr/HTTP 401.*see user/ ],
    [ { status => 503 }, 'RETRY', qr/HTTP 503/ ],
);
for my $case (@servers) {
    $fake = fake(sub { $case->[0] }, root => 0);
    $h = host($fake);
    is((outcome($h, $rows[0]))[0], $case->[1], "who: $case->[2]");
    like($h->{reason}, $case->[2], 'is said');
    $h->end;
}
$fake = fake(
    sub {
        my ($method, $path, $sent) = @_;
        return { status => 405 } if $path eq '/';
        return { body => '{"nodes":{"a":{"version":"8.19.4"}}}',
            header => "X-elastic-product: Elasticsearch\r\n" } if $path =~ /_nodes/;
        return Fakesearch::items($sent);
    },
    root => 0
);
$h = host($fake);
is($h->run('open', $users, $rows[0], 'write 1 0 a'), 'OK', '"GET /" need not be there');
like($h->lines, qr/is Elasticsearch 8\.19\.4/, 'its nodes say who it is');
$h->end;

# ---- Several servers
my $good = fake(sub { Fakesearch::items($_[2]) });
my $gone = fake(sub { undef });
my $dead = $gone->url;
$gone->end;
$h = host("$dead," . $good->url);
($st) = outcome($h, $rows[0]);
is($st, 'OK', 'a server that is gone is passed over');
$h->end;
$h = host($dead);
is((outcome($h, $rows[0]))[0], 'RETRY', 'one that is the only one is waited for');
like($h->{reason}, qr/Connection refused|connect/, 'with why');
$h->end;

# ---- Secrets
sub secret { open my $out, '>', "$dir/secret" or die; print $out "$_[0]\n"; close $out; chmod 0600, "$dir/secret" }
secret('one');
$fake = fake(sub { Fakesearch::items($_[2]) });
for my $case ([ api_key_file => 'ApiKey one' ], [ token_file => 'Bearer one' ]) {
    $h = host($fake, $case->[0] => "$dir/secret");
    is((outcome($h, $rows[0]))[0], 'OK', $case->[0]);
    like($fake->requests, qr/authorization=$case->[1] /, 'is sent');
    $h->end;
}
$h = host($fake, user => 'weir', password_file => "$dir/secret");
is((outcome($h, $rows[0]))[0], 'OK', 'user and password_file');
like($fake->requests, qr/authorization=Basic d2VpcjpvbmU= /, 'are sent');
$h->end;
$fake = fake(sub { $_[3] == 1 ? { status => 401 } : Fakesearch::items($_[2]) });
$h = host($fake, token_file => "$dir/secret");
is((outcome($h, $rows[0]))[0], 'OK', 'a token');
secret('two');
is($h->run($rows[1], 'write 1 0 a'), 'OK', 'that is changed is read again');
like($fake->requests, qr/Bearer two/, 'and sent');
$h->end;
$fake = fake(sub { { status => 401 } });
$h = host($fake, token_file => "$dir/secret");
is((outcome($h, $rows[0]))[0], 'FATAL', 'one that is wrong stops the sink');
$h->end;

# ---- TLS
my $made = "$dir/tls";
mkdir $made;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=weir"
        . " -addext subjectAltName=IP:127.0.0.1 -keyout $made/key.pem"
        . " -out $made/cert.pem >$made/out 2>&1") == 0 or diag 'openssl req fails';
$fake = Fakesearch->new($dir, tls => $made, answer => sub { Fakesearch::items($_[2]) });
$h = host($fake, ca_file => "$made/cert.pem");
is((outcome($h, $rows[0]))[0], 'OK', 'TLS with its CA') or diag $h->{reason};
$h->end;
$fake->end;
$fake = Fakesearch->new($dir, tls => $made, answer => sub { Fakesearch::items($_[2]) });
$h = host($fake);
is((outcome($h, $rows[0]))[0], 'FATAL', 'a certificate that nobody signed');
like($h->{reason}, qr/TLS: .*; see ca_file/, 'is said');
$h->end;
$fake->end;
mkdir "$dir/other";
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other"
        . " -keyout $dir/other/key.pem -out $dir/other/cert.pem >$made/out 2>&1") == 0
    or diag 'openssl req fails';
$fake = Fakesearch->new($dir, tls => $made, answer => sub { Fakesearch::items($_[2]) });
$h = host($fake, ca_file => "$dir/other/cert.pem");
is((outcome($h, $rows[0]))[0], 'FATAL', 'a certificate that another CA signed');
$h->end;
$fake->end;
$fake = Fakesearch->new($dir, tls => $made, answer => sub { Fakesearch::items($_[2]) });
$h = host($fake, ca_file => "$dir/none.pem");
is((outcome($h, $rows[0]))[0], 'FATAL', 'a CA file that is not there') or diag $h->{reason};
$h->end;
$fake->end;
$fake = Fakesearch->new($dir, tls => $made, answer => sub { Fakesearch::items($_[2]) });
$h = host($fake, tls_verify => 'off');
is($h->tell('open'), 'OK', 'tls_verify = off');
like($h->lines, qr/^log 2 tls_verify = off: whoever answers/, 'warns');
is($h->run($users, $rows[0], 'write 1 0 a'), 'OK', 'and takes it');
$h->end;

# ---- Rows and tables that can't be
$fake = fake(sub { Fakesearch::items($_[2]) });
$h = host($fake);
($st, @verdicts) = outcome($h, 'insert 1 -', 'insert 2 b');
is($st, 'OK', 'a row image that is not whole');
like("@verdicts", qr/^verdict 0 REJECT: the row image doesn't have all columns.*action = update$/,
    'is refused');
is($h->tell('table shop Users id id:int'), 'REJECT', 'capital letters in an index');
is($h->run($users, 'truncate', 'write 1 0 a'), 'RETRY', 'TRUNCATE');
like($h->{reason}, qr/not all shards answered/, 'is not done without an answer');
$h->end;
for my $case (
    [ '{"hits":{"hits":[{"_version":1}]},"_scroll_id":"a"}', 'a hit without a name' ],
    [ '{"hits":{"hits":' . '[' x 100000, 'a depth' ],
    [ '{"_shards":{"failed":1},"hits":{"hits":[]}}', 'shards that failed' ],
    [ '{"hits":7}', 'no hits' ],
) {
    my $hits = $case->[0];
    my $bad = fake(sub { $_[1] =~ /_bulk/ ? { body => '{"items":[{}]}' } : { body => $hits } });
    $h = host($bad);
    is($h->run('open', $users, 'truncate', 'write 1 0 a'), 'RETRY', "TRUNCATE: $case->[1]");
    $h->end;
}
$h = host($fake, index => 'all');
is($h->run('open', $users, 'truncate', 'write 1 0 a'), 'REJECT',
    'TRUNCATE of an index that may hold other tables');
like($h->{reason}, qr/^TRUNCATE of shop\.users: its index may hold other tables/, 'is refused');
$h->end;
$h = host($fake, index => 'all', truncate => 'ignore');
is($h->run('open', $users, 'truncate', 'write 1 0 a'), 'OK', 'or ignored');
$h->end;
# TRUNCATE may come before any row: then only the table's name is known.
$h = Sinkhost->new('sink_elasticsearch', $dir, url => $fake->url, index => '{table}');
is($h->run('open', 'table shop users -'), 'OK', 'a table without columns yet');
is($h->tell('table shop users - id:int'), 'REJECT', 'one without a key');
like($h->{reason}, qr/has no primary key to make an _id of/, 'is refused');
$h->end;
done_testing();
