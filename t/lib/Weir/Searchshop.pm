# Searchshop.pm - the tables of Load.pm as documents, and how to see that they
# are equal row by row.
package Weir::Searchshop;
use strict;
use warnings;
use Exporter 'import';
use Weir::Compare qw(same_as_hashes);
use Weir::Shop qw(shop_source);
our @EXPORT = qw(search_config search_synced check_search);

my $marks = 0;

# Decimals as text: what is read as a number has lost digits.
my $format = 'template = on  decimals = keyword'
    . '  format = "row:decimals=string,zero_dates=null"';

# relay, users, orders: replace or add lines.
sub search_config
{
    my ($db, $search, %option) = @_;
    my $source = shop_source($db, $option{source});
    my $relay  = $option{relay}  // 'size = 256m';
    my $users  = $option{users}  // '';
    my $orders = $option{orders} // '';
    my $more   = $option{more}   // '';
    my $url    = $option{url}    // $search->url;
    # What comes from Maven lacks a field for BIGINT UNSIGNED.
    my $fields = $search->{kind} =~ /^elasticsearch/
        ? 'fields = {"shop.users.id=keyword"}' : '';
    my $about  = "$fields url = {\"$url\"}  index = \"{database}-{table}\"  $format"
        . '  ' . ($option{all} // '');
    return <<"EOT";
pipeline shop {
    $source
    relay { $relay }
    sink users {
        tables = {"shop.users"}
        $users
        elasticsearch { $about  id = "{id}" }
    }
    sink orders {
        tables = {"shop.orders"}
        $orders
        elasticsearch { $about  id = "{number}:{line}" }
    }
    $more
}
EOT
}

# One more row in each table, and waits until each sink has it.
sub search_synced
{
    my ($db, $search, $seconds) = @_;
    my $k = ++$marks;
    my $id = 9_000_000_000 + $k;
    $db->do("INSERT INTO shop.users (id, name) VALUES ($id, 'mark')",
        "INSERT INTO shop.orders (number, line) VALUES ('mark', $k)");
    $seconds //= 60;
    Weir::wait_for('the users arrive', $seconds,
        sub { $search->document('shop-users', $id) });
    Weir::wait_for('the orders arrive', $seconds,
        sub { $search->document('shop-orders', "mark:$k") });
    return;
}

# The sentences of what differs; several lanes may have some way to go yet.
sub differences
{
    my ($db, $search, @what) = @_;
    my ($n, @wrong);
    eval {
        Weir::wait_for('equality', 30,
            sub { ($n, @wrong) = same_as_hashes($db, $search, @what); !@wrong });
    };
    return ($n, join "\n", @wrong);
}

sub check_search
{
    my ($db, $search, $what) = @_;
    local $search->{binary}   = [qw(photo tag raw)];
    local $search->{instants} = [qw(seen)];
    my ($n, $wrong) = differences($db, $search, 'shop', 'users', 'shop-users',
        sub { $_[0]{id} });
    Test::More::is($wrong, '', "$what: $n users are the same");
    Test::More::is($search->count('shop-users'), $n, "$what: and as many");
    ($n, $wrong) = differences($db, $search, 'shop', 'orders', 'shop-orders',
        sub { "$_[0]{number}:$_[0]{line}" });
    Test::More::is($wrong, '', "$what: $n orders are the same");
    return;
}

1;
