#!/usr/bin/env bash
# Pins and gcs as a user meets them, without a daemon and with one.
. "$(dirname "$0")/../lib.sh"
repo a
mkdir "$T/one" "$T/two"
head -c 3000000 /dev/urandom >"$T/one/big"; echo 1 >"$T/one/small"
head -c 2000000 /dev/urandom >"$T/two/big"; echo 2 >"$T/two/small"

pinned() { c a pin ls | grep -q "^$1 $2\$"; }
dropped() { c a gc --json | jq .dropped; }
is() { [ "$1" = "$2" ] && ok "$3" || not_ok "$3" "'$1', not '$2'"; }

one=$(c a add -Q "$T/one"); two=$(c a add -Q --no-pin "$T/two")
check "what_is_added_is_pinned" pinned "$one" recursive
is "$(c a pin ls | wc -l)" 1 "unless_it_is_told_not_to"
is "$(grep -c . "$T/a/provided")" 1 "and_then_it_is_not_offered_either"
is "$(c a gc --dry-run --json | jq '[.dropped, .dry_run] | tostring')" '"[5,true]"' "a_dry_run_counts_what_would_go"
check "and_leaves_it" c a export "$two" -o "$T/two.car"
is "$(dropped)" 5 "a_gc_drops_what_is_not_pinned"
fails_with 1 "it_is_gone" c a cat "$two/small"
check "what_is_pinned_is_there" c a get -o "$T/copy" "$one"
check "whole" diff -r "$T/one" "$T/copy"
check "the_store_is_right" c a verify

check "an_archive_can_be_pinned" c a import --pin "$T/two.car"
check "and_is" pinned "$two" recursive
is "$(dropped)" 0 "so_it_stays"
check "a_pin_is_taken_away" c a pin rm "$two"
is "$(grep -c "$two" "$T/a/provided")" 0 "with_its_offer"
fails_with 1 "what_is_not_pinned_cannot_be_unpinned" c a pin rm "$two"
is "$(dropped)" 5 "and_then_it_goes"

# Part of a tree: it cannot be pinned as a whole.
c a export -o "$T/one.car" "$one"
repo b
big=$(c a ls --json -l "$one" | jq -r 'select(.name == "big").cid' 2>/dev/null)
[ -n "$big" ] || big=$(c a ls -l "$one" | awk '/big$/ { for (i = 1; i <= NF; i++) if ($i ~ /^baf/) print $i }')
c a export --since "$big" -o "$T/part.car" "$one"
fails_with 1 "what_is_not_here_as_a_whole_is_not_pinned" c b import --pin "$T/part.car"
is "$(c b pin ls | wc -l)" 0 "indeed"
check "its_root_alone_can_be" c b pin add --direct --name "the root" "$one"
check "under_a_name" bash -c "'$CAIRN' --repo '$T/b' pin ls --json | jq -e '.[0].name == \"the root\" and .[0].mode == \"direct\"'"
fails_with 1 "another_name_is_not_pinned" c b pin rm --name other "$one"
check "that_name_is" c b pin rm --name "the root" "$one"
fails_with 1 "a_missing_tree_is_not_pinned_without_a_daemon" c b pin add "$two"
fails_with 2 "a_name_is_no_path" c b pin rm "$one/small"
fails_with 2 "pin_needs_a_word" c b pin
fails_with 2 "gc_takes_no_argument" c b gc "$one"

# A repository from before there were pins: what it offered is pinned.
rm -r "$T/a/pins"
check "old_repositories_are_taken_over" c a gc
check "with_what_they_offered" pinned "$one" recursive
check "and_it_is_still_there" c a cat "$one/small"
: >"$T/a/pins/data.mdb"
fails_with 1 "a_lost_table_of_pins_stops_a_gc" c a gc
rm -r "$T/a/pins"

# With a daemon.
daemon a || { not_ok "the_daemon_starts"; finish; }
two=$(c a add -Q "$T/two")
check "the_daemon_pins_what_it_adds" pinned "$two" recursive
printf hello | c a add -Q - >"$T/cid"
check "and_standard_input" pinned "$(cat "$T/cid")" recursive
both=$(c a add -Q -w "$T/one" "$T/two")
check "and_the_folder_around" pinned "$both" recursive
c a pin rm "$two" >/dev/null
is "$(c a gc --json | jq .dropped)" 0 "what_a_pinned_folder_holds_stays"
check "stat_tells_what_is_shared" bash -c "'$CAIRN' --repo '$T/a' stat --pins --json | jq -e '.pins | map(select(.cid == \"$one\")) | .[0].exclusive == 0 and .[0].shared > 3000000'"
if [ -e /dev/fuse ]; then
	mnt m
	check "it_is_mounted" c a mount "$both" "$T/m"
	exec 9<"$T/m/two/big"
	c a pin rm "$both" >/dev/null
	is "$(dropped)" 0 "what_is_mounted_stays"
	check "and_can_be_read" cmp /proc/self/fd/9 "$T/two/big"
	exec 9<&-
	c a umount "$T/m"
else
	c a pin rm "$both" >/dev/null
fi
is "$([ "$(dropped)" -gt 3 ] && echo yes)" yes "and_goes_when_it_is_not"
check "the_other_tree_is_there" c a cat "$one/small"
check "a_gc_leaves_a_right_store" c a verify

c b config net.bootstrap "$(address a)"
daemon b || { not_ok "the_second_daemon_starts"; finish; }
before=$(c b stat --json | jq .cache.blocks)
check "what_is_not_here_is_fetched_and_pinned" c b pin add "$one"
is "$(c b stat --json | jq .cache.blocks)" "$before" "without_a_way_through_the_cache"
c a stop
is "$(c b gc --json | jq .kept)" "$(c b stat --pins --json | jq '.pins[0].blocks')" "all_of_it_is_kept"
check "and_read_without_the_other" c b cat "$one/small"
finish
