#!/usr/bin/env bash
# A name moves under an open mount: the new tree shows within the record's TTL,
# or at once after resolve --refresh; a file that was open keeps its old bytes.
. "$(dirname "$0")/../lib.sh"
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
repo boot; repo w; repo r
daemon boot || { not_ok "the_bootstrap_starts"; finish; }
b=$(address boot)
c w config net.bootstrap "$b"
c r config net.bootstrap "$b"
daemon w; daemon r

mkdir -p "$T/t/same/deep" "$T/t/dir/sub"
echo one >"$T/t/file"; echo keep >"$T/t/same/deep/file"; echo old >"$T/t/dir/sub/file"; echo goes >"$T/t/gone"
head -c 5000000 /dev/urandom >"$T/t/large"; cp "$T/t/large" "$T/large.1"
name=$(c w publish --ttl 2 "$(c w add -Q "$T/t")")
mnt m
check "a_name_is_mounted" c r mount "$name" "$T/m"
check "it_shows_the_tree" diff -r "$T/t" "$T/m"
stat "$T/m/new" >/dev/null 2>&1 && not_ok "a_name_that_is_not_there" || ok "a_name_that_is_not_there"
exec 5<"$T/m/large"
head -c 100000 <&5 >"$T/part"
inode=$(stat -c %i "$T/m/same/deep/file")

echo two >"$T/t/file"; echo new >"$T/t/new"; echo fresh >"$T/t/dir/sub/file"; rm "$T/t/gone"
head -c 5000000 /dev/urandom >"$T/t/large"; mkdir "$T/t/more"; echo x >"$T/t/more/x"
c w publish --ttl 2 "$(c w add -Q "$T/t")" >/dev/null
shows() { [ "$(cat "$T/m/file")" = two ]; }
if wait_for 10 shows; then ok "the_new_tree_shows_within_the_ttl"; else not_ok "the_new_tree_shows_within_the_ttl" "$(cat "$T/m/file")"; fi
check "it_is_the_new_tree_everywhere" diff -r "$T/t" "$T/m"
[ ! -e "$T/m/gone" ] && [ -e "$T/m/new" ] && ok "names_came_and_went" || not_ok "names_came_and_went"
[ "$(stat -c %i "$T/m/same/deep/file")" = "$inode" ] && ok "what_is_the_same_keeps_its_inode" || not_ok "what_is_the_same_keeps_its_inode"
cat <&5 >>"$T/part"
exec 5<&-
cmp -s "$T/part" "$T/large.1" && ok "an_open_file_keeps_its_old_bytes" || not_ok "an_open_file_keeps_its_old_bytes"

echo three >"$T/t/file"
cid=$(c w add -Q "$T/t")
c w publish --ttl 3600 "$cid" >/dev/null
check "now_with_a_long_ttl" wait_for 10 sh -c "[ \"\$('$CAIRN' --repo '$T/r' resolve --refresh '$name')\" = '/ipfs/$cid' ]"
echo four >"$T/t/file"
cid=$(c w add -Q "$T/t")
c w publish --ttl 3600 "$cid" >/dev/null
[ "$(c r resolve --refresh "$name")" = "/ipfs/$cid" ] && ok "refresh_asks_the_network" || not_ok "refresh_asks_the_network"
shows() { [ "$(cat "$T/m/file")" = four ]; }
if wait_for 2 shows; then ok "refresh_moves_the_mount_at_once"; else not_ok "refresh_moves_the_mount_at_once" "$(cat "$T/m/file")"; fi
check "a_name_mount_is_read_only" sh -c "! touch '$T/m/x' 2>/dev/null"
finish
