#!/usr/bin/env bash
# The model test on a writable folder: random operations of several processes
# beside a twin, with remounts, kills and snapshots, and afterwards the root's
# CID beside that of the twin's files.
#	folder_model.sh [OPERATIONS [SEED]]	(20,000; by hand 1,000,000)
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../folder.sh"
need_folders folder_model
OPS=${1:-${MODEL_OPS:-20000}} SEED=${2:-${MODEL_SEED:-1}}
ROUND=$((OPS / 10 > 5000 ? 5000 : OPS / 10))

# What the model calls; each is one command, with the daemon's pid in a file.
folder_then() {
	DAEMON_PID=$(cat "$T/pid")
	case $1 in
	remount) folder_down f && folder_up f ;;
	kill) folder_killed f; folder_up f ;;
	snapshot) c f snapshot f >/dev/null ;;
	cold) cold_cache ;;
	roots) roots_agree ;;
	esac || return 1
	echo "$DAEMON_PID" >"$T/pid"
}
# The newest snapshot's root is what `cairn add` says of the twin's files.
roots_agree() {
	local root twin
	c f snapshot f >/dev/null || return 1
	root=$(c f folder status f --json | jq -r '.. | .root? // empty' | head -n 1)
	twin=$(c plain add -Q --hidden "$T/twin")
	[ "$root" = "$twin" ] || { echo "# root $root, the twin's $twin"; return 1; }
}
# The commands run in a shell of their own: hand over what they need.
cat >"$T/then" <<END
#!/usr/bin/env bash
CAIRN=$CAIRN; export TMPDIR=$T
. "$(cd "$(dirname "$0")/.." && pwd)/lib.sh"
trap - EXIT; rmdir "\$T"; T=$T
. "$(cd "$(dirname "$0")/.." && pwd)/folder.sh"
$(declare -f folder_then roots_agree)
folder_then "\$1"
END
chmod +x "$T/then"

folder f || { not_ok "a_folder_is_mounted" "$(tail -n 2 "$T/f.err" | tr '\n' '|')"; finish; }
echo "$DAEMON_PID" >"$T/pid"
repo plain
fast_dir twin
model() { # NAME OPTIONS...
	local name=$1; shift
	if "$HELPERS/folder_model" -s "$SEED" "$@" "$T/f.mnt" "$T/twin" >"$T/model" 2>&1; then ok "$name"
	else not_ok "$name" "$(tail -n 1 "$T/model")"; grep '^#' "$T/model" | head -n 60; fi
	tail -n 1 "$T/model" | sed 's/^/# /'
}
snapshots=; has_snapshots && snapshots=1
model "random_operations_remounts_kills_and_snapshots_differ_nowhere" -n "$OPS" -r "$ROUND" -L \
	-c "$T/then remount" -c "$T/then kill" -c "$T/then cold" ${snapshots:+-d "$T/then snapshot"}
if [ -n "$snapshots" ]; then
	# UnixFS has no FIFOs.
	find "$T/f.mnt" "$T/twin" -type p -delete
	check "the_root_is_that_of_the_same_files_added" "$T/then" roots
fi
DAEMON_PID=$(cat "$T/pid"); PIDS+=("$DAEMON_PID")
finish
