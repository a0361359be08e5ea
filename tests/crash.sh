# The frame of the tests that interrupt a writer.  A script sources it after
# lib.sh.  What a command has printed is promised: it is kept in $T/promised, a
# line each: CID PATH.
#	make_tree N	a tree of its own, with a part that all have; its path in $TREE
#	promise FILE	note the CIDs that an `add -Q` of $TREE/1 $TREE/2 ... printed to FILE
#	kept REPO [N]	after whatever happened: the store opens, verifies, and has what was
#			promised (all, or the last and N more); else the reason in $why.
#			How long opening took, in ms, is in $opened, the most in $slowest.
: >"$T/promised"
# stdbuf comes by LD_PRELOAD, before the library of a sanitizer, which would refuse to run.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
slowest=0
HELPERS=$(dirname "$CAIRN")/../tests

make_tree() {
	local n=$1
	TREE=$T/tree.$n
	rm -rf "$T"/tree.new; mkdir -p "$T/tree.new"
	perl -e 'my ($n, $dir) = @ARGV; srand $n; open my $noise, "<:raw", "/dev/urandom" or die;
		for my $part (1 .. 5) {
			mkdir "$dir/$part" or die;
			for my $f (1 .. 12) {
				open my $h, ">:raw", "$dir/$part/f$f" or die;
				my $size = int 2 ** (6 + rand 14);
				read $noise, my $b, $size;
				$b = "a line of version $n of file $f\n" x ($size / 30 + 1) if $f % 3 == 0;
				$b = "shared by all trees\n" x 5000 if $f % 5 == 0;
				print $h $b;
			}
		}' "$n" "$T/tree.new"
	mv "$T/tree.new" "$TREE"
}
promise() {
	local part=0 cid
	# The last line may be torn: it has no newline then, and read fails for it.
	while IFS= read -r cid; do
		part=$((part + 1))
		echo "$cid $TREE/$part" >>"$T/promised"
	done <"$1"
}
kept() {
	local repo=$1 some=${2:-1000000} from cid path
	echo "after" >"$T/after"
	from=$(date +%s%3N)
	why=$("$CAIRN" --repo "$repo" add -Q "$T/after" 2>&1) || { why="does not open: $why"; return 1; }
	opened=$(($(date +%s%3N) - from))
	[ $opened -le $slowest ] || slowest=$opened
	why=$("$CAIRN" --repo "$repo" verify 2>&1) || { why="verify: $(echo "$why" | tail -n 2 | tr '\n' '|')"; return 1; }
	{ tail -n 1 "$T/promised"; head -n -1 "$T/promised" | shuf -n "$some"; } >"$T/to-get"
	while read -r cid path; do
		rm -rf "$T/got"
		why=$("$CAIRN" --repo "$repo" get -o "$T/got" "$cid" 2>&1 && diff -r "$path" "$T/got" 2>&1) || { why="lost $cid ($path): $(echo "$why" | head -n 2 | tr '\n' '|')"; return 1; }
	done <"$T/to-get"
	why=
}
