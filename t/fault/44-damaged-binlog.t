# An event that is damaged in the source's own file: nothing of it gets through,
# it is asked for again, and then the source stops with the place; with the file
# mended it goes on, and nothing is lost.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->mariadb;
my $dir = $t->dir;
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, what VARCHAR(40))');
my $source = shop_source($db);
my $weir = $t->weir(config => <<"EOC")->start;
pipeline shop {
    $source
    sink lines { file { root = "$dir/files"  path = "{table}.jsonl"  format = row } }
}
EOC

sub lines { return Weir::Server::lines_of("$dir/files/t.jsonl") }

sub arrived
{
    my ($n) = @_;
    wait_for("$n lines", 30, sub { my @lines = lines(); @lines >= $n });
    return;
}

# One bit of the first byte of that text where it is last (first is the
# statement, which is not sent), in the newest file that is done with.
sub flip_at
{
    my ($text) = @_;
    my @files = map { $_->[0] } $db->rows('SHOW BINARY LOGS');
    my $path = "$db->{dir}/data/$files[-2]";
    my $at = rindex Weir::read_file($path), $text;
    die "no '$text' in $path\n" if $at < 0;
    open my $file, '+<:raw', $path or die "$path: $!\n";
    seek $file, $at, 0;
    read $file, my $byte, 1;
    seek $file, $at, 0;
    print {$file} $byte ^ "\x10";
    close $file or die "$path: $!\n";
    return $files[-2];
}

$db->do("INSERT INTO shop.t VALUES (1, 'first')");
arrived(1);
$weir->stop;
$db->do('FLUSH BINARY LOGS', "INSERT INTO shop.t VALUES (2, 'second')",
    "INSERT INTO shop.t VALUES (3, 'third'), (4, 'bad one')",
    "INSERT INTO shop.t VALUES (5, 'fifth')", 'FLUSH BINARY LOGS');
my $file = flip_at('bad one');
$t->expect_log(qr/stopped: .*checksum is wrong/);
$weir->launch;
my $reason = $weir->wait_state('source', 'stopped', 60);
like($reason, qr/event behind \Q$file\E:\d+: event WRITE_ROWS.*checksum is wrong/,
    'it stops, with the place');
is($weir->log_count(qr/ warn .*checksum is wrong/), 2, 'asked for three times');
my @lines = lines();
is(scalar @lines, 2, 'what stands before it is there, and nothing else')
    or diag join "\n", @lines;


# Mended: read anew, from the transaction's beginning.
flip_at("\x72ad one");
my ($exit, $said) = $weir->reload;
is($exit, 0, 'reload') or diag $said;
arrived(5);
is(join(' ', map { /^\{"i":(\d+)/ } lines()), '1 2 3 4 5', 'all of it, once and in order');
like((lines())[3], qr/"bad one"/, 'as it was');
is($weir->status->{source}{state}, 'running', 'the source runs');
$t->done;
