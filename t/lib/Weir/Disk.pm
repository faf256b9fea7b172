# Disk.pm - small file systems for a test, that can be filled up or made
# read-only: tmpfs, in a mount namespace of the test's own.  The guard of Weir.pm
# takes them away.
# Skips the test, with the reason, where mounting is not allowed.
package Weir::Disk;
use strict;
use warnings;
use Exporter 'import';
use File::Path qw(make_path);
our @EXPORT = qw(own_mounts);

# Call it first: runs the test again in a namespace of its own.
sub own_mounts
{
    return if $ENV{WEIR_OWN_MOUNTS};
    $ENV{WEIR_OWN_MOUNTS} = 1;
    my @new = ('unshare', '--mount', '--propagation', 'private');
    my $try = 'mount -t tmpfs -o size=64k weir-test /mnt';
    my $said = $> != 0 ? 'needs root' : `@new sh -c '$try' 2>&1`;
    chomp $said;
    Test::More::plan(skip_all => "no file systems of its own here: $said")
        if $> != 0 || $?;
    exec @new, $^X, (map {"-I$_"} @INC), $0 or die "exec unshare: $!\n";
}

# Mounted at `path`, of so many KiB.
sub new
{
    my ($class, $path, $size) = @_;
    make_path($path);
    system('mount', '-t', 'tmpfs', '-o', "size=${size}k,mode=0755", 'weir-test', $path) == 0
        or die "mount $path failed\n";
    return bless { path => $path }, $class;
}

# To the last byte, and those files to the end of their last page.
sub fill
{
    my ($self, @files) = @_;
    for my $file ("$self->{path}/filler", @files) {
        open my $out, '>>', $file or die "$file: $!\n";
        for my $piece (65536, 4096, 1) {
            1 while syswrite $out, "\n" x $piece;
            $!{ENOSPC} or die "$file: $!\n";
        }
        close $out;
    }
    return;
}

# So many KiB again, or all.
sub make_room
{
    my ($self, $size) = @_;
    my $filler = "$self->{path}/filler";
    if (defined $size) {
        my $left = (-s $filler) - $size * 1024;
        truncate $filler, $left > 0 ? $left : 0 or die "filler: $!\n";
    } else {
        unlink $filler or die "filler: $!\n";
    }
    return;
}

sub read_only
{
    my ($self, $on) = @_;
    my $how = $on ? 'ro' : 'rw';
    system('mount', '-o', "remount,$how", $self->{path}) == 0
        or die "remount $self->{path}: failed\n";
    return;
}

1;
