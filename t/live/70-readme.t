# The configuration and the module of README.md, as they are printed there:
# only addresses and folders are this test's own.
use Weir;
use Weir::Lines qw(read_lines);

my $t      = Weir->new;
my $readme = Weir::read_file("$ENV{WEIR_SOURCE}/README.md");
my ($text) = $readme =~ /^```\n(state = .*?)^```/ms;
ok($text, 'README.md has a configuration') or BAIL_OUT('no configuration');
my ($code) = $readme =~ /^```c\n(.*?)^```/ms;
my ($make) = $readme =~ /^```make\n(.*?)^```/ms;

my $db    = $t->mariadb;
my $redis = $t->redis;
my ($port, $redis_port, $dir) = ($db->port, $redis->port, $t->dir);

# The statements of README.md make the user.
for my $sql ($readme =~ /^    ((?:CREATE USER|GRANT) .*);$/mg) {
    (my $statement = $sql) =~ s/'\.\.\.'/'secret'/;
    $db->do($statement);
}
$db->do(
    'CREATE DATABASE shop',
    'CREATE TABLE shop.users (id INT PRIMARY KEY, name VARCHAR(20),'
        . ' password VARCHAR(20), phone VARCHAR(20))',
    'CREATE TABLE shop.tmp_1 (id INT PRIMARY KEY)'
);

$t->make_dir($_) for qw(etc var log srv);
open my $secret, '>', "$dir/etc/mysql.pw" or die;
print $secret "secret\n";
close $secret;
chmod 0600, "$dir/etc/mysql.pw";

my $weir = $t->weir;
$text =~ s{^user .*\n}{}m or fail('README.md names a user');
$text =~ s{"/etc/weir/}{"$dir/etc/};
$text =~ s{"/var/lib/weir/weir.pid"}{"$dir/var/weir.pid"};
$text =~ s{"/var/lib/weir"}{"$weir->{dir}/state"};
$text =~ s{"/var/log/weir/weir.log"}{"$weir->{log}"};
$text =~ s{"/srv/changes"}{"$dir/srv"};
$text =~ s{port = 3306}{port = $port};
$text =~ s{port = 6379}{port = $redis_port};
unlike($text, qr{"/(?:etc|var|srv)/}, 'all of its paths are ours');

# The module, built as README.md says, against what is installed.
my $build = $t->make_dir('module');
for my $file ([ 'sink_count.c', $code ], [ 'Makefile', $make ]) {
    open my $out, '>', "$build/$file->[0]" or die;
    print $out $file->[1];
    close $out;
}
local $ENV{PKG_CONFIG_PATH} = "$t->{prefix}/lib/pkgconfig";
my $flags = ($ENV{WEIR_BUILD} // '') =~ /asan/ ? '' : ' CFLAGS="-O2 -Wall -Wextra -Werror"';
my $said = `make -C '$build'$flags 2>&1`;
is($?, 0, 'the module builds') or diag $said;
chmod 0755, "$build/sink_count.so";
$text =~ s{^(load_module\("sink_file.so"\))$}{$1\nload_module("$build/sink_count.so")}m;
$text =~ s/\n\}\s*\z/\n    sink s { count { every = 2 } }\n}\n/;

$weir->write_raw_config($text);
my ($exit, $what) = $weir->command('-t');
is($exit, 0, 'weir -t takes it') or diag $what;
$weir->start;
$db->do("INSERT INTO shop.users VALUES (1, 'Ada', 'x', '555')",
    'INSERT INTO shop.tmp_1 VALUES (1)',
    "UPDATE shop.users SET name = 'Ada L.' WHERE id = 1");
wait_for('the row', 30,
    sub { ($redis->ask('HGET', 'user:1', 'name') // '') eq 'Ada L.' });
is_deeply($redis->hash('user:1'), { id => 1, name => 'Ada L.' },
    'dropped columns stay out');
my $file = "$dir/srv/shop/users.jsonl";
wait_for('its lines', 30, sub { -e $file && (() = read_lines($file)) >= 2 });
ok(!-e "$dir/srv/shop/tmp_1.jsonl", 'excluded tables stay out');
like($weir->wait_log(qr/counted/), qr/counted 2 events/, 'the module counts');
$t->done;
