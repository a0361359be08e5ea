#!/usr/bin/env bash
# kill -9 at random instants of adds, unpinning and gcs side by side: whatever CID was
# printed and not unpinned is whole, the store is right, and opens at once.
# gc_kill.sh [ROUNDS]; 10 unless it is said otherwise, 200 in the long run.
. "$(dirname "$0")/../lib.sh"
ROUNDS=${1:-${ROUNDS:-10}}
RANDOM=${SEED:-$$}
repo r
: >"$T/printed"

# A tree that has something in common with those before, and something new.
make_tree() { # DIR NUMBER
	mkdir -p "$1/sub"
	head -c $((RANDOM * 40)) /dev/urandom >"$1/new"
	cp "$T/common" "$1/common"
	{ head -c $((RANDOM * 20 + 1)) "$T/common"; echo "$2"; cat "$T/common"; } >"$1/edited"
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "$i $((i % 3 ? 0 : $2))" >"$1/sub/$i"; done
}
head -c 2500000 /dev/urandom >"$T/common"
n=0
add_on_and_on() {
	local cid keep
	while [ ! -e "$T/stop" ]; do
		n=$((n + 1))
		rm -rf "$T/tree.$1"; make_tree "$T/tree.$1" $((round * 100000 + $1 * 10000 + n))
		keep=; [ $((RANDOM % 3)) != 0 ] || keep=--no-pin
		cid=$(c r add -Q $keep "$T/tree.$1" 2>/dev/null) || break
		[ -n "$keep" ] || echo "$cid" >>"$T/printed.$1"
	done
}
gc_on_and_on() {
	local victim
	while [ ! -e "$T/stop" ]; do
		# What is to be unpinned no longer counts, whether that succeeds or not.
		if [ "$(wc -l <"$T/printed")" -gt 6 ]; then
			victim=$(head -n 1 "$T/printed")
			grep -vx "$victim" "$T/printed" >"$T/printed.tmp"; mv "$T/printed.tmp" "$T/printed"
			c r pin rm "$victim" >/dev/null 2>&1 || break
		fi
		c r gc >/dev/null 2>&1 || break
		echo >>"$T/gcs"
	done
}
lost=0 wrong=0 slow=0 worst=0 unready=0
for round in $(seq "$ROUNDS"); do
	rm -f "$T/stop"
	if [ $((round % 4)) != 0 ]; then
		if ! daemon r; then unready=$((unready + 1)); break; fi
		: >"$T/printed.1"; : >"$T/printed.2"
		add_on_and_on 1 & a=$!
		add_on_and_on 2 & b=$!
		gc_on_and_on & g=$!
		sleep $((RANDOM % 2)).$((RANDOM % 900 + 100))
		kill -9 $DAEMON_PID
		: >"$T/stop"
		wait $a $b $g $DAEMON_PID 2>/dev/null
		cat "$T/printed.1" "$T/printed.2" >>"$T/printed"
	else
		# Alone, without a daemon.
		"$CAIRN" --repo "$T/r" gc >/dev/null 2>&1 & g=$!
		sleep 0.0$((RANDOM % 10))$((RANDOM % 10))
		kill -9 $g 2>/dev/null
		wait $g 2>/dev/null
	fi
	before=$(date +%s%N)
	printf x | c r add -Q --no-pin - >/dev/null 2>"$T/err" || { wrong=$((wrong + 1)); note "round $round: $(cat "$T/err")"; }
	took=$((($(date +%s%N) - before) / 1000000))
	[ $took -le $worst ] || worst=$took
	[ $took -le 2000 ] || slow=$((slow + 1))
	c r verify >"$T/out" 2>&1 || { wrong=$((wrong + 1)); note "round $round: $(tail -n 3 "$T/out" | tr '\n' '|')"; }
	while read -r cid; do
		c r export "$cid" >/dev/null 2>"$T/err" || { lost=$((lost + 1)); note "round $round: $(cat "$T/err")"; }
	done <"$T/printed"
done
note "$ROUNDS kills, $(wc -l <"$T/gcs" 2>/dev/null || echo 0) gcs that came to their end, the slowest reopening in $worst ms"
[ $unready = 0 ] && ok "the_daemon_starts_after_every_kill" || not_ok "the_daemon_starts_after_every_kill"
[ $lost = 0 ] && ok "no_printed_CID_is_lost" || not_ok "no_printed_CID_is_lost" "$lost"
[ $wrong = 0 ] && ok "the_store_is_right_after_every_kill" || not_ok "the_store_is_right_after_every_kill" "$wrong"
[ -s "$T/printed" ] && [ -s "$T/gcs" ] && ok "something_was_added_and_collected" || not_ok "something_was_added_and_collected"
# A gc at last: nothing but what is pinned is there, and what is printed still is.
check "a_gc_ends_it" c r gc
c r stat --pins --json | jq -e '.pins | map(select(.partial)) | length == 0' >/dev/null && ok "all_pins_are_whole" || not_ok "all_pins_are_whole"
[ "$(c r gc --json | jq .dropped)" = 0 ] && ok "a_second_gc_finds_nothing" || not_ok "a_second_gc_finds_nothing"
finish
