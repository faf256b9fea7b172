# replay.pl - the mysql sink against MariaDB's own replica and mariadb-binlog |
# mariadb: the same binlog into the same server, all durable at each commit, from
# a relay that is full before the clock starts.  Ratios within one run; medians
# of 3 (WEIR_BENCH_ROUNDS).  WEIR_BENCH_ROWS: one-row transactions (60,000).
use Weir;
use Weir::Replay;
use Time::HiRes qw(time sleep);

$| = 1;
my $rows   = $ENV{WEIR_BENCH_ROWS}   // 60_000;
my $rounds = $ENV{WEIR_BENCH_ROUNDS} // 3;
my $t      = Weir->new;
my $dir    = $t->dir;
my $small  = "sync_binlog = 0\nmax_binlog_size = 1G\n";
my $db     = $t->mariadb(cnf => $small);
my $target = $t->mariadb(cnf => <<'EOT');
skip_log_bin
innodb_flush_log_at_trx_commit = 1
innodb_buffer_pool_size = 512M
slave_parallel_mode = optimistic
relay_log = relay
EOT

exit main();

sub median { my @v = sort { $a <=> $b } @_; return $v[ @v / 2 ] }

sub run_command
{
    my ($command) = @_;
    system('bash', '-c', "set -o pipefail; $command") == 0
        or die "$command: exit status $?\n";
    return;
}

sub tables
{
    return ('CREATE DATABASE shop', map { <<"EOT" } 0 .. 3);
CREATE TABLE shop.t$_ (id INT PRIMARY KEY, a INT, b VARCHAR(60),
    c DECIMAL(12,2), d DATETIME(6), e CHAR(20)) ENGINE=InnoDB
EOT
}

# Transactions of one row: 60 % INSERT, 30 % UPDATE, 10 % DELETE.
sub singles
{
    my $file = "$dir/singles.sql";
    open my $out, '>', $file or die;
    for my $i (1 .. $rows) {
        my $table = 'shop.t' . $i % 4;
        my $kind = $i % 10;
        my $old  = $i - 40 > 0 ? $i - 40 - (($i - 40) % 4) + $i % 4 : $i;
        print $out $kind < 6 || $i < 100
            ? "INSERT INTO $table VALUES ($i, $i, 'customer $i', $i.25, '2026-01-02 03:04:05.678', 'c$i');\n"
            : $kind < 9 ? "UPDATE $table SET a = a + 1, b = 'again $i' WHERE id = " . live($i) . ";\n"
            : "DELETE FROM $table WHERE id = " . live($i) . ";\n";
    }
    close $out;
    run_command("mariadb --no-defaults -uroot -S '@{[ $db->socket ]}' <'$file'");
    return;
}

# A row of the same table that was inserted some time before.
sub live
{
    my ($i) = @_;
    my $id = $i - 60;
    $id -= 4 while $id % 10 >= 6 || ($id % 10) == 0;
    return $id;
}

sub bulk
{
    $db->do(map { my $from = $_ * 20_000; <<"EOT" } 0 .. $rows / 4000 - 1);
INSERT INTO shop.t0 SELECT seq + $from, seq, CONCAT('customer ', seq), seq / 4,
    '2026-01-02 03:04:05.678', seq FROM shop.seq_1_to_20000
EOT
    return;
}

sub counts
{
    my ($server) = @_;
    return join ' ', map { $server->value("CHECKSUM TABLE shop.t$_") =~ s/.*\t//r } 0 .. 3;
}

sub clean
{
    $target->do('DROP DATABASE IF EXISTS shop', 'DROP DATABASE IF EXISTS weir', tables());
    return;
}

sub done { my ($what) = @_;
    counts_agree() or die "$what: the target differs\n" }

sub counts_agree
{
    for my $i (0 .. 3) {
        my ($a, $b) = map { ($_->rows("CHECKSUM TABLE shop.t$i"))[0][1] } $db, $target;
        return 0 if $a ne $b;
    }
    return 1;
}

my ($start_gtid, $end_gtid, $last);

sub replica
{
    my ($threads) = @_;
    clean();
    $target->do("SET GLOBAL slave_parallel_threads = $threads", "SET GLOBAL gtid_slave_pos = '$start_gtid'",
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = " . $db->port
        . ", MASTER_USER = 'weir', MASTER_PASSWORD = 'secret', MASTER_USE_GTID = slave_pos",
        'START SLAVE IO_THREAD');
    my $end = $db->place;
    Weir::wait_for('the replica has read', 120, sub {
        my $text = join ' ', map { join ' ', map { $_ // '' } @$_ } $target->rows('SHOW SLAVE STATUS');
        return index($text, "$end->[0] $end->[1]") >= 0;
    });
    my $begin = time;
    $target->do('START SLAVE SQL_THREAD');
    $target->value("SELECT MASTER_GTID_WAIT('$end_gtid', 600)");
    my $took = time - $begin;
    $target->do('STOP SLAVE', 'RESET SLAVE ALL');
    done("replica $threads");
    return $took;
}

sub piped
{
    clean();
    my $files = join ' ', map { "'$db->{dir}/data/$_'" } binlogs();
    my $begin = time;
    run_command("mariadb-binlog --no-defaults --start-position=4 $files | "
        . "mariadb --no-defaults -uroot -S '@{[ $target->socket ]}'");
    my $took = time - $begin;
    done('mariadb-binlog');
    return $took;
}

my @binlogs;
sub binlogs { return @binlogs }

sub weir
{
    my ($mysql, $sink) = @_;
    clean();
    my $weir = $t->weir(config => replay_config($db, $target, $dir, mysql => $mysql,
        sink => $sink // '', start => "gtid:$start_gtid") =~ s/start = earliest/start = "gtid:$start_gtid"/r);
    $weir->launch;
    Weir::wait_for('control', 20, sub { ($weir->ctl('pause', 'shop/copy', 'bench'))[0] == 0 });
    clean();
    Weir::wait_for('the relay is full', 120, sub {
        my $status = $weir->ctl('status', '--json');
        my ($exit, $text) = $weir->ctl('status', '--json');
        return index($text, $end_gtid) >= 0;
    });
    die "weir wrote before the clock began\n" if $target->value('SELECT COUNT(*) FROM shop.t0');
    my $begin = time;
    $weir->ctl('resume', 'shop/copy');
    Weir::wait_for('weir has written', 600, sub { $target->value($last) });
    my $took = time - $begin;
    $weir->stop;
    done("weir $mysql");
    return $took;
}

sub compare
{
    my ($name, $work, @modes) = @_;
    $db->do('DROP DATABASE IF EXISTS shop', tables(), 'FLUSH BINARY LOGS');
    my ($from) = ($db->place)->[0];
    $start_gtid = $db->gtids;
    $work->();
    $db->do('FLUSH BINARY LOGS');
    $end_gtid = $db->gtids;
    @binlogs = grep { $_ ge $from && $_ lt $db->place->[0] } map { $_->[0] } $db->rows('SHOW BINARY LOGS');
    $db->do("INSERT INTO shop.t3 VALUES (-1, 0, 'end', 0, NULL, '')");
    $end_gtid = $db->gtids;
    $last = 'SELECT COUNT(*) FROM shop.t3 WHERE id = -1';
    my %took;
    for my $round (1 .. $rounds) {
        for my $mode (@modes) {
            push @{ $took{ $mode->[0] } }, $mode->[1]->();
        }
    }
    my $best = (sort { $a <=> $b } map { median(@{ $took{$_} }) } grep { /replica/ } keys %took)[0];
    for my $mode (@modes) {
        my $s = median(@{ $took{ $mode->[0] } });
        printf "%-12s %-36s %6.2f s  %.2f x the best replica\n", $name, $mode->[0], $s, $best / $s;
    }
    return;
}

sub main
{
    $db->make_weir_user;
    $target->do("CREATE USER 'replay'\@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO 'replay'\@'%'");
    my @modes = (
        (map { my $n = $_; [ "replica, $n threads", sub { replica($n) } ] } 0, 2, 4),
        [ 'weir, merge', sub { weir('') } ],
        [ 'weir, merge, idempotent', sub { weir('conflict = idempotent') } ],
        [ 'weir, keep', sub { weir('transactions = keep') } ],
    );
    compare('one-row', \&singles, @modes);
    compare('bulk', \&bulk, @modes);
    $t->close_all;
    return 0;
}
