# values.t - recorded rows that bring the server's own opinion of their values:
# of each charset's characters in utf8mb4 (column u, made by the server from c),
# and of partially updated documents as text (want and wantk).
use strict;
use warnings;
use Test::More;
use JSON::PP;

my $build  = $ENV{WEIR_BUILD}  // '.';
my $source = $ENV{WEIR_SOURCE} // '.';
my $json   = JSON::PP->new->utf8->allow_bignum->allow_nonref->canonical;
my $inner  = JSON::PP->new->allow_bignum->allow_nonref->canonical;

sub rows {
    my ($name) = @_;
    open my $in, '-|', "'$build/weircat' '$source/t/data/$name.binlog' 2>/dev/null"
        or die;
    return map { $json->decode($_)->{payload} } <$in>;
}

for my $name (qw(mysql97_charsets mariadb1011_charsets)) {
    my %seen;
    for my $event (rows($name)) {
        my $row = $event->{after} or next;
        next if !exists $row->{u};
        my $charset = $event->{source}{table};
        $seen{$charset} += length $row->{u};
        ok($row->{c} eq $row->{u} && $row->{t} eq $row->{u},
            "$name: $charset, from $row->{id}: as the server converts it")
            or diag("got $row->{c}\nnot $row->{u}");
        is($row->{f}, substr($row->{u}, 0, length $row->{f}),
            "$name: $charset: CHAR");
        like($row->{e}, qr/^2./, "$name: $charset: ENUM");
        like($row->{s}, qr/^1.,3./, "$name: $charset: SET");
    }
    is(keys %seen, $name =~ /mysql/ ? 37 : 36, "$name: all charsets");
}

my %changed;
for my $event (rows('mysql97_values')) {
    my $row = $event->{after};
    next if !$row || $event->{source}{table} ne 'pj';
    for my $pair ([qw(j want)], [qw(k wantk)]) {
        my ($is, $want) = map { $row->{$_} } @$pair;
        next if !defined $want || $want !~ /^[[{]/;
        is($inner->encode($is), $inner->encode($inner->decode($want)),
            "partial JSON at $event->{metadata}{seq}, row $row->{id}");
        $changed{ $row->{id} }++;
    }
}
ok($changed{1} > 10 && $changed{2} > 3 && $changed{3} > 1 && $changed{4},
    'there were partial updates of each document');
done_testing();
