# What is hostile or merely odd around a server: names with control bytes, a
# link where the run folder was, a FIFO where a file should be, words that no
# command takes.
use Weir;
use Compress::Zlib 'crc32';
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use JSON::PP;
use POSIX 'mkfifo';

my $here = dirname(abs_path($0));
my $t    = Weir->new;
my $dir  = $t->dir;

# The recorded binlog, with an ESC in the name of each table that has two
# letters: MySQL and MariaDB take it.
sub with_escapes
{
    my ($data) = @_;
    my $at = 4;
    while ($at + 19 <= length $data) {
        my ($type, $len) = (unpack('C', substr $data, $at + 4, 1),
            unpack('V', substr $data, $at + 9, 4));
        my $event = substr $data, $at, $len - 4;
        if ($type == 19 && $event =~ s/\x02ch\0/\x02\x1bh\0/) {
            substr($data, $at, $len) = $event . pack('V', crc32($event));
        }
        $at += $len;
    }
    return $data;
}
my $log = with_escapes(Weir::read_file("$here/small.binlog"));
like($log, qr/\x1bh\0/, 'a table with an ESC in its name');
open my $out, '>:raw', "$dir/odd.binlog" or die "$dir/odd.binlog: $!\n";
print $out $log;
close $out;

my $weir = $t->weir(config => <<"EOT");
pipeline shop {
    source { binlog { files = {"$dir/odd.binlog"} } }
    relay { size = 16m }
    sink s { null { } }
}
EOT
$weir->start;
wait_for('the table is known', 30, sub { ($weir->ctl('schema', 'show'))[1] =~ /\.\?h,/ });

# ---- Names

my ($exit, $said) = $weir->ctl('schema', 'show');
unlike($said, qr/[\x00-\x08\x0b-\x1f\x7f]/, 'schema show: no control bytes');
($exit, $said) = $weir->ctl('schema', 'show', '--json');
ok(eval { decode_json($_); 1 }, 'schema show --json is JSON') for split /\n/, $said;
like($said, qr/\\u001bh/, '... and has the name as it is');

# ---- Words

for my $words ([ 'status', 'more' ], [ 'lag', 'more' ], [ 'reload', 'more' ],
    [ 'version', 'more' ], [ 'resume', 's', 'more' ])
{
    ($exit, $said) = $weir->ctl(@$words);
    is($exit, 64, "weirctl @$words: refused");
    like($said, qr/'more' is too much: weirctl $words->[0]/, '... and says what');
}

# ---- A link where the run folder was

my $state    = $weir->state;
my $innocent = $t->make_dir('innocent');
open $out, '>', "$innocent/kept" or die "$innocent/kept: $!\n";
close $out;

# Another server's pid file is not ours to remove.
my ($pid_file) = Weir::read_file($weir->conf) =~ /^pid = "(.*)"/m;
open $out, '>', $pid_file or die "$pid_file: $!\n";
print $out "1\n";
close $out;

rename "$state/run", "$state/run.was" or die "rename: $!\n";
symlink $innocent, "$state/run" or die "symlink: $!\n";
kill HUP => $weir->{pid};
$weir->wait_log(qr/reloaded/);
kill QUIT => $weir->{pid};
wait_for('the end', 30, sub { $t->ended($weir->{pid}) });
is(Weir::read_file($pid_file), "1\n", 'a pid file that is another\'s stays');
ok(-e "$innocent/kept", 'nothing behind the link was removed');
ok(!-e "$innocent/reload", 'and nothing written');
($exit, $said) = $weir->command('-g', 'daemon = off');
isnt($exit, 0, 'a start finds the link');
like($said, qr{/run is not a folder}, '... and says so');

# ---- A FIFO where a file should be

mkfifo("$dir/fifo.conf", 0600) or die "mkfifo: $!\n";
$said = `timeout 20 '$t->{prefix}/sbin/weir' -c '$dir/fifo.conf' -t 2>&1`;
is($? >> 8, 1, 'a FIFO as configuration: nobody waits');
like($said, qr/fifo\.conf is not a file/, '... and it says why');
$t->done;
