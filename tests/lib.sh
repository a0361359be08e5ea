# For the test scripts: TAP output, nodes, and hosts in network namespaces.
# A script sources it, runs its checks with ok/not_ok/check, and ends with finish.
set -u
CAIRN=${CAIRN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/tools/cairn}
T=$(mktemp -d "${TMPDIR:-/tmp}/cairn-test.XXXXXX")
tap_n=0 tap_failed=0
NAMESPACES=() PIDS=() REPOS=() MOUNTS=()

ok() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1"; }
not_ok() { tap_n=$((tap_n + 1)); tap_failed=1; echo "not ok $tap_n - $1"; shift; [ $# = 0 ] || echo "# $*"; }
skip() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1 # SKIP $2"; }
note() { echo "# $*"; }
# check NAME COMMAND...: ok if the command succeeds.
check() {
	local name=$1 out; shift
	if out=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "failed: $* -- $(echo "$out" | tail -n 5 | tr '\n' '|')"; fi
}
# fails_with STATUS NAME COMMAND...: ok if it exits so, with exactly one line on stderr.
fails_with() {
	local want=$1 name=$2 got lines; shift 2
	"$@" >"$T/out" 2>"$T/err"; got=$?
	lines=$(wc -l <"$T/err")
	if [ "$got" = "$want" ] && [ "$lines" = 1 ]; then ok "$name"
	else not_ok "$name" "exit $got (wanted $want), $lines lines on stderr: $(tr '\n' '|' <"$T/err")"; fi
}
# Stops the daemons in good order, so that a sanitizer build reports leaks too.
finish() {
	local r found
	for r in "${REPOS[@]:-}"; do [ -n "$r" ] && [ -S "$r/control.sock" ] && timeout 30 "$CAIRN" --repo "$r" stop 2>/dev/null; done
	found=$(cat "$T"/*.err "$T"/*/daemon.log 2>/dev/null | grep -m 3 -A 8 'AddressSanitizer\|LeakSanitizer\|runtime error:' | tr '\n' '|')
	[ -z "$found" ] || not_ok "no_sanitizer_report" "$found"
	echo "1..$tap_n"
	exit $tap_failed
}
skip_all() { echo "1..0 # SKIP $1"; exit 0; }

cleanup() {
	local i pid
	for i in "${MOUNTS[@]:-}"; do [ -n "$i" ] && umount -l "$i" 2>/dev/null; done
	for i in "${REPOS[@]:-}"; do [ -n "$i" ] && [ -S "$i/control.sock" ] && timeout 20 "$CAIRN" --repo "$i" stop 2>/dev/null; done
	for pid in "${PIDS[@]:-}"; do [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; done
	for i in "${NAMESPACES[@]:-}"; do [ -n "$i" ] && ip netns del "$i" 2>/dev/null; done
	[ -n "${KEEP:-}" ] || rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# hosts_up NAME...: namespaces on one bridge; host i has 10.77.0.i and fd77::i.
hosts_up() {
	local sw=cairn$$sw i=0 h
	NS=cairn$$
	ip netns add $sw && NAMESPACES+=($sw) || return 1
	ip -n $sw link add br0 type bridge && ip -n $sw link set br0 up || return 1
	for h in "$@"; do
		i=$((i + 1))
		ip netns add $NS$h && NAMESPACES+=($NS$h) || return 1
		ip -n $sw link add p$i type veth peer name eth0 netns $NS$h || return 1
		ip -n $sw link set p$i master br0 up
		ip -n $NS$h addr add 10.77.0.$i/24 dev eth0
		ip -n $NS$h addr add fd77::$i/64 dev eth0 nodad
		ip -n $NS$h link set eth0 up
		ip -n $NS$h link set lo up
	done
}
# on HOST COMMAND...: in its network, but with our mounts.
on() { local h=$1; shift; nsenter --net=/run/netns/$NS$h "$@"; }

# repo NAME: a fresh repository $T/NAME that listens on any port of loopback.
repo() {
	"$CAIRN" --repo "$T/$1" init >/dev/null || return 1
	"$CAIRN" --repo "$T/$1" config net.listen /ip4/127.0.0.1/tcp/0 || return 1
	REPOS+=("$T/$1")
}
c() { local n=$1; shift; "$CAIRN" --repo "$T/$n" "$@"; }
# daemon NAME [HOST]: start, wait for `ready`; its pid in DAEMON_PID.
daemon() {
	local n=$1 i
	: >"$T/$n.out" # or the last one, of the same repository, seems ready
	if [ $# = 2 ]; then
		nsenter --net=/run/netns/$NS$2 "$CAIRN" --repo "$T/$n" daemon >"$T/$n.out" 2>"$T/$n.err" &
	else
		"$CAIRN" --repo "$T/$n" daemon >"$T/$n.out" 2>"$T/$n.err" &
	fi
	DAEMON_PID=$!
	PIDS+=($DAEMON_PID)
	for i in $(seq 300); do
		grep -qx ready "$T/$n.out" 2>/dev/null && return 0
		kill -0 $DAEMON_PID 2>/dev/null || break
		sleep 0.05
	done
	note "daemon $n did not get ready: $(tail -n 3 "$T/$n.err" | tr '\n' '|')"
	return 1
}
address() { c "$1" id --json | jq -r '.addresses[0]'; }
# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1)); shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}
mnt() { mkdir -p "$T/$1" && MOUNTS+=("$T/$1"); }
