#!/usr/bin/env bash
# CAR files through the command: export, import, mounts, and files that lie.
. "$(dirname "$0")/../lib.sh"
# go-car's files are not kept here (tests/fixtures/README).
F=${CAIRN_CONFORMANCE:+$CAIRN_CONFORMANCE/go-car/v2/testdata}
same() { cmp -s "$1" "$2"; }
# refused NAME FILE: import exits 1 with one line, which the file $T/err has.
refused() { fails_with 1 "$1" c "${3:-b}" import "$2"; }

repo a && repo b && repo d || { not_ok "repositories_are_made"; finish; }
mkdir -p "$T/tree/dir/empty"
echo hello >"$T/tree/hello"
ln -s hello "$T/tree/dir/link"
head -c 3000000 /dev/urandom >"$T/tree/dir/large"
for i in $(seq 300); do echo "file $i" >"$T/tree/dir/$i"; done
cid=$(c a add -Q "$T/tree")
echo changed >"$T/tree/hello"
new=$(c a add -Q "$T/tree")

# ---- out and in again ----
check "export_makes_a_file" c a export -o "$T/x.car" "$cid"
c a export "$cid" >"$T/y.car"
check "export_to_a_pipe_gives_the_same_bytes" same "$T/x.car" "$T/y.car"
out=$(c a export "$cid" | c b import -)
[ "$out" = "$cid" ] && ok "import_from_a_pipe_prints_the_root" || not_ok "import_from_a_pipe_prints_the_root" "$out"
c b export "$cid" >"$T/y.car"
check "what_came_in_goes_out_again_equal" same "$T/x.car" "$T/y.car"
c b get -o "$T/got" "$cid" >/dev/null 2>&1
echo hello >"$T/tree/hello"
check "the_files_are_equal" diff -r --no-dereference "$T/tree" "$T/got"
check "the_root_is_noted_to_be_announced" grep -qx "$cid" "$T/b/provided"
check "importing_again_changes_nothing" c b import "$T/x.car"
[ "$(grep -cx "$cid" "$T/b/provided")" = 1 ] && ok "a_root_is_noted_once" || not_ok "a_root_is_noted_once"
c d import --no-provide "$T/x.car" >/dev/null && [ ! -s "$T/d/provided" ] && ok "no_provide_notes_nothing" || not_ok "no_provide_notes_nothing"
check "import_says_json" sh -c "'$CAIRN' --repo '$T/d' import --json '$T/x.car' | jq -e '.roots == [\"$cid\"] and .missing == [] and .blocks > 300'"

# ---- a new version ----
c a export --since "$cid" -o "$T/since.car" "$new"
[ "$(stat -c %s "$T/since.car")" -lt 20000 ] && ok "since_holds_the_change_alone" || not_ok "since_holds_the_change_alone" "$(stat -c %s "$T/since.car")"
out=$(c b import "$T/since.car")
[ "$out" = "$new" ] && [ "$(c b cat "$new/hello")" = changed ] && c b export "$new" | cmp -s - <(c a export "$new") &&
	ok "the_old_and_the_change_make_the_new" || not_ok "the_old_and_the_change_make_the_new" "$out"
repo e
c a export --since "$new" "$new" >"$T/none.car"
refused "b85_a_root_that_is_nowhere_is_said" "$T/none.car" e
c e import "$T/since.car" >/dev/null 2>&1
fails_with 1 "an_old_tree_that_is_not_here_is_said" c e export --since "$cid" "$new"
grep -q "older tree" "$T/err" && ok "and_which_one_it_was" || not_ok "and_which_one_it_was" "$(cat "$T/err")"

# ---- what is here ----
fails_with 1 "an_export_that_lacks_blocks_fails" c e export -o "$T/part.car" "$new"
[ -z "$(ls -A "$T" | grep 'part.car')" ] && ok "and_leaves_no_file" || not_ok "and_leaves_no_file" "$(ls -A "$T")"
check "partial_takes_what_is_here" sh -c "'$CAIRN' --repo '$T/e' export --partial -o '$T/part.car' '$new' 2>'$T/err'"
grep -q "blocks are not here" "$T/err" && ok "and_counts_what_is_not" || not_ok "and_counts_what_is_not" "$(cat "$T/err")"
check "a_partial_file_can_be_imported" c d import "$T/part.car"
fails_with 1 "partial_of_nothing_fails" c e export --partial -o "$T/part2.car" "$cid"

# ---- misuse and disks ----
if command -v script >/dev/null; then
	script -qec "$CAIRN --repo $T/a export $cid" /dev/null >"$T/out" 2>&1 </dev/null
	[ $? = 2 ] && ok "a_terminal_is_refused" || not_ok "a_terminal_is_refused" "$(head -c 200 "$T/out")"
else
	skip "a_terminal_is_refused" "no script(1)"
fi
fails_with 2 "since_a_word_is_misuse" c a export --since hello "$cid"
fails_with 2 "import_of_nothing_is_misuse" c a import
fails_with 1 "a_file_that_is_not_there_is_said" c a import "$T/nothing.car"
fails_with 1 "a_folder_is_no_car" c a import "$T/tree"
fails_with 1 "a_full_disk_is_said" c a export -o /dev/full "$cid"
fails_with 1 "a_folder_that_is_not_there_is_said" c a export -o "$T/nowhere/x.car" "$cid"

# ---- files that others made ----
if [ -n "$F" ]; then
for f in sample-unixfs-v2 sample-rw-bs-v2 sample-v1; do
	check "imports_$f" c d import "$F/$f.car"
	check "imports_${f}_from_a_pipe" sh -c "cat '$F/$f.car' | '$CAIRN' --repo '$T/d' import -"
done
c d export bafy2bzaced4ueelaegfs5fqu4tzsh6ywbbpfk3cxppupmxfdhbpbhzawfw5oy | cmp -s - "$F/sample-v1.car" &&
	ok "exports_the_bytes_that_go_car_does" || not_ok "exports_the_bytes_that_go_car_does"
for f in sample-corrupt-pragma sample-rootless-v42 sample-v1-with-zero-len-section2; do
	refused "b85_refuses_$f" "$F/$f.car" d
done
else
	skip "files_that_go-car_made" "CAIRN_CONFORMANCE names no copy of them"
fi

# ---- damage ----
size=$(stat -c %s "$T/x.car")
repo g
for cut in 1 40 1000 $((size / 2)) $((size - 1)); do
	head -c $cut "$T/x.car" >"$T/cut.car"
	refused "b85_a_cut_at_$cut" "$T/cut.car" g
done
cp "$T/x.car" "$T/bad.car"
printf 'XXXX' | dd of="$T/bad.car" bs=1 seek=$((size - 2000000)) conv=notrunc status=none
repo h
refused "b85_a_block_that_is_not_its_cid" "$T/bad.car" h
grep -q "are kept" "$T/err" && ok "what_came_before_is_kept" || not_ok "what_came_before_is_kept" "$(cat "$T/err")"
[ "$(c h stat --json | jq .blocks)" -gt 0 ] && c h export --partial "$cid" 2>/dev/null | c g import - >/dev/null &&
	ok "and_can_be_exported" || not_ok "and_can_be_exported"

# ---- with a daemon ----
repo i
if daemon i && daemon a; then
	check "import_through_the_daemon" c i import "$T/x.car"
	c i export "$cid" | cmp -s - "$T/x.car" && ok "and_out_again" || not_ok "and_out_again"
	check "the_daemon_notes_the_root" grep -qx "$cid" "$T/i/provided"
	refused "the_daemon_refuses_nothing_less" "$T/bad.car" i
	c i import "$T/none.car" >/dev/null 2>&1; [ $? = 1 ] && ok "a_root_that_is_nowhere_is_said_with_a_daemon" || not_ok "a_root_that_is_nowhere_is_said_with_a_daemon"
	# Blocks that are elsewhere are fetched.
	c i connect "$(address a)" >/dev/null
	timeout 60 "$CAIRN" --repo "$T/i" export -o "$T/fetched.car" "$new" 2>"$T/err"
	c a export "$new" | cmp -s - "$T/fetched.car" && ok "export_fetches_what_is_not_here" || not_ok "export_fetches_what_is_not_here" "$(cat "$T/err")"
	# What nobody has is waited for, until Ctrl-C.
	absent=bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku
	python3 - "$CAIRN" "$T" $absent >"$T/int" 2>&1 <<'PY' && ok "an_interrupted_export_ends_at_once" || not_ok "an_interrupted_export_ends_at_once" "$(tail -n 1 "$T/int")"
import glob, os, signal, subprocess, sys, time
cairn, t, cid = sys.argv[1:]
p = subprocess.Popen([cairn, "--repo", t + "/i", "export", "-o", t + "/absent.car", cid])
for _ in range(200):
    if glob.glob(t + "/.absent.car.*"):
        break
    time.sleep(0.02)
p.send_signal(signal.SIGINT)
assert p.wait(10) == 1, p.returncode
assert not glob.glob(t + "/*absent.car*") and not glob.glob(t + "/.absent.car*")
PY
	# A client that lies about a block.
	python3 - "$T/i/control.sock" >"$T/lie" 2>&1 <<'PY' && ok "the_daemon_checks_what_a_client_brings" || not_ok "the_daemon_checks_what_a_client_brings" "$(tail -n 1 "$T/lie")"
import hashlib, os, socket, struct, sys
os.chdir(os.path.dirname(sys.argv[1]))
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect("control.sock")
def send(i, name, data):
    payload = bytes([len(name)]) + name + data
    s.sendall(struct.pack("<IBI", 5 + len(payload), ord("S"), i) + payload)
def answer():
    head = s.recv(13, socket.MSG_WAITALL)
    return struct.unpack("<IBIi", head)
def name(data): return b"\x12\x20" + hashlib.sha256(data).digest()
send(1, name(b"right"), b"wrong")
assert answer() == (9, ord("D"), 1, -10001)
send(2, name(b"right"), b"right")
assert answer() == (9, ord("D"), 2, 0)
for i in range(100): send(i + 3, name(b"%d" % i * 200000), b"%d" % i * 200000)
got = [answer() for i in range(100)]
assert sorted(a[2] for a in got) == list(range(3, 103)) and all(a[3] == 0 for a in got)
s.sendall(struct.pack("<IBI", 5 + (3 << 20), ord("S"), 999))
assert s.recv(1) == b""
PY
	check "and_lives_on" c i status
	c a stop
	c i stop
else
	not_ok "the_daemons_say_ready"
fi

# ---- a mount of a file ----
if [ -e /dev/fuse ] && repo k && daemon k; then
	mnt m
	check "a_car_is_mounted" c k mount "$T/x.car" "$T/m"
	check "and_shows_its_files" diff -r --no-dereference "$T/tree" "$T/m"
	[ "$(c k status --json | jq -r '.mounts[0].source')" = "$T/x.car" ] && ok "status_says_which" || not_ok "status_says_which"
	[ "$(c k stat --json | jq .blocks)" = 0 ] && ok "nothing_was_imported" || not_ok "nothing_was_imported"
	check "and_goes" c k umount "$T/m"
	if [ -n "$F" ]; then
		check "a_v2_is_mounted" c k mount "$F/sample-unixfs-v2.car" "$T/m"
		[ "$(find "$T/m" -type f | wc -l)" -gt 0 ] && ok "and_shows_a_file" || not_ok "and_shows_a_file"
		check "which_goes_too" c k umount "$T/m"
		fails_with 2 "a_car_of_several_roots_is_refused" c k mount "$F/sample-rw-bs-v2.car" "$T/m"
	fi
	check "a_damaged_car_is_mounted" c k mount --timeout 2 "$T/bad.car" "$T/m"
	cmp -s "$T/tree/hello" "$T/m/hello" && ok "and_shows_what_is_right" || not_ok "and_shows_what_is_right"
	cat "$T/m/dir/large" >"$T/large" 2>/dev/null && not_ok "b85_the_damaged_block_is_an_error" || ok "b85_the_damaged_block_is_an_error"
	c k umount "$T/m"
	fails_with 1 "a_car_without_its_root_is_refused" timeout 20 "$CAIRN" --repo "$T/k" mount --timeout 2 "$T/none.car" "$T/m"
	fails_with 1 "a_cut_car_is_refused" c k mount "$T/cut.car" "$T/m"
	fails_with 2 "a_folder_is_not_mounted_as_a_car" c k mount "$T/tree" "$T/m"
	fails_with 2 "what_is_nothing_at_all_is_misuse" c k mount "$T/nothing.car" "$T/m"
	check "the_daemon_still_answers" c k status
	c k mount "$T/x.car" "$T/m"
	check "stop_unmounts_a_car" c k stop
else
	skip "a_car_is_mounted" "no /dev/fuse"
fi
finish
