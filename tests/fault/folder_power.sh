#!/usr/bin/env bash
# Power cuts under the repository (ext4 on a loop device, FS_IOC_SHUTDOWN) while
# eight writers work: what was synced is whole, the folder opens, and the
# repository verifies.
#	folder_power.sh [CUTS [SEED]]	(5; by hand 50)
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../folder.sh"
need_folders folder_writers power_cut
need_root
own_mounts "$@"
CUTS=${1:-${CUTS:-5}} SEED=${2:-${SEED:-1}}
RANDOM=$SEED
WRITERS=8

loop_dir disk 2G || skip_all "no loop devices"
c() { local n=$1; shift; "$CAIRN" --repo "$T/disk/$n" "$@"; }
mkdir "$T/disk/f"; ln -s disk/f "$T/f"
folder f || { not_ok "a_folder_is_mounted" "$(tail -n 2 "$T/f.err" | tr '\n' '|')"; finish; }
sync -f "$T/disk"
fast_dir twin
snapshots=; has_snapshots && snapshots=1
bad=0 n=0
for n in $(seq "$CUTS"); do
	"$HELPERS/folder_writers" run "$T/f.mnt" "$T/state" $WRITERS "$SEED" >"$T/run" 2>&1 &
	writers=$!
	sleep "0.$(printf '%03d' $((RANDOM % 900 + 50)))"
	[ -z "$snapshots" ] || [ $((RANDOM % 2)) = 0 ] || c f snapshot f >/dev/null 2>&1 &
	snapshot=$!
	sleep "0.$(printf '%03d' $((RANDOM % 300)))"
	cp "$T/state" "$T/state.cut" # a sync that ends during the cut may be told wrongly
	"$HELPERS/power_cut" "$T/disk" || { not_ok "the_power_is_cut"; break; }
	folder_killed f
	wait $writers || { bad=1; not_ok "nothing_is_refused_but_for_the_names" "cut $n of seed $SEED: $(grep '^# writer' "$T/run" | head -n 3 | tr '\n' '|')"; break; }
	wait $snapshot
	umount "$T/disk" && loop_again disk || { not_ok "the_disk_is_mounted_again"; break; }
	rm -f "$T/f/control.sock"
	folder_up f || { bad=1; not_ok "the_folder_opens_again" "cut $n: $(tail -n 2 "$T/f.err" | tr '\n' '|')"; break; }
	rm -rf "$T/twin.before"; cp -a "$T/twin" "$T/twin.before"; cp "$T/state" "$T/before"; cp "$T/state.twin" "$T/before.twin" 2>/dev/null
	"$HELPERS/folder_writers" check "$T/f.mnt" "$T/twin" "$T/state" $WRITERS "$SEED" synced >"$T/check" 2>&1 && continue
	bad=1; not_ok "what_was_synced_is_there" "after cut $n of seed $SEED"; head -n 30 "$T/check"
	"$HELPERS/folder_writers" check "$T/f.mnt" "$T/twin.before" "$T/before" $WRITERS "$SEED" any
	break
done
[ $bad = 1 ] || [ "$n" != "$CUTS" ] || ok "what_was_synced_is_whole_after_each_of_$CUTS power cuts"
note "$(od -A n -v -t u8 -w16 "$T/state" | awk '{ n += $1 } END { print n }') operations"
check "it_stops_in_good_order" folder_down f
check "the_repository_verifies" c f verify
umount "$T/twin" 2>/dev/null
finish
