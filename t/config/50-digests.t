# Digests: a reload leaves running what says the same as before.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Blocks;
use File::Temp 'tempdir';
use Test::More;

$ENV{WEIR_MODULE_DIR} = module_folder();
my $dir = tempdir(CLEANUP => 1);

my $head = join '', map { qq{load_module("$_.so")\n} }
    qw(source_try sink_try filter_only transform_change);
my $base = <<'EOT';
pipeline p {
    source { try { host = h } }
    relay { size = 1g }
    filter f { only { word = x } }
    sink a { tables = {"s.a"} try { path = one } }
    sink b { tables = {"s.b"} try { path = two } }
}
pipeline q { source { try { host = i } } sink a { try { path = one } } }
EOT

sub digests
{
    my ($text) = @_;
    write_file("$dir/weir.conf", $head . $text);
    my ($status, $said) = confcheck($dir, '-d', 'weir.conf');
    is($status, 0, 'it is fine') or diag $said;
    return { map { split / / } split /\n/, $said };
}

# Which digests are others after a change, by a substitution in the text.
sub changed
{
    my ($from, $to) = @_;
    (my $text = $base) =~ s/$from/$to/ or die "no $from";
    my ($before, $after) = (digests($base), digests($text));
    return join ' ', grep { ($before->{$_} // '') ne ($after->{$_} // '') }
        sort keys %{ { %$before, %$after } };
}

is(changed(qr/\A/, "# a comment\n\n"), '', 'a comment');
is(changed(qr/path = one/, 'path =   "one"'), '', 'quotes and spaces');
is(changed(qr/path = one/, 'path = three'), 'p/a', 'a directive of a sink');
is(changed(qr/\{ path = one/, '{ count = 3 path = one'), 'p/a',
    'one more directive');
is(changed(qr/word = x/, 'word = y'), 'p/a p/b', 'a filter of the pipeline');
is(changed(qr/size = 1g/, 'size = 2g'), 'p', 'the relay');
is(changed(qr/host = h/, 'host = k'), 'p', 'the source');
is(changed(qr/\{"s\.a"\}/, '{"s.c"}'), 'p p/a', 'tables that are kept');
is(changed(qr/\{"s\.a"\}/, '{"s.b"}'), 'p p/a', 'fewer tables that are kept');
is(changed(qr/    source/, "    adopt = on\n    source"), 'p p/a p/b', 'adopt');
is(changed(qr/    sink b.*\n/, ''), 'p p/b', 'a sink less');
(my $swapped = $base) =~ s/(    sink a.*\n)(    sink b.*\n)/$2$1/;
is_deeply(digests($swapped), digests($base), 'the order of sinks');
isnt(digests($base)->{'p/a'}, digests($base)->{'q/a'},
    'two pipelines are two pipelines');
done_testing();
