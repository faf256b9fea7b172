# Blocks.pm - tests as blocks behind __DATA__: configurations in, exact messages
# out.  Each block runs confcheck in a folder of its own.
#
#     === what it shows
#     --- config            weir.conf
#     --- file NAME         another file beside it
#     --- args              for confcheck, before the file's name
#     --- env               NAME=VALUE a line
#     --- want              all that is printed, exactly
#     --- like              lines, each a regex that one printed line matches
#
# MODULES in a configuration loads the test modules, SOURCE is a source; both
# take no line of their own.  The count of errors that comes last is checked
# against the lines before it, and not written down.
package Blocks;

use strict;
use warnings;
use File::Glob ':bsd_glob';

use Cwd 'getcwd';
use Exporter 'import';
use File::Copy 'copy';
use File::Temp 'tempdir';
use FindBin;
use Test::More;

our @EXPORT = qw(run_blocks module_folder confcheck write_file);

# `make check` says where it built; else it was in the tree itself.
my $build = $ENV{WEIR_BUILD} // "$FindBin::Bin/../..";
my $modules = join ' ', map { qq{load_module("$_.so")} }
    qw(source_try sink_try filter_only transform_change);

sub write_file
{
    my ($path, $text) = @_;
    open my $out, '>:raw', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}

# Copies, since who built them may have a umask that makes them writable.
sub module_folder
{
    my $dir = tempdir(CLEANUP => 1);
    for my $so (glob "$build/t/config/.libs/*.so") {
        my ($name) = $so =~ m{([^/]+)$};
        copy($so, "$dir/$name") or die "$so: $!\n";
        chmod 0755, "$dir/$name";
    }
    chmod 0755, $dir;
    return $dir;
}

sub confcheck
{
    my ($dir, @args) = @_;
    my $here = getcwd;
    chdir $dir or die "$dir: $!\n";
    open my $in, '-|', "$build/t/config/confcheck", @args
        or die "confcheck: $!\n";
    local $/;
    my $said = <$in>;
    close $in;
    my $status = $?;
    chdir $here or die "$here: $!\n";
    return ($status, $said);
}

sub parse_blocks
{
    my ($text) = @_;
    my @blocks;
    for my $block (split /^=== /m, $text) {
        next unless $block =~ s/\A(.+)\n//;
        my %b = (name => $1, files => {});
        while ($block =~ /^--- (\w+)(?: (\S+))?\n(.*?)(?=^--- |\z)/msg) {
            my ($key, $name, $value) = ($1, $2, $3);
            $value =~ s/\n+\z/\n/;
            $key eq 'file' ? ($b{files}{$name} = $value) : ($b{$key} = $value);
        }
        push @blocks, \%b;
    }
    return @blocks;
}

sub without_count
{
    my ($said) = @_;
    return $said unless $said =~ s/^the configuration has (\d+) errors?\n\z//m;
    my $counted = $1;
    my $lines   = () = $said =~ /\n/g;
    return $lines == $counted ? $said : "$said(counted as $counted errors)\n";
}

sub run_block
{
    my ($b, $folder) = @_;
    my $dir = tempdir(CLEANUP => 1);
    my %files = (%{ $b->{files} }, 'weir.conf' => $b->{config});
    for my $name (keys %files) {
        $files{$name} =~ s/MODULES/$modules/g;
        $files{$name} =~ s/SOURCE/source { try { host = h } }/g;
        mkdir "$dir/$1" if $name =~ m{(.*)/};
        write_file("$dir/$name", $files{$name});
    }
    local %ENV = (%ENV, WEIR_MODULE_DIR => $folder,
        ($b->{env} // '') =~ /^(\w+)=(.*)$/mg);
    my @args = ($b->{args} // '') =~ /('[^']*'|\S+)/g;
    s/\A'(.*)'\z/$1/s for @args;
    my ($status, $said) = confcheck($dir, @args, 'weir.conf');
    $said =~ s/\Q$dir\E/DIR/g;
    $said =~ s/^#prefix .*\n//m;
    $said =~ s/\Q$folder\E/MODULEDIR/g;
    return ($status, $said);
}

sub run_blocks
{
    my ($text) = @_;
    my $folder = module_folder();
    for my $b (parse_blocks($text)) {
        my ($status, $said) = run_block($b, $folder);
        is($status & 127, 0, "$b->{name}: no crash") if $status & 127;
        if (defined $b->{like}) {
            for my $line (split /\n/, $b->{like}) {
                like($said, qr/^$line$/m, $b->{name});
            }
        } else {
            is(without_count($said), $b->{want}, $b->{name});
        }
    }
    done_testing();
    return;
}

1;
