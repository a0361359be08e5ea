#!/usr/bin/env bash
# A read-only mount as programs see it: the tree, its attributes, its errors,
# and its life.
. "$(dirname "$0")/../lib.sh"
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
repo a
mkdir -p "$T/t/empty" "$T/t/a/b/c/d"
printf 'hello\n' >"$T/t/hello"
: >"$T/t/nothing"
printf deep >"$T/t/a/b/c/d/deep"
ln -s ../hello "$T/t/a/link"; ln -s /nowhere "$T/t/a/dangling"
head -c 3500000 /dev/urandom >"$T/t/large"
head -c 1048576 /dev/urandom >"$T/t/block"
mkdir "$T/t/many"; (cd "$T/t/many" && seq 7000 | split -l 1 -a 4 -d - a-name-that-makes-the-folder-large-)
for n in 'a b' 'ünï' $'new\nline' '*' '-x' "$(printf 'x%.0s' $(seq 255))"; do echo "$n" >"$T/t/$n"; done
cid=$(c a add -Q "$T/t")
check "mount_starts_a_daemon" c a mount "$cid" "$(mnt m; echo "$T/m")"
mnt m
REPOS+=("$T/a")
check "the_tree_is_the_same" diff -r --no-dereference "$T/t" "$T/m"
check "a_large_folder_lists_fully" sh -c "[ \$(ls '$T/m/many' | wc -l) = 7000 ] && [ \$(find '$T/m' | wc -l) = \$(find '$T/t' | wc -l) ]"
[ "$(stat -c '%s %F' "$T/m/large")" = "3500000 regular file" ] && [ "$(stat -c '%s' "$T/m/block")" = 1048576 ] && ok "sizes_are_right" || not_ok "sizes_are_right"
[ "$(readlink "$T/m/a/link")" = ../hello ] && [ "$(cat "$T/m/a/link")" = hello ] && ok "symlinks_work" || not_ok "symlinks_work"
cmp -s <(tail -c +1048571 "$T/t/large" | head -c 13) <(dd if="$T/m/large" bs=13 count=1 iflag=skip_bytes skip=1048570 2>/dev/null) && ok "a_range_across_blocks" || not_ok "a_range_across_blocks"
[ "$(dd if="$T/m/large" bs=1 skip=3499999 count=10 2>/dev/null | wc -c)" = 1 ] && ok "a_read_stops_at_the_end" || not_ok "a_read_stops_at_the_end"
errno() { "$@" 2>&1 | grep -o 'Read-only file system\|No such file\|Not a directory\|Is a directory\|File name too long' | head -n 1; }
[ "$(errno touch "$T/m/new")" = "Read-only file system" ] && ok "writing_is_EROFS" || not_ok "writing_is_EROFS" "$(touch "$T/m/new" 2>&1)"
[ "$(errno rm -f "$T/m/hello")" = "Read-only file system" ] && ok "removing_is_EROFS" || not_ok "removing_is_EROFS"
[ "$(errno cat "$T/m/none")" = "No such file" ] && ok "a_missing_name_is_ENOENT" || not_ok "a_missing_name_is_ENOENT"
[ "$(errno cat "$T/m/hello/x")" = "Not a directory" ] && ok "below_a_file_is_ENOTDIR" || not_ok "below_a_file_is_ENOTDIR"
[ "$(errno cat "$T/m/a")" = "Is a directory" ] && ok "reading_a_folder_is_EISDIR" || not_ok "reading_a_folder_is_EISDIR"
[ "$(errno stat "$T/m/$(printf 'x%.0s' $(seq 300))")" = "File name too long" ] && ok "a_long_name_is_ENAMETOOLONG" || not_ok "a_long_name_is_ENAMETOOLONG"
check "statfs_answers" df "$T/m"
grep -q " $T/m fuse.cairn ro,nosuid,nodev" /proc/mounts && ok "ro_nosuid_nodev" || not_ok "ro_nosuid_nodev" "$(grep "$T/m" /proc/mounts)"
fails_with 1 "a_mounted_place_is_refused" c a mount "$cid" "$T/m"

mnt all
check "the_whole_name_space_is_mounted" c a mount "$T/all"
[ "$(cat "$T/all/ipfs/$cid/hello")" = hello ] && ok "ipfs_is_there" || not_ok "ipfs_is_there"
name=$(c a publish "$cid" 2>/dev/null)
[ "$(cat "$T/all/ipns/$name/hello")" = hello ] && ok "ipns_is_there" || not_ok "ipns_is_there"
[ "$(errno ls "$T/all/ipfs/hello")" = "No such file" ] && ok "what_is_no_cid_is_ENOENT" || not_ok "what_is_no_cid_is_ENOENT"
mnt sub
check "a_path_below_a_root_is_mounted" c a mount "/ipfs/$cid/a/b" "$T/sub"
[ "$(cat "$T/sub/c/d/deep")" = deep ] && ok "and_shows_that_folder" || not_ok "and_shows_that_folder"
check "umount_takes_it_away" c a umount "$T/sub"
mountpoint -q "$T/sub" && not_ok "it_is_away" || ok "it_is_away"
check "unmounted_by_hand" sh -c "umount '$T/all' || fusermount3 -u '$T/all'"
two_gone() { [ "$(c a status --json | jq '.mounts | length')" = 1 ]; }
if wait_for 5 two_gone; then ok "the_daemon_notices"; else not_ok "the_daemon_notices"; fi

# kill -9: the mount is dead; a new daemon may mount there again.
pid=$(c a status --json | jq .pid)
kill -9 "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
check "a_dead_mount_is_replaced" c a mount "$cid" "$T/m"
[ "$(cat "$T/m/hello")" = hello ] && ok "and_works_again" || not_ok "and_works_again"
exec 7<"$T/m/large"
check "stop_does_not_hang_while_a_file_is_open" timeout 20 "$CAIRN" --repo "$T/a" stop
exec 7<&-
mountpoint -q "$T/m" && not_ok "stop_unmounts" || ok "stop_unmounts"
finish
