# The file sink: what is in the files is what the journal says, whatever
# happened between.
use strict;
use warnings;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;
use lib "$ENV{WEIR_SOURCE}/t/contract";
use Sinkhost;

my $top   = tempdir(CLEANUP => 1);
my $users = 'table shop users id id:int name:text';
my $round = 0;

sub fresh
{
    my $dir = "$top/" . ++$round;
    make_path($dir);
    return $dir;
}

sub host
{
    my ($dir, %directive) = @_;
    return Sinkhost->new('sink_file', $dir, path => '{database}/{table}.jsonl',
        format => 'row', %directive);
}

sub content
{
    my ($path) = @_;
    open my $in, '<:raw', $path or return undef;
    local $/;
    return scalar(readline $in) // '';
}

sub overwrite
{
    my ($path, $bytes) = @_;
    open my $out, '>:raw', $path or die "$path: $!";
    print {$out} $bytes;
    close $out or die;
    return;
}

sub append { my ($p, $b) = @_; return overwrite($p, content($p) . $b) }

# ---- Written, found, gone on with
my $dir  = fresh();
my $file = "$dir/files/shop/users.jsonl";
my $h    = host($dir);
is($h->run('check', 'batching'), 'OK', 'the config is good');
like($h->lines, qr/^guarantee 3\nmax_lanes 1\nresend 0$/, 'exactly-once, one lane');
is($h->run('open', 'restore all'), 'OK', 'a new sink');
is_deeply($h->found, {}, 'has no checkpoint');
is($h->run($users, 'insert 1 Ada', 'insert 2 Bob', 'write 1 0 one'), 'OK', 'a batch');
my $two = qq({"id":1,"name":"Ada"}\n{"id":2,"name":"Bob"}\n);
is(content($file), $two, 'is in the file');
is($h->run('write 1 0 two'), 'OK', 'an empty batch');
is($h->run('restore 0'), 'OK', 'restore in between');
is_deeply($h->found, { 0 => '1 two' }, 'finds the last checkpoint');
is($h->end, 0, 'closed');

# ---- A batch that was not whole
append($file, '{"id":3');
$h = host($dir);
is($h->run('open', 'restore all'), 'OK', 'a torn line');
is(content($file), $two, 'is cut off');
is_deeply($h->found, { 0 => '1 two' }, 'the checkpoint is the one before');
is($h->run($users, 'insert 3 C', 'write 2 0 three'), 'OK', 'and it goes on');
is(content($file), qq($two\{"id":3,"name":"C"}\n), 'behind what was there');
is($h->run('write 1 0 old'), 'FENCED', 'an older epoch is fenced');
like($h->{reason}, qr/its epoch is 2, ours is 1$/, 'with both epochs');
$h->end;

# ---- Shorter than listed, or gone
my $good = content($file);
overwrite($file, substr $good, 0, 10);
$h = host($dir);
is($h->run('open', 'restore all'), 'FATAL', 'a file that lost bytes stops the sink');
like($h->{reason}, qr/users\.jsonl has 10 bytes, but \d+ were written .*; put the file back, or /,
    'with both lengths and what to do');
unlink $file;
is($h->tell('restore all'), 'FATAL', 'so does one that is gone');
like($h->{reason}, qr/has 0 bytes, but /, 'with both lengths');
overwrite($file, $good);
is($h->tell('restore all'), 'OK', 'put back, it goes on');

# ---- Somebody else
is(host($dir)->run('open'), 'RETRY', 'a second process waits for the first');
$h->end;
my $root = fresh();
$h = host($dir = fresh(), root => $root);
is($h->run('open', $users, 'insert 1 Ada', 'write 1 0 a'), 'OK', 'a root of its own');
my $other = host(fresh(), root => $root);
is($other->run('open', $users, 'insert 1 Eve', 'write 1 0 a'), 'FATAL',
    'another sink may not write to the same file');
like($other->{reason}, qr/two sinks may not write to one file/, 'says why');
$other->end;
$h->end;
append("$root/shop/users.jsonl", "by hand\n");
$h = host($dir, root => $root);
is($h->run('open', 'restore all'), 'OK', 'what others added behind');
is(content("$root/shop/users.jsonl"), qq({"id":1,"name":"Ada"}\n), 'goes');
$h->end;
$h = host(fresh(), root => $root);
is($h->run('open', 'restore all', $users, 'insert 9 Zoe', 'write 1 0 a'), 'OK',
    'a file that was there before the sink');
is(content("$root/shop/users.jsonl"),
    qq({"id":1,"name":"Ada"}\n{"id":9,"name":"Zoe"}\n), 'keeps what it held');
$h->end;
is(host($dir, root => 'srv')->run('check'), 'FATAL', 'root has to be absolute');
is(host($dir, root => "$top/none")->run('open'), 'FATAL', 'and to be there');
is(host($dir, root => $dir)->run('open'), 'FATAL',
    'and not to be where the state is');

# ---- Paths
$dir = fresh();
$h   = host($dir, path => 'by/{name}.jsonl');
is($h->run('open', 'restore all', $users, 'insert 1 ../../../evil',
        'insert 2 %2fetc%2fevil', 'insert 3 .', 'write 1 0 a'), 'OK',
    'values that look like paths');
my @found = map { s{^\Q$dir\E/}{}r } grep { -f } split /\n/, `find $dir -type f`;
is(scalar(grep { !m{^files/by/[^/]+\.jsonl$} && !/^sink_file\./ } @found), 0,
    'stay names of files');
is(scalar(grep { m{^files/by/} } @found), 3, 'all of them');
is($h->run('insert 4 NULL', 'insert 5 ok', 'write 1 0 b'), 'REJECT',
    'NULL in path is refused');
like($h->lines, qr/^verdict 0 REJECT: /, 'for that event');
ok(!-e "$dir/files/by/ok.jsonl", 'and nothing of the batch is written');
is($h->run('update 5 old > 5 new', 'truncate', 'write 1 0 c'), 'OK',
    'a row that moves to another file');
is(content("$dir/files/by/$_.jsonl"), qq({"id":5,"name":"new"}\n), "is in $_")
    for qw(old new);
symlink $top, "$dir/files/by/link.jsonl" or die;
is($h->run('insert 6 link', 'write 1 0 d'), 'FATAL', 'a symbolic link is not followed');
$h->end;
$h = host(fresh(), path => '../{name}');
is($h->answer, 'FATAL', '".." in path is refused');
$h = host($dir = fresh(), path => '{name}', max_files => 2);
is($h->run('open', $users, 'insert 1 a', 'insert 2 b', 'insert 3 c',
        'write 1 0 a'), 'FATAL', 'more than max_files stops the sink');
$h->end;

# ---- Many files: more than may be open at a time
$dir = fresh();
$h   = host($dir, path => '{id}');
my @want;
is($h->run('open', 'restore all', $users), 'OK', 'many files');
for my $batch (1 .. 3) {
    $h->run(map { "insert $_ batch$batch" } 1 .. 150);
    is($h->run("write 1 0 $batch"), 'OK', "batch $batch");
}
is($h->tell('restore all'), 'OK', 'restored');
is(scalar(grep { (() = content("$dir/files/$_") =~ /\n/g) == 3 } 1 .. 150), 150,
    'each has a line of each batch');
is($h->run('forget all', 'restore all'), 'OK', 'forgotten');
is_deeply($h->found, {}, 'is gone');
$h->end;

# ---- The journal
$dir = fresh();
$h   = host($dir);
is($h->run('open', 'restore all', $users, 'insert 1 a', 'write 1 0 one',
        'insert 2 b', 'write 1 0 two'), 'OK', 'a journal');
$h->end;
my $journal = content("$dir/sink_file.journal");
overwrite("$dir/sink_file.journal", substr $journal, 0, -3);
$h = host($dir);
is($h->run('open', 'restore all'), 'OK', 'a record cut short');
is_deeply($h->found, { 0 => '1 one' }, 'was never there');
is(content("$dir/files/shop/users.jsonl"), qq({"id":1,"name":"a"}\n),
    'nor were its lines');
$h->end;
my $bad = $journal;
substr($bad, 30, 1) ^= "\x40";
overwrite("$dir/sink_file.journal", $bad);
$h = host($dir);
is($h->run('open', 'restore all'), 'FATAL', 'a damaged one stops the sink');
like($h->{reason}, qr/sink_file\.journal is damaged at byte 8: put it back/, 'with the place');
$h->end;
overwrite("$dir/sink_file.journal", 'something else');
is(host($dir)->run('open', 'restore all'), 'FATAL', 'so does another file');

$dir = fresh();
$h   = host($dir);
is($h->run('open', 'restore all', 'bench 80000 1 2 1'), 'OK', 'many batches');
cmp_ok(-s "$dir/sink_file.journal", '<', 4 << 20, 'the journal is made short again');
is($h->tell('restore all'), 'OK', 'and is read');
is_deeply($h->found, { 0 => '1 79999' }, 'to the last checkpoint');
$h->end;

# ---- Killed while writing: lines and checkpoint agree
for my $fsync ('off', 'on') {
    for my $try (1 .. 4) {
        $dir = fresh();
        $h   = host($dir, fsync => $fsync);
        $h->run('open', 'restore all');
        print { $h->{in} } "bench 1000000 7 5 1\n";
        my $f = "$dir/files/shop/bench.jsonl";
        for (1 .. 2000) {
            last if (-s $f // 0) > 20000;
            select undef, undef, undef, 0.005;
        }
        select undef, undef, undef, rand 0.05;
        $h->crash;
        append($f, 'torn') if $try == 1;
        $h = host($dir, fsync => $fsync);
        is($h->run('open', 'restore all'), 'OK', "killed, fsync $fsync");
        my ($batch) = ($h->found->{0} // '1 none') =~ /^1 (\d+)$/;
        my $text = content($f);
        is(($text =~ tr/\n//), 7 * (($batch // -1) + 1), 'all lines of its batches, no more');
        like($text, qr/\n\z/, 'all of them whole');
        $h->end;
    }
}

# ---- A full disk
SKIP: {
    my $disk = fresh();
    skip 'a full disk: no right to mount a small one', 5
        if $> != 0 || system("mount -t tmpfs -o size=64k none $disk 2>/dev/null") != 0;
    $h = host(fresh(), root => $disk);
    is($h->run('open', 'restore all', $users, 'insert 1 a', 'write 1 0 a'), 'OK', 'room');
    is($h->run('insert 2 @200000', 'write 1 0 b'), 'RETRY', 'no room is asked again');
    like($h->{reason}, qr{^write \Q$disk\E/shop/users.jsonl: No space left on device$},
        'with the path');
    is($h->run('restore 0', 'insert 3 c', 'write 1 0 c'), 'OK', 'what was half written went');
    is(content("$disk/shop/users.jsonl"), qq({"id":1,"name":"a"}\n{"id":3,"name":"c"}\n),
        'the rest is there once');
    $h->end;
    system("umount $disk");
}
done_testing();
