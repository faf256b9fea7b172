# What the text of the project has to be: ASCII in code, no tabs, no white
# space at ends of lines, no notes to self, no paths of somebody's machine.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my $code = qr{\.(?:c|h|cc|cpp|pl|pm|sh|am|ac|m4|mk|in)$|/run$};

# Places where a line of such a file matches.
sub places
{
    my ($files, $wrong, @except) = @_;
    my @found;
    for my $file (project_files($files)) {
        next if grep { $file eq $_ } @except;
        my $text = slurp(source_dir() . "/$file");
        next if $text =~ /\0/;
        my $line = 0;
        for (split /\n/, $text, -1) {
            $line++;
            push @found, "$file:$line" if $_ =~ $wrong;
        }
    }
    return \@found;
}

my $self = 't/lint/40-text.t';
is_deeply(places($code, qr/[^\x00-\x7f]/), [], 'code is US-ASCII');
is_deeply(places(qr{\.(?:c|h|cc|cpp|pl|pm)$}, qr/\t/), [], 'no tabs');
is_deeply(places($code, qr/[ \t]$/), [], 'no white space at ends of lines');
is_deeply(places($code, qr/\b(?:TODO|FIXME|XXX)\b/, $self),
    [], 'no notes to self');
is_deeply(
    places(qr{.}, qr{(?<![\w.\}*])/(?:work|home|farm)/}, $self),
    [], 'no paths of a machine');
is_deeply([ grep { slurp(source_dir() . "/$_") =~ /^(?:\x7fELF|!<arch>)/ }
            project_files(qr{.}) ], [], 'nothing that was compiled');
is_deeply([ project_files(qr{\.(?:orig|rej|o|so|log|swp)$|~$}) ],
    [], 'nothing that was left over');
done_testing();
