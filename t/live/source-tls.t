# TLS to a source of either flavour, and logins that go with it: nothing in the
# clear where tls is on, nobody trusted by mistake where it verifies.
use Weir;
use Weir::Srchost;

my $t = Weir->new;
Weir::find_program('openssl') or plan(skip_all => 'no openssl here: it makes the certificates');
my $mysql = Weir::Srchost->new($t, 'source_mysql');
my $dir   = $t->make_dir('tls');

sub openssl
{
    my ($command) = @_;
    my $said = `cd '$dir' && openssl $command 2>&1`;
    die "openssl $command: $said" if $?;
    return;
}

# A certificate and its key, NAME.pem and NAME.key, signed by `by`.
sub certificate
{
    my ($name, $by, $for) = @_;
    openssl("req -newkey rsa:2048 -nodes -keyout $name.key -subj /CN=$name -out $name.req");
    open my $out, '>', "$dir/$name.ext" or die;
    print $out "subjectAltName = $for\n";
    close $out;
    openssl("x509 -req -in $name.req -CA $by.pem -CAkey $by.key -CAcreateserial"
            . " -days 2 -extfile $name.ext -out $name.pem");
    return;
}

openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -keyout $_.key -subj /CN=$_ -out $_.pem")
    for qw(ca other);
certificate('server', 'ca',    'IP:127.0.0.1');
certificate('wrong',  'ca',    'DNS:db.example.net');
certificate('client', 'ca',    'DNS:weir');
system('chmod', '-R', 'a+rX', $dir);

# The certificate that a server shows from now on.
sub show
{
    my ($name) = @_;
    system("cat '$dir/$name.pem' >'$dir/now.pem'; cat '$dir/$name.key' >'$dir/now.key'");
    chmod 0644, "$dir/now.key";
    return;
}

sub connected
{
    my (@arguments) = @_;
    $mysql->start(@arguments);
    my $line = $mysql->wait_said(qr/^(?:log info: (connected.*)|end .*)$/m);
    $mysql->stop;
    return $line;
}

sub check_flavour
{
    my ($name, $db, $reload) = @_;
    my @to = ('host=127.0.0.1', 'port=' . $db->port);
    my @login = (@to, 'user=weir', 'password=secret');
    my @ca = ('tls=verify', "tls_ca=$dir/ca.pem");
    $db->make_weir_user;
    my $rights = $db->rights;
    for my $account ([ 'needs', 'REQUIRE SSL' ], [ 'shows', 'REQUIRE X509' ]) {
        $db->do("CREATE USER $account->[0] IDENTIFIED BY 'secret' $account->[1]",
            "GRANT $rights ON *.* TO $account->[0]");
    }
    like(connected(@login, @ca), qr/^connected.*TLSv1\.[23], \S+\) as/, "$name: verify");
    like(connected(@login), qr/^connected to \S+ \([^;]*\) as/, "$name: off is off");
    like(connected(@login, 'tls=on'), qr/^connected.*TLSv1/, "$name: on");
    like($mysql->said, qr/^log warn: tls = on: .*not verified/m, "$name: on is warned of");
    for my $bad ([ 'another authority', "tls_ca=$dir/other.pem" ], ['the system knows none of it']) {
        my ($what, @more) = @$bad;
        like($mysql->run(@login, 'tls=verify', @more), qr/^log error: no TLS with .*tls_ca(?s:.*)^end -1 .*error 2026/m,
            "$name: verify, $what");
    }
    like($mysql->run(@login, 'tls=verify', "tls_ca=$dir/none.pem"), qr/^end -1 .*connect to/m,
        "$name: verify, no such file");
    like($mysql->run(@to, 'user=needs', 'password=secret'), qr/^log error: .*or set tls(?s:.*)^end -1/m,
        "$name: an account that requires TLS");
    like(connected(@to, 'user=needs', 'password=secret', @ca), qr/^connected/, "$name: which has it");
    like($mysql->run(@to, 'user=shows', 'password=secret', @ca), qr/^end -1/m, "$name: X509 wants a certificate");
    like(connected(@to, 'user=shows', 'password=secret', @ca, "tls_cert=$dir/client.pem", "tls_key=$dir/client.key"),
        qr/^connected/, "$name: which we show");
    show('wrong');
    $db->do($reload);
    like($mysql->run(@login, @ca), qr/^log error: no TLS(?s:.*)^end -1/m, "$name: verify, made for another host");
    like(connected(@login, 'tls=on'), qr/^connected/, "$name: which on does not see");
    show('server');
    return;
}

show('server');
my $cnf = join "\n", "ssl_ca = $dir/ca.pem", "ssl_cert = $dir/now.pem", "ssl_key = $dir/now.key";
my $db = $t->mariadb(cnf => $cnf);
check_flavour('MariaDB', $db, 'FLUSH SSL');

# ---- ed25519

my @login = ('host=127.0.0.1', 'port=' . $db->port, 'user=ed');
SKIP: {
    my $error = $db->{client}->try("INSTALL SONAME 'auth_ed25519'");
    Test::More::skip("no ed25519 here: $error", 2) if $error;
    $db->do("CREATE USER ed IDENTIFIED VIA ed25519 USING PASSWORD('secret')",
        'GRANT ' . $db->rights . ' ON *.* TO ed');
    like(connected(@login, 'password=secret'), qr/^connected/, 'ed25519');
    like($mysql->run(@login, 'password=no'), qr/^end -1 .*Access denied/m, 'and a wrong password');
}
$db->stop;

# ---- A server without TLS

my $plain = $t->mariadb(cnf => 'skip_ssl = 1');
$plain->make_weir_user;
@login = ('host=127.0.0.1', 'port=' . $plain->port, 'user=weir', 'password=secret');
for my $tls ('tls=on', 'tls=verify') {
    my $said = $mysql->run(@login, $tls);
    like($said, qr/^end -[13] .*TLS/m, "$tls: a server that has none");
    unlike($said, qr/^(?:server|position|event) /m, "$tls: nothing was asked of it");
}
$plain->stop;

# ---- What can't be

for (
    [ 'tls_ca has no meaning with tls = off',  "tls_ca=$dir/ca.pem" ],
    [ 'tls = on verifies nobody',              'tls=on', "tls_ca=$dir/ca.pem" ],
    [ 'one of them is missing',                'tls=verify', "tls_cert=$dir/client.pem" ],
    [ 'is no path from /',                     'tls=verify', 'tls_ca=ca.pem' ],
    )
{
    my ($why, @arguments) = @$_;
    like($mysql->run(@login, @arguments), qr/^check -3: .*$why/m, $why);
}
like($mysql->run('user=weir', 'tls=verify'), qr/^check -3: .*tls is for TCP/m, 'not on a socket');

# ---- MySQL

SKIP: {
    my $why = eval { Weir::Fetched::fetch($ENV{WEIR_SOURCE}, 'mysql-9.7'); '' } // $@;
    chomp $why;
    Test::More::skip("no MySQL here: $why", 13) if $why;
    check_flavour('MySQL', $t->mysql(cnf => $cnf), 'ALTER INSTANCE RELOAD TLS');
}
is(join(' ', Weir::Srchost::sanitizer_lines($t)), '', 'nothing from a sanitizer in the host');
$t->done;
