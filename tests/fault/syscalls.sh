#!/usr/bin/env bash
# A kill, EIO or ENOSPC at every system call of one add: afterwards the store has
# the old or the new state, and success is never said of what is not there.
#	STEP=13		every how many of the calls is tried (1: all); FIRST=0..STEP-1 of which one begins
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../crash.sh"
command -v strace >/dev/null || skip_all "no strace"
strace -o /dev/null true 2>/dev/null || skip_all "strace may not trace here"
STEP=${STEP:-13} FIRST=${FIRST:-0}
CALLS="openat read pread64 preadv write pwrite64 pwritev fsync fdatasync sync_file_range ftruncate mkdir mkdirat rename renameat unlink unlinkat mmap newfstatat fstat getdents64 flock fcntl lseek clone3 getrandom"
export ASAN_OPTIONS=detect_leaks=0 # which cannot be told under ptrace

mkdir "$T/old" "$T/new"
seq 3000 >"$T/old/text"; head -c 300000 /dev/urandom >"$T/old/random"
cp "$T/old/text" "$T/new/shared"; head -c 400000 /dev/urandom >"$T/new/random"; seq 5000 9000 >"$T/new/text"
for i in 1 2 3 4 5; do echo "small $i" >"$T/new/f$i"; done
repo a
old=$(c a add -Q "$T/old")
new=$(c a add -Q --hash-only "$T/new")
cp -a "$T/a" "$T/good"
restore() { rm -rf "$T/a"; cp -a "$T/good" "$T/a"; }

# How often a thread makes each call, without a fault.  Each thread is counted alone,
# so the N-th call of every one fails in the same run.
action() { "$@" "$CAIRN" --repo "$T/a" add -Q "$T/new" >"$T/out" 2>"$T/err"; }
action strace -f -o "$T/trace" -e trace="$(echo $CALLS | tr ' ' ,)"
[ "$(cat "$T/out")" = "$new" ] && ok "an_add_under_strace_works" || not_ok "an_add_under_strace_works" "$(cat "$T/err")"
awk '{ sub(/\(.*/, "", $2); if ($2 ~ /^[a-z0-9_]+$/) n[$1 " " $2]++ }
	END { for (k in n) { split(k, a, " "); if (n[k] > most[a[2]]) most[a[2]] = n[k] } for (c in most) print c, most[c] }' "$T/trace" | sort >"$T/counts"
total=$(awk '{ n += $2 } END { print n }' "$T/counts")

tried=0 hit=0 failed=0 done=0 false=0 lost=0 broken=0 mute=0
# one CALL N FAULT
one() {
	restore
	local status printed
	{ action strace -f -o /dev/null -e trace="$1" -e signal=none -e inject="$1:$3:when=$2"; status=$?; } 2>/dev/null
	printed=$(cat "$T/out")
	tried=$((tried + 1))
	if [ $status = 0 ]; then
		done=$((done + 1))
		rm -rf "$T/got"
		{ [ "$printed" = "$new" ] && c a get -o "$T/got" "$new" && diff -r "$T/new" "$T/got"; } >"$T/why" 2>&1 ||
			{ false=$((false + 1)); note "$*: success was said: $(head -n 2 "$T/why" | tr '\n' '|')"; }
	else
		failed=$((failed + 1))
		case $3-$status-$1-$2 in
		signal* | *-127-* | *-139-mmap-1) ;; # the last two: there was no program yet, but its loader
		*) { [ $status = 1 ] && [ -s "$T/err" ]; } || { mute=$((mute + 1)); note "$*: exit $status: $(tr '\n' '|' <"$T/err")"; } ;;
		esac
	fi
	rm -rf "$T/got"
	{ c a get -o "$T/got" "$old" && diff -r "$T/old" "$T/got"; } >"$T/why" 2>&1 || { lost=$((lost + 1)); note "$*: what was there is not: $(head -n 2 "$T/why" | tr '\n' '|')"; }
	{ [ "$(c a add -Q "$T/new")" = "$new" ] && c a verify; } >"$T/why" 2>&1 || { broken=$((broken + 1)); note "$*: afterwards: $(tail -n 2 "$T/why" | tr '\n' '|')"; }
}
at=$FIRST
while read -r call most; do
	for n in $(seq "$most"); do
		for fault in signal=KILL error=EIO error=ENOSPC; do
			[ $((at % STEP)) != 0 ] || one "$call" "$n" "$fault"
			at=$((at + 1))
		done
	done
done <"$T/counts"
note "$total calls, $tried faults: $failed adds failed, $done succeeded all the same"
[ $false = 0 ] && ok "success_is_never_said_in_vain" || not_ok "success_is_never_said_in_vain" "$false times it was"
[ $lost = 0 ] && ok "what_was_there_stays" || not_ok "what_was_there_stays" "$lost times it did not"
[ $broken = 0 ] && ok "afterwards_the_store_works_and_is_right" || not_ok "afterwards_the_store_works_and_is_right" "$broken times not"
[ $mute = 0 ] && ok "an_error_is_reported" || not_ok "an_error_is_reported" "$mute times not"
[ $failed -gt 0 ] && ok "the_faults_were_felt" || not_ok "the_faults_were_felt"
finish
