#!/usr/bin/env bash
# cairn add with options: CIDs equal to those of `ipfs add` under the same ones
# (computed with boxo), through the daemon as without it, and what is taken.
. "$(dirname "$0")/../lib.sh"

c a init >/dev/null && c a config net.listen /ip4/127.0.0.1/tcp/0
REPOS+=("$T/a")
# is NAME WANT COMMAND...: ok if it prints exactly that.
is() {
	local name=$1 want=$2 got; shift 2
	got=$("$@" 2>"$T/err")
	[ "$got" = "$want" ] && ok "$name" || not_ok "$name" "got $got, wanted $want, $(cat "$T/err")"
}

mkdir -p "$T/tree/sub" "$T/old"
yes 'a line of a log, again and again' | head -n 32000 >"$T/text"
head -c 2000000 /dev/zero >"$T/zeros"
printf 'hello world' >"$T/hw"
: >"$T/f" && chmod 640 "$T/f" && touch -d @1604320482 "$T/f"
ln -s nothing "$T/l" && touch -h -d @1604320482 "$T/l"
echo a >"$T/tree/a.txt" && echo b >"$T/tree/b.log" && echo c >"$T/tree/sub/c.txt" && echo d >"$T/tree/sub/d.tmp"

v0="--profile unixfs-v0-2015"
run() {
	local how=$1
	is "rabin_$how" QmVhKsFqF1GaAK26ALJBB1K5qYwGuHbni9k1SQ8aodf8bW c a add -Q $v0 --chunker rabin "$T/text"
	is "rabin_min_avg_max_$how" bafybeifzlgsp6o3guv6bauqfxsj2hiou5gj2nvpekzq55rg42e5aqlzdoi c a add -Q $v0 --cid-version 1 --chunker rabin-16-1024-4096 "$T/text"
	is "buzhash_$how" Qmb8CaP3nf8TVfEwrGAUuY6BZMy5ZRgquATUyPZrSwR7Nk c a add -Q $v0 --chunker buzhash "$T/zeros"
	is "size_and_max_links_$how" QmNYkgFap6W2ovJ8p98MsvYsjy1DqNG8vHe4PAeqSBPyAY c a add -Q $v0 --chunker size-1000 --max-links 2 "$T/text"
	is "hash_$how" bafykbzacednct225qgjv6demtadaeztihtnl2oegoazaoatt42top5lhkj2ki c a add -Q $v0 --hash blake2b-256 "$T/text"
	is "hash_without_raw_leaves_$how" bafykbzacec2gregc6haqyp7jwaisvujfnz2edbgojtq7e3myitjlwyll4hywy c a add -Q $v0 --hash blake2b-256 --raw-leaves=false "$T/text"
	is "raw_leaves_under_v0_$how" Qmc36KLtu8Bo3ntsjeg4mP58stZ66KXE3UE1EAYqXi7b3c c a add -Q $v0 --raw-leaves --chunker size-1000 "$T/text"
	is "preserve_$how" QmYkvboLsvLFcSYmqVJRxvBdYRQLroLv9kELf3LRiCqBri c a add -Q $v0 --preserve "$T/f"
	is "mode_and_mtime_$how" QmUkxrtBA8tPjwCYz1HrsoRfDz6NgKut3asVeHVQNH4C8L c a add -Q $v0 --mode 0764 --mtime 1603539720 --mtime-nsecs 54321 "$T/f"
	is "preserve_of_a_symlink_$how" QmbJwotgtr84JxcnjpwJ86uZiyMoxbZuNH4YrdJMypkYaB c a add -Q $v0 --preserve "$T/l"
	is "stdin_$how" bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e sh -c "cat '$T/hw' | '$CAIRN' --repo '$T/a' add -Q -"
	is "stdin_from_a_file_$how" QmVhKsFqF1GaAK26ALJBB1K5qYwGuHbni9k1SQ8aodf8bW sh -c "'$CAIRN' --repo '$T/a' add -Q $v0 --chunker rabin --stdin <'$T/text'"
	local all
	all=$(c a add -Q --exclude '*.log' --exclude 'sub/*.tmp' "$T/tree")
	is "exclude_$how" "a.txt sub c.txt " sh -c "('$CAIRN' --repo '$T/a' ls $all; '$CAIRN' --repo '$T/a' ls $all/sub) | tr '\n' ' '"
	printf '*.log\n!b.log\nc.*\n' >"$T/tree/.cairnignore"
	all=$(c a add -Q "$T/tree")
	is "cairnignore_$how" "a.txt b.log sub d.tmp " sh -c "('$CAIRN' --repo '$T/a' ls $all; '$CAIRN' --repo '$T/a' ls $all/sub) | tr '\n' ' '"
	[ "$(c a add -Q --no-ignore "$T/tree")" != "$all" ] && ok "no_ignore_$how" || not_ok "no_ignore_$how"
	rm "$T/tree/.cairnignore"
	all=$(cat "$T/hw" | c a add -Q --wrap --stdin-name in "$T/text" "$T/tree/sub" -)
	[ "$(echo "$all" | wc -l)" = 1 ] && ok "wrap_prints_one_cid_$how" || not_ok "wrap_prints_one_cid_$how" "$all"
	is "wrap_has_them_all_$how" "in sub text " sh -c "'$CAIRN' --repo '$T/a' ls $all | tr '\n' ' '"
	is "wrap_has_what_came_in_$how" "hello world" c a cat "$all/in"
	is "several_paths_have_each_their_root_$how" 2 sh -c "'$CAIRN' --repo '$T/a' add -Q '$T/text' '$T/tree' | wc -l"
	fails_with 1 "two_of_one_name_do_not_fit_$how" c a add -Q -w "$T/text" "$T/old/../text"
}

run alone
is "hash_only_needs_no_repository" bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e "$CAIRN" --repo "$T/none" add -Q --hash-only "$T/hw"
head -c 100000 /dev/urandom >"$T/random"
only=$(c a add -Q -n "$T/random")
fails_with 1 "hash_only_stores_nothing" c a cat "$only"
is "hash_only_names_rightly" "$only" c a add -Q "$T/random"

for bad in "--chunker size-0" "--chunker size-2096897" "--chunker rabin-15-100-200" "--chunker rabin-100-100-200" \
	"--chunker foo" "--hash md5" "--cid-version 2" "--max-links 1" "--max-links x" "--raw-leaves=maybe" "--jobs 0" \
	"--cid-version 0 --hash blake2b-256" "--preserve --raw-leaves" "--mode 9" "--mtime x" "--mtime-nsecs 5" \
	"--stdin -" "--wrap -" "--stdin-name x" "--chunker"; do
	fails_with 2 "misuse_is_said: $bad" c a add "$T/hw" $bad
done

# A file that did not change is not read again: strace sees no open of it.
touch -d @1000000000 "$T/old/file" && head -c 50000 /dev/urandom >"$T/old/data"
if command -v strace >/dev/null; then
	sleep 3 # until the time of change is old enough to be trusted
	first=$(c a add -Q "$T/old")
	strace -f -e trace=openat -o "$T/trace" "$CAIRN" --repo "$T/a" add -Q "$T/old" >"$T/again" 2>/dev/null
	if [ -s "$T/again" ]; then
		grep -q '"data"' "$T/trace" && not_ok "an_unchanged_file_is_not_opened" || ok "an_unchanged_file_is_not_opened"
		is "its_cid_is_the_same" "$first" cat "$T/again"
	else
		skip "an_unchanged_file_is_not_opened" "strace cannot run it"
	fi
	echo x >>"$T/old/data"
	[ "$(c a add -Q "$T/old")" != "$first" ] && ok "a_changed_file_is_read" || not_ok "a_changed_file_is_read"
else
	skip "an_unchanged_file_is_not_opened" "no strace"
fi

truncate -s 100G "$T/sparse" 2>/dev/null &&
	check "a_sparse_file_of_100_gib" timeout 60 "$CAIRN" --repo "$T/a" add -Q "$T/sparse" ||
	skip "a_sparse_file_of_100_gib" "the file system has no such files"

if daemon a; then
	run "with_a_daemon"
else
	not_ok "the_daemon_says_ready"
fi
finish
