# Blocks: names, order, what has to be there, what may be there once.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Blocks;

run_blocks(do { local $/; <DATA> });

__DATA__
=== filters and transforms keep their order, in a pipeline and in a sink
--- config
MODULES
pipeline p {
    SOURCE
    transform one { change { word = 1 } }
    filter two { only { word = 2 } }
    transform three { change { word = 3 } }
    sink a { filter x { only { word = 4 } } try { } transform y { change { word = 5 } } }
}
--- like
pipeline p: .* transform one: change\(1\) filter two: only\(2\) transform three: change\(3\)
  sink a: .* filter x: only\(4\) transform y: change\(5\)

=== tables that are kept: the union of the sinks'
--- config
MODULES
pipeline p { SOURCE
    sink a { tables = {"s.b", "s.a"} try { } }
    sink b { tables = "s.b" try { } }
}
--- like
pipeline p: .* tables_kept=\{s\.a,s\.b\}

=== tables that are kept: all, if one sink wants all
--- config
MODULES
pipeline p { SOURCE sink a { tables = {"s.b"} try { } } sink b { try { } } }
--- like
pipeline p: .* tables_kept=\{\}

=== a relay that leaves out what a sink wants
--- config
MODULES
pipeline p {
    SOURCE
    relay { tables = {"shop.*"} }
    sink a { tables = {"shop.users", "crm.users"} try { } }
}
--- want
weir.conf:4: sink 'a' wants 'crm.users', which is not in the relay's tables

=== a table without its database
--- config
MODULES
pipeline p { SOURCE sink a { tables = {users} try { } } }
--- want
weir.conf:2: tables: 'users' has no '.': write "database.table"

=== a block that is mistyped
--- config
MODULES
pipelin p { SOURCE }
--- want
weir.conf:2: there is no block 'pipelin' in the top level: did you mean 'pipeline'?

=== a block where a directive would be
--- config
MODULES
pipeline p { SOURCE relay = 10g }
--- want
weir.conf:2: 'relay' is a block: write relay { ... }

=== a directive where a block would be
--- config
MODULES
pipeline p { SOURCE relay { size { } } }
--- want
weir.conf:2: 'size' is no block: write size = ...

=== a directive of the wrong block
--- config
MODULES
pipeline p { SOURCE size = 10g }
--- want
weir.conf:2: there is no directive 'size' in block 'pipeline': weir -h pipeline lists them

=== no value
--- config
MODULES
pipeline p { SOURCE relay { size = } }
user =
--- want
weir.conf:2: there is no value behind '='
weir.conf:3: there is no value behind '='

=== no equal sign
--- config
MODULES
pipeline p { SOURCE relay { size 10g } }
daemon off
--- want
weir.conf:2: there is no '=' behind 'size'
weir.conf:3: there is no '=' behind 'daemon'

=== a name in quotes
--- config
MODULES
pipeline p { SOURCE relay { "size" = 10g } }
--- want
weir.conf:2: a name is expected here, without quotes

=== no opening brace
--- config
MODULES
pipeline p { SOURCE sink a try { } }
--- want
weir.conf:2: there is no '{' behind 'a'

=== what was read is not shown where it may be a secret
--- config
MODULES
pipeline p { source { try { host = h "sesame" password = "x" } } }
--- want
weir.conf:2: a name is expected here, without quotes

=== a module that is not loaded
--- config
load_module("source_try.so")
pipeline p { SOURCE sink a { redis { } } }
--- want
weir.conf:2: no module gives the block 'redis': add load_module("sink_redis.so")

=== a module that is not loaded, though it is there
--- config
load_module("source_try.so") load_module("sink_try.so")
pipeline p { SOURCE filter f { only { } } sink a { try { } } }
--- want
weir.conf:2: no module gives the block 'only': add load_module("filter_only.so")

=== a mistyped module's block
--- config
MODULES
pipeline p { SOURCE sink a { tyr { } } }
--- want
weir.conf:2: there is no block 'tyr' in block 'sink': did you mean 'try'?

=== a module of another stage
--- config
MODULES
pipeline p { SOURCE sink a { only { } } }
--- want
weir.conf:2: 'only' is a filter, and this is block 'sink': it belongs in a block 'filter'

=== two modules in one sink
--- config
MODULES
pipeline p { SOURCE
    sink a { try { }
             try { } } }
--- want
weir.conf:4: sink 'a' has two modules, 'try' and 'try': a sink has one

=== no module in a sink
--- config
MODULES
pipeline p { SOURCE
    sink a { tables = {"a.b"} } }
--- want
weir.conf:3: sink 'a' has no module: write sink NAME { MODULE { ... } }

=== no source
--- config
MODULES
pipeline p { sink a { try { } } }
--- want
weir.conf:2: pipeline 'p' has no source: write source { mysql { ... } }

=== two sources, two relays
--- config
MODULES
pipeline p { SOURCE
    SOURCE
    relay { } relay { } }
--- want
weir.conf:3: pipeline 'p' has two blocks 'source': the first is at weir.conf:2
weir.conf:4: pipeline 'p' has two blocks 'relay': the first is at weir.conf:4

=== a block without a name
--- config
MODULES
pipeline p { SOURCE sink { try { } } }
pipeline { SOURCE }
--- want
weir.conf:2: this sink has no name: write sink NAME { ... }
weir.conf:3: this pipeline has no name: write pipeline NAME { ... }

=== a name where there is none
--- config
MODULES
pipeline p { source s { try { host = h } } }
--- want
weir.conf:2: block 'source' takes no name

=== names become folders
--- config
MODULES
pipeline "../p" { SOURCE }
pipeline a.b { SOURCE }
--- want
weir.conf:2: '../p' can't be a pipeline's name: 1 to 64 letters, digits, '_' and '-'
weir.conf:3: 'a.b' can't be a pipeline's name: 1 to 64 letters, digits, '_' and '-'

=== a name of 65 letters
--- config
MODULES
pipeline aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa { SOURCE }
--- want
weir.conf:2: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' can't be a pipeline's name: 1 to 64 letters, digits, '_' and '-'

=== names that are taken
--- config
MODULES
pipeline run { SOURCE sink relay { try { } } sink id { try { } } }
pipeline lock { SOURCE }
--- want
weir.conf:2: a pipeline can't be called 'run': the state folder has something of that name
weir.conf:2: a sink can't be called 'relay': a pipeline's folder has something of that name
weir.conf:2: a sink can't be called 'id': a pipeline's folder has something of that name
weir.conf:3: a pipeline can't be called 'lock': the state folder has something of that name

=== the same name twice
--- config
MODULES
pipeline p { SOURCE
    sink a { try { } }
    sink b { try { } }
    sink a { try { } }
    filter a { only { } }
    filter a { only { } }
}
pipeline p { SOURCE }
--- want
weir.conf:7: there are two filters named 'a' in pipeline 'p': the first is at weir.conf:6
weir.conf:5: there are two sinks named 'a' in pipeline 'p': the first is at weir.conf:3
weir.conf:9: there are two pipelines named 'p': the first is at weir.conf:2

=== a sink's former name
--- config
MODULES
pipeline p { SOURCE
    sink a { was = a try { } }
    sink b { was = c try { } }
    sink c { try { } }
    sink d { was = "../x" try { } }
    sink e { was = z try { } }
    sink f { was = z try { } }
}
--- want
weir.conf:3: was: 'a' is the sink's name now; leave it out
weir.conf:4: was: there is another sink named 'c' in this pipeline
weir.conf:6: was: '../x' can't be a sink's name
weir.conf:8: was: sink 'e' says that it was 'z', too

=== lanes
--- config
MODULES
pipeline p { SOURCE sink a { lanes = 2 try { } } }
--- want
weir.conf:2: lanes = 2: 'try' has 1 at most, as it is configured

=== a guarantee that is given
--- config
MODULES
pipeline p { SOURCE sink a { guarantee = exactly-once try { mode = exact } } }
--- like
sink p/a: exactly-once, causal per key; checkpoint kept in the sink; readers can see part of a transaction

=== a guarantee that is not
--- config
MODULES
pipeline p { SOURCE
    sink a {
        guarantee = exactly-once
        try { }
    }
}
--- want
weir.conf:4: sink 'a' asks for exactly-once, but 'try' gives at-least-once as it is configured

=== a module that promises what it can't do
--- config
MODULES
pipeline p { SOURCE sink a { try { mode = whole } } }
--- want
weir.conf:2: module 'try' wants whole transactions but has no commit(): mend the module

=== what the module's own check says
--- config
MODULES
pipeline p { SOURCE sink a { try { path = refused } } }
--- want
weir.conf:2: try: path: this one is refused

=== each block says its own errors, in one run
--- config
MODULES
deamon = off
pipeline p { SOURCE
    relay { size = 5 }
    sink a { try { prot = 1 count = 1000 } }
    sink b { trx { } }
}
pipeline q { sink a { try { path = refused } } bogus }
user = "" drain_timeout = 5
--- want
weir.conf:2: there is no directive 'deamon' in the top level: did you mean 'daemon'?
weir.conf:5: there is no directive 'prot' in block 'try': weir -h sink_try lists them
weir.conf:6: there is no block 'trx' in block 'sink': did you mean 'try'?
weir.conf:8: there is no directive 'bogus' in block 'pipeline': weir -h pipeline lists them
weir.conf:9: drain_timeout: '5' has no unit: write ms, s, m, h or d
weir.conf:9: user: an empty text or one of two lines can't be
weir.conf:4: size: '5' is out of range, which is 1m to 1048576g
weir.conf:5: count: '1000' is out of range, which is -5 to 100
weir.conf:8: try: path: this one is refused
