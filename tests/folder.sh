# For the scripts that work in a writable folder; sourced after lib.sh.
HELPERS=$(dirname "$CAIRN")/../tests
HELPERS=${TEST_HELPERS:-$HELPERS}
# need_folders [HELPER...]: skip the script if this machine or this cairn has none.
need_folders() {
	local h
	[ -e /dev/fuse ] || skip_all "no /dev/fuse"
	"$CAIRN" --help 2>&1 | grep -q '^ *folder ' || skip_all "this cairn has no writable folders"
	for h in "$@"; do [ -x "$HELPERS/$h" ] || skip_all "$h is not built"; done
}
# NO_SNAPSHOTS in the environment leaves them out.
has_snapshots() { [ -z "${NO_SNAPSHOTS:-}" ] && "$CAIRN" --help 2>&1 | grep -q '^ *snapshot '; }
need_root() { [ "$(id -u)" = 0 ] || skip_all "not root"; }
# folder NAME: a repository $T/NAME with a daemon (pid in DAEMON_PID) and the
# folder NAME mounted at $T/NAME.mnt.
folder() {
	repo "$1" && c "$1" folder create "$1" >/dev/null && folder_up "$1"
}
# folder_up NAME: its daemon and its mount again, also after a kill.
folder_up() {
	daemon "$1" && mnt "$1.mnt" || return 1
	c "$1" mount --allow-other "$1" "$T/$1.mnt" >"$T/mount.out" 2>&1 && kill -0 "$DAEMON_PID" && return 0
	note "not mounted: $(cat "$T/mount.out" "$T/$1.err" | tail -n 5 | tr '\n' '|')"
	return 1
}
# ended PID: wait until it has, with all its threads, also if it is the child of another
# shell; until then it has its locks.
ended() {
	wait "$1" 2>/dev/null
	while grep -hqs '^State:.[^ZX]' "/proc/$1"/task/*/status; do sleep 0.01; done
}
# folder_down NAME: unmount and stop in good order.
folder_down() {
	c "$1" umount "$T/$1.mnt" >/dev/null || return 1
	c "$1" stop >/dev/null
	ended "$DAEMON_PID"
	return 0
}
# folder_killed NAME: kill -9 its daemon, and take the dead mount away.
folder_killed() {
	kill -9 "$DAEMON_PID" 2>/dev/null || note "the daemon was gone before: $(tail -n 3 "$T/$1.err" | tr '\n' '|')"
	ended "$DAEMON_PID"
	umount -l "$T/$1.mnt" 2>/dev/null
	return 0
}
folder_again() { folder_down "$1" && cold_cache && folder_up "$1"; }
# cold_cache: what the kernel remembers of files is forgotten.
cold_cache() { sync; [ "$(id -u)" != 0 ] || echo 3 >/proc/sys/vm/drop_caches; }
# fast_dir NAME: a tmpfs at $T/NAME, or an ordinary directory.
fast_dir() {
	mnt "$1"
	[ "$(id -u)" != 0 ] || mount -t tmpfs -o size=6g,nr_inodes=1m tmpfs "$T/$1" 2>/dev/null || true
}
# own_mounts "$@": run the script again where nobody else sees its mounts.  A mount
# that another's namespace has copied keeps the file system alive after umount.
own_mounts() {
	[ -z "${OWN_MOUNTS:-}" ] || return 0
	rmdir "$T"
	OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
}
# loop_dir NAME SIZE: an ext4 of its own at $T/NAME, in a file of that size.
loop_dir() {
	mnt "$1" && truncate -s "$2" "$T/$1.image" && mkfs.ext4 -q -F "$T/$1.image" 2>/dev/null && loop_again "$1"
}
loop_again() { mount -o loop "$T/$1.image" "$T/$1" 2>/dev/null; }
