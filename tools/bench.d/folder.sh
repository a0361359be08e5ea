# Part of tools/bench: a writable folder beside this machine's file system, tmpfs,
# libfuse's passthrough_ll and bindfs, all in one run.
# FOLDER_PARTS chooses: tar create write random build git snap (these by default),
# huge many (which need 25 GB and minutes); FOLDER_FILES (24,000) is the tree,
# FOLDER_PEERS whom to measure, HUGE MiB and MANY files how much.
peer_dir() { echo "$T/peer.$1"; }

# peer_up NAME: an empty directory at peer_dir, of that kind; 1 if there is none here.
peer_up() {
	local d; d=$(peer_dir "$1")
	rm -rf "$D/under.$1"; mkdir -p "$d" "$D/under.$1" # of a run that was ended
	case $1 in
	native) rmdir "$d"; ln -sfn "$D/under.$1" "$d" ;;
	tmpfs) MOUNTS+=("$d"); mount -t tmpfs -o size=12g,nr_inodes=2m tmpfs "$d" ;;
	passthrough_ll) passthrough_ll && MOUNTS+=("$d") &&
		"$T/passthrough_ll" -o source="$D/under.$1",writeback,cache=always,timeout=3600 "$d" 2>/dev/null ;;
	bindfs) command -v bindfs >/dev/null && MOUNTS+=("$d") && bindfs "$D/under.$1" "$d" ;;
	cairn) repo F && daemon F && c F folder create F >/dev/null && c F folder config F quiet off >/dev/null && { c F folder config F max-age off >/dev/null; MOUNTS+=("$d"); c F mount F "$d" >/dev/null; } ;;
	esac
}
peer_down() {
	local d; d=$(peer_dir "$1")
	case $1 in
	native) rm -f "$d" ;;
	cairn) c F umount "$d" && c F stop; wait "$DAEMON_PID" 2>/dev/null; rm -rf "$T/F"; REPOS=() ;;
	*) umount "$d" 2>/dev/null || umount -l "$d" ;;
	esac
	rm -rf "$D/under.$1" "$d"
}
# libfuse's example, from its documentation package.
passthrough_ll() {
	local from=/usr/share/doc/libfuse3-dev/examples
	[ -x "$T/passthrough_ll" ] && return
	[ -f "$from/passthrough_ll.c" ] || [ -f "$from/passthrough_ll.c.gz" ] || return 1
	mkdir -p "$T/pt" && cp "$from"/passthrough_* "$T/pt/" && gunzip -qf "$T/pt"/*.gz 2>/dev/null
	: >"$T/pt/config.h"
	cc -O2 -w -DHAVE_COPY_FILE_RANGE=1 -D_FILE_OFFSET_BITS=64 -I"$T/pt" -o "$T/passthrough_ll" "$T/pt/passthrough_ll.c" $(pkg-config --cflags --libs fuse3) 2>/dev/null
}

# record PART PEER SECONDS; median_of PART PEER
record() { echo "$3" >>"$T/rec.$1.$2"; }
median_of() { [ -s "$T/rec.$1.$2" ] && median <"$T/rec.$1.$2"; }
# against PART OTHER: cairn's time by another's, the median of the rounds; empty if one is not there.
against() { [ -s "$T/rec.$1.cairn" ] && [ -s "$T/rec.$1.$2" ] && paste "$T/rec.$1.cairn" "$T/rec.$1.$2" | awk '$2 > 0 { printf "%.2f\n", $1 / $2 }' | median; }
# of_cairn PART FORMULA(of s) [DIGITS]
of_cairn() { local s; s=$(median_of "$1" cairn) && awk -v s="$s" "BEGIN { printf \"%.${3:-0}f\", $2 }"; }
# report PART TITLE UNIT FORMULA(of s): each peer's figure, and its ratio to native.
report() {
	local part=$1 title=$2 unit=$3 formula=$4 p s n line=
	n=$(median_of "$part" native)
	for p in $peers; do
		s=$(median_of "$part" "$p") || continue
		line="$line $p $(awk -v s="$s" "BEGIN { printf \"%.${5:-0}f\", $formula }")$unit"
		[ -z "$n" ] || [ "$p" = native ] || line="$line ($(calc %.2f "$s / ($n + 0.0001)")x)"
	done
	row "folder: $title" "$line"
}

folder_tar() { record tar "$1" "$(timed tar -C "$2" -xf "$T/tree.tar")"; }
# Everybody removes what is on disk and known: on disk first, and looked at.
folder_rm() { sync -f "$2"; sync; find "$2/$3" -printf '%s\n' >/dev/null; record "$4" "$1" "$(timed rm -rf "$2/$3")"; }
cat >"$T/small.py" <<'END'
import os, random, sys, time
what, at = sys.argv[1], sys.argv[2]
def out(seconds): print("%.6f" % seconds)
block = os.urandom(4096)
if what == "create":
    os.mkdir(at + "/small"); s = time.time()
    for i in range(10000):
        fd = os.open("%s/small/f%d" % (at, i), os.O_CREAT | os.O_WRONLY, 0o644); os.write(fd, block); os.close(fd)
    out(time.time() - s)
elif what == "write":
    data = os.urandom(1 << 20); s = time.time()
    fd = os.open(at + "/big", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    for i in range(1024): os.write(fd, data)
    if sys.argv[3] == "fsync": os.fsync(fd)
    os.close(fd); out(time.time() - s)
elif what == "random":
    r = random.Random(1); fd = os.open(at + "/big", os.O_RDWR); n = int(sys.argv[3]); s = time.time()
    for i in range(n): os.pwrite(fd, block, r.randrange(1 << 18) * 4096); os.fsync(fd)
    out((time.time() - s) / n)
elif what == "stat": # until told to stop; the 99th part of a hundred, in ms
    took = [] # half of them are of names that the kernel has not asked for yet
    while not os.path.exists(sys.argv[3]):
        p = at + "/stat%d" % random.choice((random.randrange(100), random.getrandbits(60))); s = time.time()
        try: os.stat(p)
        except FileNotFoundError: pass
        took.append(time.time() - s); time.sleep(0.001)
    took.sort(); print("%.2f" % (1000 * took[int(len(took) * 0.99)]))
END
small() { python3 "$T/small.py" "$@" 2>"$T/err" || { echo 0; tail -n 1 "$T/err" >&2; }; }

folder_create() { record create "$1" "$(small create "$2")"; folder_rm "$1" "$2" small rmsmall; }
folder_write() {
	record write "$1" "$(small write "$2" no)"; sync -f "$2"
	record fsync "$1" "$(small write "$2" fsync)"
}
folder_random() { [ -f "$2/big" ] || small write "$2" fsync >/dev/null; record random "$1" "$(small random "$2" 300)"; rm -f "$2/big"; }
folder_build() { # this source, without its tests
	mkdir -p "$2/src" && git -C "$(dirname "$0")/.." archive HEAD | tar -x -C "$2/src" && meson setup "$2/obj" "$2/src" -Dtests=disabled >/dev/null 2>&1 || return
	record build "$1" "$(CCACHE_DISABLE=1 timed ninja -C "$2/obj" tools/cairn)"; rm -rf "$2/src" "$2/obj"
}
folder_git() {
	record clone "$1" "$(timed git clone -q --no-hardlinks "$T/tree.git" "$2/clone")"
	git -C "$2/clone" status >/dev/null
	record status "$1" "$(timed git -C "$2/clone" status --porcelain)"; rm -rf "$2/clone"
}
bench_folder() {
	need_root folder || return
	ulimit -n 500000 2>/dev/null || ulimit -n "$(ulimit -Hn)" # passthrough_ll keeps one for each file
	"$CAIRN" --help | grep -q '^ *folder ' || { row folder "skipped: this cairn has none"; return; }
	local parts=${FOLDER_PARTS:-tar create write random build git snap} p part i
	peers=${FOLDER_PEERS:-native tmpfs passthrough_ll bindfs cairn}
	real_tree "$D/folder" "${FOLDER_FILES:-24000}" 0
	local files; files=$(find "$D/folder" -type f | wc -l)
	tar -C "$D/folder" --transform 's,^\.,tree,' -cf "$T/tree.tar" .
	case " $parts " in *" git "*) [ -d "$T/tree.git" ] || { git init -q "$T/tree.git" && cp -a "$D/folder/." "$T/tree.git/" && git -C "$T/tree.git" add -A >/dev/null 2>&1 && git -C "$T/tree.git" -c user.name=b -c user.email=b@example.org commit -qm tree; } ;; esac
	rm -f "$T"/rec.*
	for i in $(seq "$RUNS"); do
		for p in $peers; do
			peer_up "$p" || { row "folder: $p" "not here"; peers=${peers/$p/}; continue; }
			for part in $parts; do
				case $part in
				tar) sync; folder_tar "$p" "$(peer_dir "$p")"; folder_rm "$p" "$(peer_dir "$p")" tree rm ;;
				create | write | random | build | git) sync; folder_$part "$p" "$(peer_dir "$p")" ;;
				esac
			done
			peer_down "$p"
		done
	done
	row "folder: files in the tree" "$files"
	case " $parts " in *" tar "*)
		report tar "tar x, a file" us "s * 1e6 / $files"
		bar "folder 4: tar x, a file" "$(of_cairn tar "s * 1e6 / $files")" '<=' 250 us
		bar "folder 4: tar x / passthrough_ll" "$(against tar passthrough_ll)" '<=' 1
		report rm "rm -rf of them" s s 2
		bar "folder 4: rm -rf of them / native" "$(against rm native)" '<=' 1.3 ;; esac
	case " $parts " in *" create "*)
		report create "10,000 x 4 KiB, a file" us "s * 100"
		bar "folder 4: create, a file" "$(of_cairn create "s * 100")" '<=' 180 us
		report rmsmall "rm -rf of them" s s 2
		bar "folder 4: rm -rf of them / native" "$(against rmsmall native)" '<=' 1.3 ;; esac
	case " $parts " in *" write "*)
		report write "write 1 GiB" MB/s "1073.741824 / s"
		bar "folder 5: write 1 GiB" "$(of_cairn write "1073.741824 / s")" '>=' 800 MB/s
		report fsync "and fsync" MB/s "1073.741824 / s"
		bar "folder 5: and fsync / native" "$(against fsync native)" '<=' 3 ;; esac
	case " $parts " in *" random "*)
		report random "4 KiB overwritten, fsync" us "s * 1e6"
		bar "folder 6: 4 KiB overwritten, fsync / native" "$(against random native)" '<=' 1.5 ;; esac
	case " $parts " in *" build "*)
		report build "a C project built" s s 1
		bar "folder 7: a C project built / native" "$(against build native)" '<=' 1.3 ;; esac
	case " $parts " in *" git "*)
		report clone "git clone" s s 1
		bar "folder 7: git clone / native" "$(against clone native)" '<=' 2
		report status "git status warm" s s 3
		bar "folder 7: git status warm / native" "$(against status native)" '<=' 1.2 ;; esac
	for part in $parts; do case $part in snap | huge | many) bench_folder_$part ;; esac; done
}

# A snapshot of many new files beside `cairn add` of the same, and stat meanwhile.
bench_folder_snap() {
	local d s; d=$(peer_dir cairn)
	peer_up cairn || return
	tar -C "$d" -xf "$T/tree.tar"; sync -f "$d"
	for i in $(seq 0 99); do : >"$d/stat$i"; done
	repo G
	cold; s=$(timed c G add -Q --hidden "$D/folder"); row "folder: cairn add of the tree, cold" "$s s"
	rm -rf "$T/G"; repo G
	s=$(timed c G add -Q --hidden "$D/folder"); row "folder: cairn add of the tree, warm" "$s s"
	python3 "$T/small.py" stat "$d" "$T/stop" >"$T/p99" & local stats=$!
	local took; took=$(timed c F snapshot F)
	row "folder: snapshot of the tree (bar: 1.2 x cairn add)" "$took s, $(calc %.2f "$took / $s") x"
	touch "$T/stop"; wait $stats; rm "$T/stop"
	row "folder: stat meanwhile, p99 (bar: 20 ms)" "$(cat "$T/p99") ms"
	row "folder: the daemon's memory" "$(calc '%.0f MiB' "$(rss_kb "$DAEMON_PID") / 1024")"
	rm -rf "$T/G"; peer_down cairn
}
# The journal of what the snapshot took is given back meanwhile; not that.
blocks_of() { du -sB1 "$T/F/store" | cut -f1; }
# 4 KiB changed in the middle of a huge file.  HUGE: its size in MiB.
bench_folder_huge() {
	local d before mib=${HUGE:-10240}; d=$(peer_dir cairn)
	peer_up cairn || return
	openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 </dev/zero 2>/dev/null | dd of="$d/huge" bs=1M count="$mib" iflag=fullblock status=none
	row "folder: snapshot of $mib MiB" "$(timed c F snapshot F) s"
	sync; before=$(blocks_of)
	dd if=/dev/urandom of="$d/huge" bs=4096 count=1 seek=$((mib * 128)) conv=notrunc,fsync status=none
	row "folder: snapshot after 4 KiB in $mib MiB (bar: 0.1 s)" "$(timed c F snapshot F) s"
	sync; row "folder: on disk for it (bar: 300 KiB)" "$(calc '%.0f KiB' "($(blocks_of) - $before) / 1024")"
	peer_down cairn
}
# Its own, and with the pages of files that it has mapped (LMDB), which are the kernel's to take.
memory_of() { awk '/^RssAnon/ { a = $2 } /^VmHWM/ { h = $2 } /^VmRSS/ { r = $2 } END { print int(a / 1024) " MiB anonymous, " int(r / 1024) " resident, " int(h / 1024) " at most" }' "/proc/$DAEMON_PID/status"; }
# Ten changes in a folder of very many files.  MANY: how many.
bench_folder_many() {
	local d n=${MANY:-1000000} s; d=$(peer_dir cairn)
	peer_up cairn || return
	python3 -c '
import os, sys
d, n = sys.argv[1], int(sys.argv[2])
for i in range(n):
    if i % 1000 == 0: os.mkdir("%s/%d" % (d, i // 1000))
    open("%s/%d/%d" % (d, i // 1000, i), "w").write(str(i))' "$d" "$n"
	row "folder: snapshot of $n files" "$(timed c F snapshot F) s"
	c F umount "$d"; c F stop; wait "$DAEMON_PID" 2>/dev/null; cold
	daemon F; s=$(timed c F mount F "$d"); row "folder: opening it (bar: 0.2 s)" "$s s"
	for i in $(seq 10); do echo changed >"$d/$((i * n / 11000))/$((i * n / 11000 * 1000 + i))"; done
	row "folder: snapshot after 10 changes in $n (bar: 0.2 s)" "$(timed c F snapshot F) s"
	row "folder: the daemon's memory" "$(memory_of)"
	# All that is there looked at: the kernel then knows every inode.
	row "folder: ls -lR of it" "$(timed ls -lR "$d") s"
	row "folder: the daemon's memory (bar: 128 MiB)" "$(memory_of)"
	# The same, clean: nothing in the table.
	c F umount "$d"; c F folder create G --from F >/dev/null; c F stop; wait "$DAEMON_PID" 2>/dev/null; cold
	daemon F; s=$(timed c F mount G "$d"); row "folder: opening a clean one" "$s s"
	row "folder: ls -lR of it" "$(timed ls -lR "$d") s"
	row "folder: the daemon's memory (bar: 128 MiB)" "$(memory_of)"
	row "folder: ls -lR again" "$(timed ls -lR "$d") s"
	row "folder: and cat of every hundredth" "$(timed find "$d" -name '*00' -type f -exec cat {} +) s"
	row "folder: the daemon's memory (bar: 128 MiB)" "$(memory_of)"
	c F umount "$d"; c F stop; wait "$DAEMON_PID" 2>/dev/null; rm -rf "$T/F" "$d"; REPOS=()
}
