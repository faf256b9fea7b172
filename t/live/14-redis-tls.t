# The Redis sink over TLS: verified or not, with and without certificates.
use Weir;
use lib "$ENV{WEIR_SOURCE}/t/contract";
use Sinkhost;
use IO::Socket::INET;
use POSIX ();

my $t = Weir->new;
plan(skip_all => 'the module is not built: no hiredis or no OpenSSL')
    if !-e Sinkhost::module_path('sink_redis');
Weir::find_program('openssl') or plan(skip_all => 'no openssl here: it makes the certificates');
my $dir   = $t->make_dir('state');
my $users = 'table shop users id id:int name:text bio:bytes';
my ($h, $port);
my $tls = $t->make_dir('tls');
my $openssl = sub {
    my ($command) = @_;
    my $said = `cd '$tls' && openssl $command 2>&1`;
    die "openssl $command: $said" if $?;
};
$openssl->("req -x509 -newkey rsa:2048 -nodes -days 2 -keyout $_.key -subj /CN=$_ -out $_.pem")
    for qw(ca other);
for my $one ([ 'server', 'IP:127.0.0.1' ], [ 'wrong', 'DNS:redis.example.net' ],
    [ 'client', 'DNS:weir' ])
{
    my ($name, $for) = @$one;
    $openssl->("req -newkey rsa:2048 -nodes -keyout $name.key -subj /CN=$name -out $name.req");
    open my $out, '>', "$tls/$name.ext" or die;
    print {$out} "subjectAltName = $for\n";
    close $out;
    $openssl->("x509 -req -in $name.req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
        . " -extfile $name.ext -out $name.pem");
}
my $start = sub {
    my ($certificate, $clients) = @_;
    my $port = Weir::free_port();
    my $one = $t->redis(args => [ '--tls-port', $port, '--tls-cert-file',
        "$tls/$certificate.pem", '--tls-key-file', "$tls/$certificate.key",
        '--tls-ca-cert-file', "$tls/ca.pem", '--tls-auth-clients', $clients ]);
    return ($one, $port);
};
(my $one, $port) = $start->('server', 'no');
my @verify = (tls => 'verify', tls_ca => "$tls/ca.pem");
my $over = sub { return Sinkhost->new('sink_redis', $dir, key => 'user:{id}', port => $port, @_) };
$h = $over->(@verify);
is($h->run('open', $users, 'insert 1 a x', 'insert 2 @20000000 x', 'write 1 0 a'), 'OK', 'TLS');
is($one->ask('HSTRLEN', 'user:2', 'name'), 20_000_000, 'large values too');
is($h->run('bench 3 50000 3 1'), 'OK', 'both ways at once');
is($one->ask('EXISTS', 'user:149999'), 1, 'all is there');
$one->ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
is($h->run($users, 'insert 1 b x', 'write 1 0 b'), 'RETRY', 'a connection that is cut');
is($h->run('restore 0', 'insert 1 b x', 'write 1 0 b'), 'OK', 'is made again');
$h->end;
$h = $over->(tls => 'on');
is($h->run('open', $users, 'insert 1 a x', 'write 1 0 c'), 'OK', 'tls = on');
$h->end;
$h = $over->(tls => 'verify', tls_ca => "$tls/other.pem");
is($h->run('open', 'restore all'), 'FATAL', 'signed by somebody else');
like($h->{reason}, qr/its certificate is refused: .*; see host and tls_ca$/, 'is refused');
$h->end;
$h = $over->(tls => 'verify', tls_ca => "$tls/none.pem");
is($h->run('open', 'restore all'), 'FATAL', 'no such file');
$h->end;
$h = $over->();
is($h->run('open', 'restore all'), 'RETRY', 'without TLS to a port of TLS');
$h->end;
$h = $over->(@verify, port => $one->port, timeout => '300ms');
is($h->run('open', 'restore all'), 'RETRY', 'TLS to a port without');
like($h->{reason}, qr/no answer in 300 ms; does that port speak TLS\?$/, 'says so');
$h->end;
my $listen = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die;
my $web = fork // die;
if (!$web) {
    my $peer = $listen->accept;
    print {$peer} "HTTP/1.1 400 Bad Request\r\n\r\n";
    $peer->flush;
    sysread $peer, my $all, 1 << 16;
    POSIX::_exit(0);
}
$h = $over->(@verify, port => $listen->sockport);
is($h->run('open', 'restore all'), 'FATAL', 'another protocol');
like($h->{reason}, qr/by TLS: .*; does that port speak TLS\?$/, 'says so');
$h->end;
waitpid $web, 0;
$one->crash;
($one, $port) = $start->('wrong', 'no');
$h = $over->(@verify);
is($h->run('open', 'restore all'), 'FATAL', 'the certificate of another host');
like($h->{reason}, qr/its certificate is refused: .*mismatch/, 'is refused');
$h->end;
$one->crash;
($one, $port) = $start->('server', 'yes');
$h = $over->(@verify);
is($h->run('open', 'restore all'), 'RETRY', 'a client without a certificate');
like($h->{reason}, qr/certificate required|closed|reset/i, 'is refused by Redis');
$h->end;
$h = $over->(@verify, tls_cert => "$tls/client.pem", tls_key => "$tls/client.key");
is($h->run('open', 'restore all'), 'OK', 'and one with it is not');
$h->end;
$one->crash;
$t->done;
