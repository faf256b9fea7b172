# A server that throttles a third of all items, finds requests too large, answers
# late, by half or not at all: each row is there in the end, once it can be, and
# as it is.
use Weir;
use Weir::Shop qw(shop_source);
use JSON::PP ();

BEGIN { require "$ENV{WEIR_SOURCE}/t/contract/Fakesearch.pm" if $ENV{WEIR_SOURCE} }

my $t = Weir->new;
-e "$t->{prefix}/lib/weir/modules/sink_elasticsearch.so" or do {
    $t->finish;
    plan(skip_all => 'sink_elasticsearch was not built');
};
my $db = $t->mariadb;
$db->make_weir_user;
$db->do('CREATE DATABASE shop',
    'CREATE TABLE shop.docs (id INT PRIMARY KEY, n INT, text VARCHAR(80))');

# Keeps versions as a real one does, and writes down what it took.
my %version;
my $took = $t->dir . '/took';
sub take
{
    my ($line, $document) = @_;
    my ($action, $id, $version) = $line =~ /^\{"(index|delete)":.*"_id":"(\d+)","version":(\d+)/;
    return (409, 'version_conflict_engine_exception',
        "current version [$version{$id}] is higher or equal")
        if ($version{$id} // 0) >= $version;
    return (429, 'es_rejected_execution_exception', 'full') if rand() < 1 / 3;
    $version{$id} = $version;
    open my $out, '>>', $took or die;
    print $out "$id ", $action eq 'index' ? $document : 'gone', "\n";
    close $out;
    return $action eq 'index' ? 201 : 200;
}

my $fake = Fakesearch->new(
    $t->dir,
    answer => sub {
        my (undef, undef, $body, $n) = @_;
        return { status => 413 } if length $body > 6000;
        return { status => 503 } if $n % 11 == 10;
        my @lines = split /\n/, $body;
        my $answer = Fakesearch::items($body,
            sub { my $line = $_[1]; my ($at) = grep { $lines[$_] eq $line } 0 .. $#lines;
                return take($line, $lines[ $at + 1 ]) });
        # Done, and not told, or not all of it.
        return undef if $n % 13 == 12;
        return { body => $answer->{body}, more => 9 } if $n % 7 == 6;
        select undef, undef, undef, 0.6 if $n == 5;
        return $answer;
    }
);
my $url = $fake->url;
my $weir = $t->weir(config => 'pipeline shop { ' . shop_source($db) . <<"EOT");
    relay { size = 64m }
    sink docs {
        wait = 1ms  events = 200  retry { cap = 300ms }  breaker { failures = 1000 }
        elasticsearch { url = {"$url"}  index = "docs"  id = "{id}"  timeout = 500ms }
    }
}
EOT
$weir->start;

for my $round (1 .. 3) {
    $db->do("INSERT INTO shop.docs SELECT $round * 1000 + seq, 0, REPEAT('x', seq % 60) FROM shop.seq_1_to_200",
        map { ('UPDATE shop.docs SET n = n + 1 WHERE id = ' . ($round * 1000 + $_),
            'UPDATE shop.docs SET id = id + 500 WHERE id = ' . ($round * 1000 + $_ + 1),
            'DELETE FROM shop.docs WHERE id = ' . ($round * 1000 + $_ + 2)) }
            map { 5 * $_ } 1 .. 10);
}

sub now_there
{
    my %there;
    open my $in, '<', $took or return {};
    while (<$in>) {
        my ($id, $what) = /^(\d+) (.*)/ or next;
        $there{$id} = $what;
    }
    delete @there{ grep { $there{$_} eq 'gone' } keys %there };
    return \%there;
}

my %want = map { $_->[0] => $_->[1] } $db->rows(
    "SELECT id, CONCAT('{\"id\":', id, ',\"n\":', n, ',\"text\":\"', text, '\"}') FROM shop.docs");
cmp_ok(scalar keys %want, '>', 500, 'there are rows');
my $same = eval {
    wait_for('all rows', 90, sub {
        my $there = now_there();
        keys %$there == keys %want && !grep { ($there->{$_} // '') ne $want{$_} } keys %want;
    });
};
diag(`tail -n 15 $weir->{log}`) if !$same;
ok($same, 'each row is there as it is') or do {
    my $there = now_there();
    diag scalar(keys %$there), ' of ', scalar keys %want;
};
my $said = $fake->requests;
isnt($weir->status->{docs}{state}, 'stopped', 'and the sink never stopped');
my @sizes = $said =~ /^POST \S+ items=(\d+)/mg;
cmp_ok(scalar @sizes, '>', 20, 'in many requests');
$weir->stop;
$fake->end;
$t->done;
