# Modules: what is refused and which side has to change; and weir -h.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Blocks;
use File::Temp 'tempdir';
use Test::More;

my $folder = module_folder();
$ENV{WEIR_MODULE_DIR} = $folder;
my $dir = tempdir(CLEANUP => 1);

# The sentence at line 1, without its place, for a load_module() there.
sub refusal
{
    my ($module) = @_;
    write_file("$dir/weir.conf", <<"EOT");
load_module("$module")
load_module("source_try.so")
pipeline p { source { try { host = h } } }
EOT
    my ($status, $said) = confcheck($dir, 'weir.conf');
    isnt($status, 0, "$module is refused");
    $said =~ s/\Q$folder\E/MODULEDIR/g;
    like($said, qr/\Aweir\.conf:1: .*\nthe configuration has 1 error\n\z/,
        "$module: one error, at its line");
    return $said =~ /\Aweir\.conf:1: (.*)/ ? $1 : $said;
}

is(refusal('sink_none.so'),
    'module MODULEDIR/sink_none.so: No such file or directory',
    'a module that is not there');
is(refusal('sink_fault1.so'),
    "module MODULEDIR/sink_fault1.so has two directives 'path'",
    'a directive twice');
is(refusal('sink_fault2.so'),
    "module MODULEDIR/sink_fault2.so: the default of its directive 'pause': "
        . "'5x' has an unknown unit: write ms, s, m, h or d",
    'a bad default');
is(refusal('sink_fault3.so'),
    "module MODULEDIR/sink_fault3.so: its directive 'far' lies outside of its "
        . 'conf struct',
    'a directive outside of the struct');
like(refusal('sink_fault4.so'),
    qr/is built for ABI 1\.0, this weir has 0\.9: upgrade weir\z/,
    'a newer ABI');
like(refusal('sink_fault5.so'),
    qr/is built for ABI 0\.8, this weir has 0\.9: rebuild or upgrade the module/,
    'an older ABI');
like(refusal('sink_fault6.so'),
    qr/says ABI 0\.9 but was not built with its headers .*: rebuild the module/,
    'an ABI that the struct belies');
is(refusal('sink_fault7.so'),
    'module MODULEDIR/sink_fault7.so is a sink without write()',
    'a function that is missing');
is(refusal('sink_fault8.so'),
    'module MODULEDIR/sink_fault8.so needs the function weir_from_the_future, '
        . 'which this weir does not have: upgrade weir',
    'a function that we lack');
is(refusal('library.so'),
    'MODULEDIR/library.so has no weir_module in it: it is a library, but no '
        . 'module of weir',
    'a library');

write_file("$folder/sink_text.so", "not a library\n");
chmod 0644, "$folder/sink_text.so";
like(refusal('sink_text.so'),
    qr{module MODULEDIR/sink_text\.so can't be loaded: .*},
    'a file that is no library');
mkdir "$folder/sink_folder.so", 0755;
is(refusal('sink_folder.so'), 'module MODULEDIR/sink_folder.so is not a file',
    'a folder');

chmod 0775, "$folder/sink_try.so";
is(refusal('sink_try.so'),
    'module MODULEDIR/sink_try.so can be written by others than its owner: '
        . 'chmod go-w MODULEDIR/sink_try.so',
    'a module that others may write');
chmod 0755, "$folder/sink_try.so";

# A block of a module that failed is no second error.
write_file("$dir/weir.conf", <<'EOT');
load_module("source_try.so")
load_module("sink_redis.so")
pipeline p { source { try { host = h } } sink a { redis { key = "x" } } }
EOT
my ($status, $said) = confcheck($dir, 'weir.conf');
is($said, <<"EOT", 'a module that failed is one error, not two');
weir.conf:2: module $folder/sink_redis.so: No such file or directory
the configuration has 1 error
EOT

write_file("$dir/weir.conf", <<'EOT');
load_module("source_try.so")
load_module("source_try.so")
load_module(source_try.so, sink_try.so)
pipeline p { source { try { host = h } load_module("sink_try.so") } }
EOT
($status, $said) = confcheck($dir, 'weir.conf');
is($said, <<"EOT", 'loaded twice, loaded in a block, loaded wrongly');
weir.conf:2: source try is loaded twice: also from $folder/source_try.so
weir.conf:3: load_module is written load_module("FILE")
weir.conf:4: load_module() stands at the top level, not in a block
the configuration has 3 errors
EOT

($status, $said) = confcheck($dir, '-h', 'source_try');
is($said, <<'EOT', 'weir -h of a module');
source_try 1.2.3: a source for tests
ABI 0.9

source { try { ... } }
  host = TEXT; required
      the server's address
  port = NUMBER, 1 to 65535; default 3306
      the server's port
  password = TEXT; ${NAME} is a variable of the environment
      a word
  deadline = TIME (250ms, 5s, 2m, 1h), 100ms to 1h; default 10s
      how long to wait
EOT
($status, $said) = confcheck($dir, '-h', 'sink_try');
like($said, qr/^ABI 0\.9; by default at-least-once, causal per key, checkpoint kept in the sink$/m,
    'weir -h of a sink says what it guarantees');
like($said, qr/^  mode = least \| exact \| whole; default least$/m,
    'weir -h says what there is to choose from');
for my $block (qw(global pipeline relay sink)) {
    ($status, $said) = confcheck($dir, '-h', $block);
    is($status, 0, "weir -h $block");
    unlike($said, qr/^  \w+ = .*\n      $/m, "weir -h $block: all have help");
}
done_testing();
