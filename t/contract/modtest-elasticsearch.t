# weir-modtest on the Elasticsearch sink, with a server of its own; and without
# one.
use Weir;

my $t      = Weir->new;
my $dir    = $t->make_dir('modtest');
my $module = "$t->{prefix}/lib/weir/modules/sink_elasticsearch.so";
my $search = $t->search;

sub modtest
{
    my ($url, @option) = @_;
    open my $out, '>', "$dir/conf" or die;
    print {$out} qq(elasticsearch { url = "$url"  index = "{database}-{table}"  id = "{id}" }\n);
    close $out or die;
    my $said = qx($t->{prefix}/bin/weir-modtest -t 120 @option $module $dir/conf 2>&1);
    return ($? >> 8, $said);
}

my ($status, $said) = modtest($search->url);
is($status, 0, 'sink_elasticsearch keeps the contract') or diag $said;
unlike($said, qr/# SKIP it has none/, 'its connection was cut');
like($said, qr/^ok .*the same batch again, after a start/m, 'twice is harmless');

my $nobody = 'http://127.0.0.1:' . Weir::free_port();
($status, $said) = modtest($nobody, '-s', 'again');
is($status, 1, 'without a server it fails');
like($said, qr/^not ok .*(?:refused|connect)/im, 'and says why');
$t->done;
