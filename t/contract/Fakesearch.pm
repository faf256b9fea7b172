# Fakesearch.pm - answers _bulk as a test wants, which a healthy server won't:
# throttled items, half answers, late ones, refusals.  One child process, one
# connection after the other; over TLS by openssl's own server.
package Fakesearch;
use strict;
use warnings;
use Compress::Zlib qw(memGunzip);
use IO::Socket::INET;
use IPC::Open2;

# answer: sub(method, path, body, number of the _bulk) gives { status, body,
# more }, where `more` is claimed of its length but never sent, and undef is
# no answer at all; "GET /" is answered here unless root => 0.  tls: the folder
# with cert.pem and key.pem.
sub new
{
    my ($class, $dir, %option) = @_;
    my $socket = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1',
        LocalPort => 0, ReuseAddr => 1) or die "listen: $!";
    my $self = bless { port => $socket->sockport, dir => $dir, %option }, $class;
    $self->{log} = "$dir/requests.$self->{port}";
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        setpgrp 0, 0;    # with openssl, whenever that is started
        if ($self->{tls}) {
            close $socket;
            $self->serve_tls while 1;
        }
        while (my $client = $socket->accept) {
            $self->serve($client, $client);
            close $client;
        }
        require POSIX;
        POSIX::_exit(0);
    }
    setpgrp $self->{pid}, $self->{pid};
    close $socket;
    $self->wait_port if $self->{tls};
    return $self;
}

sub url { my ($self) = @_; return ($self->{tls} ? 'https' : 'http') . "://127.0.0.1:$self->{port}" }

sub wait_port
{
    my ($self) = @_;
    for (1 .. 200) {
        return if -e "$self->{log}.tls";
        select undef, undef, undef, 0.05;
    }
    die "openssl s_server does not start";
}

# One connection.
sub serve_tls
{
    my ($self) = @_;
    my $pid = open2(my $out, my $in, "exec openssl s_server -quiet -naccept 1"
            . " -accept 127.0.0.1:$self->{port} -cert $self->{tls}/cert.pem"
            . " -key $self->{tls}/key.pem 2>'$self->{log}.err'");
    for (1 .. 200) {
        last if grep { /:\Q@{[ sprintf '%04X', $self->{port} ]}\E 00000000:0000 0A/ }
            map { s/^\s*\d+: //r } split /\n/, content('/proc/net/tcp');
        select undef, undef, undef, 0.02;
    }
    open my $ready, '>', "$self->{log}.tls" or die;
    close $ready;
    $self->serve($out, $in);
    close $in;
    kill 'TERM', $pid;
    waitpid $pid, 0;
    return;
}

sub content
{
    my ($path) = @_;
    open my $in, '<:raw', $path or return '';
    local $/;
    return scalar(readline $in) // '';
}

sub serve
{
    my ($self, $in, $out) = @_;
    binmode $_ for $in, $out;
    $out->autoflush(1);
    while (defined(my $first = readline $in)) {
        my ($method, $path) = $first =~ m{^(\S+) (\S+)} or return;
        my %header;
        while (defined(my $line = readline $in)) {
            last if $line !~ /^([^:]+): *(.*?)\r?\n/;
            $header{ lc $1 } = $2;
        }
        my $body = '';
        read $in, $body, $header{'content-length'} // 0;
        $body = memGunzip($body) // '' if ($header{'content-encoding'} // '') eq 'gzip';
        open my $log, '>>', $self->{log} or die;
        my $lines = () = $body =~ /^\{"(?:index|delete)":/mg;
        print $log "$method $path items=$lines "
            . join(' ', map { "$_=" . ($header{$_} // '') } qw(authorization content-encoding))
            . "\n$body";
        close $log;
        my $answer = $path eq '/' && ($self->{root} // 1)
            ? { body => '{"version":{"number":"2.19.4","distribution":"opensearch"}}' }
            : $self->{answer}->($method, $path, $body, $path =~ /_bulk/ ? $self->{bulks}++ : 0);
        return if !$answer;
        $answer->{body} //= '';
        my $more = $answer->{more} // 0;
        print $out 'HTTP/1.1 ' . ($answer->{status} // 200) . " So\r\n"
            . ($answer->{header} // '')
            . "Content-Type: application/json\r\nContent-Length: "
            . (length($answer->{body}) + $more) . "\r\n\r\n$answer->{body}";
        return if $more;
    }
    return;
}

# An answer to _bulk: each item's status by sub(number, action line), or 201.
sub items
{
    my ($body, $of) = @_;
    my @items;
    for my $line (split /\n/, $body) {
        my ($action) = $line =~ /^\{"(index|delete)":\{"_index"/ or next;
        my ($status, $type, $reason) = $of ? $of->(scalar @items, $line) : 201;
        my $error = $type ? qq(,"error":{"type":"$type","reason":"$reason"}) : '';
        push @items, qq({"$action":{"status":$status$error}});
    }
    return { body => '{"items":[' . join(',', @items) . ']}' };
}

sub requests { my ($self) = @_; return content($self->{log}) }

sub end
{
    my ($self) = @_;
    return if !$self->{pid};
    local $?;
    kill '-TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
    return;
}

sub DESTROY { $_[0]->end; return }

1;
