#!/usr/bin/env bash
# A folder mounted to be written, as programs see it every day: made, filled by
# many of them, mounted again, its daemon killed; and what is refused.
. "$(dirname "$0")/../lib.sh"
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
repo a
M=$T/m
is() { [ "$2" = "$3" ] && ok "$1" || not_ok "$1" "got '$2', wanted '$3'"; }
# What a tree is: names, types, modes, owners, sizes, times, links, and bytes.
picture() { (cd "$1" && find . -mindepth 1 -printf '%p %y %m %U %G %n %s %T@ %l\n' | sed '/ d /s/ [0-9]* [0-9]* \([0-9.]*\) $/ \1/' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum); }

check "a_folder_is_made" c a folder create work
mnt m
check "it_is_mounted_by_name" c a mount work "$M"
grep -q " $M fuse.cairn rw,nosuid,nodev" /proc/mounts && ok "rw_nosuid_nodev" || not_ok "rw_nosuid_nodev" "$(grep "$M" /proc/mounts)"
is "it_is_empty" "$(ls -A "$M")" ""

# ---- programs ----
mkdir -p "$T/src/deep/er" && (cd "$T/src" && seq 20000 >numbers && head -c 3000000 /dev/urandom >random && : >empty && ln -s deep/er link && ln numbers deep/numbers && mkfifo pipe && chmod 640 random && touch -d '2001-02-03 04:05:06.789012345' numbers && for i in $(seq 200); do echo "file $i" >deep/er/$i; done)
check "tar_extracts" sh -c "tar -C '$T/src' --format=posix -cf - . | tar -C '$M' -xpf -"
is "as_it_was" "$(picture "$M")" "$(picture "$T/src")"
check "cp_copies" cp -a "$M/deep" "$M/copy"
check "the_copy_is_the_same" diff -r "$M/deep" "$M/copy"
check "sed_edits_in_place" sh -c "sed -i 's/file 7/FILE 7/' '$M/copy/er/7' && [ \"\$(cat '$M/copy/er/7')\" = 'FILE 7' ]"
check "append_appends" sh -c "echo more >>'$M/copy/er/1' && [ \"\$(cat '$M/copy/er/1')\" = \"\$(printf 'file 1\nmore')\" ]"
check "sort_writes_over_its_input" sh -c "sort -rn -o '$M/numbers2' '$M/numbers' && sort -n -o '$M/numbers2' '$M/numbers2' && cmp '$M/numbers' '$M/numbers2'"
check "dd_overwrites_the_middle" sh -c "printf XYZ | dd of='$M/numbers2' bs=1 seek=1000 conv=notrunc 2>&1 && [ \"\$(dd if='$M/numbers2' bs=1 skip=1000 count=3 2>/dev/null)\" = XYZ ] && [ \$(stat -c %s '$M/numbers2') = \$(stat -c %s '$M/numbers') ]"
check "truncate_cuts_and_grows" sh -c "truncate -s 10 '$M/numbers2' && truncate -s 1M '$M/numbers2' && [ \"\$(tr -d '\\0' <'$M/numbers2' | wc -c)\" = 10 ] && [ \$(stat -c %s '$M/numbers2') = 1048576 ]"
check "a_file_is_used_after_its_end" sh -c "exec 5<>'$M/gone' && echo kept >&5 && rm '$M/gone' && [ ! -e '$M/gone' ] && [ \"\$(cat /proc/self/fd/5)\" = kept ]"
check "mv_replaces" sh -c "echo new >'$M/n' && mv '$M/n' '$M/copy/er/2' && [ \"\$(cat '$M/copy/er/2')\" = new ] && [ ! -e '$M/n' ]"
check "a_file_without_a_name_gets_one" python3 - "$M" <<'PY'
import os, subprocess, sys
os.chdir(sys.argv[1])
fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, b"anonymous")
subprocess.run(["ln", "-L", f"/proc/self/fd/{fd}", "named"], pass_fds=[fd], check=True)
assert open("named").read() == "anonymous" and os.fstat(fd).st_nlink == 1
PY
check "maps_direct_io_and_locks" python3 - "$M" <<'PY'
import fcntl, mmap, os, subprocess, sys
os.chdir(sys.argv[1])
fd = os.open("mapped", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o400)
os.ftruncate(fd, 8192)
m = mmap.mmap(fd, 8192)
m[4000:4010] = b"0123456789"
m.flush()
d = os.open("mapped", os.O_RDONLY | os.O_DIRECT)
b = mmap.mmap(-1, 8192)
assert os.readv(d, [b]) == 8192 and b[4000:4010] == b"0123456789"
b[0:2] = b"ab"
d = os.open("mapped", os.O_WRONLY | os.O_DIRECT)
assert os.pwritev(d, [b], 0) == 8192 and m[0:2] == b"ab"
a = os.open("mapped", os.O_WRONLY | os.O_APPEND)
os.write(a, b"end")
assert os.pread(fd, 3, 8192) == b"end"
t = os.open("mapped", os.O_RDWR | os.O_TRUNC)
assert os.fstat(fd).st_size == 0
try:
    os.open("mapped", os.O_CREAT | os.O_EXCL | os.O_RDWR)
    sys.exit("O_EXCL did not fail")
except FileExistsError:
    pass
fcntl.flock(fd, fcntl.LOCK_EX)
other = subprocess.run(["flock", "-n", "mapped", "true"])
assert other.returncode == 1
fcntl.lockf(t, fcntl.LOCK_EX, 10)
code = "import fcntl, os, sys; f = os.open('mapped', os.O_RDWR)\ntry: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 5); sys.exit(1)\nexcept BlockingIOError: pass"
assert subprocess.run([sys.executable, "-c", code]).returncode == 0
PY
check "holes_stay_holes" python3 - "$M" <<'PY'
import os, sys
os.chdir(sys.argv[1])
fd = os.open("sparse", os.O_CREAT | os.O_RDWR)
os.pwrite(fd, b"x" * 4096, 10 << 20)
assert os.lseek(fd, 0, os.SEEK_DATA) == 10 << 20 and os.lseek(fd, 10 << 20, os.SEEK_HOLE) == (10 << 20) + 4096
assert os.stat("sparse").st_blocks * 512 < 1 << 20
to = os.open("sparse2", os.O_CREAT | os.O_RDWR)
assert os.copy_file_range(fd, to, (10 << 20) + 4096, 0) > 0
PY
check "set_id_bits_go_with_a_write" python3 - "$M" <<'PY'
import os, subprocess, sys
os.chdir(sys.argv[1])
if os.getuid() != 0:
    sys.exit(0)
def mode(): return os.stat("suid").st_mode & 0o7777
open("suid", "w").close()
def as_user(what):
    os.chmod("suid", 0o6777)
    def drop():
        os.setgroups([]); os.setgid(4711); os.setuid(4711)
    subprocess.run(["sh", "-c", what], preexec_fn=drop, check=True)
os.chmod(".", 0o755)
for what in ("echo x >>suid", "truncate -s 1 suid"):
    try:
        as_user(what)
    except subprocess.CalledProcessError:
        sys.exit(0)  # no --allow-other: others do not get in
    assert mode() == 0o777, oct(mode())
os.chmod("suid", 0o6777); os.truncate("suid", 5); assert mode() == 0o6777, oct(mode())
os.chmod("suid", 0o6777); os.chown("suid", 1, 1); assert mode() == 0o777, oct(mode())
PY
check "extended_attributes" python3 - "$M" <<'PY'
import os, sys
os.chdir(sys.argv[1])
os.setxattr("named", "user.a", b"value")
assert os.getxattr("named", "user.a") == b"value" and os.listxattr("named") == ["user.a"]
assert os.getxattr("named", "user.cairn.state") == b"dirty"
for name in ("user.cairn.state", "ipfs.cid"):
    try:
        os.setxattr("named", name, b"x")
        sys.exit(name + " was set")
    except PermissionError:
        pass
os.removexattr("named", "user.a")
assert os.listxattr("named") == []
PY
check "many_writers_at_once" sh -c "for w in 1 2 3 4 5 6 7 8; do (mkdir '$M/w'\$w && cd '$M/w'\$w && for i in \$(seq 60); do echo \$w \$i >\$i; mv \$i m\$i; done) & done; wait; [ \$(cat '$M'/w*/m* | sort -u | wc -l) = 480 ]"
if command -v git >/dev/null; then
	check "git_works" sh -c "cd '$M' && git init -q g && cd g && git config user.email a@b && git config user.name a && seq 100 >f && git add f && git commit -qm one && seq 200 >f && git commit -qam two && git gc -q && git fsck --strict && [ -z \"\$(git status --porcelain)\" ]"
fi
if command -v sqlite3 >/dev/null; then
	check "sqlite_works" sh -c "cd '$M' && sqlite3 db 'pragma journal_mode=wal; create table t(a); insert into t values(1),(2); pragma integrity_check; select sum(a) from t' | grep -qx 3"
fi
is "status_counts_what_changed" "$(c a status --json | jq '.mounts[0].folder and .mounts[0].dirty_inodes > 200')" true

# ---- the past ----
is "the_past_is_not_listed" "$(ls -A "$M" | grep -c '^\.cairn$')" 0
check "but_found" test -d "$M/.cairn/snapshots"
errno() { "$@" 2>&1 | grep -o 'Read-only file system\|File exists\|Operation not permitted\|Directory not empty' | head -n 1; }
is "nothing_is_made_in_it" "$(errno touch "$M/.cairn/x")" "Read-only file system"
is "nothing_takes_its_place" "$(errno mkdir "$M/.cairn")" "File exists"
is "it_is_not_removed" "$(errno rmdir "$M/.cairn")" "Operation not permitted"
is "it_is_not_renamed" "$(errno mv "$M/.cairn" "$M/past")" "Operation not permitted"
mnt small
c a folder create small >/dev/null && c a folder config small quiet off && c a mount small "$T/small"
S=$T/small/.cairn/snapshots
is "a_new_folder_has_one_snapshot" "$(ls "$S" | wc -l)" 1
seq 1000 >"$T/small/f"; mkdir "$T/small/d"; echo old >"$T/small/d/g"
xattr() { python3 -c 'import os, sys; print(os.getxattr(*sys.argv[1:]).decode())' "$T/small/$1" "$2" 2>&1; }
state() { xattr "$1" user.cairn.state; }
is "what_is_new_is_dirty" "$(state d/g)" dirty
check "a_snapshot_is_made" c a snapshot small
is "it_is_seen_at_once" "$(ls "$S" | wc -l)" 2
is "nothing_is_dirty" "$(state d/g) $(state f) $(state d)" "clean clean clean"
is "the_cid_is_that_of_the_file" "$(xattr f ipfs.cid)" "$(c a add -nQ "$T/small/f")"
one=$S/$(ls "$S" | tail -n 1)
echo new >"$T/small/d/g" && rm "$T/small/f"
is "a_change_is_dirty" "$(state d/g)" dirty
is "the_snapshot_keeps_what_was" "$(cat "$one/d/g") $(cksum <"$one/f")" "old $(seq 1000 | cksum)"
check "and_can_be_copied_from" cp -a "$one/f" "$T/small/f"
is "as_it_was_there" "$(cksum <"$T/small/f")" "$(seq 1000 | cksum)"
is "a_snapshot_is_read_only" "$(errno touch "$one/d/x")" "Read-only file system"
mnt all
check "everything_is_mounted" c a mount "$T/all"
is "it_lists_folders" "$(ls "$T/all" "$T/all/folders" | tr '\n' ' ')" "$T/all: folders ipfs ipns  $T/all/folders: small work "
is "as_of_their_last_snapshot" "$(cat "$T/all/folders/small/d/g")" old
c a snapshot small >/dev/null
is "and_of_the_next" "$(cat "$T/all/folders/small/d/g")" new
c a folder create third >/dev/null
is "and_new_ones" "$(ls "$T/all/folders" | tr '\n' ' ')" "small third work "
is "to_be_read_only" "$(errno touch "$T/all/folders/small/x")" "Read-only file system"
c a umount "$T/all" >/dev/null
check "the_small_one_is_unmounted" c a umount "$T/small"

# ---- refused ----
mnt m2
fails_with 1 "a_folder_has_one_mount" c a mount work "$T/m2"
fails_with 2 "what_is_not_there_is_not_mounted" c a mount nonesuch "$T/m2"
fails_with 2 "suid_is_of_folders" c a mount --suid "$(c a add -Q "$T/src/empty")" "$T/m2"
mkdir -p "$M/full" && echo x >"$M/full/x"
is "a_full_directory_stays" "$(errno rmdir "$M/full")" "Directory not empty"

# ---- again ----
c a folder create second >/dev/null
check "another_folder_beside_it" c a mount second "$T/m2"
echo other >"$T/m2/f"
before=$(picture "$M")
check "umount" c a umount "$M"
mountpoint -q "$M" && not_ok "it_is_away" || ok "it_is_away"
[ "$(cat "$T/m2/f")" = other ] && ok "the_other_stays" || not_ok "the_other_stays"
check "mount_again" c a mount work "$M"
is "everything_is_there" "$(picture "$M")" "$before"
inodes() { (cd "$1" && find . -printf '%p %i\n' | sort); }
numbers=$(inodes "$M")
check "stop" c a stop
check "mounted_by_the_next_daemon" c a mount work "$M"
is "the_same_after_a_restart" "$(picture "$M")" "$before"
is "with_the_same_numbers" "$(inodes "$M")" "$numbers"

# ---- killed ----
pid=$(c a status --json | jq .pid)
for w in 1 2 3; do
	echo 0 >"$T/done$w"
	(cd "$M" && mkdir k$w && i=0 && while :; do i=$((i + 1)); echo "$w $i" >k$w/$i.new && mv k$w/$i.new k$w/$i && echo $i >"$T/count$w" && mv "$T/count$w" "$T/done$w"; done 2>/dev/null) &
	PIDS+=($!)
done
three_hundred() { [ $(($(cat "$T/done1") + $(cat "$T/done2") + $(cat "$T/done3"))) -ge 300 ]; }
wait_for 60 three_hundred || note "slow: fewer than 300 files in a minute"
kill -9 "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
for p in "${PIDS[@]: -3}"; do kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; done
check "mounted_after_kill" c a mount work "$M"
lost=
for w in 1 2 3; do
	for i in $(seq "$(cat "$T/done$w")"); do [ "$(cat "$M/k$w/$i" 2>&1)" = "$w $i" ] || lost="$lost $w/$i"; done
done
is "all_that_returned_is_there" "$lost" ""
rm -rf "$M"/k?
is "and_all_that_was_before" "$(picture "$M")" "$before"

# A map that nobody synced is written when the mount is taken away.
python3 - "$M" <<'PY' &
import mmap, os, sys, time
fd = os.open(sys.argv[1] + "/map", os.O_CREAT | os.O_RDWR)
os.ftruncate(fd, 4096)
m = mmap.mmap(fd, 4096)
m[0:4] = b"late"
open(sys.argv[1] + "/ready", "w").close()
time.sleep(600)
PY
PIDS+=($!)
wait_for 20 test -e "$M/ready"
check "umount_while_in_use" timeout 30 "$CAIRN" --repo "$T/a" umount "$M"
kill "${PIDS[-1]}"; wait "${PIDS[-1]}" 2>/dev/null
check "mounted_once_more" c a mount work "$M"
is "a_map_is_written_at_the_end" "$(head -c 4 "$M/map" | tr -d '\0')" late
exec 7>"$M/open"
check "stop_does_not_hang_while_a_file_is_open" timeout 20 "$CAIRN" --repo "$T/a" stop
exec 7>&-
mountpoint -q "$M" && not_ok "stop_unmounts" || ok "stop_unmounts"
finish
