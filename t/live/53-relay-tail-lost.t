# The relay's tail is lost, as after a power cut with sync = none: it is fetched
# again, and a sink leaves out what it has, by GTID.  Lost down to its first
# segment's header, the relay still goes on where it began, not at "now".
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->mariadb;
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.ledger (i INT)',
    'INSERT INTO shop.ledger VALUES (-1)');
my ($dir, $source) = ($t->dir, shop_source($db, 'start = now'));
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink ledger { file { root = "$dir/files"  path = "ledger.jsonl"  format = row } }
}
EOT
$weir->wait_state('source', 'running');
$weir->wait_log(qr/not copied/);
my $lines = sub { return Weir::Server::lines_of("$dir/files/ledger.jsonl") };
my $next = 0;

sub insert { my ($n) = @_;
    $db->do(map { 'INSERT INTO shop.ledger VALUES (' . $next++ . ')' } 1 .. $n);
    return;
}

# The newest segment's bytes from `keep` on are gone.
sub lose_tail { my ($keep) = @_;
    my ($last) = reverse sort glob $weir->state . '/shop/relay/*.relay';
    open my $in, '<', $last or die "$last: $!\n";
    read $in, my $head, 16;
    $keep->(\my $size, unpack('x12 V', $head), -s $in);
    truncate $last, $size or die "$last: $!\n";
    return;
}

sub all_rows { my ($what) = @_;
    wait_for($what, 30, sub { $lines->() >= $next });
    my @values = map { /"i":(-?\d+)/ ? $1 : 'none' } $lines->();
    is("@values", join(' ', 0 .. $next - 1), $what);
    return;
}

insert(20);
all_rows('before');
$weir->crash;
lose_tail(sub { my ($size, $header, $all) = @_; $$size = int(($header + $all) / 2) });
insert(5);
$weir->start;
insert(5);
all_rows('half of the tail was lost');
like(join("\n", $weir->log_lines), qr/found by GTID/, 'the log says how it went on');

$weir->crash;
for my $segment (glob $weir->state . '/shop/relay/*.relay') {
    next if $segment eq (sort glob $weir->state . '/shop/relay/*.relay')[0];
    unlink $segment;
}
lose_tail(sub { my ($size, $header) = @_; $$size = $header });
insert(5);
$weir->start;
insert(5);
all_rows('all frames were lost');

$weir->crash;
unlink glob $weir->state . '/shop/relay/*.relay';
insert(5);
$weir->start;
insert(5);
all_rows('the whole relay was lost');
$t->done;
