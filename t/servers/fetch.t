# What t/servers/fetch does where a server can't be had, can be had in part only,
# or isn't what it should be: from repositories on loopback, into a cache of its
# own, with a list of its own.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Compress::Zip qw(:constants);
use IO::Socket::INET;
use Test::More;

my $here = dirname(__FILE__);
for my $tool (qw(curl unzip apt-get flock)) {
    grep { -x "$_/$tool" } split /:/, $ENV{PATH}
        or plan(skip_all => "$tool is not installed");
}
my $dir = tempdir('weir-fetch-XXXXXX', TMPDIR => 1, CLEANUP => 1);
delete @ENV{grep { /proxy$|^WEIR_/i && $_ ne 'WEIR_PREFIX' } keys %ENV};
$ENV{HOME} = "$dir/home";
make_path("$dir/home/.m2", "$dir/servers");
copy("$here/$_", "$dir/servers/$_") for qw(fetch debian.sh maven.sh mirror.sh);
chmod 0755, "$dir/servers/fetch";

# ---- A server of 200 kB

my $bytes = join '', map { pack 'N', int rand 2**32 } 1 .. 50000;
my $zip;
{
    my $out = IO::Compress::Zip->new(\$zip, Name => 'tiny-1.0.3/bin/tinyd', Method => ZIP_CM_STORE);
    $out->print("#!/bin/sh\necho tiny \"\$1\"\n");
    $out->newStream(Name => 'tiny-1.0.3/share/data', Method => ZIP_CM_STORE);
    $out->print($bytes);
    $out->close;
}
write_file("$dir/servers/maven.list",
    sprintf "# a list\ntiny-1.0 %d %s org/tiny/tiny-1.0.3.zip\n", length $zip, sha256_hex($zip));

sub write_file
{
    my ($path, $what) = @_;
    open my $out, '>:raw', $path or die "$path: $!\n";
    print $out $what;
    close $out or die "$path: $!\n";
    return;
}

sub read_file
{
    my ($path) = @_;
    open my $in, '<:raw', $path or return '';
    local $/;
    return readline($in) // '';
}

# ---- Repositories, told apart by the first word of the path

my $listen = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $!\n";
my $base = 'http://127.0.0.1:' . $listen->sockport;
my $requests = "$dir/requests";

sub answer
{
    my ($socket) = @_;
    my $head = '';
    while (defined(my $line = readline $socket)) {
        last if $line eq "\r\n";
        $head .= $line;
    }
    my ($kind) = $head =~ m{^GET /(\w+)/} or return;
    my ($from) = $head =~ /^Range: bytes=(\d+)-/mi;
    open my $log, '>>', $requests or return;
    print $log "$kind ", $from // 'all', "\n";
    close $log;
    my $body = $kind eq 'altered' ? "\0" x length $zip : $zip;
    return print $socket "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        if $kind eq 'lacks';
    my $n = length $body;
    if (defined $from && $kind ne 'whole') {
        print $socket "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes $from-" . ($n - 1) . "/$n\r\n";
        $body = substr $body, $from;
    } else {
        print $socket "HTTP/1.1 200 OK\r\n";
    }
    print $socket 'Content-Length: ' . length($body) . "\r\nConnection: close\r\n\r\n";
    $body = substr $body, 0, 70000 if $kind eq 'breaks';
    return print $socket $body;
}

my $pid = fork // die "fork: $!\n";
if (!$pid) {
    $SIG{PIPE} = 'IGNORE';
    while (my $socket = $listen->accept) {
        answer($socket);
        close $socket;
    }
    exit 0;
}
END { my $status = $?; kill 'TERM', $pid if $pid; $? = $status }

# A port where nobody listens: somebody did, and is gone.
my $closed = do {
    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die;
    'http://127.0.0.1:' . $socket->sockport;
};

# What it prints, and its exit status; each time with a new cache.
my $caches = 0;
sub fetch
{
    my ($name, @options) = @_;
    my $said = `'$dir/servers/fetch' @options '$name' 2>'$dir/stderr'`;
    my $exit = $? >> 8;
    chomp $said;
    return ($exit, $said);
}

sub new_cache { return $ENV{WEIR_SERVERS} = "$dir/cache" . ++$caches }
sub asked { my $said = read_file($requests); unlink $requests; return $said =~ s/\n$//r =~ s/\n/, /gr }

sub cannot
{
    my ($what, $name, $pattern) = @_;
    my $cache = new_cache();
    my ($exit, $said) = fetch($name);
    is($exit, 77, "$what: exit 77");
    like($said, $pattern, '  and the reason');
    is(join(' ', grep { -d && !/download$/ } glob "$cache/*"), '', '  nothing is left that looks like a server');
    is_deeply([ fetch($name, '--have') ], [ 77, $said ], '  asked for again, it says why without trying');
    return;
}

# ---- It can't be had

$ENV{WEIR_MAVEN} = $closed;
cannot('refused', 'tiny-1.0', qr{^tiny-1\.0: \Q$closed\E/org/tiny/tiny-1\.0\.3\.zip: .*(?:refused|connect)});
$ENV{WEIR_MAVEN} = "$base/lacks";
cannot('not there', 'tiny-1.0', qr/^tiny-1\.0: .*404/);
$ENV{WEIR_MAVEN} = "$base/altered/";
cannot('altered', 'tiny-1.0', qr/^tiny-1\.0: .*has not the checksum/);
is(join(' ', glob "$ENV{WEIR_SERVERS}/download/*"), '', '  and is not kept');
$ENV{WEIR_DEBIAN} = "$closed/debian";
cannot('no packages', 'mysql-9.7', qr/^mysql-9\.7: apt-get update for sid: .*(?:refused|connect)/);
write_file("$dir/file", '');
$ENV{WEIR_SERVERS} = "$dir/file/cache";
is_deeply([ fetch('tiny-1.0') ], [ 77, "tiny-1.0: $dir/file/cache can't be made" ], 'no cache');
new_cache();
is_deeply([ fetch('tiny-1.0', '--have') ], [ 77, 'tiny-1.0 is not fetched (t/servers/fetch tiny-1.0)' ], 'not tried yet');
is((fetch('tiny-9'))[0], 2, 'a name that is not in the list: exit 2');
asked();

# ---- It can

my $cache = new_cache();
$ENV{WEIR_MAVEN} = "$base/works";
is_deeply([ fetch('tiny-1.0') ], [ 0, "$cache/tiny-1.0" ], 'fetched: prints the folder');
is(asked(), 'works all', '  in one go');
is(`'$cache/tiny-1.0/run' tinyd it`, "tiny it\n", '  its programs run');
ok(read_file("$cache/tiny-1.0/share/data") eq $bytes, '  its files are whole');
is(join(' ', glob "$cache/download/*"), '', '  what came is not kept');
$ENV{WEIR_MAVEN} = $closed;
is_deeply([ fetch('tiny-1.0') ], [ 0, "$cache/tiny-1.0" ], 'once it is there nobody is asked');

$cache = new_cache();
$ENV{WEIR_MAVEN} = "$base/breaks";
is((fetch('tiny-1.0'))[0], 0, 'a repository that breaks off each time');
is(asked(), 'breaks all, breaks 70000, breaks 140000', '  is asked for the rest');
ok(read_file("$cache/tiny-1.0/share/data") eq $bytes, '  and all is there');
like(read_file("$dir/stderr"), qr/^tiny-1\.0: broke off at 70000 bytes/m, '  which is said');

$cache = new_cache();
make_path("$cache/download");
write_file("$cache/download/tiny-1.0.3.zip", substr $zip, 0, 1000);
$ENV{WEIR_MAVEN} = "$base/whole";
is((fetch('tiny-1.0'))[0], 0, 'one that knows no ranges');
is(asked(), 'whole 1000, whole all', '  is asked for all');

# ---- Whom it asks

delete $ENV{WEIR_MAVEN};
write_file("$dir/home/.m2/settings.xml", <<"EOT");
<settings><mirrors>
  <!-- <mirror><mirrorOf>central</mirrorOf><url>$closed</url></mirror> -->
  <mirror><id>a</id><mirrorOf>external:http:*</mirrorOf><url>$closed</url></mirror>
  <mirror><id>b</id><url>
    $base/works </url><mirrorOf>other, central</mirrorOf></mirror>
</mirrors></settings>
EOT
new_cache();
is((fetch('tiny-1.0'))[0], 0, 'the mirror of settings.xml');
is(asked(), 'works all', '  is asked');

# ---- A live test without its server

SKIP: {
    skip('WEIR_PREFIX names no installed weir', 1) if !-x(($ENV{WEIR_PREFIX} // '') . '/sbin/weir');
    new_cache();
    local @ENV{qw(WEIR_SERVER WEIR_MAVEN WEIR_SOURCE)} = ('mysql-8.0', $closed, "$here/../..");
    like(`perl '-I$here/../lib' '$here/../live/61-schema.t' 2>'$dir/stderr'`,
        qr/^1\.\.0 # SKIP no mysql-8\.0 here: mysql-8\.0: \Q$closed\E.*(?:refused|connect)/m,
        'a live test is skipped, with the reason');
}
done_testing();
