#!/usr/bin/perl
# copy.pl FROM TO - the project's files, without what was built, brought over
# where they are new or changed; what is gone from FROM goes from TO.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);

my ($source, $to) = @ARGV;
my @list = split /\0/, -e "$source/.git" && `git --version 2>/dev/null`
    ? `cd '$source' && git -c safe.directory='*' ls-files -z -co --exclude-standard`
    : `cd '$source' && find . -path './build*' -prune -o -type f -print0`;
s{^\./}{} for @list;
@list = grep { !m{^build(?!-aux)[^/]*/} && -e "$source/$_" } @list;
@list or die "copy.pl: no files of a project in $source\n";
make_path($to);
my %keep;
for my $file (@list) {
    $keep{$file} = 1;
    my @from = stat "$source/$file";
    my @have = stat "$to/$file";
    next if @have && $have[9] == $from[9] && $have[7] == $from[7];
    make_path(dirname("$to/$file"));
    unlink "$to/$file";
    copy("$source/$file", "$to/$file") or die "copy $file: $!\n";
    chmod $from[2] & 0777, "$to/$file";
    utime $from[9], $from[9], "$to/$file";
}
if (open my $old, '<', "$to.list") {
    chomp(my @were = <$old>);
    unlink map { "$to/$_" } grep { !$keep{$_} } @were;
}
open my $out, '>', "$to.list" or die "$to.list: $!\n";
print $out map { "$_\n" } sort keys %keep;
close $out or die "$to.list: $!\n";
