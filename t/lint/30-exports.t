# What modules see of the server is exports.sym, all of it and nothing else;
# what the server sees of a module is weir_module.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my $weir = build_dir() . '/weir';
plan skip_all => "$weir is not built" if !-x $weir;

# Symbols that an object defines for others; those with a version are the C
# library's own that the linker copied.  The sanitizers bring theirs.
sub defined_symbols
{
    my ($object) = @_;
    return grep { !/@/ && !/^(?:_|environ$)/ }
        map { /\S+ [A-TV-Z] (\S+)$/ ? $1 : () }
        `nm -D --defined-only '$object'`;
}

my @listed = slurp(source_dir() . '/core/module/exports.sym') =~ /\b(weir_\w+)\s*;/g;
is_deeply([ sort(defined_symbols($weir)) ], [ sort @listed ],
    'weir exports what exports.sym lists');

my $header = slurp(source_dir() . '/core/include/weir/module.h');
my %declared = map { $_ => 1 } $header =~ /\b(weir_\w+)\(/g;
is_deeply([ grep { !$declared{$_} } @listed ], [],
    'exports.sym lists only what weir/module.h declares');
done_testing();
