# Redis streams, compressed files in parts, and a program, under a live server
# that is killed: the first two have each change once, the program at least once.
use Weir;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->database;
my $redis = $t->redis(durable => 1);
my $dir   = $t->dir;
plan(skip_all => 'the modules are not built')
    if grep { !-e "$ENV{WEIR_BUILD}/.libs/sink_$_.so" } qw(redis exec);
$t->make_dir($_) for qw(files said);
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.ledger (n INT PRIMARY KEY, text VARCHAR(60))');

my $program = "$dir/program";
open my $out, '>', $program or die;
print {$out} <<"EOT";
#!$^X
use strict;
use warnings;
\$| = 1;
open my \$said, '>>', '$dir/said/numbers' or die;
\$said->autoflush(1);
print "ready\\n";
while (<STDIN>) {
    print {\$said} "\$1\\n" if /"after":\\{"n":(\\d+),/;
    print "ok\\n" if /^end/;
}
EOT
close $out;
chmod 0755, $program;

my ($source, $port) = (shop_source($db, 'start = earliest'), $redis->port);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink stream {
        guarantee = exactly-once
        events = 50
        redis { port = $port  command = stream  key = "changes:{table}"  format = row }
    }
    sink parts {
        guarantee = exactly-once
        events = 50
        file { root = "$dir/files"  path = "{table}.jsonl"  format = row  gzip = 1  rotate_size = 4k }
    }
    sink program { events = 50  exec { command = {"$program"} } }
}
EOT

$t->expect_log(qr/error .* died of signal 9/);
my $last = 0;

sub insert_more
{
    my ($n) = @_;
    for (1 .. $n) {
        $db->do("INSERT INTO shop.ledger SELECT seq + $last, REPEAT('text ', 9) FROM "
                . $db->sequence(100));
        $last += 100;
    }
    return;
}

sub stream_length { return eval { $redis->ask('XLEN', 'changes:ledger') } // 0 }

sub said
{
    open my $in, '<', "$dir/said/numbers" or return;
    my @numbers = readline $in;
    chomp @numbers;
    return @numbers;
}

sub in_parts
{
    my @numbers;
    for my $part (sort glob "$dir/files/ledger.jsonl.*.gz") {
        next if -z $part;
        open my $in, '-|', 'gzip', '-dc', $part or die "gzip: $!";
        while (my $line = <$in>) { push @numbers, $line =~ /^\{"n":(\d+),/ }
        close $in or die "$part is not whole\n";
    }
    return @numbers;
}

for my $round (1 .. 3) {
    insert_more(20);
    wait_for('some of it', 30, sub { stream_length() > ($round - 1) * 2000 + 200 });
    if ($round == 2) {
        $weir->crash_worker("sink shop/$_") for qw(stream parts program);
    }
    else {
        $weir->crash;
        $weir->start;
    }
}
insert_more(1);
my $want = join ' ', 1 .. $last;
wait_for('all in the stream', 60, sub { stream_length() >= $last });
wait_for('all in the files', 60, sub { (eval { in_parts() } // 0) >= $last });
wait_for('all said', 60, sub { my %seen = map { $_ => 1 } said(); keys %seen >= $last });
is(join(' ', map { $_->[1][1] =~ /^\{"n":(\d+),/ } @{ $redis->ask('XRANGE', 'changes:ledger', '-', '+') }),
    $want, 'the stream has each change once, in order');
is(join(' ', in_parts()), $want, 'the files too');
my %seen = map { $_ => 1 } said();
is(join(' ', sort { $a <=> $b } keys %seen), $want, 'the program has had each of them');
cmp_ok(scalar(glob_parts()), '>', 3, 'in some parts');
$t->done;

sub glob_parts { my @parts = glob "$dir/files/ledger.jsonl.*.gz"; return @parts }
