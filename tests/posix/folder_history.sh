#!/usr/bin/env bash
# Snapshots of a folder, and what is done with them: log, show, diff, restore,
# checkout, branches, references wherever a source is accepted, retention and gc.
. "$(dirname "$0")/../lib.sh"
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
repo a
daemon a || { not_ok "the_daemon_starts"; finish; }
mnt m; mnt old
m=$T/m

check "a_folder_is_made" c a folder create f
c a folder config f quiet off; c a folder config f max-age off
check "it_is_mounted" c a mount f "$m"
head_of() { c a folder list --json | jq -r '.[] | select(.name == "f") | .head'; }
first=$(head_of)

# Equality with `cairn add`, step by step.
added() { [ "$(c a snapshot --json f | jq -r .root)" = "$(c a add -Q --hidden --no-ignore -n "$m")" ]; }
mkdir -p "$m/dir/sub"; echo one >"$m/file"; echo deep >"$m/dir/sub/deep"; ln -s file "$m/link"
head -c 3000000 /dev/urandom >"$m/large"; : >"$m/empty"
check "its_snapshot_has_the_root_that_add_gives" added
head -c 100 /dev/urandom | dd of="$m/large" bs=1 seek=1500000 conv=notrunc status=none
truncate -s 2000000 "$m/large"; truncate -s 4000000 "$m/large"; mv "$m/dir/sub" "$m/moved"; rm "$m/empty"
check "and_after_changes_too" added
one=$(c a log --json f | jq -r '.[0].id')
[ "$(c a log f | wc -l)" = 3 ] && ok "the_log_has_them_all" || not_ok "the_log_has_them_all" "$(c a log f)"
before=$(head_of)
c a snapshot f >/dev/null 2>&1
[ "$(head_of)" = "$before" ] && ok "without_changes_there_is_no_snapshot" || not_ok "without_changes_there_is_no_snapshot"

# What changed.
echo two >"$m/file"; echo new >"$m/added"; rm "$m/link"; mkdir "$m/link"
c a snapshot -m "the second" f >/dev/null
[ "$(c a diff f | sort | tr '\n' '|')" = "A added|M file|T link|" ] && ok "diff_tells_what_changed" || not_ok "diff_tells_what_changed" "$(c a diff f | tr '\n' '|')"
[ "$(c a diff "f@{2}" "f@{1}" --json | jq -r '[.[] | .path] | sort | join(",")')" = dir/sub,empty,large,moved ] && ok "diff_of_two_snapshots" || not_ok "diff_of_two_snapshots" "$(c a diff "f@{2}" "f@{1}" --json)"
c a show f@ | grep -q "the second" && c a show f@ | grep -qx "M file" && ok "show_has_message_and_changes" || not_ok "show_has_message_and_changes" "$(c a show f@ | tr '\n' '|')"

# References, wherever a source is accepted.
[ "$(c a cat f/file)" = two ] && [ "$(c a cat "f@{1}/file")" = one ] && [ "$(c a cat "f@$one/file")" = one ] && ok "cat_takes_references" || not_ok "cat_takes_references"
[ "$(c a ls "f@{now}/moved")" = deep ] && ok "ls_takes_them" || not_ok "ls_takes_them"
check "get_takes_them" c a get -o "$T/got" "f@$one"
[ "$(readlink "$T/got/link")" = file ] && [ "$(stat -c %s "$T/got/large")" = 4000000 ] && ok "and_gives_what_was" || not_ok "and_gives_what_was"
check "mount_takes_them" c a mount "f@$one" "$T/old"
diff -r --no-dereference "$T/got" "$T/old" >/dev/null && ok "and_shows_what_was" || not_ok "and_shows_what_was"
c a umount "$T/old"
name=$(ls "$m/.cairn/snapshots" | grep "$one")
diff -r --no-dereference "$T/got" "$m/.cairn/snapshots/$name" >/dev/null && ok "it_lies_in_the_mount_too" || not_ok "it_lies_in_the_mount_too" "$name"
fails_with 1 "a_snapshot_that_is_not_there" c a ls "f@{99}"
fails_with 1 "a_time_before_all" c a ls "f@{1999-12-31}"
fails_with 2 "a_reference_that_is_none" c a ls "f@{"

# Old versions come back, and the kernel's caches know.
cat "$m/file" "$m/large" >/dev/null; ls -lR "$m" >/dev/null
check "a_file_and_a_link_are_restored" c a restore "f@$one" file link
[ "$(cat "$m/file")" = one ] && [ "$(readlink "$m/link")" = file ] && [ -e "$m/added" ] && ok "they_are_as_they_were" || not_ok "they_are_as_they_were" "$(cat "$m/file"; ls -l "$m/link")"
mkdir "$T/outside"; rm -rf "$m/moved"; ln -s "$T/outside" "$m/moved"
fails_with 1 "b83_restore_never_follows_a_symlink" c a restore "f@$one" moved/deep
[ -z "$(ls -A "$T/outside")" ] && ok "nothing_was_written_outside" || not_ok "nothing_was_written_outside"
rm "$m/moved"
check "a_path_whose_folder_is_gone_is_restored" c a restore "f@$one/moved/deep"
[ "$(cat "$m/moved/deep")" = deep ] && ok "its_folder_was_made" || not_ok "its_folder_was_made"
fails_with 1 "a_path_that_never_was" c a restore "f@$one" nothing

check "a_branch_is_made" c a branch f draft
echo main >"$m/file"; c a snapshot f >/dev/null
check "it_is_gone_over_to" c a checkout f draft
[ "$(cat "$m/file")" = one ] && ok "the_folder_is_what_the_branch_has" || not_ok "the_folder_is_what_the_branch_has" "$(cat "$m/file")"
echo draft >"$m/file"; echo x >"$m/dir/only-here"
check "and_back" c a checkout f main
[ "$(cat "$m/file")" = main ] && [ ! -e "$m/dir/only-here" ] && ok "the_other_is_as_it_was" || not_ok "the_other_is_as_it_was"
[ "$(c a cat f@draft/file)" = draft ] && ok "what_was_changed_there_is_kept_there" || not_ok "what_was_changed_there_is_kept_there" "$(c a cat f@draft/file 2>&1)"
check "a_snapshot_is_checked_out" c a checkout f "$one"
diff -r --no-dereference "$T/got" "$m" >/dev/null && ok "the_folder_is_what_it_was" || not_ok "the_folder_is_what_it_was" "$(diff -r --no-dereference "$T/got" "$m" | head -n 3 | tr '\n' '|')"
check "its_snapshots_have_the_roots_that_add_gives" added
fails_with 1 "the_branch_one_is_on_stays" c a branch -d f main
check "another_is_forgotten" c a branch -d f draft

# What is kept.
n=$(c a log f | wc -l)
check "everything_is_kept_at_first" sh -c "'$CAIRN' --repo '$T/a' gc >/dev/null && '$CAIRN' --repo '$T/a' get -o '$T/got2' 'f@$one'"
c a folder config f keep last=2
check "gc_takes_what_retention_lets_go" c a gc
[ "$(c a log f | wc -l)" -lt "$n" ] && c a log f 2>&1 >/dev/null | grep -q "no longer here" && ok "the_log_says_where_it_ends" || not_ok "the_log_says_where_it_ends" "$(c a log f 2>&1 | tr '\n' '|')"
fails_with 1 "b94_what_was_let_go_is_said_to_be_gone" c a ls "f@{$((n - 1))}"
diff -r --no-dereference "$T/got" "$m" >/dev/null && ok "the_folder_is_whole" || not_ok "the_folder_is_whole"
check "the_store_is_whole" c a verify
c a umount "$m"
check "it_is_removed" c a folder remove f
fails_with 1 "and_is_no_more" c a snapshot f
finish
