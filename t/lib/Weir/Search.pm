# Search.pm - a private Elasticsearch or OpenSearch for a test, from t/servers,
# and a client of it.  Knows no Weir.
package Weir::Search;
use strict;
use warnings;
use Carp qw(croak);
use HTTP::Tiny;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);

my $count = 0;

# Its folder; dies with the reason if it can't be had.
sub fetch
{
    my ($source, $name) = @_;
    my $folder = Weir::Fetched::fetch($source, $name);
    my $java = `. '$source/t/servers/start-search'; search_java '$name'`;
    die $java if $?;
    return $folder;
}

# name: of t/servers/fetch.  settings: lines of its own, "key=value".
sub new
{
    my ($class, $test, %option) = @_;
    my $self = bless {
        test     => $test,
        kind     => $option{name} // $ENV{WEIR_SEARCH} // 'opensearch-2.19',
        name     => 'search' . ++$count,
        port     => Weir::free_port(),
        settings => $option{settings} // [],
    }, $class;
    fetch($ENV{WEIR_SOURCE}, $self->{kind});
    $self->{dir}  = $test->make_dir($self->{name});
    $self->{http} = HTTP::Tiny->new(timeout => 60);
    $self->start;
    return $self;
}

sub port { return $_[0]{port} }
sub url  { return "http://127.0.0.1:$_[0]{port}" }

sub start
{
    my ($self) = @_;
    $self->{pid} = $self->{test}->spawn("$self->{dir}/out",
        "$ENV{WEIR_SOURCE}/t/servers/start", $self->{kind}, $self->{dir},
        $self->{port}, @{ $self->{settings} });
    Weir::wait_for(
        "start of $self->{kind}",
        180,
        sub {
            die $self->last_words if $self->{test}->ended($self->{pid});
            my $answer = eval {
                $self->ask('GET',
                    '/_cluster/health?wait_for_status=yellow&timeout=1s');
            };
            return $answer && ($answer->{status} // '') =~ /^(?:green|yellow)$/;
        }
    );
    return;
}

sub is_running
{
    my ($self) = @_;
    return $self->{pid} && !$self->{test}->ended($self->{pid});
}

sub stop  { my ($self) = @_; return $self->end_by('TERM') }
sub crash { my ($self) = @_; return $self->end_by('KILL') }

sub end_by
{
    my ($self, $signal) = @_;
    kill $signal, $self->{pid};
    # Elasticsearch 8 has a launcher of its own.
    kill $signal, -$self->{pid} if $signal eq 'KILL';
    Weir::wait_for("end of $self->{kind}", 60,
        sub { $self->{test}->ended($self->{pid}) });
    delete $self->{pid};
    return;
}

sub last_words
{
    my ($self) = @_;
    return "$self->{kind}:\n" . `tail -n 5 '$self->{dir}/out' 2>&1`;
}

# ---- Requests

# The answer, decoded; its status is in $search->{status}.  Bodies are texts, or
# what is to be made JSON.
sub ask
{
    my ($self, $method, $path, $body) = @_;
    my %option = (headers => { 'content-type' => 'application/json' });
    $option{content} = ref $body ? JSON::PP->new->utf8->encode($body) : $body
        if defined $body;
    my $said = $self->{http}->request($method, $self->url . $path, \%option);
    $self->{status} = $said->{status};
    croak "$method $path: $said->{content}" if $said->{status} == 599;
    my $answer = eval { JSON::PP->new->utf8->decode($said->{content}) };
    return $answer // { text => $said->{content} };
}

sub count
{
    my ($self, $index) = @_;
    $self->ask('POST', "/$index/_refresh");
    return $self->ask('GET', "/$index/_count")->{count} // 0;
}

# A document's fields, or undef.
sub document
{
    my ($self, $index, $id, $routing) = @_;
    my $with = defined $routing ? "?routing=$routing" : '';
    $id =~ s/([^A-Za-z0-9._-])/sprintf '%%%02X', ord $1/ge;
    my $answer = $self->ask('GET', "/$index/_doc/$id$with");
    return $answer->{found} ? $answer->{_source} : undef;
}

# All documents: _id => { _source, _version, _index, _routing }.
sub documents
{
    my ($self, $index) = @_;
    $self->ask('POST', "/$index/_refresh");
    my $page = $self->ask('POST',
        "/$index/_search?scroll=1m&version=true",
        { size => 2000, sort => ['_doc'] });
    my %all;
    while (my @hits = @{ $page->{hits}{hits} // [] }) {
        $all{ $_->{_id} } = $_ for @hits;
        $page = $self->ask('POST', '/_search/scroll',
            { scroll => '1m', scroll_id => $page->{_scroll_id} });
    }
    return \%all;
}

# What Compare.pm takes: _id => { column => bytes as SQL prints them }.
# binary: columns in base64; instants: TIMESTAMPs.
sub hashes
{
    my ($self, $index) = @_;
    my $documents = $self->documents($index);
    my %binary   = map { $_ => 1 } @{ $self->{binary}   // [] };
    my %instants = map { $_ => 1 } @{ $self->{instants} // [] };
    my %all;
    for my $id (keys %$documents) {
        my $source = $documents->{$id}{_source};
        my %row;
        for my $name (keys %$source) {
            my $value = $source->{$name} // next;
            utf8::encode($value);
            $value = decode_base64($value) if $binary{$name};
            $value =~ s/^(\S+)T(\S+)Z$/$1 $2/ if $instants{$name};
            $row{$name} = $value;
        }
        utf8::encode($id);
        $all{$id} = \%row;
    }
    return \%all;
}

1;
