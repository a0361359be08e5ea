#!/usr/bin/env bash
# A kill, EIO or ENOSPC at every system call of one add, and of one gc: afterwards
# the store has the old or the new state, and success is never said in vain.
#	STEP=47		every how many of the calls is tried (1: all); FIRST=0..STEP-1 of which one begins
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../crash.sh"
command -v strace >/dev/null || skip_all "no strace"
strace -o /dev/null true 2>/dev/null || skip_all "strace may not trace here"
STEP=${STEP:-47} FIRST=${FIRST:-0}
case $CAIRN in *asan*) maps= ;; *) maps=mmap ;; esac # the sanitizer maps for itself
CALLS="openat read pread64 preadv write pwrite64 pwritev fsync fdatasync sync_file_range ftruncate mkdir mkdirat rename renameat unlink unlinkat $maps newfstatat fstat getdents64 flock fcntl lseek clone3 getrandom"
export ASAN_OPTIONS=detect_leaks=0 # which cannot be told under ptrace

mkdir "$T/old" "$T/new" "$T/dead"
seq 3000 >"$T/old/text"; head -c 300000 /dev/urandom >"$T/old/random"
cp "$T/old/text" "$T/new/shared"; head -c 400000 /dev/urandom >"$T/new/random"; seq 5000 9000 >"$T/new/text"
for i in 1 2 3 4 5; do echo "small $i" >"$T/new/f$i"; done
head -c 3000000 /dev/urandom >"$T/dead/random"
repo a
old=$(c a add -Q "$T/old")
new=$(c a add -Q --hash-only "$T/new")
cp -a "$T/a" "$T/good.add"
dead=$(c a add -Q --no-pin "$T/dead")
cp -a "$T/a" "$T/good.gc"
restore() { rm -rf "$T/a"; cp -a "$T/good.$1" "$T/a"; }
# same CID DIR
same() { rm -rf "$T/got"; c a get -o "$T/got" "$1" && diff -r "$2" "$T/got"; }

# action add|gc WRAPPER...: what is to fail
action() {
	local what=$1; shift
	case $what in
	add) "$@" "$CAIRN" --repo "$T/a" add -Q "$T/new" >"$T/out" 2>"$T/err" ;;
	gc) "$@" "$CAIRN" --repo "$T/a" gc >"$T/out" 2>"$T/err" ;;
	esac
}
# happened add|gc: what success means
happened() {
	case $1 in
	add) [ "$(cat "$T/out")" = "$new" ] && same "$new" "$T/new" ;;
	gc) ! c a cat "$dead/random" >/dev/null 2>&1 ;;
	esac
}
# one add|gc CALL N FAULT
one() {
	local status
	restore "$1"
	{ action "$1" strace -f -o /dev/null -e trace="$2" -e signal=none -e inject="$2:$4:when=$3"; status=$?; } 2>/dev/null
	tried=$((tried + 1))
	if [ $status = 0 ]; then
		done=$((done + 1))
		happened "$1" >"$T/why" 2>&1 || { false=$((false + 1)); note "$*: success was said: $(head -n 2 "$T/why" | tr '\n' '|')"; }
	else
		failed=$((failed + 1))
		case $4-$status-$2-$3 in
		signal* | *-127-* | *-139-mmap-1) ;; # the last two: there was no program yet, but its loader
		*) { [ $status = 1 ] && [ -s "$T/err" ]; } || { mute=$((mute + 1)); note "$*: exit $status: $(tr '\n' '|' <"$T/err")"; } ;;
		esac
	fi
	same "$old" "$T/old" >"$T/why" 2>&1 || { lost=$((lost + 1)); note "$*: what was there is not: $(head -n 2 "$T/why" | tr '\n' '|')"; }
	{ action "$1" && happened "$1" && c a verify && same "$old" "$T/old"; } >"$T/why" 2>&1 || { broken=$((broken + 1)); note "$*: afterwards: $(tail -n 2 "$T/why" "$T/err" | tr '\n' '|')"; }
}
all_of() { # add|gc
	local call n most fault at=$FIRST total
	tried=0 failed=0 done=0 false=0 lost=0 broken=0 mute=0
	restore "$1"
	action "$1" strace -f -o "$T/trace" -e trace="$(echo $CALLS | tr ' ' ,)" && happened "$1" && ok "$1_under_strace_works" || not_ok "$1_under_strace_works" "$(cat "$T/err")"
	# How often a thread makes each call.  Each thread is counted alone, so the N-th
	# call of every one fails in the same run.
	awk '{ sub(/\(.*/, "", $2); if ($2 ~ /^[a-z0-9_]+$/) n[$1 " " $2]++ }
		END { for (k in n) { split(k, a, " "); if (n[k] > most[a[2]]) most[a[2]] = n[k] } for (c in most) print c, most[c] }' "$T/trace" | sort >"$T/counts"
	total=$(awk '{ n += $2 } END { print n }' "$T/counts")
	while read -r call most; do
		for n in $(seq "$most"); do
			for fault in signal=KILL error=EIO error=ENOSPC; do
				[ $((at % STEP)) != 0 ] || one "$1" "$call" "$n" "$fault"
				at=$((at + 1))
			done
		done
	done <"$T/counts"
	note "$1: $total calls, $tried faults: $failed times it failed, $done times it succeeded all the same"
	[ $false = 0 ] && ok "b112_$1_never_says_success_in_vain" || not_ok "b112_$1_never_says_success_in_vain" "$false times it did"
	[ $lost = 0 ] && ok "what_was_there_before_${1}_stays" || not_ok "what_was_there_before_${1}_stays" "$lost times it did not"
	[ $broken = 0 ] && ok "b111_after_a_fault_in_${1}_the_store_works_and_is_right" || not_ok "b111_after_a_fault_in_${1}_the_store_works_and_is_right" "$broken times not"
	[ $mute = 0 ] && ok "b112_${1}_reports_an_error" || not_ok "b112_${1}_reports_an_error" "$mute times not"
	[ $failed -gt 0 ] && ok "${1}_felt_the_faults" || not_ok "${1}_felt_the_faults"
}
all_of add
all_of gc
finish
