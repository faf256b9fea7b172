# weir-modtest on the Redis sink, with a Redis of its own; and without one.
use Weir;
use Weir::Redis;

my $t      = Weir->new;
my $dir    = $t->make_dir('modtest');
my $module = "$t->{prefix}/lib/weir/modules/sink_redis.so";
my $redis  = Weir::Redis->new($t);

sub modtest
{
    my ($block) = @_;
    open my $out, '>', "$dir/conf" or die;
    print {$out} "redis { $block }\n";
    close $out or die;
    my $said = qx($t->{prefix}/bin/weir-modtest $module $dir/conf 2>&1);
    return ($? >> 8, $said);
}

my $port = $redis->port;
my ($status, $said) = modtest(qq(port = $port  key = "user:{table}:{id}"));
is($status, 0, 'sink_redis keeps the contract') or diag $said;
unlike($said, qr/# SKIP it has none/, 'its connection was cut');
like($said, qr/^ok .*epoch 6 where 7 was seen gives FENCED/m, 'it is fenced');
like($said, qr/^ok .*a batch of lane 2 of 3/m, 'with several lanes');

($status, $said) = modtest(qq(port = $port  key = "{database}:{uuid}:{id}"));
is($status, 0, 'also with a column that only its key names') or diag $said;

$redis->stop;
($status, $said) = modtest(qq(port = $port  key = "user:{id}"));
is($status, 1, 'without a server it fails');
like($said, qr/^not ok .*Connection refused/m, 'and says why');
$t->done;
