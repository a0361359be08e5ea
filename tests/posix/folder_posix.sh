#!/usr/bin/env bash
# The POSIX suite on a writable folder, as root and as an ordinary user, and on
# ext4 beside it.  Differences that are known stand in tests/posix/known.
#	folder_posix.sh [PATTERN]	only the cases that match
# Without LONG in the environment what does not depend on the user is not repeated
# as a user, and ext4 is tried once.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../folder.sh"
need_folders posix_suite
SUITE=$HELPERS/posix_suite
known=$(cd "$(dirname "$0")" && pwd)/known

# suite LABEL KNOWN DIR [UID]: its cases as ours.
suite() {
	local label=$1 line less=()
	[ $# = 3 ] || [ -n "${LONG:-}" ] || less=(-x 'rename_*_onto_*')
	"$SUITE" ${4:+-u "$4"} "${less[@]}" ${PATTERN:+-m "$PATTERN"} -k "$known/$2" "$3" >"$T/suite.out" 2>&1
	[ $? -le 1 ] || not_ok "the suite runs on $label" "$(tail -n 1 "$T/suite.out")"
	while IFS= read -r line; do
		case $line in
		"ok "*) ok "$label: ${line#ok * - }" ;;
		"not ok "*) not_ok "$label: ${line#not ok * - }" ;;
		"# "*) echo "$line" ;;
		esac
	done <"$T/suite.out"
	grep -q '^1\.\.' "$T/suite.out" || not_ok "the suite ends on $label" "$(tail -n 1 "$T/suite.out")"
}
PATTERN=${1:-}
both() { # LABEL KNOWN DIR
	suite "$1" "$2" "$3"
	[ "$(id -u)" != 0 ] || [ "$1-${LONG:-}" = ext4- ] || suite "$1 as a user" "$2" "$3" 12001
}
# Natively where that is ext4, or on an ext4 of our own.
native() {
	mkdir -p "$T/native"
	[ "$(stat -f -c %T "$T")" = ext2/ext3 ] || { [ "$(id -u)" = 0 ] && loop_dir native 2G; }
}
case $CAIRN in *asan*) native() { false; } ;; esac
if native; then both ext4 ext4 "$T/native"; else note "no ext4 to compare with"; fi
folder a || { not_ok "a_folder_is_mounted" "$(tail -n 2 "$T/a.err" | tr '\n' '|')"; finish; }
both cairn cairn "$T/a.mnt"
kill -0 "$DAEMON_PID" && ok "the_daemon_lives" || not_ok "the_daemon_lives"
finish
