#!/usr/bin/env bash
# kill -9 at a random moment of an add, again and again in one store: what was
# printed is there, verify is content, and the next command opens the store.
#	KILLS=15	how many
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../crash.sh"
KILLS=${KILLS:-15} RANDOM=${SEED:-1}

repo k
make_tree 0
from=$(date +%s%3N)
c k add -Q "$TREE"/[1-5] >"$T/out"
took=$(($(date +%s%3N) - from))
promise "$T/out"
check "before_the_first_kill_all_is_well" kept "$T/k"
bad=0 finished=0
for i in $(seq "$KILLS"); do
	make_tree "$i"
	stdbuf -oL "$CAIRN" --repo "$T/k" add -Q "$TREE"/[1-5] >"$T/out" 2>"$T/err" & pid=$!
	delay=$((RANDOM % (took + took / 4 + 10)))
	sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
	kill -9 $pid 2>/dev/null || finished=$((finished + 1))
	wait $pid 2>/dev/null
	promise "$T/out"
	kept "$T/k" 3 || { bad=$((bad + 1)); note "kill $i after $delay ms: $why"; }
done
note "$KILLS kills, $finished after the end; $(wc -l <"$T/promised") CIDs promised; opening took up to $slowest ms"
[ $bad = 0 ] && ok "no_kill_loses_what_was_printed" || not_ok "no_kill_loses_what_was_printed" "$bad did"
[ $finished -lt "$KILLS" ] && ok "the_kills_came_in_time" || not_ok "the_kills_came_in_time"
kept "$T/k" && ok "in_the_end_all_is_there" || not_ok "in_the_end_all_is_there" "$why"
finish
