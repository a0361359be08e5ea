#!/usr/bin/env bash
# No space, and errors of the disk, at every write of a folder's journal and of a
# snapshot: an error to the caller, nothing lost, and on it goes afterwards.
#	folder_full.sh [WRITES]	how many writes get an error, one after another (12; by hand 200)
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../folder.sh"
need_folders
need_root
own_mounts "$@"
WRITES=${1:-${WRITES:-12}}
loop_dir disk 224M || skip_all "no loop devices"
c() { local n=$1; shift; "$CAIRN" --repo "$T/disk/$n" "$@"; }
mkdir "$T/disk/f"; ln -s disk/f "$T/f"
folder f || { not_ok "a_folder_is_mounted" "$(tail -n 2 "$T/f.err" | tr '\n' '|')"; finish; }
M=$T/f.mnt
mkdir "$T/twin"
snapshots=; has_snapshots && snapshots=1

# put NAME BYTES: into the folder, and into the twin if that was right.
put() {
	head -c "$2" /dev/urandom >"$T/new"
	dd if="$T/new" of="$M/$1" bs=128k conv=fsync status=none 2>"$T/put.err" || return 1
	cp "$T/new" "$T/twin/$1"
}
# What was put is there; what was not may be there in part, and goes.
same() {
	local f
	for f in "$T/twin"/*; do cmp "$f" "$M/${f##*/}" || return 1; done
}
clean() { local f; for f in "$M"/*; do [ -e "$T/twin/${f##*/}" ] || rm "$f" || return 1; done; }
ballast() { local free; free=$(($(stat -f -c '%a * %S' "$T/disk") - ${1:-0})); fallocate -l "$free" "$T/disk/ballast" 2>/dev/null || head -c "$free" /dev/zero >"$T/disk/ballast" 2>/dev/null; }
alive() { kill -0 "$DAEMON_PID" && stat "$M" >/dev/null; }

head -c 125000000 /dev/zero >"$T/disk/ballast"
for i in $(seq 400); do put "f$i" 300000 || break; done
grep -q 'No space left' "$T/put.err" && ok "a_full_disk_is_ENOSPC_to_the_writer" || not_ok "a_full_disk_is_ENOSPC_to_the_writer" "file $i: $(cat "$T/put.err")"
check "the_daemon_lives" alive
check "what_was_written_before_is_there" same
rm "$T/disk/ballast"
goes_on() { put "more$1" 300000; }
check "it_goes_on_when_space_returns" wait_for 10 goes_on 1
check "what_was_not_taken_can_be_removed" clean
if [ -n "$snapshots" ]; then
	ballast 100000
	c f snapshot f >"$T/out" 2>&1 && not_ok "a_snapshot_without_space_fails" || ok "a_snapshot_without_space_fails"
	check "and_loses_nothing" same
	check "and_the_daemon_lives" alive
	rm "$T/disk/ballast"
	snapshots() { c f snapshot f; }
	check "a_snapshot_succeeds_when_space_returns" wait_for 10 snapshots
fi
folder_killed f; folder_up f || not_ok "the_folder_opens_again" "$(tail -n 2 "$T/f.err" | tr '\n' '|')"
check "nothing_is_lost" same
rm -f "$M"/f1* "$T/twin"/f1*
[ -z "$snapshots" ] || c f snapshot f >/dev/null

# One write after another gets EIO, or finds no space.
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	failures=0 bad=0 calls=pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,fallocate,msync,sync_file_range
	for error in EIO ENOSPC; do
		for n in $(seq "$WRITES"); do
			# Counted by thread and by call.  Not writev: with it requests are answered.
			strace -f -q -o "$T/strace" -p "$DAEMON_PID" -e trace=$calls -e inject=$calls:error=$error:when="$n" 2>"$T/strace.err" &
			tracer=$!
			wait_for 10 grep -q "TracerPid:[[:space:]]*[1-9]" "/proc/$DAEMON_PID/status"
			put "$error$n" 50000 || failures=$((failures + 1))
			[ -z "$snapshots" ] || c f snapshot f >/dev/null 2>"$T/out" || failures=$((failures + 1))
			kill $tracer 2>/dev/null; wait $tracer 2>/dev/null
			kill -0 "$DAEMON_PID" || { bad=1; not_ok "the_daemon_lives_after_$error" "at write $n"; folder_killed f; folder_up f || break 2; }
			# An error that is final needs the folder to be opened again.
			if ! put "after$error$n" 1000; then folder_killed f; folder_up f || { bad=1; not_ok "the_folder_opens_after_$error" "at write $n: $(tail -n 2 "$T/f.err")"; break 2; }; fi
			same >"$T/out" 2>&1 || { bad=1; not_ok "nothing_is_lost_by_$error" "at write $n: $(cat "$T/out")"; break 2; }
		done
	done
	[ $bad = 1 ] || ok "nothing_is_lost_by_an_error_at_each_of_$WRITES writes"
	note "$failures calls were told of an error"
	[ $failures -gt 0 ] && ok "an_error_reaches_the_caller" || not_ok "an_error_reaches_the_caller" "$(tail -n 2 "$T/strace.err")"
	folder_killed f; folder_up f
	check "nor_after_a_kill" same
else
	skip "nothing_is_lost_by_an_error_at_each_write" "no strace"
fi
check "it_stops_in_good_order" folder_down f
check "the_repository_verifies" c f verify

# A disk that is full, and stays so: what frees room works, and what was freed comes back.
loop_dir small 96M || { skip "what_frees_works_on_a_full_disk" "no loop device"; finish; }
c() { local n=$1; shift; "$CAIRN" --repo "$T/small/$n" "$@"; }
mkdir "$T/small/g"; ln -s small/g "$T/g"
folder g || { not_ok "a_folder_is_mounted_on_a_small_disk" "$(tail -n 2 "$T/g.err" | tr '\n' '|')"; finish; }
M=$T/g.mnt
rm -r "$T/twin"; mkdir "$T/twin"
head -c 30000000 /dev/zero >"$T/small/ballast"
# fill NAME: until there is no room, in large pieces and then in small ones.
fill() {
	local i
	for i in $(seq 100); do put "$1$i" 1000000 || break; done
	rm -f "$T/twin/$1$i"
	for i in $(seq 5000); do head -c 700 "$T/new" >"$M/$1.$i" || return 0; done 2>/dev/null
	return 1
}
remove() { rm "$@" && rm -f "${@/#$M/$T\/twin}"; }
written() { put "$1" 1000000; }
check "a_small_disk_fills" fill a
check "a_file_can_be_removed_from_a_full_disk" remove "$M/a2"
check "and_cut" truncate -s 1000 "$M/a3"; truncate -s 1000 "$T/twin/a3"
check "many_files_can" remove "$M"/a[4-9]
check "and_large_ones" remove "$M"/a1*
check "then_writing_goes_on" wait_for 10 written b
check "it_fills_again" fill c
folder_killed g
check "it_opens_on_a_full_disk_after_a_kill" folder_up g
check "with_all_that_was_written" same
if [ -n "$snapshots" ]; then
	c g snapshot g >"$T/out" 2>&1 && not_ok "a_snapshot_on_a_full_disk_fails" || ok "a_snapshot_on_a_full_disk_fails"
	check "without_a_loss" same
fi
check "all_can_be_removed_then" rm -r "$M"/*
rm "$T"/twin/*
roomy() { [ "$(stat -f -c '%f * %S' "$T/small" | awk '{ print $1 * $3 }')" -gt 20000000 ]; }
check "and_the_disk_has_the_room_again" wait_for 20 roomy
check "so_that_writing_goes_on" written d
[ -z "$snapshots" ] || check "and_a_snapshot_is_made" c g snapshot g
check "what_is_there_is_right" same
check "the_small_one_stops_in_good_order" folder_down g
check "and_verifies" c g verify
finish
