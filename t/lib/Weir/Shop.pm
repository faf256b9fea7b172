# Shop.pm - the pipeline that most live tests run: the tables of Load.pm, users
# and orders as hashes in Redis, the ledger (and all else) as JSON lines; and
# how to see that everything arrived, once and in order.
package Weir::Shop;
use strict;
use warnings;
use Exporter 'import';
use File::Path qw(make_path);
use Weir::Compare qw(same_as_hashes);
use Weir::Lines qw(read_lines read_values);
our @EXPORT = qw(shop_source shop_config wait_synced check_shop ledger_numbers
    ledger_path);

# More than a batch that a crash cuts off a file.
use constant TAKEN_BACK => 2 << 20;

my $marks = 0;

# source { ... } for a test's MariaDB.
sub shop_source
{
    my ($db, $more) = @_;
    $more //= 'start = earliest';
    return "source { mysql { host = \"127.0.0.1\"  port = " . $db->port
        . "  user = \"weir\"  password = \"secret\"  $more } }";
}

# source, relay, more (sinks), ledger: replace or add lines.
sub shop_config
{
    my ($db, $redis, $dir, %option) = @_;
    my $source = shop_source($db, $option{source});
    my $relay  = $option{relay} // 'size = 256m';
    my $port   = $redis->port;
    my $more   = $option{more}   // '';
    my $ledger = $option{ledger} // '';
    my $users  = $option{users}  // '';
    make_path("$dir/files");
    return <<"EOT";
pipeline shop {
    $source
    relay { $relay }
    sink users {
        tables = {"shop.users"}
        $users
        redis { host = "127.0.0.1"  port = $port  key = "users:{id}" }
    }
    sink orders {
        tables = {"shop.orders"}
        redis { host = "127.0.0.1"  port = $port  key = "orders:{number}:{line}" }
    }
    sink ledger {
        tables = {"shop.ledger"}
        $ledger
        file { root = "$dir/files"  path = "{database}/{table}.jsonl" }
    }
    $more
}
EOT
}

sub ledger_path { return "$_[0]/files/shop/ledger.jsonl" }

# One more row in each table, and waits until each sink has it; others may be
# writing.
sub wait_synced
{
    my ($db, $redis, $dir, $seconds) = @_;
    my $k = ++$marks;
    my $id = 9_000_000_000 + $k;
    my $from = (-s ledger_path($dir) // 0) - TAKEN_BACK;
    $db->do(
        "INSERT INTO shop.users (id, name) VALUES ($id, 'mark')",
        "INSERT INTO shop.orders (number, line) VALUES ('mark', $k)",
        "INSERT INTO shop.ledger VALUES ($k, 'mark')"
    );
    $seconds //= 60;
    Weir::wait_for('the users arrive', $seconds,
        sub { $redis->ask('EXISTS', "users:$id") });
    Weir::wait_for('the orders arrive', $seconds,
        sub { $redis->ask('EXISTS', "orders:mark:$k") });
    Weir::wait_for(
        'the ledger arrives',
        $seconds,
        sub { bytes_from(ledger_path($dir), $from) =~ /"n":$k,"what":"mark"[^\n]*\n/ }
    );
    return;
}

sub bytes_from
{
    my ($path, $from) = @_;
    open my $in, '<:raw', $path or return '';
    seek $in, $from > 0 ? $from : 0, 0;
    local $/;
    return readline($in) // '';
}

# The numbers in the ledger's file, in its order; and how often each mark.
sub ledger_numbers
{
    my ($dir) = @_;
    return read_values(ledger_path($dir),
        qr/"after":\{"n":(\d+),"what":"load"/);
}

sub seq_values
{
    my ($path) = @_;
    return read_values($path, qr/"seq":"?(\d+)/);
}

# Row-by-row equality of both tables, and each committed transaction once and
# in order in the ledger.
sub check_shop
{
    my ($db, $redis, $dir, $what) = @_;
    my ($n, @wrong) = same_as_hashes($db, $redis, 'shop', 'users', 'users:*',
        sub { "users:$_[0]{id}" });
    Test::More::is(join("\n", @wrong), '', "$what: $n users are the same");
    ($n, @wrong) = same_as_hashes($db, $redis, 'shop', 'orders', 'orders:*',
        sub { "orders:$_[0]{number}:$_[0]{line}" });
    Test::More::is(join("\n", @wrong), '', "$what: $n orders are the same");
    check_ledger($db, $dir, $what);
    return;
}

sub check_ledger
{
    my ($db, $dir, $what) = @_;
    my @have = ledger_numbers($dir);
    my @want = map { $_->[0] }
        $db->rows("SELECT n FROM shop.ledger WHERE what = 'load' ORDER BY n");
    my %times;
    $times{$_}++ for @have;
    my @lost   = grep { !$times{$_} } @want;
    my @repeat = grep { $times{$_} > 1 } sort { $a <=> $b } keys %times;
    my $sorted = join(',', @have) eq join(',', sort { $a <=> $b } @have);
    Test::More::is(scalar @lost, 0, "$what: nothing lost of " . @want
        . ' transactions') or Test::More::diag("first lost: $lost[0]");
    Test::More::is(scalar @repeat, 0, "$what: nothing twice")
        or Test::More::diag("first repeated: $repeat[0]");
    Test::More::ok($sorted, "$what: in order");
    my @seq  = seq_values(ledger_path($dir));
    my $last = '0';
    my $grows = 1;
    for (@seq) {
        $grows = 0 if length $_ < length $last || (length $_ == length $last && $_ le $last);
        $last = $_;
    }
    Test::More::ok(@seq && $grows, "$what: seq only grows");
    return;
}

1;
