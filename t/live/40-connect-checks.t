# A server that isn't set up for replication: everything that is wrong is said
# at once, with the lines to paste; mended, it goes on by itself or by a start.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->database(
    cnf => "binlog_format = STATEMENT\nbinlog_row_image = MINIMAL\n"
        . "binlog_row_metadata = NO_LOG"
);
$db->do("CREATE USER 'weir'\@'%' IDENTIFIED BY 'secret'",
    'CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)');
my $source = shop_source($db);
my $weir = $t->weir(
    config => "pipeline shop { $source sink s { null { } } }");
$t->expect_log(qr/ error \d+ shop: /, qr/ error \d+ master: source shop stopped/);
$weir->start;
my $said = '';
wait_for(
    'the report', 30,
    sub {
        $said = join "\n", $weir->log_lines;
        $said =~ /GRANT/ && $said =~ /binlog_format/;
    }
);
like($said, qr/binlog_format/i,          'binlog_format is named');
like($said, qr/binlog_format\s*=\s*ROW/, 'with the line for my.cnf');
like($said, qr/binlog_row_image|row_image/i, 'so is the row image');
like($said, qr/GRANT [A-Z ,]*REPLICATION (?:SLAVE|REPLICA)[A-Z ,]* ON \*\.\* TO/,
    'and the GRANT to paste');
like($weir->status->{source}{state}, qr/stopped|waiting/, 'status says so');
$weir->stop;
$db->do('GRANT ' . $db->rights . ' ON *.* TO weir');
$db->stop;

# Wrong password, nobody listening: said, and tried again.
$weir = $t->weir(config => "pipeline shop { source { mysql { host = \"127.0.0.1\" port = "
        . $db->port . " user = \"weir\" password = \"secret\" start = earliest } }"
        . " sink s { null { } } }");
$weir->start;
like($weir->wait_log(qr/127\.0\.0\.1.*refused|connect/i), qr/ warn /,
    'nobody listening is a warning: it is tried again');
$db->{cnf} = '';
$db->write_cnf;
$db->start;
$weir->wait_state('source', 'running', 60);
pass('mended, it goes on by itself');
$weir->stop;

$weir = $t->weir(config => "pipeline shop { source { mysql { host = \"127.0.0.1\" port = "
        . $db->port . " user = \"weir\" password = \"wrong\" } } sink s { null { } } }");
$weir->start;
like($weir->wait_log(qr/Access denied/), qr/weir/, 'a wrong password is said');
unlike(join("\n", $weir->log_lines), qr/password.*wrong|'wrong'/, 'but never shown');
$t->done;
