#!/usr/bin/env bash
# Power cuts: the store lies on a file system that is cut off from its disk in
# the middle of an add.  What was printed is there afterwards (root, loop devices).
#	CUTS=4	of ext4;  XFS=1	and of xfs, where it can be made
# In a mount namespace of its own: whoever copies ours meanwhile would hold on to a
# disk that is cut off, and mounting it again would give that one.
[ -n "${ALONE:-}" ] || [ "$(id -u)" != 0 ] || exec env ALONE=1 unshare -m "$0" "$@"
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../crash.sh"
CUTS=${CUTS:-4} XFS=${XFS:-1} RANDOM=${SEED:-1}
[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -x "$HELPERS/power_cut" ] || skip_all "tests/power_cut is not built"

plug_in() { mount -o loop "$T/$1.img" "$T/disk" 2>"$T/err"; }
pull_out() { "$HELPERS/power_cut" "$T/disk" 2>"$T/err"; }
# cuts KIND N
cuts() {
	local kind=$1 n=$2 i bad=0 early=0 delay pid took from
	: >"$T/promised"; slowest=0
	truncate -s 400M "$T/$kind.img"
	command -v mkfs.$kind >/dev/null && mkfs.$kind -q "$T/$kind.img" >/dev/null 2>&1 || { skip "power_cuts_on_$kind" "cannot make $kind"; return; }
	mkdir -p "$T/disk"
	plug_in $kind || { skip "power_cuts_on_$kind" "cannot mount it: $(head -n 1 "$T/err")"; return; }
	MOUNTS+=("$T/disk")
	"$CAIRN" --repo "$T/disk/r" init >/dev/null
	make_tree 500
	from=$(date +%s%3N)
	"$CAIRN" --repo "$T/disk/r" add -Q "$TREE"/[1-5] >"$T/out"
	took=$(($(date +%s%3N) - from))
	promise "$T/out"
	for i in $(seq "$n"); do
		make_tree "$((i + 500))"
		stdbuf -oL "$CAIRN" --repo "$T/disk/r" add -Q "$TREE"/[1-5] >"$T/out" 2>"$T/err" & pid=$!
		delay=$((RANDOM % (took + took / 4 + 10)))
		sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
		kill -0 $pid 2>/dev/null || early=$((early + 1))
		pull_out || { not_ok "power_cuts_on_$kind" "$(cat "$T/err")"; return; }
		# What the command prints from here on it must not have promised in vain, too.
		wait $pid; promise "$T/out"
		# Somebody may be looking at all mounts just now.
		wait_for 20 umount "$T/disk" || { not_ok "power_cuts_on_$kind" "the disk is busy"; return; }
		plug_in $kind || { not_ok "power_cuts_on_$kind" "$(cat "$T/err")"; return; }
		kept "$T/disk/r" 3 || { bad=$((bad + 1)); note "cut $i after $delay ms: $why"; }
	done
	[ $bad != 0 ] || kept "$T/disk/r" || { bad=1; note "in the end: $why"; }
	note "$kind: $n cuts, $early after the end; $(wc -l <"$T/promised") CIDs promised; opening took up to $slowest ms"
	wait_for 20 umount "$T/disk"
	rm -f "$T/$kind.img"
	[ $bad = 0 ] && ok "power_cuts_on_$kind" || not_ok "power_cuts_on_$kind" "$bad lost something"
}
cuts ext4 "$CUTS"
[ "$XFS" = 0 ] || cuts xfs "$XFS"
finish
