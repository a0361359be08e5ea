#!/usr/bin/env bash
# A provider dies in the middle of a read: with another provider the read
# completes and is right; with none it fails after the time-out, Ctrl-C ends it
# at once, and status names what is lacking.
. "$(dirname "$0")/../lib.sh"
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
MB=${MB:-96}
mkdir -p "$T/tree"
head -c $((MB << 20)) /dev/urandom >"$T/tree/large"
head -c $((MB << 20)) /dev/urandom >"$T/tree/other"

for n in boot one two reader; do repo $n; done
daemon boot || { not_ok "the_bootstrap_starts"; finish; }
b=$(address boot)
for n in one two reader; do c $n config net.bootstrap "$b"; done
daemon one; one=$DAEMON_PID
daemon two; two=$DAEMON_PID
daemon reader
cid=$(c one add -Q "$T/tree")
[ "$(c two add -Q "$T/tree")" = "$cid" ] && ok "two_nodes_have_the_tree" || not_ok "two_nodes_have_the_tree"
announced() { [ "$(c "$1" status --json | jq .provided.announced)" -ge 1 ]; }
wait_for 20 announced one
wait_for 20 announced two
mnt m
check "mounted" c reader mount --timeout 4 "$cid" "$T/m"

# The reader is held at a third of the file, so the death is in the middle.
mkfifo "$T/held"
cat "$T/m/large" >"$T/held" &
reader=$!
{ head -c $((MB << 18)); kill -9 $one; cat; } <"$T/held" >"$T/copy"
wait $reader
status=$?
[ $status = 0 ] && cmp -s "$T/copy" "$T/tree/large" && ok "with_another_provider_the_read_is_right" || not_ok "with_another_provider_the_read_is_right" "status $status, $(stat -c %s "$T/copy") bytes"

mkfifo "$T/held2"
cat "$T/m/other" >"$T/held2" 2>"$T/cat.err" &
reader=$!
{ head -c $((MB << 17)); kill -9 $two; cat; } <"$T/held2" >"$T/copy2" &
holder=$!
begun=$SECONDS
wait $reader
status=$?
took=$((SECONDS - begun))
wait $holder
grep -qi 'input/output error\|timed out' "$T/cat.err" && ok "with_none_the_read_fails" || not_ok "with_none_the_read_fails" "status $status: $(cat "$T/cat.err")"
[ $took -le 30 ] && ok "it_fails_after_the_time_out" || not_ok "it_fails_after_the_time_out" "$took s"
n=$(stat -c %s "$T/copy2")
cmp -s -n "$n" "$T/copy2" "$T/tree/other" && ok "what_was_read_before_is_right" || not_ok "what_was_read_before_is_right"
c reader status --json | jq -e '.failures | length > 0 and all(.[]; .cid | startswith("baf"))' >/dev/null && ok "status_names_the_cid" || not_ok "status_names_the_cid" "$(c reader status --json | jq -c .failures)"

# A read that waits ends at once when it is interrupted (by SIGTERM: what a script
# puts into the background ignores SIGINT).
c reader umount "$T/m"
c reader mount --timeout 60 "$cid" "$T/m"
cat "$T/m/other" >/dev/null 2>&1 &
reader=$!
sleep 1.5
if kill -0 $reader 2>/dev/null; then
	kill -TERM $reader
	ended() { ! kill -0 $reader 2>/dev/null; }
	if wait_for 2 ended; then ok "an_interrupted_read_ends_at_once"; else not_ok "an_interrupted_read_ends_at_once"; kill -9 $reader; fi
else not_ok "an_interrupted_read_ends_at_once" "it did not wait"; fi
check "stat_still_works" timeout 2 stat "$T/m/large"
finish
