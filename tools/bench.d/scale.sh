# Part of tools/bench: what is large in each direction.  Time, and the most resident
# memory, without mapped files (the index) and with them.
#	MANY	entries of the directory, and files of the tree (1000000)
#	HUGE	bytes of the sparse file (100 GiB)
#	STEPS	which (default: all): directory tree sparse deep

# weigh NAME COMMAND...: run it, with a row for what it took; its output in $T/out.
weigh() {
	local name=$1 begin memory status; shift
	begin=$(now)
	memory=$(peak "$@"); status=$?
	[ $status = 0 ] || name="$name: FAILED ($(tail -n 1 "$T/out"))"
	row "scale: $name" "$(calc '%.2f s' "$(now) - $begin"), ${memory% *} MiB, ${memory#* } MiB with mapped files"
	return $status
}
# Empty files hold an inode each and no block: a million fit almost anywhere.
scale_directory() {
	local cid dir=$D/wide.$MANY
	[ -d "$dir" ] || { mkdir -p "$dir.new" && perl -e 'for my $i (1 .. $ARGV[1]) { open my $f, ">", "$ARGV[0]/an entry with the number $i" or die $! }' "$dir.new" "$MANY" && mv "$dir.new" "$dir"; } || return
	weigh "add of a directory of $MANY entries" "$CAIRN" --repo "$T/W" add -Q --hidden "$dir" || return
	cid=$(cat "$T/out")
	weigh "the same again" "$CAIRN" --repo "$T/W" add -Q --hidden "$dir"
	weigh "ls of it" "$CAIRN" --repo "$T/W" ls "$cid"
	row "scale: entries listed" "$(wc -l <"$T/out")"
	weigh "get of it" "$CAIRN" --repo "$T/W" get -o "$D/got" "$cid"
	row "scale: entries got" "$(find "$D/got" -type f | wc -l)"
	rm -rf "$D/got"
	weigh "export of it" "$CAIRN" --repo "$T/W" export -o "$D/out.car" "$cid"
	rm -f "$D/out.car"
}
scale_tree() {
	local cid dir=$D/tree.$MANY
	[ -d "$dir" ] || { mkdir -p "$dir.new" && perl -e 'my ($d, $n) = @ARGV; for my $i (1 .. $n) {
			my $p = sprintf "%s/%03d", $d, $i / 1000; mkdir $p if $i % 1000 < 2; mkdir $p;
			open my $f, ">", "$p/$i" or die $!; print $f "the file with the number $i, and nothing else\n" }' "$dir.new" "$MANY" && mv "$dir.new" "$dir"; } || return
	weigh "add of a tree of $MANY files" "$CAIRN" --repo "$T/W" add -Q --hidden "$dir" || return
	cid=$(cat "$T/out")
	weigh "the same again" "$CAIRN" --repo "$T/W" add -Q --hidden "$dir"
	weigh "get of it" "$CAIRN" --repo "$T/W" get -o "$D/got" "$cid"
	row "scale: bytes" "$(diff -r "$dir" "$D/got" >"$T/diff" 2>&1 && echo equal || head -n 1 "$T/diff")"
	rm -rf "$D/got"
	weigh "verify of the store" "$CAIRN" --repo "$T/W" verify
	weigh "stat: opening the store to read" "$CAIRN" --repo "$T/W" stat
}
scale_sparse() {
	local cid
	truncate -s "$HUGE" "$D/sparse"
	printf 'a bit of data' | dd of="$D/sparse" bs=1 seek=$((HUGE / 2)) conv=notrunc 2>/dev/null
	weigh "add of a sparse file of $HUGE bytes" "$CAIRN" --repo "$T/W" add -Q "$D/sparse" || return
	cid=$(cat "$T/out")
	weigh "get of it" "$CAIRN" --repo "$T/W" get -o "$D/got" "$cid"
	row "scale: size, blocks on disk" "$(stat -c '%s, %b' "$D/got")"
	row "scale: the bytes in its middle" "$(tail -c +$((HUGE / 2 + 1)) "$D/got" | head -c 13)"
	rm -f "$D/got" "$D/sparse"
}
# A path 1,000 deep: longer than any that can be named at once.
scale_deep() {
	local cid
	perl -e 'chdir $ARGV[0] or die; for my $i (1 .. 1000) { mkdir "a directory" or die $!; chdir "a directory" or die $! }
		open my $f, ">", "at the bottom" or die $!; print $f "found\n"' "$D" || return
	weigh "add of a path 1,000 deep" "$CAIRN" --repo "$T/W" add -Q "$D/a directory" || return
	cid=$(cat "$T/out")
	weigh "get of it" "$CAIRN" --repo "$T/W" get -o "$D/got" "$cid"
	row "scale: its depth" "$(find "$D/got" -type d | wc -l), $(find "$D/got" -name 'at the bottom' -execdir cat {} +)"
	weigh "export of it" "$CAIRN" --repo "$T/W" export -o "$D/out.car" "$cid"
	rm -rf "$D/got" "$D/a directory" "$D/out.car"
}
bench_scale() {
	local step
	MANY=${MANY:-1000000} HUGE=${HUGE:-107374182400}
	repo W
	for step in ${STEPS:-directory tree sparse deep}; do
		case $step in
		directory | tree | sparse | deep) scale_$step ;;
		*) echo "tools/bench: scale has no step '$step'" >&2; exit 2 ;;
		esac
	done
	rm -rf "${T:?}/W"; REPOS=()
}
