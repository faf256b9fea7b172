# Mariadb.pm - a private MariaDB server for a test, and statements for it
# through the `mariadb` program, kept open.  Knows no Weir.
package Weir::Mariadb;
use strict;
use warnings;
use Carp qw(croak);
use Fcntl qw(:flock);
use File::Path qw(make_path remove_tree);
use Time::HiRes qw(time sleep);
use Weir::Mariadb::Client;

my $count = 0;

# cnf: more lines for [mysqld].  stopped: not started yet.  compressed: its
# log is.  server: its name in t/servers, if it is one of those.
sub new
{
    my ($class, $test, %option) = @_;
    my $name = lc(($class =~ /(\w+)$/)[0]) . ++$count;
    my $self = bless {
        test   => $test,
        name   => $name,
        dir    => $test->make_dir($name),
        port   => Weir::free_port(),
        cnf    => $option{cnf} // '',
        server => $option{server},
        compressed => $option{compressed},
        server_id => 100 + $count,
        user   => scalar getpwuid($>),
    }, $class;
    if ($> == 0) {
        $self->{user} = getpwnam('mysql') ? 'mysql' : 'nobody';
    }
    $self->{socket} = "$self->{dir}/my.sock";
    $self->write_cnf;
    $self->make_data;
    $self->start if !$option{stopped};
    return $self;
}

sub port   { return $_[0]{port} }
sub socket { return $_[0]{socket} }

sub write_cnf
{
    my ($self) = @_;
    my $compress = $self->{compressed} ? 'ON' : 'OFF';
    open my $out, '>', "$self->{dir}/my.cnf" or die "my.cnf: $!\n";
    print $out <<"EOT";
[mysqld]
datadir = $self->{dir}/data
tmpdir = $self->{dir}
socket = $self->{socket}
pid_file = $self->{dir}/my.pid
log_error = $self->{dir}/my.err
port = $self->{port}
bind_address = 127.0.0.1
server_id = $self->{server_id}
log_bin = bin
binlog_format = ROW
binlog_row_image = FULL
binlog_row_metadata = FULL
character_set_server = utf8mb4
sync_binlog = 0
innodb_flush_log_at_trx_commit = 2
innodb_buffer_pool_size = 64M
innodb_log_file_size = 512M
innodb_fast_shutdown = 2
max_allowed_packet = 256M
performance_schema = OFF
skip_name_resolve = ON
loose_innodb_use_native_aio = OFF
log_bin_compress = $compress
log_bin_compress_min_len = 10
$self->{cnf}
EOT
    close $out;
    return;
}

# mariadb-install-db takes seconds: done once for a build, then copied.
sub make_data
{
    my ($self) = @_;
    my $data  = "$self->{dir}/data";
    my $cache = $ENV{WEIR_CACHE};
    if ($cache) {
        make_path($cache);
        my ($version) = `mariadbd --no-defaults --version 2>/dev/null` =~ /Ver (\S+)/;
        my $ready = "$cache/mariadb-$version";
        open my $lock, '>', "$ready.lock" or die "$ready.lock: $!\n";
        flock $lock, LOCK_EX;
        if (!-d $ready) {
            install_db("$ready.new");
            rename "$ready.new", $ready or die "rename $ready: $!\n";
        }
        system('cp', '-a', '--reflink=auto', $ready, $data) == 0
            or die "cp -a $ready: failed\n";
    } else {
        install_db($data);
    }
    if ($> == 0) {
        system('chown', '-R', $self->{user}, $self->{dir}) == 0 or die;
    }
    return;
}

sub install_db
{
    my ($data) = @_;
    remove_tree($data);
    make_path($data);
    my @user = $> == 0 ? ('--user=root') : ();
    my $said = `mariadb-install-db --no-defaults --datadir='$data' @user \\
        --auth-root-authentication-method=normal --skip-test-db \\
        --skip-name-resolve --force --innodb-log-file-size=8M 2>&1`;
    die "mariadb-install-db: $said" if $?;
    unlink "$data/ib_logfile0.new";
    return;
}

sub launch
{
    my ($self) = @_;
    my @user = $> == 0 ? ("--user=$self->{user}") : ();
    return $self->{test}->spawn(
        "$self->{dir}/out",
        Weir::find_program('mariadbd'),
        "--defaults-file=$self->{dir}/my.cnf", @user
    );
}

sub start
{
    my ($self) = @_;
    my $test = $self->{test};
    $self->{pid} = $self->launch;
    Weir::wait_for(
        "start of $self->{name}",
        60,
        sub {
            die $self->last_words if $test->ended($self->{pid});
            $self->{client} = eval { $self->client };
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
    delete $self->{client};
    kill $signal, $self->{pid};
    Weir::wait_for("end of $self->{name}", 60,
        sub { $self->{test}->ended($self->{pid}) });
    delete $self->{pid};
    return;
}

sub last_words
{
    my ($self) = @_;
    return "$self->{name}:\n" . `tail -n 5 '$self->{dir}/my.err' '$self->{dir}/out' 2>&1`;
}

# A connection of one's own.
sub client
{
    my ($self, %option) = @_;
    return Weir::Mariadb::Client->new(socket => $self->{socket}, %option);
}

# Statements on the kept connection; do() dies on an error.
sub do    { my ($self, @sql) = @_; return $self->{client}->do(@sql) }
sub rows  { my ($self, $sql) = @_; return $self->{client}->rows($sql) }
sub value { my ($self, $sql) = @_; return $self->{client}->value($sql) }

# What its foreign keys delete and change by themselves.
sub logs_cascades { return 0 }

# The user that Weir logs in as.
sub make_weir_user
{
    my ($self) = @_;
    $self->do(
        "CREATE USER 'weir'\@'%' IDENTIFIED BY 'secret'",
        'GRANT ' . $self->rights . " ON *.* TO 'weir'\@'%'"
    );
    return;
}

# ---- What the flavours say differently

sub rights { return 'REPLICATION SLAVE, REPLICATION CLIENT, BINLOG MONITOR, SELECT' }

# What one GTID looks like, and all that were executed.
sub gtid_pattern { return qr/^0-\d+-\d+$/ }
sub gtids { my ($self) = @_; return $self->value('SELECT @@gtid_binlog_pos') }

# Of a connection's last transaction.
sub last_gtid { my ($self, $client) = @_; return $client->value('SELECT @@last_gtid') }

# File and offset of the binlog's end.
sub place { my ($self) = @_; return ($self->rows('SHOW MASTER STATUS'))[0] }

# Numbers from 1 up, as a table to select `seq` from.
sub sequence { my ($self, $n) = @_; return "shop.seq_1_to_$n" }

# Whether ALTER TABLE knows DROP COLUMN IF EXISTS.
sub columns_come_and_go { return 1 }

1;
