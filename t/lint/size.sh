#!/bin/sh
# size.sh - the longest functions and files, for a look; not a test.  The aims:
# a function 25 lines (60 at most), a file 300 (600).
cd "$(dirname "$0")/../.."
files=$(find core modules -name '*.[ch]')
echo "functions over 60 lines:"
awk 'FNR == 1 { open = 0 }
     /^\{/ { open = 1; start = FNR }
     /^\}/ { if (open && FNR - start > 60)
                 printf "  %4d %s:%d\n", FNR - start, FILENAME, start
             open = 0 }' $files | sort -rn | head -20
echo "files over 600 lines:"
wc -l $files | awk '$2 != "total" && $1 > 600 { printf "  %4d %s\n", $1, $2 }' |
    sort -rn | head -20
wc -l $files | awk '{ n = $1 } END { print "lines of C in all: " n }'
