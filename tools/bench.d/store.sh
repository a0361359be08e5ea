# Part of tools/bench: the store beside restic, borg, casync, cp -a, sha256sum and
# tar | zstd.  Each step runs all of them in turn, RUNS times, sources warm, and
# compares medians of the ratios of one round.
#	STEPS	which (default: all): tree random log again edit insert get memory
#	PEERS	beside whom (default: all that are installed)
#	TREE	a smaller tree than the kernel's source, for a quick run
S= # where the stores lie

# bar NAME FIGURE OP LIMIT [UNIT]: a row that says whether the bar is met.
bar() {
	local met=missed
	[ -n "$2" ] || return
	awk "BEGIN { exit !($2 $3 $4) }" && met=met
	printf '%-58s %10s %-4s (bar: %s %s)  %s\n' "$1" "$2" "${5:-}" "$3" "$4" $met
}
# What lies in a directory, by the bytes of its files.
stored() { find "$1" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%d", n }'; }
# What WHO stored of WHAT; without what only spares reading files again, as restic's cache.
stored_by() { local k=$S/$1.$2; [ "$1" != cairn ] || k=$k/store; stored "$k"; }
beside() { case " ${PEERS:-restic borg casync tar cp sha256sum} " in *" $1 "*) command -v "$1" >/dev/null ;; *) false ;; esac }

export RESTIC_PASSWORD=x BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes

# keep WHO WHAT: a new store of WHO for WHAT, with the path in $K.
keep() {
	K=$S/$1.$2
	rm -rf "$K"
	case $1 in
	cairn) "$CAIRN" --repo "$K" init >/dev/null ;;
	restic) restic -q init -r "$K" --repository-version latest >/dev/null ;;
	borg) borg init -e none "$K" ;;
	casync) mkdir "$K" ;;
	esac
}
# save WHO WHAT PATH [LABEL]: into the store that is there.
save() {
	local label=${4:-one}
	K=$S/$1.$2
	case $1 in
	cairn) "$CAIRN" --repo "$K" add -Q --hidden "$3" ;;
	restic) restic -q -r "$K" backup "$3" ;;
	borg) borg create "$K::$label" "$3" ;;
	casync) if [ -d "$3" ]; then casync make --store="$K/c.castr" "$K/$label.caidx" "$3"; else casync make --store="$K/c.castr" "$K/$label.caibx" "$3"; fi ;;
	tar) tar c -C "$3" . | zstd -1 -T0 -q >"$K.tar.zst" ;;
	cp) cp -a "$3" "$K" ;;
	sha256sum) find "$3" -type f -print0 | xargs -0 sha256sum >/dev/null ;;
	esac
}
# load WHO WHAT DIR: out of it again.
load() {
	K=$S/$1.$2
	case $1 in
	cairn) "$CAIRN" --repo "$K" get -o "$3/got" "$(cat "$S/cid.$2")" ;;
	restic) restic -q -r "$K" restore latest --target "$3" ;;
	borg) (cd "$3" && borg extract "$K::one") ;;
	casync) if [ -f "$K/one.caidx" ]; then mkdir "$3/got" && casync extract --store="$K/c.castr" "$K/one.caidx" "$3/got"; else casync extract --store="$K/c.castr" "$K/one.caibx" "$3/got"; fi ;;
	esac
}

# race WHAT PATH WHO...: each saves PATH into a new store, RUNS times; seconds of
# each round in $S/t.WHO.
race() {
	local what=$1 path=$2 i who; shift 2
	rm -f "$S"/t.*
	find "$path" -type f -print0 | xargs -0 cat >/dev/null
	for i in $(seq "$RUNS"); do
		for who in "$@"; do
			beside "$who" || [ "$who" = cairn ] || continue
			rm -rf "$S/$who.$what" "$S/$who.$what".*
			keep "$who" "$what"; sync
			calc '%s\n' "$(timed save "$who" "$what" "$path")" >>"$S/t.$who"
			[ "$who" = cairn ] && cp "$T/out" "$S/cid.$what"
		done
	done
	for who in "$@"; do
		[ ! -f "$S/t.$who" ] || row "store: $what: seconds, $who" "$(median <"$S/t.$who")"
	done
}
# ratio WHO: the median of cairn's time by WHO's, round by round; nothing if WHO was absent.
ratio() { [ ! -f "$S/t.$1" ] || paste "$S/t.cairn" "$S/t.$1" | awk '$2 > 0 { printf "%.3f\n", $1 / $2 }' | median; }

store_tree() {
	race tree "$A" cairn restic borg casync tar cp sha256sum
	bar "store 1: add of the tree / restic" "$(ratio restic)" '<=' 0.5
	bar "store 1: add of the tree / borg" "$(ratio borg)" '<=' 0.3
	bar "store 1: add of the tree / casync" "$(ratio casync)" '<=' 0.3
	bar "store 1: add of the tree / tar, zstd -1 -T0" "$(ratio tar)" '<=' 1.5
	rm -rf "$S"/tar.* "$S"/cp.*
	local size; size=$(stored_by cairn tree)
	row "store: tree: bytes stored, cairn" "$size"
	for who in restic borg casync; do
		[ ! -d "$S/$who.tree" ] || row "store: tree: bytes stored, $who" "$(stored_by $who tree)"
	done
	[ ! -d "$S/restic.tree" ] || bar "store 4: size / restic's" "$(calc %.3f "$size / $(stored_by restic tree)")" '<=' 1.05
}

store_random() {
	random_file "$D/big.bin" 1073741824
	race random "$D/big.bin" cairn borg casync cp sha256sum
	bar "store 2: add of 1 GiB random / borg" "$(ratio borg)" '<=' 0.35
	if grep -q sha_ni /proc/cpuinfo; then
		bar "store 2: the same, GB/s" "$(calc %.2f "$(stat -c %s "$D/big.bin") / 1e9 / $(median <"$S/t.cairn")")" '>=' 1
	fi
	rm -rf "$S"/cp.*
}

store_log() {
	log_file "$D/log.txt" 1073741824
	race log "$D/log.txt" cairn borg casync
	bar "store 2: add of 1 GiB of log lines / borg" "$(ratio borg)" '<=' 0.6
	rm -rf "$S"/*.log
}

store_again() {
	local i limit took
	[ -d "$S/cairn.tree" ] || { keep cairn tree; save cairn tree "$A" >"$S/cid.tree"; }
	: >"$S/t.find" >"$S/t.again" >"$S/t.margin"
	for i in $(seq "$RUNS"); do
		limit=$(timed find "$A" -type f -printf '%s %T@\n')
		took=$(timed save cairn tree "$A")
		calc '%s\n' "$limit" >>"$S/t.find"; calc '%s\n' "$took" >>"$S/t.again"
		calc '%.3f\n' "$took - 1.5 * $limit" >>"$S/t.margin"
	done
	row "store: again: seconds, find and add" "$(median <"$S/t.find"), $(median <"$S/t.again")"
	bar "store 3: add again, less 1.5 x find" "$(median <"$S/t.margin")" '<=' 0.5 s
}

store_edit() {
	local who
	for who in cairn restic; do
		[ $who = cairn ] || beside $who || continue
		[ -d "$S/$who.tree" ] || { keep $who tree; save $who tree "$A" >"$S/cid.tree"; }
		stored_by $who tree >"$S/before.$who"
	done
	edit_one_percent "$A"
	for who in cairn restic; do
		[ -f "$S/before.$who" ] || continue
		save $who tree "$A" two >/dev/null
		calc '%d' "$(stored_by $who tree) - $(cat "$S/before.$who")" >"$S/growth.$who"
		row "store: edit: bytes grown, $who" "$(cat "$S/growth.$who")"
	done
	edit_one_percent "$A" restore
	[ ! -f "$S/growth.restic" ] || bar "store 5: growth by 1 % of the files edited / restic's" "$(calc %.3f "$(cat "$S/growth.cairn") / $(cat "$S/growth.restic")")" '<=' 1.2
	rm -rf "$S"/*.tree "$S"/before.* "$S"/growth.*
}

store_insert() {
	local one two
	random_file "$D/random.bin" 268435456
	keep cairn insert
	save cairn insert "$D/random.bin" >/dev/null
	one=$(stored "$K/store")
	with_insertions "$D/random.bin" >"$S/inserted.bin"
	save cairn insert "$S/inserted.bin" >/dev/null
	two=$(stored "$K/store")
	bar "store 6: growth by 100 insertions into 256 MiB" "$(calc %.2f "($two - $one) * 100 / 268435456")" '<=' 5 %
	rm -rf "$K" "$S/inserted.bin"
}

# get_of WHAT PATH WHO...: restore onto a tmpfs.
get_of() {
	local what=$1 path=$2 i who found; shift 2
	rm -f "$S"/t.*
	for who in "$@"; do
		beside "$who" || [ "$who" = cairn ] || continue
		[ -d "$S/$who.$what" ] || { keep "$who" "$what"; save "$who" "$what" "$path" >"$S/out"; [ "$who" != cairn ] || cp "$S/out" "$S/cid.$what"; }
	done
	for i in $(seq "$RUNS"); do
		for who in "$@"; do
			[ -d "$S/$who.$what" ] || continue
			mkdir "$M/out"
			calc '%s\n' "$(timed load "$who" "$what" "$M/out")" >>"$S/t.$who"
			if [ "$who" = cairn ] && [ "$i" = 1 ]; then
				found=$(diff -r --no-dereference "$path" "$M/out/got" 2>&1 | head -n 1)
				row "store: get: bytes of the $what" "${found:-equal}"
			fi
			rm -rf "$M/out"
		done
	done
	for who in "$@"; do
		[ ! -f "$S/t.$who" ] || row "store: get of the $what: seconds, $who" "$(median <"$S/t.$who")"
	done
	bar "store 7: get of the $what / borg" "$(ratio borg)" '<=' 1
	bar "store 7: get of the $what / casync" "$(ratio casync)" '<=' 1
	bar "store 7: get of the $what / restic" "$(ratio restic)" '<=' 0.5
}
store_get() {
	M=$(mktemp -d /dev/shm/cairn-bench.XXXXXX) || { row "store: get" "skipped: no tmpfs at /dev/shm"; return; }
	random_file "$D/big.bin" 1073741824
	get_of tree "$A" cairn restic borg casync
	get_of random "$D/big.bin" cairn restic borg casync
	rm -rf "$M"
}

# peak COMMAND...: runs it, and prints its largest resident anonymous memory and
# all of it together with mapped files (the index), in MiB.
peak() {
	local pid
	"$@" >"$T/out" 2>&1 &
	pid=$!
	perl -e 'my ($a, $all) = (0, 0);
		while (open my $f, "<", "/proc/$ARGV[0]/status") {
			my %k = map { /^(\w+):\s+(\d+)/ ? ($1, $2) : () } <$f>;
			last unless exists $k{RssAnon};
			$a = $k{RssAnon} if $k{RssAnon} > $a; $all = $k{VmHWM} if $k{VmHWM} > $all;
			select undef, undef, undef, 0.01;
		} printf "%.1f %.1f\n", $a / 1024, $all / 1024;' $pid
	wait $pid
}
memory_of() { # NAME PATH
	local figures
	keep cairn memory
	figures=$(peak "$CAIRN" --repo "$K" add -Q --hidden "$2")
	bar "store 8: memory of the add of $1" "${figures% *}" '<=' 64 MiB
	row "store: memory: with mapped files" "${figures#* } MiB"
	rm -rf "$K"
}
store_memory() {
	random_file "$D/big.bin" 1073741824
	log_file "$D/log.txt" 1073741824
	memory_of "the tree" "$A"
	memory_of "1 GiB random" "$D/big.bin"
	memory_of "1 GiB of log lines" "$D/log.txt"
}

bench_store() {
	local step who
	A=$(source_tree)
	[ -n "$A" ] || { row store "skipped: no kernel source (package linux-source-6.1) and no TREE"; return; }
	S=$D/stores
	rm -rf "$S"; mkdir -p "$S"
	export RESTIC_CACHE_DIR=$S/cache.restic BORG_BASE_DIR=$S/cache.borg
	row "store: tree: files, bytes" "$(find "$A" -type f | wc -l), $(stored "$A")"
	for step in ${STEPS:-tree random log again edit insert get memory}; do
		case $step in
		tree | random | log | again | edit | insert | get | memory) store_$step ;;
		*) echo "tools/bench: the store has no step '$step'" >&2; exit 2 ;;
		esac
	done
	rm -rf "$S"
}
