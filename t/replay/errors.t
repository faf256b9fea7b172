# errors.t - what is no binlog, or a damaged one: one sentence each, with file
# and offset, exit status 1, and what could be read was printed.
use strict;
use warnings;
use Test::More;
use File::Temp qw(tempdir);

my $build  = $ENV{WEIR_BUILD}  // '.';
my $source = $ENV{WEIR_SOURCE} // '.';
my $dir    = tempdir(CLEANUP => 1);
my $good   = "$source/t/data/mariadb1011_alltypes.binlog";
my $quoted = "'$good'";    # for the shell

sub content {
    my ($path) = @_;
    open my $in, '<:raw', $path or die "$path: $!";
    local $/;
    return scalar <$in> // '';
}

sub file {
    my ($name, $bytes) = @_;
    open my $out, '>:raw', "$dir/$name" or die "$dir/$name: $!";
    print {$out} $bytes;
    close $out or die;
    return "$dir/$name";
}

sub cat {
    my ($arguments) = @_;
    my $status =
        system("'$build/weircat' $arguments >$dir/out 2>$dir/err") >> 8;
    my $said = content("$dir/err");
    $said =~ s/\Q$dir\E\///g;
    $said =~ s/\Q$source\E\/t\/data\///g;
    return ($status, $said, content("$dir/out"));
}

sub refused {
    my ($name, $arguments, $want) = @_;
    my ($status, $said, $out) = cat($arguments);
    is($said, "weircat: $want\n", $name);
    is($status, 1, "$name: exit status");
    return $out;
}

my $log    = content($good);
my @starts = ();    # of its events
for (my $at = 4; $at < length $log;) {
    push @starts, $at;
    $at += unpack 'V', substr $log, $at + 9, 4;
}
my (undef, undef, $all) = cat($quoted);

# ---- No binlog at all
refused('missing', "$dir/none",
    'open none: No such file or directory');
mkdir "$dir/folder" or die;
refused('a folder', "$dir/folder", 'read folder: Is a directory');
refused('empty', file('empty', ''),
    'empty: not a binlog: it has only 0 bytes');
refused('ELF', file('elf', "\x7fELF and more"),
    'elf: not a binlog: it begins with 7f 45 4c 46 and not with fe 62 69 6e');
refused('encrypted', file('secret', "\xfdbin\1\0\0\0"),
    'secret: an encrypted binlog of MySQL: only its server can read it; '
    . 'fetch it with mysqlbinlog --read-from-remote-server --raw');
is(refused('only the magic bytes are fine, text behind them not',
        file('text', "\xfebinhello"),
        'text: offset 4: the file ends 5 bytes into the header of an event'),
    '', 'nothing is printed');

# ---- Damaged ones
my $in = $starts[-2];
my $length = unpack 'V', substr $log, $in + 9, 4;
my $out = refused('cut within an event',
    file('cut', substr $log, 0, $in + $length - 1),
    "cut: offset $in: the file ends " . ($length - 1)
    . " bytes into an event of $length bytes");
(my $expected = $all) =~ s/"mariadb1011_alltypes\.binlog"/"cut"/g;
ok(length $out && index($expected, $out) == 0, 'what is before it is printed');
refused('cut within a header',
    file('cut', substr $log, 0, $in + 7),
    "cut: offset $in: the file ends 7 bytes into the header of an event");

my $bad = $log;
substr($bad, $in + 9, 4) = pack 'V', 18;
refused('an event shorter than its header', file('short', $bad),
    "short: offset $in: an event of 18 bytes can't be: the file is damaged "
    . 'here, or before');
substr($bad, $in + 9, 4) = pack 'V', 0x7fffffff;
refused('an event larger than any', file('huge', $bad),
    "huge: offset $in: an event of 2147483647 bytes can't be: the file is "
    . 'damaged here, or before');
substr($bad, $in + 9, 4) = pack 'V', 0x3fffffff;
refused('an event that would go beyond the end', file('long', $bad),
    "long: offset $in: the file ends " . (length($log) - $in)
    . ' bytes into an event of 1073741823 bytes');

# One bit in the middle of the log: its rows event's checksum is wrong.
my ($rows) = grep { ord(substr $log, $_ + 4, 1) == 23 } @starts;
$bad = $log;
substr($bad, $rows + 30, 1) ^= "\1";
($length, my $end) = unpack 'VV', substr $log, $rows + 9, 8;
$out = refused('a flipped bit', file('flip', $bad),
    "flip: offset $rows: event WRITE_ROWS_V1 of $length bytes, ending at "
    . "$end: its checksum is wrong: the bytes were damaged on disk or on the "
    . 'way');
unlike($out, qr/"insert"/, 'no row of it is printed');

refused('no format description', file('nofde', "\xfebin" . substr $log,
        $starts[1]),
    'nofde: offset 4: event GTID_LIST comes before any format description');

# Files behind a damaged one are read nevertheless.
my ($status, $said, $more) = cat("$dir/flip $quoted");
is($status, 1, 'a damaged file and a good one: exit status');
ok(index($more, $all) > 0, 'the good one is all there');

# ---- Options
($status, $said) = cat('');
is($status, 2, 'no file: exit status');
like($said, qr/^usage: weircat /, 'no file: usage');
($status, $said) = cat("-f xml $quoted");
is($status, 2, 'unknown format: exit status');
is($said, "weircat: there is no format \"xml\"; known are weir and row\n",
    'unknown format');
($status, $said, $out) = cat('-V');
is($status, 0, 'version: exit status');
like($out, qr/^weircat \d+\.\d+\.\d+\n$/, 'version');
($status, $said, $out) = cat('--help');
is($status, 0, 'help: exit status');
like($out, qr/^usage: weircat /, 'help');
system("'$build/weircat' $quoted >/dev/full 2>$dir/err") >> 8 == 1
    or fail('a full disk: exit status');
is(content("$dir/err"),
    "weircat: write standard output: No space left on device: make room on this"
    . " machine's disk\n",
    'a full disk');

# ---- Filters and formats
($status, $said, $out) = cat("-t ints $quoted");
my @lines = split /^/, $out;
is(grep({ !/"table":"ints"/ } @lines), 0, '--table: only that one');
is(@lines, grep({ /"table":"ints"/ } split /^/, $all), '--table: all of it');
($status, $said, $out) = cat("-d nothing $quoted");
is($out, '', '--database: none');
($status, $said, $out) = cat("-f row -t ints $quoted");
is($out, qq({"a":1,"b":2}\n), 'bare rows');

done_testing();
