# Folders on file systems that are read-only: the state directory, the relay's,
# a sink's, the log's, the control socket's.  The configuration test or the start
# says which, or who needs it waits and says so; made writable, it goes on.
use Weir;
use Weir::Disk;
use Weir::Shop;

own_mounts();
my $t   = Weir->new;
my $db  = $t->mariadb;
my $dir = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, k INT)',
    'INSERT INTO shop.t VALUES (1, 1)');
my $source = shop_source($db);
my $weir   = $t->weir;
my $state  = $weir->state;
my %disk   = map { $_ => Weir::Disk->new("$dir/$_", 4096) } qw(log control files);
$disk{state} = Weir::Disk->new($state, 8192);
$disk{relay} = Weir::Disk->new("$state/shop/relay", 4096);
$disk{sink}  = Weir::Disk->new("$state/shop/lines", 4096);
$weir->{log} = "$dir/log/weir.log";
$weir->{globals} = qq(control = "$dir/control/socket");
$weir->write_config(<<"EOT");
pipeline shop {
    $source
    relay { size = 64m  segment = 1m }
    sink lines { file { root = "$dir/files"  path = "t.jsonl"  format = row } }
}
EOT
$t->expect_log(qr/Read-only file system/);

# ---- Where nothing can begin: one sentence, and nothing is left running
for my $which (qw(state control log)) {
    $disk{$which}->read_only(1);
    my ($status, $said) = $weir->command('-g', 'daemon = off');
    isnt($status, 0, "$which: not started");
    my $sentences = () = $said =~ /Read-only file system/g;
    is($sentences, 1, "$which: one sentence") or diag $said;
    unlike($said, qr{said nothing}, "$which: and no other");
    like($said, qr{\Aweir: [^\n]*$dir/\S*[^\n]*Read-only file system}, "$which: with the path");
    is(join(' ', $weir->processes), '', "$which: nothing is left");
    $disk{$which}->read_only(0);
}
$disk{state}->read_only(1);
my ($status, $said) = $weir->command('-t');
isnt($status, 0, '-t: refused');
like($said, qr/\Q$state\E.*(?:Read-only|can't be written)/, '-t says it') or diag $said;
$disk{state}->read_only(0);

# ---- Where one part can't: it says so
sub has_row
{
    my ($i) = @_;
    return grep {/"i":$i,/} Weir::Server::lines_of("$dir/files/t.jsonl");
}

sub stands
{
    my ($who, $why, $what) = @_;
    my $found = {};
    eval {
        wait_for($what, 20, sub {
            $found = $weir->status->{$who};
            return ($found->{state} // '') =~ /^(?:waiting|stopped)$/ && $found->{reason} =~ $why;
        });
    };
    like($found->{reason}, $why, "$what: says why");
    return;
}
$disk{$_}->read_only(1) for qw(relay sink files);
$weir->launch;
stands('source', qr{$state/shop/relay\S*: Read-only file system.*(?:tried again|reload)}, 'relay');
$disk{relay}->read_only(0);
$weir->reload if $weir->status->{source}{state} eq 'stopped';
$weir->wait_state('source', 'running');
stands('lines', qr{$state/shop/lines\S*: Read-only file system.*(?:tried again|reload)}, 'a sink');
$disk{sink}->read_only(0);
$weir->reload if $weir->status->{lines}{state} eq 'stopped';
stands('lines', qr{$dir/files\S*: Read-only file system.*(?:tried again|reload)}, "a sink's files");
$disk{files}->read_only(0);
$weir->reload if $weir->status->{lines}{state} eq 'stopped';
$weir->wait_state('lines', 'running');
wait_for('the row', 20, sub { has_row(1) });
is(scalar has_row(1), 1, 'once');
$t->done;
