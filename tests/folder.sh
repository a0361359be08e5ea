# For the scripts that work in a writable folder; sourced after lib.sh.
# need_folders: skip the script if this machine or this cairn has none.
need_folders() {
	[ -e /dev/fuse ] || skip_all "no /dev/fuse"
	"$CAIRN" --help 2>&1 | grep -q '^ *folder ' || skip_all "this cairn has no writable folders"
}
# folder NAME: a repository $T/NAME with a daemon (pid in DAEMON_PID) and the
# folder NAME mounted at $T/NAME.mnt.
folder() {
	repo "$1" && c "$1" folder create "$1" >/dev/null && folder_up "$1"
}
# folder_up NAME: its daemon and its mount again, also after a kill.
folder_up() {
	daemon "$1" && mnt "$1.mnt" && c "$1" mount --allow-other "$1" "$T/$1.mnt" >/dev/null
}
# folder_down NAME: unmount and stop in good order.
folder_down() {
	c "$1" umount "$T/$1.mnt" >/dev/null; c "$1" stop >/dev/null
	wait_for 30 test ! -e "$T/$1/control.sock"
}
# folder_killed NAME PID: kill -9 the daemon, take the dead mount away.
folder_killed() {
	kill -9 "$2"; wait "$2" 2>/dev/null
	umount -l "$T/$1.mnt" 2>/dev/null
}
# cold_cache: what the kernel remembers of files is forgotten.
cold_cache() { sync; [ "$(id -u)" != 0 ] || echo 3 >/proc/sys/vm/drop_caches; }
