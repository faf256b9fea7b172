# Lines.pm - files of JSON lines in the envelope of Weir: read, and folded into
# what a table would hold.  Numbers stay texts, so that 64 bits stay exact.
package Weir::Lines;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
our @EXPORT_OK = qw(read_lines read_values fold);

my $json = JSON::PP->new->utf8->allow_bignum(0);

# Big integers would become doubles: quote all that is longer than 15 digits.
sub decode_line
{
    my ($line) = @_;
    $line =~ s/("(?:[^"\\]|\\.)*")|(-?\d{16,}(?:\.\d+)?(?:[eE][-+]?\d+)?|-?\d+\.\d{5,}\d*)/$1 \/\/ "\"$2\""/ge;
    return $json->decode($line);
}

# Every line, decoded.  A last line without its end is an error: `file` cuts
# or completes.
sub read_lines
{
    my ($path) = @_;
    open my $in, '<:raw', $path or return;
    my @events;
    while (my $line = <$in>) {
        die "$path:$.: no end of line\n" if $line !~ /\n$/;
        push @events, eval { decode_line($line) }
            // die "$path:$.: not JSON: " . substr($line, 0, 200) . "\n";
    }
    return @events;
}

# One value a line by a pattern, without decoding: for long files.
sub read_values
{
    my ($path, $pattern) = @_;
    open my $in, '<:raw', $path or return;
    my @values;
    while (my $line = <$in>) {
        die "$path:$.: no end of line\n" if $line !~ /\n$/;
        push @values, $line =~ $pattern;
    }
    return @values;
}

# Rows by key after all events; `key` names the columns.
sub fold
{
    my ($events, @key) = @_;
    my %rows;
    my $name = sub { my ($row) = @_; join "\0", map { $row->{$_} } @key };
    for my $event (@$events) {
        my $payload = $event->{payload};
        my ($op, $before, $after) = @$payload{qw(operation before after)};
        %rows = () if $op eq 'truncate';
        delete $rows{ $name->($before) } if $before;
        $rows{ $name->($after) } = $after if $after;
    }
    return \%rows;
}

1;
