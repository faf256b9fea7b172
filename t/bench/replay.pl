# replay.pl - the mysql sink against MariaDB's own replica, and against
# mariadb-binlog | mariadb: the same binlog into the same server, all durable at
# each commit, from a relay that is full before the clock starts.  All modes run
# in turn, WEIR_BENCH_ROUNDS times (3); medians, and ratios within one run.
# WEIR_BENCH_ROWS: one-row transactions, and rows in bulk (60,000 and five times
# that).  WEIR_BENCH_WORK, WEIR_BENCH_MODES: expressions for which of each.
use Weir;
use Weir::Replay;
use List::Util qw(sum);
use Time::HiRes qw(time sleep);

$| = 1;
my $rows   = $ENV{WEIR_BENCH_ROWS}   // 60_000;
my $rounds = $ENV{WEIR_BENCH_ROUNDS} // 3;
my $large  = 20_000;                              # rows of a bulk transaction
my $t      = Weir->new;
my $dir    = $t->dir;
my $small  = "sync_binlog = 0\nmax_binlog_size = 1G\ninnodb_buffer_pool_size = 512M\n";
my $db     = $t->mariadb(cnf => $small);
my $target = $t->mariadb(cnf => <<'EOT');
skip_log_bin
innodb_flush_log_at_trx_commit = 1
innodb_buffer_pool_size = 512M
slave_parallel_mode = optimistic
relay_log = relay
EOT

sub median { my @v = sort { $a <=> $b } @_; return $v[ @v / 2 ] }

sub run_command
{
    my ($command) = @_;
    system('bash', '-c', "set -o pipefail; $command") == 0
        or die "$command: exit status $?\n";
    return;
}

sub client { my ($server) = @_; return "mariadb --no-defaults -uroot -S '@{[ $server->socket ]}'" }

# ---- What is written

my @columns = (
    'id INT PRIMARY KEY', 'a INT', 'b VARCHAR(60)', 'c DECIMAL(12,2)', 'd DATETIME(6)', 'e CHAR(20)'
);

sub tables
{
    return map { "CREATE TABLE shop.t$_ (" . join(', ', @columns) . ') ENGINE=InnoDB' } 0 .. 3;
}

# Transactions of one row: 60 % INSERT, 30 % UPDATE, 10 % DELETE.
sub singles
{
    my $file = "$dir/singles.sql";
    open my $out, '>', $file or die;
    for my $i (1 .. $rows) {
        my $table = 'shop.t' . $i % 4;
        my $kind = $i % 10;
        print $out $kind < 6 || $i < 100
            ? "INSERT INTO $table VALUES ($i, $i, 'customer $i', $i.25, '2026-01-02 03:04:05.678', 'c$i');\n"
            : $kind < 9 ? "UPDATE $table SET a = a + 1, b = 'again $i' WHERE id = " . live($i) . ";\n"
            : "DELETE FROM $table WHERE id = " . live($i) . ";\n";
    }
    close $out;
    run_command(client($db) . " <'$file'");
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

sub insert_part
{
    my ($i) = @_;
    return 'INSERT INTO shop.t0 SELECT seq + ' . $i * $large . ", seq, CONCAT('customer ', seq), seq / 4,
        '2026-01-02 03:04:05.678', seq FROM shop.seq_1_to_$large";
}

sub part { my ($i) = @_; return 'id > ' . $i * $large . ' AND id <= ' . ($i + 1) * $large }

sub update_part
{
    my ($i) = @_;
    return "UPDATE shop.t0 SET a = a + 1, b = CONCAT('again ', id) WHERE " . part($i);
}

sub delete_part { my ($i) = @_; return 'DELETE FROM shop.t0 WHERE ' . part($i) }

sub nparts { return int($rows * 5 / $large) || 1 }
sub parts  { return 0 .. nparts() - 1 }

sub sysbench
{
    my ($what) = @_;
    run_command("sysbench oltp_write_only --db-driver=mysql --mysql-socket='@{[ $db->socket ]}'"
        . " --mysql-user=root --mysql-db=shop --tables=4 --table-size=25000 --threads=4 --time=0"
        . " --events=" . int($rows / 4) . " $what >'$dir/sysbench.out'");
    return;
}

sub fill { $db->do(tables(), map { insert_part($_) } parts()); return }

# name, what is there before, what is replayed
my @works = (
    [ 'one-row', sub { $db->do(tables()) }, \&singles ],
    [ 'inserts', sub { $db->do(tables()) }, sub { $db->do(map { insert_part($_) } parts()) } ],
    [ 'updates', \&fill, sub { $db->do(map { update_part($_) } parts()) } ],
    [ 'deletes', \&fill, sub { $db->do(map { delete_part($_) } parts()) } ],
    [ 'bulk', sub { $db->do(tables()) },
      sub { $db->do(map { (insert_part($_), update_part($_), $_ % 2 ? delete_part($_) : ()) } parts()) } ],
    [ 'sysbench', sub { sysbench('prepare') }, sub { sysbench('run') } ],
);

# ---- The target before each run, and whether it holds the same behind it

sub table_names { return map { $_->[0] } $db->rows('SHOW TABLES FROM shop') }

sub remember
{
    run_command("mariadb-dump --no-defaults -uroot -S '@{[ $db->socket ]}' --databases shop >'$dir/before.sql'");
    return;
}

sub make_account
{
    $target->do("CREATE USER 'replay'\@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO 'replay'\@'%'");
    return;
}

sub clean
{
    $target->do('DROP DATABASE IF EXISTS shop', 'DROP DATABASE IF EXISTS weir');
    run_command(client($target) . " <'$dir/before.sql'");
    return;
}

sub sums
{
    my ($server) = @_;
    return join ' ', map { ($server->rows("CHECKSUM TABLE shop.$_"))[0][1] } table_names();
}

my ($start_gtid, $end_gtid, $from, @binlogs);

sub done
{
    my ($what) = @_;
    sums($db) eq sums($target) or die "$what: the target differs\n";
    return;
}

# Seconds, and what the target and the workers of a Weir took of the processor.
sub timed
{
    my ($code, $weir) = @_;
    my $cpu   = cpu($target->{pid});
    my %old   = $weir ? map { $_ => cpu($_) } values %{ $weir->workers } : ();
    my $begin = time;
    $code->();
    my $took = time - $begin;
    my $own = $weir ? sum(map { cpu($_) - ($old{$_} // 0) } values %{ $weir->workers }) : 0;
    return [ $took, cpu($target->{pid}) - $cpu, $own ];
}

sub cpu
{
    my ($pid) = @_;
    my @f = split ' ', Weir::read_file("/proc/$pid/stat") =~ s/.*\) //sr;
    return ($f[11] + $f[12]) / 100;
}

# ---- Who writes it

sub replica
{
    my ($threads) = @_;
    clean();
    $target->do("SET GLOBAL slave_parallel_threads = $threads", "SET GLOBAL gtid_slave_pos = '$start_gtid'",
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = " . $db->port
        . ", MASTER_USER = 'weir', MASTER_PASSWORD = 'secret', MASTER_USE_GTID = slave_pos",
        'START SLAVE IO_THREAD');
    Weir::wait_for('the replica has read', 120, sub {
        my ($row) = $target->rows('SHOW SLAVE STATUS');
        return scalar grep { ($_ // '') eq $end_gtid } @$row;
    });
    my $took = timed(sub {
        $target->do('START SLAVE SQL_THREAD');
        $target->value("SELECT MASTER_GTID_WAIT('$end_gtid', 600)");
    });
    $target->do('STOP SLAVE', 'RESET SLAVE ALL');
    done("replica $threads");
    return $took;
}

sub piped
{
    clean();
    my $files = join ' ', map { "'$db->{dir}/data/$_'" } @binlogs;
    my $took = timed(sub { run_command("mariadb-binlog --no-defaults $files | " . client($target)) });
    done('mariadb-binlog');
    return $took;
}

sub weir
{
    my ($mysql, $sink) = @_;
    clean();
    my $weir = $t->weir(config => replay_config($db, $target, $dir, mysql => $mysql,
        sink => $sink // '') =~ s/start = earliest/start = "gtid:$start_gtid"/r);
    $target->do("DROP USER 'replay'\@'%'"); # nothing is written before it is there again
    $weir->launch;
    Weir::wait_for('control', 20, sub { ($weir->ctl('pause', 'shop/copy', 'bench'))[0] == 0 });
    Weir::wait_for('the sink is held', 20, sub { $weir->log_count(qr{it is held}) > 0 });
    make_account();
    Weir::wait_for('the relay is full', 120, sub { index(($weir->ctl('status', '--json'))[1], $end_gtid) >= 0 });
    die "weir wrote before the clock began\n" if written();
    my $took = timed(sub {
        $weir->ctl('resume', 'shop/copy');
        Weir::wait_for('weir has written', 600, \&written);
    }, $weir);
    $weir->stop;
    done("weir $mysql");
    return $took;
}

sub written { return $target->value('SELECT COUNT(*) FROM shop.finish') }

# ---- All of it

# The third: of which works only.  20,000 rows are a transaction in bulk; `keep`
# has a COMMIT for each of the others.
my @modes = (
    (map { my $n = $_; [ "replica, $n threads", sub { replica($n) } ] } 0, 2, 4),
    [ 'mariadb-binlog | mariadb',     \&piped ],
    [ 'weir, merge',                  sub { weir('') } ],
    [ 'weir, merge, 4 lanes',         sub { weir('', 'lanes = 4') }, qr/one-row|sysbench/ ],
    [ 'weir, merge, 2 wide lanes',    sub { weir('', 'lanes = 2 events = 20000 bytes = 64m') }, qr/serts|dates|letes|bulk/ ],
    [ 'weir, merge, idempotent',      sub { weir('conflict = idempotent') } ],
    [ 'weir, keep, 4 lanes',          sub { weir('transactions = keep', 'lanes = 4') }, qr/one-row|sysbench/ ],
);

sub prepare
{
    my ($before, $work) = @_;
    $db->do('DROP DATABASE IF EXISTS shop', 'CREATE DATABASE shop');
    $before->();
    $db->do('CREATE TABLE shop.finish (id INT PRIMARY KEY)', 'FLUSH BINARY LOGS');
    remember();
    $from = $db->place->[0];
    $start_gtid = $db->gtids;
    $work->();
    $db->do('INSERT INTO shop.finish VALUES (1)');
    $end_gtid = $db->gtids;
    $db->do('FLUSH BINARY LOGS');
    my $end = $db->place->[0];
    @binlogs = grep { $_ ge $from && $_ lt $end } map { $_->[0] } $db->rows('SHOW BINARY LOGS');
    return;
}

sub compare
{
    my ($name, $before, $work) = @_;
    my $wanted = $ENV{WEIR_BENCH_MODES} // '.';
    my @wanted = grep { $_->[0] =~ /$wanted/ && (!$_->[2] || $name =~ $_->[2]) } @modes;
    my (%took, %cpu, %own);
    prepare($before, $work);
    for my $round (1 .. $rounds) {
        for my $mode (@wanted) {
            print STDERR "$name, round $round of $rounds: $mode->[0]\n";
            my $one = $mode->[1]->();
            push @{ $took{ $mode->[0] } }, $one->[0];
            push @{ $cpu{ $mode->[0] } },  $one->[1];
            push @{ $own{ $mode->[0] } },  $one->[2];
        }
    }
    my $best = (sort { $a <=> $b } map { median(@{ $took{$_} }) } grep { /replica/ } keys %took)[0];
    for my $mode (@wanted) {
        my $s = median(@{ $took{ $mode->[0] } });
        my ($low, $high) = (sort { $a <=> $b } @{ $took{ $mode->[0] } })[ 0, -1 ];
        printf "%-9s %-25s %6.2f s (%.2f to %.2f), CPU: target %.2f s, weir %.2f s%s\n", $name, $mode->[0], $s,
            $low, $high, median(@{ $cpu{ $mode->[0] } }), median(@{ $own{ $mode->[0] } }),
            $best ? sprintf ', %.2f x the best replica', $best / $s : '';
    }
    return;
}

sub main
{
    my $wanted = $ENV{WEIR_BENCH_WORK} // '.';
    $db->make_weir_user;
    make_account();
    for my $work (@works) {
        compare(@$work) if $work->[0] =~ /$wanted/;
    }
    $t->close_all;
    return 0;
}

exit main();
