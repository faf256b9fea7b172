# Values: every kind of directive, right and wrong.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Blocks;

run_blocks(do { local $/; <DATA> });

__DATA__
=== sizes and times
--- config
MODULES
pipeline p { SOURCE
    relay { size = 1g keep = 90m segment = 128k sync = commit full = detach }
    sink a { bytes = 64k wait = 250ms timeout = 2m events = 7 start = now adopt = yes was = old try { } }
}
--- like
  relay size=1073741824 keep=5400000 segment=131072 sync=2 full=1
  sink a: try\(out\) events=7 bytes=65536 wait=250 timeout=120000 start=1 adopt=1 was=old tables=\{\}

=== a small relay has small segments
--- config
MODULES
pipeline p { SOURCE relay { size = 8m } }
--- like
  relay size=8388608 .* segment=2097152 .*

=== segments that are too large
--- config
MODULES
pipeline p { SOURCE relay { size = 8m segment = 8m } }
--- want
weir.conf:2: segment: size has to hold two segments at least

=== global directives; relative paths start at the prefix
--- args
-p PREFIX
--- config
--- file PREFIX/weir.conf
state = st
log = "logs/weir.log"
pid = "weir.pid"
user = nobody
daemon = no
log_level = warn
drain_timeout = 2s
MODULES
pipeline p { SOURCE }
--- like
state=DIR/PREFIX/st user=nobody pid=DIR/PREFIX/weir.pid log=DIR/PREFIX/logs/weir.log level=2 daemon=0 drain=2000

=== a bool
--- config
daemon = maybe
--- want
weir.conf:1: daemon: 'maybe' is neither on nor off

=== a number
--- config
MODULES
pipeline p { SOURCE
    sink a { try { count = 1.5 } }
    sink b { try { count = 99999999999999999999 } }
    sink c { try { count = -6 } }
    sink d { try { count = "" } }
    sink e { try { count = 5m } }
}
--- want
weir.conf:3: count: '1.5' is not a whole number
weir.conf:4: count: '99999999999999999999' is not a whole number
weir.conf:5: count: '-6' is out of range, which is -5 to 100
weir.conf:6: count: '' is not a whole number
weir.conf:7: count: '5m' is not a whole number

=== a port
--- config
MODULES
pipeline p { source { try { host = h port = 99999 } } }
--- want
weir.conf:2: port: '99999' is out of range, which is 1 to 65535

=== a size
--- config
MODULES
pipeline p { SOURCE
    sink a { try { room = 5x } }
    sink b { try { room = big } }
    sink c { try { room = 2g } }
    sink d { try { room = 9999999999999g } }
}
--- want
weir.conf:3: room: '5x' has an unknown unit: write k, m or g
weir.conf:4: room: 'big' is not a size: write 64k, 8m or 1g
weir.conf:5: room: '2g' is out of range, which is 1k to 1g
weir.conf:6: room: '9999999999999g' is too large

=== a time
--- config
MODULES
pipeline p { SOURCE
    sink a { try { pause = 5 } }
    sink b { try { pause = 5w } }
    sink c { try { pause = -5s } }
    sink d { timeout = 1ms try { pause = 0 } }
}
--- want
weir.conf:3: pause: '5' has no unit: write ms, s, m, h or d
weir.conf:4: pause: '5w' has an unknown unit: write ms, s, m, h or d
weir.conf:5: pause: '-5s' is not a time: write 250ms, 5s, 2m or 1h
weir.conf:6: timeout: '1ms' is out of range, which is 100ms to 1d

=== a choice
--- config
log_level = inof
pipeline p { relay { sync = always } }
--- want
weir.conf:1: log_level: 'inof' is not one of debug, info, warn, error: did you mean 'info'?
weir.conf:2: pipeline 'p' has no source: write source { mysql { ... } }
weir.conf:2: sync: 'always' is not one of none, interval, commit

=== a list where one value is wanted
--- config
MODULES
pipeline p { SOURCE sink a { try { path = {a, b} } } }
--- want
weir.conf:2: 'path' takes one value, not a list

=== a list within a list
--- config
MODULES
pipeline p { SOURCE sink a { try { items = {a, {b}} } } }
--- want
weir.conf:2: '{' can't stand here

=== pairs
--- config
MODULES
pipeline p { SOURCE
    sink a { try { options = {"a=1", "b=", "c=x=y"} } }
    sink b { try { options = {"a=1", b} } }
    sink c { try { options = {"a=1", "a=2"} } }
}
--- want
weir.conf:4: options: 'b' is not "NAME=TEXT"
weir.conf:5: options: 'a' is there twice

=== templates
--- config
MODULES
pipeline p { SOURCE sink a { try { key = "user:{id" } } }
--- like
weir\.conf:2: key: .*\{.*

=== formats
--- config
MODULES
pipeline p { SOURCE sink a { try { format = wier } } }
--- like
weir\.conf:2: format: .*wier.*

=== set twice
--- config
user = a
MODULES
pipeline p { SOURCE
    sink a { try { count = 1
                   count = 2 } }
}
user = a
--- want
weir.conf:7: 'user' is set twice in the top level: first at weir.conf:1
weir.conf:5: 'count' is set twice in block 'try': first at weir.conf:4

=== a list that is set twice
--- config
MODULES
pipeline p { SOURCE
    sink a { tables = {"a.b"}
             tables = {"a.c"} try { } }
}
--- want
weir.conf:4: 'tables' is set twice in block 'sink': first at weir.conf:3

=== what is required
--- config
MODULES
pipeline p { source {
    try { port = 1 } } }
--- want
weir.conf:3: block 'try' needs 'host': the server's address

=== variables of the environment, where they may be
--- args
-T
--- env
WORD=from outside
--- config
MODULES
pipeline p { source { try { host = h password = "${WORD}!" } } }
--- like
pipeline p \{ source \{ try \{ host = h password = "\*\*\*" \} \} \}

=== a variable that is not there
--- config
MODULES
pipeline p { source { try { host = h password = "${NO_SUCH_WORD}" } } }
--- want
weir.conf:2: password: there is no variable 'NO_SUCH_WORD' in the environment

=== a variable that does not end
--- config
MODULES
pipeline p { source { try { host = h password = "${NO" } } }
--- want
weir.conf:2: password: the ${ in it has no }

=== secrets are masked, comments are gone
--- args
-T
--- config
# password = "in a comment"
MODULES
pipeline p {
    source { try { host = h password = 'sesame' } } /* and sesame */
    sink a { try { token = sesame path = "sesame street" } }
}
--- want
#line 1 "weir.conf"

load_module("source_try.so") load_module("sink_try.so") load_module("filter_only.so") load_module("transform_change.so")
pipeline p {
    source { try { host = h password = "***" } }
    sink a { try { token = "***" path = "sesame street" } }
}
