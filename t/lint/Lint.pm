# Lint.pm - what the lints share: the project's files, without what was built.
package Lint;
use strict;
use warnings;
use Exporter 'import';
use FindBin;
our @EXPORT = qw(source_dir build_dir project_files slurp);

sub source_dir { return $ENV{WEIR_SOURCE} // "$FindBin::Bin/../.." }
sub build_dir  { return $ENV{WEIR_BUILD} // source_dir() }

# Paths below the top, of the files that match.
sub project_files
{
    my ($match) = @_;
    my $source = source_dir();
    my @files = split /\0/, -e "$source/.git"
        ? `cd '$source' && git ls-files -z -co --exclude-standard`
        : `cd '$source' && find . -type f -not -path './build*' -print0`;
    s{^\./}{} for @files;
    return sort grep { $_ =~ $match && -f "$source/$_" } @files;
}

sub slurp
{
    my ($path) = @_;
    open my $in, '<:raw', $path or die "$path: $!\n";
    local $/;
    return scalar <$in>;
}

1;
