# The file sink's parts: compressed, rotated, removed when they are old; and
# through kills each line is in them once.
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

sub opened
{
    my $h = host(@_);
    is($h->run('check', 'open', 'restore all', $users), 'OK', 'opened');
    return $h;
}

# What is in a file, unpacked if it is packed.
sub content
{
    my ($path) = @_;
    return '' if -z $path; # cut off before its first batch was whole
    open my $in, '-|:raw', $path =~ /\.gz$/ ? ('gzip', '-dc', $path) : ('cat', $path)
        or die "$path: $!";
    local $/;
    my $text = readline($in) // '';
    close $in or return "not whole: $path";
    return $text;
}

sub parts
{
    my ($dir, $table) = @_;
    return map { s{.*/}{}r } sort glob "$dir/files/shop/$table.*";
}

sub line { my ($id, $name) = @_; return qq({"id":$id,"name":"$name"}\n) }

# ---- gzip
my $dir = fresh();
my $h   = opened($dir, gzip => 6);
is($h->run('insert 1 a', 'insert 2 b', 'write 1 0 one', 'insert 3 c', 'write 1 0 two'),
    'OK', 'two batches');
my $gz = "$dir/files/shop/users.jsonl.gz";
is(content($gz), line(1, 'a') . line(2, 'b') . line(3, 'c'), 'are one gzip file');
$h->end;
open my $torn, '>>', $gz or die;
print {$torn} "\x1f\x8b torn";
close $torn;
$h = opened($dir, gzip => 6);
is($h->run('insert 4 @1000000', 'write 1 0 three'), 'OK', 'a torn end is cut off');
is(content($gz), line(1, 'a') . line(2, 'b') . line(3, 'c') . line(4, 'x' x 1_000_000),
    'and lines follow');
cmp_ok(-s $gz, '<', 10_000, 'compressed');
$h->end;
$h = opened($dir);
is($h->run('insert 5 e', 'write 1 0 four'), 'OK', 'gzip turned off');
is(content("$dir/files/shop/users.jsonl"), line(5, 'e'), 'begins a file of its own');
$h->end;

# ---- By size
$dir = fresh();
$h   = opened($dir, rotate_size => '100');
for my $id (1 .. 9) {
    is($h->run("insert $id 0123456789", "write 1 0 $id"), 'OK', "batch $id");
}
is(join(' ', parts($dir, 'users')), join(' ', map {"users.jsonl.00000$_"} 1 .. 3),
    'parts are numbered');
is(content("$dir/files/shop/users.jsonl.000002"), join('', map { line($_, '0123456789') } 4 .. 6),
    'a batch that does not fit begins the next');
$h->end;
$h = opened($dir, rotate_size => '100');
is_deeply($h->found, {}, 'the table is made behind restore');
is($h->run('restore 0') . $h->found->{0}, 'OK1 9', 'the checkpoint is found');
is($h->run('insert 10 x', 'write 1 0 ten'), 'OK', 'after a restart it goes on');
is((parts($dir, 'users'))[-1], 'users.jsonl.000004', 'where it was');
is($h->run('insert 11 @5000', 'write 1 0 eleven'), 'OK', 'a batch larger than that');
is(-s "$dir/files/shop/users.jsonl.000005", length line(11, 'x' x 5000), 'is not torn apart');
is($h->run('bench 60000 1 2 1'), 'OK', 'many parts, a journal that is made short');
my $last = (parts($dir, 'bench'))[-1];
$h->end;
$h = opened($dir, rotate_size => '100');
is($h->run('restore 0') . $h->found->{0}, 'OK1 59999', 'and is read');
is($h->run('bench 1 1 2 1'), 'OK', 'to go on');
is(scalar(parts($dir, 'bench')), $last =~ /(\d+)$/ ? $1 + 1 : 0, 'behind the last one, which was full');
$h->end;
unlink "$dir/sink_file.journal";
$h = opened($dir, rotate_size => '100');
is($h->run('insert 20 x', 'write 1 0 a'), 'OK', 'a lost journal');
is((parts($dir, 'users'))[-1], 'users.jsonl.000006', 'touches no part that is there');
$h->end;

# ---- By time
$dir = fresh();
$h   = opened($dir, rotate_every => '300ms', gzip => 1);
is($h->run('insert 1 a', 'write 1 0 a'), 'OK', 'a first part');
select undef, undef, undef, 0.35; # the time itself is what is tested
is($h->run('insert 2 b', 'write 1 0 b'), 'OK', 'some time later');
is(join(' ', parts($dir, 'users')), 'users.jsonl.000001.gz users.jsonl.000002.gz', 'a second one');
is(content("$dir/files/shop/users.jsonl.000002.gz"), line(2, 'b'), 'with what came then');
$h->end;

# ---- Old parts
is(host(fresh(), keep_files => 3)->tell('check'), 'FATAL', 'nothing to keep without parts');
$dir = fresh();
$h   = opened($dir, rotate_size => '10', keep_files => 3);
$h->run("insert $_ x", "write 1 0 $_") for 1 .. 9;
is(join(' ', parts($dir, 'users')), join(' ', map {"users.jsonl.00000$_"} 7 .. 9), 'keep_files');
$h->end;
$dir = fresh();
$h   = opened($dir, rotate_size => '10', keep_size => '60');
$h->run("insert $_ x", "write 1 0 $_") for 1 .. 9;
is(join(' ', parts($dir, 'users')), join(' ', map {"users.jsonl.00000$_"} 7 .. 9), 'keep_size');
$h->end;
$dir = fresh();
$h   = opened($dir, rotate_size => '10', keep => '1h');
$h->run("insert $_ x", "write 1 0 $_") for 1 .. 5;
utime time - 7200, time - 7200, map {"$dir/files/shop/users.jsonl.00000$_"} 1, 2, 5;
is($h->run('insert 6 x', 'write 1 0 6'), 'OK', 'keep');
is(join(' ', parts($dir, 'users')), 'users.jsonl.000006',
    'all up to the last one that is too old');
$h->end;
$h = opened($dir, rotate_size => '10', keep => '1h');
$h->run("insert $_ x", "write 1 0 $_") for 7, 8;
utime time - 7200, time - 7200, "$dir/files/shop/users.jsonl.000006",
    "$dir/files/shop/users.jsonl.000008";
$h->end;
$h = opened($dir, rotate_size => '10', keep => '1h');
is($h->run('tick'), 'OK', 'and without any event');
is(join(' ', parts($dir, 'users')), 'users.jsonl.000007 users.jsonl.000008',
    'but for the part that is written to');
$h->end;

# ---- Killed while parts come and go
for my $try (1 .. 6) {
    my %how = (rotate_size => '2k', gzip => $try % 2 ? 1 : 0, fsync => $try > 4 ? 'on' : 'off');
    $dir = fresh();
    $h   = host($dir, %how);
    $h->run('open', 'restore all');
    print { $h->{in} } "bench 1000000 7 5 1\n";
    for (1 .. 4000) {
        last if @{ [ parts($dir, 'bench') ] } > 5;
        select undef, undef, undef, 0.005;
    }
    select undef, undef, undef, rand 0.05;
    $h->crash;
    $h = host($dir, %how);
    is($h->run('open', 'restore all'), 'OK', "killed, gzip $how{gzip}, fsync $how{fsync}");
    my ($batch) = ($h->found->{0} // '1 none') =~ /^1 (\d+)$/;
    my $text = join '', map { content("$dir/files/shop/$_") } parts($dir, 'bench');
    my @ids = $text =~ /^\{"id":(\d+),.*\}$/gm;
    is(scalar(grep { $ids[$_] != $_ } 0 .. $#ids), 0, 'each line once, in order');
    is(scalar(@ids), 7 * ($batch + 1), 'all of its batches, no more');
    $h->end;
}
done_testing();
