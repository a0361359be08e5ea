#!/usr/bin/env bash
# kill -9 of the daemon at any moment while eight writers work: every operation
# that returned is there, every file that was synced is whole, and the folder is
# mounted again at once.
#	folder_kill.sh [KILLS [SEED]]	(20; by hand 1,000)
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../folder.sh"
need_folders folder_writers
KILLS=${1:-${KILLS:-20}} SEED=${2:-${SEED:-1}}
RANDOM=$SEED
WRITERS=8

folder f || { not_ok "a_folder_is_mounted" "$(tail -n 2 "$T/f.err" | tr '\n' '|')"; finish; }
fast_dir twin
slowest=0 bad=0 n=0
for n in $(seq "$KILLS"); do
	"$HELPERS/folder_writers" run "$T/f.mnt" "$T/state" $WRITERS "$SEED" >"$T/run" 2>&1 &
	writers=$!
	sleep "0.$(printf '%03d' $((RANDOM % 400)))" # when it is killed, not whom we wait for
	folder_killed f
	wait $writers || grep -q 'Transport endpoint' "$T/run" || { not_ok "the_writers_end_with_the_mount" "$(cat "$T/run")"; break; }
	s=$(date +%s%N)
	folder_up f || { not_ok "the_folder_opens_again" "kill $n: $(tail -n 2 "$T/f.err" | tr '\n' '|')"; break; }
	took=$((($(date +%s%N) - s) / 1000000))
	[ $took -le $slowest ] || slowest=$took
	"$HELPERS/folder_writers" check "$T/f.mnt" "$T/twin" "$T/state" $WRITERS "$SEED" returned >"$T/check" 2>&1 && continue
	bad=1; not_ok "what_returned_is_there" "after kill $n of seed $SEED"; head -n 30 "$T/check"
	break
done
[ $bad = 1 ] || [ "$n" != "$KILLS" ] || ok "what_returned_is_there_after_each_of_$KILLS kills"
note "$(od -A n -v -t u8 -w16 "$T/state" | awk '{ n += $1 } END { print n }') operations, the slowest start and mount took $slowest ms"
check "and_it_stops_in_good_order" folder_down f
finish
