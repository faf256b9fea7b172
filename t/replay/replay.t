# replay.t - recorded binlogs in, JSON lines out, byte for byte.  Each
# t/data/NAME.binlog has its NAME.jsonl (the envelope, with the version as
# @VERSION@), and NAME.err where weircat has something to say.
use strict;
use warnings;
use File::Glob ':bsd_glob';
use Test::More;
use File::Basename qw(basename);
use File::Temp qw(tempdir);

my $build  = $ENV{WEIR_BUILD}  // '.';
my $source = $ENV{WEIR_SOURCE} // '.';
my $data   = "$source/t/data";
my $dir    = tempdir(CLEANUP => 1);

sub content {
    my ($path) = @_;
    open my $in, '<:raw', $path or return undef;
    local $/;
    return scalar <$in> // '';
}

sub lines_differ {
    my ($got, $want) = @_;
    my @got  = split /^/, $got;
    my @want = split /^/, $want;
    for my $i (0 .. ($#got > $#want ? $#got : $#want)) {
        my ($g, $w) = ($got[$i] // "(none)\n", $want[$i] // "(none)\n");
        next if $g eq $w;
        diag("line ", $i + 1, "\n  got:  $g  want: $w");
        return;
    }
}

my @logs = sort glob "$data/*.binlog";
ok(@logs > 0, 'there are recorded binlogs');
for my $log (@logs) {
    (my $base = $log) =~ s/\.binlog$//;
    my $name = basename($base);
    my $want = content("$base.jsonl");
    if (!defined $want) {
        fail("$name has a .jsonl beside it");
        next;
    }
    my $status = system("'$build/weircat' '$log' >$dir/out 2>$dir/err") >> 8;
    my $got    = content("$dir/out");
    $got =~ s/"connector":"weir","version":"[^"]*"/"connector":"weir","version":"\@VERSION\@"/g;
    my $said = content("$dir/err");
    $said =~ s/\Q$data\E\///g;
    my $want_said = content("$base.err") // '';

    ok($got eq $want, "$name: lines") or lines_differ($got, $want);
    is($said, $want_said, "$name: what is said");
    my $lost = grep { !/ was prepared here, |: the log does not say what / }
        split /^/, $want_said;
    is($status, $lost ? 1 : 0, "$name: exit status");

    # Through a pipe, in pieces of any size, it is the same.
    system("cat '$log' | '$build/weircat' - 2>/dev/null >$dir/out");
    my $piped = content("$dir/out");
    (my $as_stdin = $got) =~ s/"file":"\Q$name.binlog\E"/"file":"stdin"/g;
    $as_stdin =~ s/"\Q$name.binlog\E:(\d+)"/"stdin:$1"/g;
    $piped =~ s/"connector":"weir","version":"[^"]*"/"connector":"weir","version":"\@VERSION\@"/g;
    ok($piped eq $as_stdin, "$name: the same from standard input")
        or lines_differ($piped, $as_stdin);
}
done_testing();
