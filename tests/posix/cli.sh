#!/usr/bin/env bash
# The command as scripts use it: output forms, exit statuses, clear errors.
. "$(dirname "$0")/../lib.sh"

check "init_makes_a_repository" c a init
fails_with 1 "init_twice_is_refused" c a init
fails_with 2 "an_unknown_command_is_misuse" "$CAIRN" frobnicate
fails_with 2 "an_unknown_option_is_misuse" c a ls --frobnicate x
fails_with 2 "ls_without_a_source_is_misuse" c a ls
fails_with 2 "a_source_that_is_no_cid_is_misuse" c a cat hello
fails_with 1 "no_repository_is_said" c none add /etc/hostname
fails_with 1 "publish_without_a_daemon_is_said" c a publish bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku
fails_with 1 "a_block_that_is_not_here_is_said" c a cat bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku
fails_with 2 "a_setting_that_does_not_exist_is_misuse" c a config net.foo
fails_with 2 "a_bad_address_is_misuse" c a config net.listen /ip4/1.2.3.4/udp/1
fails_with 1 "adding_what_is_not_there_fails" c a add "$T/nothing"
fails_with 2 "a_profile_that_does_not_exist_is_misuse" c a add --profile x "$T"
for cmd in init daemon stop status id add ls cat get export import stat pin gc publish resolve mount umount peers connect ping providers config; do
	"$CAIRN" $cmd --help >"$T/help" 2>&1 && grep -q "usage: cairn $cmd" "$T/help" || { not_ok "every_command_has_help" "$cmd"; bad=1; break; }
done
[ -n "${bad:-}" ] || ok "every_command_has_help"

mkdir -p "$T/tree/dir/empty"
echo hello >"$T/tree/hello"
ln -s hello "$T/tree/dir/link"
head -c 3000000 /dev/urandom >"$T/tree/dir/large"
cid=$(c a add -Q "$T/tree")
[ "$(echo "$cid" | wc -l)" = 1 ] && [ "${cid:0:4}" = bafy ] && ok "add_Q_prints_one_line" || not_ok "add_Q_prints_one_line" "$cid"
[ "$(c a add -Q --profile unixfs-v0-2015 "$T/tree" | cut -c1-2)" = Qm ] && ok "a_profile_gives_its_cids" || not_ok "a_profile_gives_its_cids"
printf 'hello world' >"$T/hw"
[ "$(c a add -Q "$T/hw")" = bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e ] && ok "a_known_cid" || not_ok "a_known_cid"
[ "$(c a add -Q --profile unixfs-v0-2015 "$T/hw")" = Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD ] && ok "a_known_v0_cid" || not_ok "a_known_v0_cid"
[ "$(c a cat "$cid/hello")" = hello ] && ok "cat_prints_a_file" || not_ok "cat_prints_a_file"
[ "$(c a cat --offset 1 --length 3 "/ipfs/$cid/hello")" = ell ] && ok "cat_prints_a_range" || not_ok "cat_prints_a_range"
[ "$(c a ls "$cid" | tr '\n' ' ')" = "dir hello " ] && ok "ls_lists" || not_ok "ls_lists" "$(c a ls "$cid")"
c a ls --json "$cid/dir" | jq -e 'map(.type) | sort == ["dir","file","symlink"]' >/dev/null && ok "ls_json" || not_ok "ls_json"
c a stat --json "$cid/dir/large" | jq -e '.size == 3000000 and .type == "file" and .local' >/dev/null && ok "stat_json" || not_ok "stat_json"
check "get_writes_a_tree" c a get -o "$T/got" "$cid"
check "what_get_wrote_is_what_was_added" diff -r --no-dereference "$T/tree" "$T/got"
fails_with 1 "get_does_not_overwrite" c a get -o "$T/got" "$cid"
fails_with 1 "cat_of_a_folder_is_said" c a cat "$cid"
fails_with 1 "a_path_that_is_not_there_is_said" c a cat "$cid/nope"
c a get -o "$T/two" "$cid" 2>"$T/err"; [ ! -s "$T/err" ] && ok "no_progress_bar_when_piped" || not_ok "no_progress_bar_when_piped"
c a config net.listen /ip4/127.0.0.1/tcp/0 /ip6/::1/tcp/0
[ "$(c a config net.listen | wc -l)" = 2 ] && ok "config_keeps_lists" || not_ok "config_keeps_lists"
cp -a "$T/a" "$T/newer" && echo 99 >"$T/newer/version"
fails_with 1 "a_repository_of_a_newer_version_is_refused" c newer ls "$cid"
printf '\0' | tr '\0' '{' >"$T/newer/config.json"; echo 1 >"$T/newer/version"
fails_with 1 "damaged_settings_are_said" c newer config

REPOS+=("$T/a")
if daemon a; then
	ok "the_daemon_says_ready"
	c a id --json | jq -e '.id as $i | (.addresses | length) == 2 and all(.addresses[]; test("/tcp/[1-9][0-9]*/p2p/" + $i + "$"))' >/dev/null && ok "id_has_the_ports_really_bound" || not_ok "id_has_the_ports_really_bound" "$(c a id --json)"
	fails_with 1 "a_second_daemon_is_refused" c a daemon
	[ "$(c a add -Q "$T/tree")" = "$cid" ] && ok "add_through_the_daemon_gives_the_same_cid" || not_ok "add_through_the_daemon_gives_the_same_cid"
	[ "$(c a cat "$cid/hello")" = hello ] && ok "cat_beside_the_daemon" || not_ok "cat_beside_the_daemon"
	name=$(c a publish "$cid" 2>/dev/null)
	case $name in k51*) ok "publish_prints_the_name" ;; *) not_ok "publish_prints_the_name" "$name" ;; esac
	[ "$(c a resolve "$name")" = "/ipfs/$cid" ] && ok "resolve_prints_the_path" || not_ok "resolve_prints_the_path"
	[ "$(c a cat "/ipns/$name/hello")" = hello ] && ok "cat_by_name" || not_ok "cat_by_name"
	fails_with 1 "a_mount_point_that_is_not_empty_is_refused" c a mount "$cid" "$T/tree"
	fails_with 1 "a_mount_point_that_is_a_file_is_refused" c a mount "$cid" "$T/hw"
	fails_with 1 "umount_of_what_is_not_ours_is_refused" c a umount "$T/tree"
	fails_with 2 "connect_to_nonsense_is_misuse" c a connect nonsense
	fails_with 1 "connect_to_nobody_fails" c a connect /ip4/127.0.0.1/tcp/1
	check "status_is_json" sh -c "'$CAIRN' --repo '$T/a' status --json | jq -e .running"
	check "stop_stops" c a stop
	kill -0 $DAEMON_PID 2>/dev/null && not_ok "the_process_has_ended" || ok "the_process_has_ended"
else
	not_ok "the_daemon_says_ready"
fi
finish
