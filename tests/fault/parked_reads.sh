#!/usr/bin/env bash
# 10,000 concurrent reads of absent blocks: they cost memory only, and a little;
# the mount goes on answering.
. "$(dirname "$0")/../lib.sh"
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
[ "$(id -u)" = 0 ] || skip_all "needs root to let 10,000 requests wait"
N=${N:-10000}

# A tree whose files' blocks are taken away again: only the folder's node and
# the small file stay, copied by cat from one repository's store to another's.
repo full; repo gaps
mkdir -p "$T/tree/gone" "$T/tree/here"
for i in $(seq "$N"); do printf 'file %s\n' "$i"; done | (cd "$T/tree/gone" && split -l 1 -a 4 -d - f)
echo present >"$T/tree/here/file"
cid=$(c full add -Q "$T/tree")
daemon full || { not_ok "the_provider_starts"; finish; }
c gaps config net.bootstrap "$(address full)"
daemon gaps || { not_ok "the_reader_starts"; finish; }
pid=$DAEMON_PID
mnt m
check "the_tree_is_mounted" c gaps mount --timeout 600 "$cid" "$T/m"
ls "$T/m/gone" >/dev/null
check "a_file_is_read_while_the_provider_lives" grep -q present "$T/m/here/file"
sleep 1
c full stop
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }
threads() { awk '/^Threads/ { print $2 }' "/proc/$pid/status"; }
before=$(rss) threads_before=$(threads)
# One process holds all the reads: a thread each would measure the kernel.
"$(dirname "$0")/../../build/tests/read_many" "$T/m/gone" "$N" >"$T/readers" 2>&1 &
reader=$!
PIDS+=($reader)
parked() { [ "$(c gaps status --json | jq '.mounts[0].parked')" -ge $((N * 95 / 100)) ]; }
if wait_for 60 parked; then ok "the_reads_wait"; else not_ok "the_reads_wait" "$(c gaps status --json | jq -c '.mounts') $(head -n 2 "$T/readers")"; fi
check "stat_is_answered_meanwhile" timeout 2 stat "$T/m/here/file" "$T/m/gone"
check "a_cached_read_is_answered_meanwhile" timeout 2 grep -q present "$T/m/here/file"
after=$(rss)
note "$N parked reads: $(((after - before) / 1024)) MiB more (bar: 64), threads $threads_before then $(threads)"
# A sanitizer keeps what was freed, so its memory says nothing.
case $CAIRN in *asan*) skip "they_cost_less_than_64_MiB" "a sanitizer build" ;; *)
[ $((after - before)) -lt 65536 ] && ok "they_cost_less_than_64_MiB" || not_ok "they_cost_less_than_64_MiB" "$(((after - before) / 1024)) MiB"
esac
[ "$(threads)" -le "$threads_before" ] && ok "they_hold_no_thread" || not_ok "they_hold_no_thread" "$threads_before then $(threads)"
kill -INT $reader 2>/dev/null
gone() { ! kill -0 $reader 2>/dev/null; }
if wait_for 5 gone; then ok "interrupting_ends_them_at_once"; else not_ok "interrupting_ends_them_at_once"; kill -9 $reader; fi
check "the_daemon_stops_with_reads_waiting" timeout 20 "$CAIRN" --repo "$T/gaps" stop
finish
