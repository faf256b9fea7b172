# Who may include whom: the table of rooms in core/README.md, kept.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

# Room => set of rooms it may include, from the table's last column.
sub read_table
{
    my (%may, @above);
    for (split /\n/, slurp(source_dir() . '/core/README.md')) {
        my ($room, $allowed) = m{^\| `([\w/]+)/` \|.*\|([^|]*)\|\s*$} or next;
        $room = 'weir' if $room eq 'include/weir';
        my %set = (weir => 1, $room => 1);
        if ($allowed =~ /the above/) {
            $set{$_} = 1 for @above;
        }
        $set{$_} = 1 for grep { $_ ne 'the' && $_ ne 'above' && $_ ne 'nothing' }
            $allowed =~ /(\w+)/g;
        $may{$room} = \%set;
        push @above, $room;
    }
    return %may;
}

my %may = read_table();
cmp_ok(scalar keys %may, '>=', 10, 'core/README.md has a table of rooms');

my %only_in = ('confuse.h' => 'config', 'dlfcn.h' => 'module');
my @bad;
for my $file (project_files(qr{^core/[^/]+/.*\.[ch]$})) {
    my ($room) = $file =~ m{^core/(?:include/)?(\w+)/};
    next if $room eq 'tools';    # programs stand above all rooms
    push @bad, "$file: core/README.md does not list $room/"
        if !$may{$room};
    for (slurp(source_dir() . "/$file") =~ /^\s*#\s*include\s+[<"]([^>"]+)/mg) {
        push @bad, "$file: <$_> only in core/$only_in{$_}/"
            if $only_in{$_} && $only_in{$_} ne $room;
        my ($other) = m{^(\w+)/} or next;
        push @bad, "$file: $room/ may not include $_"
            if $may{$other} && !$may{$room}{$other};
    }
}
is_deeply(\@bad, [], 'rooms include only what they may');

my @modules;
for my $file (project_files(qr{^modules/\w+/.*\.[ch]})) {
    my ($own) = $file =~ m{^(modules/\w+)/};
    for (slurp(source_dir() . "/$file") =~ /^\s*#\s*include\s+"([^"]+)"/mg) {
        next if m{^\.\./mysql_client/};    # what two modules compile in
        push @modules, "$file: $_" if !-f source_dir() . "/$own/$_";
    }
    for (slurp(source_dir() . "/$file") =~ /^\s*#\s*include\s+<([^>]+)>/mg) {
        push @modules, "$file: <$_>" if m{^(\w+)/} && $1 ne 'weir' && $may{$1};
    }
}
is_deeply(\@modules, [], 'modules include <weir/...> only');
done_testing();
