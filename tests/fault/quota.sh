#!/usr/bin/env bash
# A quota of the cache under a read many times as long, from another node: right bytes,
# and never more on disk than the quota and one file.  MIB=4096 QUOTA=64 in the long run.
. "$(dirname "$0")/../lib.sh"
MIB=${MIB:-64} QUOTA=${QUOTA:-16}

repo full; repo small
mkdir "$T/tree"
head -c $((MIB << 20)) /dev/urandom >"$T/tree/long"
echo short >"$T/tree/short"
cid=$(c full add -Q "$T/tree")
daemon full || { not_ok "the_provider_starts"; finish; }
c small config net.bootstrap "$(address full)"
c small config cache.quota "${QUOTA}M"
daemon small || { not_ok "the_reader_starts"; finish; }

bytes() { find "$T/small/store/segments" -name '*.seg' -printf '%s\n' 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'; }
# Watch the disk as fast as it goes; the most it saw, at last.
watch_disk() {
	local most=0 now
	while [ -e "$T/watching" ]; do
		now=$(bytes)
		[ "$now" -le "$most" ] || { most=$now; echo "$most" >"$T/most"; }
	done
}
: >"$T/watching"; echo 0 >"$T/most"
watch_disk & PIDS+=($!)
# A file of the cache log is an eighth of the quota, 4 MiB at least.
file=$((QUOTA / 8)); [ $file -ge 4 ] || file=4
limit=$(((QUOTA + file) << 20))

read_all() { c small cat "$cid/long" | cmp - "$T/tree/long"; }
check "a_long_read_gives_the_right_bytes" read_all
if [ -e /dev/fuse ]; then
	mnt m
	check "the_tree_is_mounted" c small mount "$cid" "$T/m"
	check "a_long_read_of_a_mount_gives_the_right_bytes" cmp "$T/m/long" "$T/tree/long"
	check "the_mount_goes_on" grep -q short "$T/m/short"
else
	skip "a_long_read_of_a_mount_gives_the_right_bytes" "no /dev/fuse"
fi
rm "$T/watching"; wait "${PIDS[-1]}"
most=$(cat "$T/most")
note "at most $((most >> 20)) MiB on disk under a read of $MIB MiB twice, with a quota of $QUOTA MiB"
if [ "$most" -le $limit ]; then ok "the_disk_never_has_more_than_the_quota_and_a_file"
else not_ok "the_disk_never_has_more_than_the_quota_and_a_file" "$most bytes, limit $limit"; fi
evicted=$(c small stat --json | jq .cache.blocks)
if [ "$evicted" -lt "$MIB" ]; then ok "what_is_oldest_is_gone"; else not_ok "what_is_oldest_is_gone" "$evicted blocks are there"; fi

# What is pinned is kept, however small the cache.
check "more_than_the_quota_can_be_pinned" c small pin add "$cid"
check "and_then_it_is" bash -c "'$CAIRN' --repo '$T/small' pin ls | grep -q '^$cid recursive'"
c full stop
check "and_is_there_without_the_network" read_all
check "the_store_is_right" c small verify
check "a_gc_leaves_it" c small gc
check "and_it_is_still_there" read_all
check "unpinned_it_goes" c small pin rm "$cid"
[ ! -e "$T/m/long" ] || check "but_not_while_it_is_mounted" bash -c "'$CAIRN' --repo '$T/small' gc --json | jq -e '.dropped == 0'"
if [ -e /dev/fuse ]; then c small umount "$T/m"; fi
check "and_then_it_does" bash -c "'$CAIRN' --repo '$T/small' gc --json | jq -e '.dropped >= $MIB'"
finish
