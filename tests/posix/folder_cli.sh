#!/usr/bin/env bash
# The folder commands without a daemon, and what they refuse.
. "$(dirname "$0")/../lib.sh"
repo a
mkdir "$T/t"; echo one >"$T/t/file"; echo two >"$T/t/.hidden"
[ "$(c a folder list)" = "" ] && ok "there_is_none_at_first" || not_ok "there_is_none_at_first"
k51=$(c a folder create f --from "$T/t" --publish)
case $k51 in k51*) ok "one_is_made_and_its_name_printed" ;; *) not_ok "one_is_made_and_its_name_printed" "$k51" ;; esac
[ "$(c a folder list)" = "f $k51 published" ] && ok "it_is_listed" || not_ok "it_is_listed" "$(c a folder list)"
check "as_json_too" sh -c "'$CAIRN' --repo '$T/a' folder list --json | jq -e '.[0].name == \"f\" and .[0].publish'"
[ "$(c a cat f/.hidden)" = two ] && ok "it_has_what_the_directory_had" || not_ok "it_has_what_the_directory_had"
[ "$(c a folder status f --json | jq -r .snapshot.root)" = "$(c a add -Q -n --hidden "$T/t")" ] && ok "its_root_is_what_add_gives" || not_ok "its_root_is_what_add_gives"
check "another_is_made_from_it" c a folder create g --from f
check "and_one_under_the_older_profile" c a folder create h --profile unixfs-v0-2015
[ "$(c a folder config h profile)" = unixfs-v0-2015 ] && ok "which_is_kept" || not_ok "which_is_kept"
check "a_setting_is_changed" c a folder config f keep hourly=24,daily=30
[ "$(c a folder config f keep)" = "hourly=24,daily=30" ] && ok "and_kept" || not_ok "and_kept"
[ "$(c a log f --json | jq length)" = 1 ] && [ "$(c a log f | wc -l)" = 1 ] && ok "the_log_has_the_first_commit" || not_ok "the_log_has_the_first_commit"
check "a_branch_is_made" c a branch f side
[ "$(c a branch f | wc -l)" = 2 ] && [ "$(c a branch f --json | jq -r '.branches[] | select(.current) | .name')" = main ] && ok "branches_are_listed" || not_ok "branches_are_listed"
[ "$(c a snapshot f 2>"$T/err" | cut -d' ' -f1)" = "$(c a log f | cut -d' ' -f1)" ] && grep -q "nothing has changed" "$T/err" && ok "without_changes_no_snapshot" || not_ok "without_changes_no_snapshot"
check "a_whole_version_is_restored" c a restore f@
check "a_gc_leaves_it_alone" sh -c "'$CAIRN' --repo '$T/a' gc && '$CAIRN' --repo '$T/a' get -o '$T/got' f && diff -r '$T/t' '$T/got'"

fails_with 2 "a_name_that_is_none" c a folder create ../x
fails_with 2 "a_name_that_is_a_cid" c a folder create bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354
fails_with 1 "a_name_that_is_taken" c a folder create f
fails_with 2 "a_file_to_begin_with" c a folder create x --from "$T/t/file"
fails_with 2 "a_profile_that_is_none" c a folder create x --profile nope
fails_with 2 "a_setting_that_is_none" c a folder config f colour red
fails_with 2 "a_value_that_is_none" c a folder config f quiet soon
fails_with 1 "a_folder_that_is_not_there" c a snapshot nope
fails_with 2 "no_subcommand" c a folder
fails_with 2 "a_wrong_subcommand" c a folder destroy f
fails_with 2 "log_of_nothing" c a log nope
fails_with 2 "restore_of_now_needs_an_at" c a restore f file
fails_with 1 "a_snapshot_that_never_was" c a show "f@{7}"
fails_with 2 "a_commit_of_no_folder" c a checkout f g@
fails_with 1 "a_branch_that_is_there" c a branch f side
fails_with 1 "a_name_needs_a_daemon" c a log "$k51"
for cmd in folder snapshot log show diff restore checkout branch; do
	c a $cmd --help | grep -q "^usage: cairn $cmd" || not_ok "${cmd}_has_help"
done
echo '{"version":' >"$T/a/folders/g/folder.json"
fails_with 1 "b116_with_a_folder_that_cannot_be_read_there_is_no_gc" c a gc
[ "$(c a folder list | wc -l)" = 2 ] && ok "the_others_are_there" || not_ok "the_others_are_there"
check "it_is_removed" c a folder remove h
fails_with 1 "once" c a folder remove h
finish
