# quickstart.pl - what contrib/quickstart does once everything is built: a
# small shop in a private MariaDB, Weir, a private Redis and a file; changes,
# what came out, and how soon.
use Weir;
use Time::HiRes qw(time);

$| = 1;
my $once = grep { $_ eq '--once' } @ARGV;
my $stop = 0;
$SIG{$_} = sub { $stop = 1; die "stopped\n" } for qw(INT TERM HUP);

my $t = Weir->new;
my $ok = eval { show($t); 1 };
my $why = $@;
$SIG{$_} = 'IGNORE' for qw(INT TERM HUP);
print "\nstopping MariaDB, Redis and Weir; removing ", $t->dir, "\n";
if (!$ok && !$stop) {
    print STDERR "quickstart: $why";
    print STDERR $_->last_words for @{ $t->{servers} };
}
$t->close_all;
exit($ok || $stop ? 0 : 1);

sub show
{
    my ($t) = @_;
    print "starting a MariaDB and a Redis of our own in ", $t->dir, "\n";
    my $db    = $t->mariadb;
    my $redis = $t->redis;
    make_shop($db);
    my $weir = $t->weir(config => pipeline($db, $redis, $t->dir));
    my ($exit, $said) = $weir->command('-t');
    print "\n\$ weir -c ", $weir->conf, " -t\n$said";
    die "the configuration is bad\n" if $exit;
    $weir->start;
    changes($db, $redis, $t->dir . '/files/shop');
    print "\n\$ weir -c ", $weir->conf, " -s status\n", $weir->status_text;
    return if $once;
    look_around($db, $redis, $weir, $t->dir);
    sleep 3600 while !$stop;
    return;
}

sub make_shop
{
    my ($db) = @_;
    $db->make_weir_user;
    $db->do(
        'CREATE DATABASE shop',
        'CREATE TABLE shop.users (id INT UNSIGNED PRIMARY KEY,'
            . ' name VARCHAR(100), email VARCHAR(100), password VARCHAR(60))',
        'CREATE TABLE shop.orders (id BIGINT UNSIGNED PRIMARY KEY,'
            . ' user_id INT UNSIGNED, amount DECIMAL(10,2),'
            . ' placed DATETIME(3), note TEXT)'
    );
    return;
}

sub pipeline
{
    my ($db, $redis, $dir) = @_;
    my ($port, $redis_port) = ($db->port, $redis->port);
    mkdir "$dir/files";
    return <<"EOT";
pipeline shop {
    source {
        mysql {
            host = "127.0.0.1"  port = $port
            user = "weir"  password = "secret"  start = earliest
        }
    }
    transform hide { columns { drop = {"*.password"} } }
    sink users {
        tables = {"shop.users"}
        redis { host = "127.0.0.1"  port = $redis_port  key = "user:{id}" }
    }
    sink orders {
        tables = {"shop.orders"}
        redis { host = "127.0.0.1"  port = $redis_port  key = "order:{id}" }
    }
    sink changes { file { root = "$dir/files"  path = "{database}/{table}.jsonl" } }
}
EOT
}

# Statement, key to look at, what tells that the change is there.
sub changes
{
    my ($db, $redis, $files) = @_;
    my @steps = (
        [   "INSERT INTO shop.users VALUES (1, 'Ada', 'ada\@example.net', 'secret')",
            'user:1', 'users', sub { $_[0]{name} }
        ],
        [   'INSERT INTO shop.orders VALUES (18446744073709551615, 1, 99.90,'
                . " '2026-01-02 03:04:05.678', 'two boxes')",
            'order:18446744073709551615', 'orders', sub { $_[0]{amount} }
        ],
        [   "UPDATE shop.users SET email = 'ada\@example.org' WHERE id = 1",
            'user:1', 'users', sub { ($_[0]{email} // '') =~ /org/ }
        ],
        [   'UPDATE shop.users SET id = 2 WHERE id = 1',
            'user:2', 'users', sub { $_[0]{name} }
        ],
        [   'DELETE FROM shop.orders', 'order:18446744073709551615',
            'orders', sub { !%{ $_[0] } }
        ],
    );
    for my $step (@steps) {
        my ($sql, $key, $table, $there) = @$step;
        one_change($db, $redis, "$files/$table.jsonl", $sql, $key, $there);
    }
    return;
}

sub one_change
{
    my ($db, $redis, $file, $sql, $key, $there) = @_;
    my $had = -s $file // 0;
    print "\nmariadb> $sql;\n";
    $db->do($sql);
    my $committed = time;
    my ($hash, $redis_ms, $file_ms);
    while (!defined $redis_ms || !defined $file_ms) {
        die "nothing came out within 30 s\n" if time > $committed + 30;
        if (!defined $redis_ms) {
            $hash = $redis->hash($key);
            $redis_ms = 1000 * (time - $committed) if $there->($hash);
        }
        $file_ms = 1000 * (time - $committed)
            if !defined $file_ms && (-s $file // 0) > $had;
    }
    my $fields = join '  ', map { "$_=$hash->{$_}" } sort keys %$hash;
    printf "  Redis after %.1f ms:  %s  %s\n", $redis_ms, $key,
        $fields eq '' ? '(gone)' : $fields;
    my $line = (Weir::Server::lines_of($file))[-1];
    printf "  file after %.1f ms:   %s\n", $file_ms, $line;
    return;
}

sub look_around
{
    my ($db, $redis, $weir, $dir) = @_;
    my ($socket, $port, $conf) = ($db->socket, $redis->port, $weir->conf);
    my $program = $weir->program;
    print <<"EOT";

Look around, in another terminal:

    mariadb -uroot -S $socket shop
    redis-cli -p $port monitor
    tail -f $dir/files/shop/*.jsonl
    $program -c $conf -s status
    cat $conf
    tail -f $weir->{log}

Ctrl-C ends it and leaves nothing behind.
EOT
    return;
}
