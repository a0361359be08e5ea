#!/usr/bin/env bash
# A published folder on one host, its name mounted on another: what is edited here
# appears there by itself; its history can be read there; after a restart it goes on.
. "$(dirname "$0")/../lib.sh"
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
ip netns list >/dev/null 2>&1 && hosts_up a b c || skip_all "no network namespaces"
for n in a b c; do
	"$CAIRN" --repo "$T/$n" init >/dev/null; REPOS+=("$T/$n")
	c $n config net.listen /ip4/0.0.0.0/tcp/4001; c $n config net.dht server; c $n config net.protocol-prefix /test
done
daemon c c || { not_ok "the_bootstrap_starts"; finish; }
boot=$(c c id --json | jq -r '.addresses[]' | grep /ip4/10.77)
c a config net.bootstrap "$boot"; c b config net.bootstrap "$boot"
daemon a a; a_pid=$DAEMON_PID
daemon b b
mnt rw; mnt ro
mkdir "$T/t"; echo one >"$T/t/file"; mkdir "$T/t/dir"; head -c 300000 /dev/urandom >"$T/t/dir/data"

k51=$(c a folder create f --from "$T/t")
c a folder config f ttl 2; c a folder config f quiet 1
check "a_folder_is_published" c a publish f
check "it_is_mounted_to_be_written" c a mount f "$T/rw"
resolves() { c b resolve --refresh "$k51"; }
check "its_name_is_found_elsewhere" wait_for 20 resolves
check "and_mounted_there" c b mount "$k51" "$T/ro"
check "it_shows_the_folder" diff -r "$T/t" "$T/ro"
published() { [ "$(c a folder list --json | jq -r '.[0] | .head == .published')" = true ]; }

echo two >"$T/rw/file"; mkdir "$T/rw/more"; echo x >"$T/rw/more/x"; rm "$T/rw/dir/data"
# Nobody asks for a snapshot: it is made when the folder is quiet.
same() { diff -r "$T/rw" "$T/ro"; }
check "an_edit_here_appears_there_by_itself" wait_for 30 same
[ "$(c b log "$k51" | wc -l)" = 2 ] && ok "its_history_can_be_read_there" || not_ok "its_history_can_be_read_there" "$(c b log "$k51" 2>&1 | tr '\n' '|')"
[ "$(c b cat "$k51@{1}/file")" = one ] && ok "and_its_old_versions" || not_ok "and_its_old_versions"
[ "$(c b diff "$k51@{1}" "$k51" | tr '\n' '|')" = "D dir/data|M file|A more/|" ] && ok "and_compared" || not_ok "and_compared" "$(c b diff "$k51@{1}" "$k51" 2>&1 | tr '\n' '|')"
check "it_is_told_as_published" wait_for 10 published
# A copy of one's own goes on from it.
check "a_folder_is_made_from_the_name" c b folder create copy --from "$k51" --publish
mnt copy
status_says() { c a folder status f | grep -qE "published +yes, [1-9][0-9]* other peers? ha"; }
check "status_says_so_and_who_has_it" wait_for 20 status_says
check "and_mounted" c b mount copy "$T/copy"
check "it_has_what_the_other_has" diff -r "$T/rw" "$T/copy"

c a umount "$T/rw"; kill $a_pid; wait $a_pid 2>/dev/null
daemon a a; c a mount f "$T/rw"
echo three >"$T/rw/file"
check "after_a_restart_it_goes_on" wait_for 30 same
seq=$(c b resolve --json --refresh "$k51" | jq .sequence)
check "it_is_published_no_more" c a folder config f publish off
echo four >"$T/rw/file"; c a snapshot f >/dev/null
[ "$(c b resolve --json --refresh "$k51" | jq .sequence)" = "$seq" ] && [ "$(cat "$T/ro/file")" = three ] && ok "others_keep_the_last_one" || not_ok "others_keep_the_last_one"
c a umount "$T/rw"; c b umount "$T/ro"; c b umount "$T/copy"
finish
