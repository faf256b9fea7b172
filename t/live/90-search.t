# Random changes; then the documents are what the rows are.
use Weir;
use Weir::Load;
use Weir::Searchshop;

my $t      = Weir->new;
my $search = $t->search;
my $db     = $t->database;
$db->make_weir_user;
my $load = Weir::Load->new($db)->create_tables;
my $weir = $t->weir(config => search_config($db, $search, users => 'lanes = 3'));

my $count = long_run() ? 20000 : 2000;
$load->run($count / 2);
$weir->start;
$load->run($count / 2);
search_synced($db, $search);
check_search($db, $search, "after $load->{n} transactions");

$weir->stop;
$load->run(100);
$weir->start;
search_synced($db, $search);
check_search($db, $search, 'after a restart');

# All of it again: every document has a version that is as new, or newer.
my ($exit, $said) = $weir->ctl('rewind', '--yes', 'shop/users', '--to', 'earliest');
is($exit, 0, 'rewound') or diag $said;
search_synced($db, $search);
check_search($db, $search, 'after all was sent again');

$db->do('TRUNCATE shop.users');
search_synced($db, $search);
check_search($db, $search, 'after TRUNCATE');
$t->done;
