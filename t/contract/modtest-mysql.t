# weir-modtest on the mysql sink, with a server of its own that has the tables
# which modtest makes rows of; by transaction and merged; and without a server.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $dir    = $t->make_dir('modtest');
my $module = "$t->{prefix}/lib/weir/modules/sink_mysql.so";
my $target = replay_target($t, cnf => 'max_allowed_packet = 64M');
my $wide   = join ', ', map { sprintf 'w%03d TEXT', $_ } 0 .. 297;
$target->do('CREATE DATABASE shop CHARACTER SET utf8mb4',
    'CREATE TABLE shop.users (id BIGINT PRIMARY KEY, name VARCHAR(255), added DATETIME(6))',
    'CREATE TABLE shop.no_key (id BIGINT, name VARCHAR(255))',
    "CREATE TABLE shop.wide (id BIGINT PRIMARY KEY, name VARCHAR(255), $wide)",
    "CREATE TABLE shop.types (id BIGINT PRIMARY KEY, c_int INT, c_uint BIGINT UNSIGNED,
        c_bit BIT(64), c_double DOUBLE, c_float FLOAT, c_decimal DECIMAL(65,30),
        c_text LONGTEXT, c_enum ENUM('a','b'), c_set SET('a','b'), c_bytes LONGBLOB,
        c_json JSON, c_date DATE, c_time TIME(6), c_datetime DATETIME(6),
        c_timestamp TIMESTAMP(6) NULL)");

sub modtest
{
    my ($port, $block) = @_;
    open my $out, '>', "$dir/conf" or die;
    print {$out} qq(mysql { host = "127.0.0.1"  port = $port  user = "replay"  password = "secret"  $block }\n);
    close $out or die;
    my $said = qx($t->{prefix}/bin/weir-modtest -t 60 $module $dir/conf 2>&1);
    return ($? >> 8, $said);
}

my $port = $target->port;
for my $how ('transactions = merge', 'transactions = keep') {
    my ($status, $said) = modtest($port, "conflict = idempotent  $how");
    is($status, 0, "sink_mysql keeps the contract, $how") or diag $said;
    unlike($said, qr/# SKIP it has none/, 'its connection was cut');
    like($said, qr/^ok .*epoch 6 where 7 was seen gives FENCED/m, 'it is fenced');
    like($said, qr/^ok .*a column of each type: OK/m, 'it has the tables');
}
# A row that is not as the source had it is refused then, with what is there.
my ($strict, $words) = modtest($port, '');
unlike($words, qr/^not ok .*one sentence on one line/m, 'strict: each reason is one line');
like($words, qr/events were refused by a verdict/, 'and there are some');
$target->stop;
my ($status, $said) = modtest($port, '');
is($status, 1, 'without a server it fails');
like($said, qr/^not ok .*connect/im, 'and says why');
$t->done;
