# Words, strings, comments, braces, includes: what the text itself may be.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Blocks;

run_blocks(do { local $/; <DATA> });

__DATA__
=== comments and quotes are no part of what is said
--- config
MODULES # to the end
/* over
   lines */ pipeline /* here */ shop {
    SOURCE
    sink a { try { path = "# no comment"
        items = { x, # a comment in a list
                  'y' } } } # the end
}
--- like
  sink a: try\(# no comment\) .*

=== escapes are those of C, and other backslashes stay
--- config
MODULES pipeline p { SOURCE sink a { try { path = "\d\"\\\'\t." } } }
--- like
  sink a: try\(\\d"\\'\t\.\) .*

=== ${} is literal where a directive does not take variables
--- config
MODULES pipeline p { SOURCE sink a { try { path = "${HOME}" } } }
--- like
  sink a: try\(\$\{HOME\}\) .*

=== numbers are decimal
--- config
MODULES pipeline p { SOURCE sink a { events = 010 try { } } }
--- like
  sink a: .* events=10 .*

=== a last brace that is missing
--- config
MODULES
pipeline p {
    SOURCE
    sink a { try { }
}
--- want
weir.conf:2: the '{' that opens here is never closed

=== a brace too many
--- config
MODULES
pipeline p { SOURCE }
}
--- want
weir.conf:3: this '}' closes nothing

=== a brace closed by a parenthesis
--- config
pipeline p {
    SOURCE
)
--- want
weir.conf:3: this ')' does not close the '{' of line 1

=== a string that is not closed
--- config
state = "/var/lib/weir
user = weir
--- want
weir.conf:1: the " that opens here is not closed on its line

=== a comment that is not closed
--- config
user = weir
/* and
so on
--- want
weir.conf:2: the comment that opens here is never closed

=== semicolons
--- config
user = weir;
daemon = off ;
--- want
weir.conf:1: ';' is not needed: a directive ends with its value
weir.conf:2: ';' is not needed: a directive ends with its value

=== a glob without quotes
--- config
pipeline p { sink a { tables = {shop.*} } }
--- want
weir.conf:1: '*' needs quotes: write "shop.*"

=== a comment without a space before it
--- config
user = weir# not root
--- want
weir.conf:1: '#' within a word: put the word in quotes, or a space before a comment

=== comments of another language
--- config
// hello
--- want
weir.conf:1: comments begin with '#'

=== adding to a list
--- config
pipeline p { sink a { tables += {"a.b"} } }
--- want
weir.conf:1: '+=' is not known: write the whole list

=== an empty list
--- config
MODULES
pipeline p { SOURCE sink a { tables = { } try { } } }
--- want
weir.conf:2: the list of 'tables' is empty: leave it out, or name something

=== the line of an error, behind comments
--- config
# one
# two
/* three
four */
MODULES

# seven
pipeline p { SOURCE sink a { try { prot = 1 } } }
--- want
weir.conf:8: there is no directive 'prot' in block 'try': weir -h sink_try lists them

=== includes, with a glob, in any place
--- config
state = "/var/lib/weir"
MODULES
pipeline p {
    SOURCE
    include("sinks/*.conf")
}
--- file sinks/b.conf
sink b { try { path = b } }
--- file sinks/a.conf
sink a { try { path = a } }
--- file sinks/c.txt
sink c { try { path = c } }
--- want
state=/var/lib/weir user= pid=/var/lib/weir/weir.pid log=/var/lib/weir/weir.log level=1 daemon=1 drain=30000
pipeline p: source try(h) adopt=0 tables_kept={}
  relay size=4294967296 keep=86400000 segment=67108864 sync=0 full=0
  sink a: try(a) events=500 bytes=1048576 wait=0 timeout=60000 start=0 adopt=0 was= tables={}
  sink b: try(b) events=500 bytes=1048576 wait=0 timeout=60000 start=0 adopt=0 was= tables={}
sink p/a: at-least-once, causal per key; checkpoint kept in the sink; readers can see part of a transaction
sink p/b: at-least-once, causal per key; checkpoint kept in the sink; readers can see part of a transaction

=== errors in included files, and behind them
--- config
MODULES
pipeline p {
    SOURCE
    include("one.conf") sink b { try { coutn = 1 } }
    sink c { try { count = x } }
}
--- file one.conf
sink a {

    try { mode = exat } }
--- want
weir.conf:4: there is no directive 'coutn' in block 'try': did you mean 'count'?
./one.conf:3: mode: 'exat' is not one of least, exact, whole: did you mean 'exact'?
weir.conf:5: count: 'x' is not a whole number

=== a glob that matches nothing is fine, a file that is missing is not
--- config
include("none/*.conf")
include("none.conf")
--- want
weir.conf:2: open ./none.conf: No such file or directory

=== a file that includes itself
--- config
include("weir.conf")
--- want
./weir.conf:1: includes more than 10 deep: does a file include itself?

=== braces are closed in the file that opens them
--- config
pipeline p {
include("one.conf")
--- file one.conf
}
--- want
weir.conf:1: the '{' that opens here is never closed

=== include in another language
--- config
include "one.conf"
--- want
weir.conf:1: include is written include("FILE")

=== no file at all
--- args
-p /nonexistent
--- config
--- want
/nonexistent/weir.conf: open /nonexistent/weir.conf: No such file or directory

=== an empty file
--- config
# nothing
--- want
weir.conf: there is no pipeline: write pipeline NAME { ... }

=== -g goes before what the file says
--- args
-g 'daemon = off log_level = debug'
--- config
daemon = on
MODULES pipeline p { SOURCE }
--- like
state=\S+ user= pid=\S+ log= level=0 daemon=0 drain=30000

=== errors in -g
--- args
-g 'deamon = off'
--- config
MODULES pipeline p { SOURCE }
--- want
-g:1: there is no directive 'deamon' in the top level: did you mean 'daemon'?

=== marks in the text are comments like others
--- config
#line 77 "/etc/passwd"
#prefix "/nowhere"
usr = x
--- want
weir.conf:3: there is no directive 'usr' in the top level: did you mean 'user'?

=== the text is read again by workers, with its places
--- args
-r -p /opt
--- config
--- want
/opt/weir.conf: open /opt/weir.conf: No such file or directory
