#!/bin/sh
# weircat.sh - binlog to JSON against mariadb-binlog -v, on the same file, in
# the same minute.  Makes its own workload with a private MariaDB: rows of 22
# columns of every kind, inserted in bulk.
#
#   t/bench/weircat.sh [ROWS [ROUNDS]]      500000 rows, 3 rounds
#
# WEIRCAT is the program (default: ./weircat).  Prints seconds, rows/s (medians)
# and the ratio; the wanted one is 3.5.
set -eu

rows=${1:-500000}
rounds=${2:-3}
weircat=${WEIRCAT:-./weircat}
[ -x "$weircat" ] || { echo "$weircat: not there; run make" >&2; exit 1; }
dir=$(mktemp -d)
pid=

finish() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

user=$(id -un)
mysql_install_db --no-defaults --user="$user" --datadir="$dir/data" \
    --auth-root-authentication-method=normal --skip-test-db >"$dir/log" 2>&1
PATH=$PATH:/usr/sbin mariadbd --no-defaults --user="$user" \
    --datadir="$dir/data" --socket="$dir/sock" --skip-networking \
    --log-bin="$dir/bin" --server-id=1 --binlog-format=ROW \
    --binlog-row-metadata=FULL --binlog-checksum=CRC32 --sync-binlog=0 \
    --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=512M \
    --max-binlog-size=1G >>"$dir/log" 2>&1 &
pid=$!
sql() { mariadb --no-defaults -uroot -S "$dir/sock" "$@"; }
tries=0
until sql -e 'SELECT 1' >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat "$dir/log" >&2; exit 1; }
    sleep 0.1
done

sql <<SQL
CREATE DATABASE wl;
USE wl;
CREATE TABLE orders (
  id BIGINT UNSIGNED PRIMARY KEY, customer INT NOT NULL, name VARCHAR(60),
  state ENUM('new','paid','sent','done'), flags SET('a','b','c','d'),
  price DECIMAL(12,2), tax DECIMAL(20,6), country CHAR(2), amount SMALLINT,
  weight DOUBLE, rating FLOAT, changed DATETIME(6),
  created TIMESTAMP(3) NULL, due DATE, at TIME, year_made YEAR,
  city VARCHAR(60) CHARACTER SET utf8mb4, note TEXT, doc LONGTEXT,
  token BINARY(16), active TINYINT, bits BIT(8));
FLUSH LOGS;
SQL
done_rows=0
while [ $done_rows -lt "$rows" ]; do
    sql wl <<SQL
INSERT INTO orders SELECT seq, seq * 7 % 100000,
  CONCAT('Customer number ', seq), 1 + seq % 4, seq % 16,
  seq % 1000000 / 100, seq / 7, 'DE', seq % 30000, seq / 3, seq % 100 / 7,
  '2024-01-02 03:04:05.123456' + INTERVAL seq SECOND,
  '2024-01-02 03:04:05.678' + INTERVAL seq SECOND,
  '2024-01-02' + INTERVAL seq % 3000 DAY, SEC_TO_TIME(seq % 80000),
  2000 + seq % 100, IF(seq % 3, 'Berlin', CONVERT(X'4dc3bc6e6368656e' USING utf8mb4)),
  'Leave it at the door, please; nobody is at home before six.',
  CONCAT('{"a":', seq, ',"tags":["x","y"],"ok":true}'),
  UNHEX(MD5(seq)), seq % 2, seq % 256
FROM seq_$((done_rows + 1))_to_$((done_rows + 10000));
SQL
    done_rows=$((done_rows + 10000))
done
log=$(sql -N -e 'SHOW MASTER STATUS' | cut -f1)
sql -e 'FLUSH LOGS'
file=$dir/$log
"$weircat" "$file" >/dev/null # into the page cache
lines=$("$weircat" "$file" | wc -l)
bytes=$("$weircat" "$file" | wc -c)
[ "$lines" = "$done_rows" ] ||
    { echo "weircat printed $lines of $done_rows rows" >&2; exit 1; }

seconds() { # of a command, by the wall clock
    begin=$(date +%s%N)
    "$@" >/dev/null
    end=$(date +%s%N)
    echo $(((end - begin) / 1000)) | awk '{ printf "%.3f\n", $1 / 1e6 }'
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

i=0
while [ $i -lt "$rounds" ]; do
    seconds "$weircat" "$file" >>"$dir/ours"
    seconds "$weircat" -f row "$file" >>"$dir/row"
    seconds mariadb-binlog --no-defaults -v --base64-output=decode-rows \
        "$file" >>"$dir/theirs"
    i=$((i + 1))
done
echo "$done_rows rows of 22 columns, $(stat -c %s "$file") bytes of binlog," \
    "$((bytes / done_rows)) bytes a line; medians of $rounds"
for what in ours:weircat row:'weircat -f row' theirs:'mariadb-binlog -v'; do
    median "$dir/${what%%:*}" | awk -v n="$done_rows" -v w="${what#*:}" \
        '{ printf "%-18s %8.3f s  %9.0f rows/s\n", w, $1, n / $1 }'
done
awk -v a="$(median "$dir/theirs")" -v b="$(median "$dir/ours")" \
    'BEGIN { printf "ratio %.2f (wanted 3.5)\n", a / b; exit a / b < 3.5 }'
