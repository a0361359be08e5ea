#!/usr/bin/env bash
# Commands that are interrupted or run out of room leave nothing half-done, and
# a daemon that strangers shout at goes on.
. "$(dirname "$0")/../lib.sh"
repo a; repo b
mkdir -p "$T/t"; for i in 1 2 3 4 5 6; do head -c 40000000 /dev/urandom >"$T/t/f$i"; done
cid=$(c a add -Q "$T/t")
cat >"$T/int" <<'EOF'
#!/bin/bash
# Interrupt COMMAND after a while; print its status.
delay=$1; shift
"$@" &
pid=$!
sleep "$delay"; kill -TERM $pid 2>/dev/null
wait $pid; echo "status $?"
EOF
chmod +x "$T/int"

# get, interrupted: what is there is whole, and nothing else is.
"$T/int" 0.1 "$CAIRN" --repo "$T/a" get -o "$T/got" "$cid" >"$T/o" 2>&1
whole=1
for f in "$T"/got/* "$T"/got/.[!.]*; do [ -e "$f" ] || continue; cmp -s "$f" "$T/t/$(basename "$f")" || whole=0; done
[ $whole = 1 ] && ok "an_interrupted_get_leaves_whole_files_only" || not_ok "an_interrupted_get_leaves_whole_files_only" "$(ls -la "$T/got" | tr '\n' '|')"
grep -q 'status [01]$' "$T/o" && ok "and_says_so_with_its_status" || not_ok "and_says_so_with_its_status" "$(tr '\n' '|' <"$T/o")"

# add, interrupted: the store is as good as before.
"$T/int" 0.1 "$CAIRN" --repo "$T/b" add -Q "$T/t" >"$T/o" 2>&1
[ "$(c b add -Q "$T/t")" = "$cid" ] && ok "add_works_after_an_interrupted_one" || not_ok "add_works_after_an_interrupted_one"
check "and_what_it_stored_is_right" sh -c "'$CAIRN' --repo '$T/b' get -o '$T/gotb' '$cid' && diff -r '$T/t' '$T/gotb'"

# kill -9 in the middle of an add, several times.
repo k
good=1
for i in 1 2 3 4 5; do
	"$CAIRN" --repo "$T/k" add -Q "$T/t" >"$T/o" 2>&1 & pid=$!
	sleep 0.0$((i * 15)); kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
done
[ "$(c k add -Q "$T/t")" = "$cid" ] && c k get -o "$T/gotk" "$cid" && diff -r "$T/t" "$T/gotk" >/dev/null && ok "five_kills_later_all_is_right" || not_ok "five_kills_later_all_is_right"

if [ "$(id -u)" = 0 ] && mkdir "$T/small" && mount -t tmpfs -o size=60m none "$T/small" 2>/dev/null; then
	MOUNTS+=("$T/small")
	"$CAIRN" --repo "$T/small/r" init >/dev/null
	first=$("$CAIRN" --repo "$T/small/r" add -Q "$T/t/f1")
	fails_with 1 "a_full_disk_is_said" "$CAIRN" --repo "$T/small/r" add -Q "$T/t"
	check "and_what_was_there_is_readable" sh -c "'$CAIRN' --repo '$T/small/r' cat '$first' | cmp - '$T/t/f1'"
	fails_with 1 "a_full_disk_under_get_is_said" "$CAIRN" --repo "$T/a" get -o "$T/small/got" "$cid"
else
	skip "a_full_disk_is_said" "needs root for a tmpfs"
fi

# Shouting at the daemon's port and at its socket.
daemon a || { not_ok "the_daemon_starts"; finish; }
port=$(address a | sed 's#.*/tcp/\([0-9]*\)/.*#\1#')
for i in $(seq 20); do { head -c 20000 /dev/urandom >/dev/tcp/127.0.0.1/"$port"; } 2>/dev/null; done
{ printf '\023/multistream/1.0.0\n\377\377\377\377\377\377\377\377\377\377\377' >/dev/tcp/127.0.0.1/"$port"; } 2>/dev/null
check "strangers_shouting_do_no_harm" c a status
if command -v python3 >/dev/null; then
	check "nonsense_on_the_control_socket_does_no_harm" python3 - "$T/a/control.sock" <<'EOF'
import os, socket, sys
for data in (b'\xff' * 64, b'\x05\x00\x00\x00Q\x01\x00\x00\x00', b'\x06\x00\x00\x00Q\x01\x00\x00\x00{', os.urandom(70000), b'\x08\x00\x00\x00W\x01\x00\x00\x00\x09\x02\x03', b'\x05\x00\x00\x00Z\x01\x00\x00\x00'):
    s = socket.socket(socket.AF_UNIX)
    d = os.open(os.path.dirname(sys.argv[1]), os.O_PATH)
    s.connect('/proc/self/fd/%d/control.sock' % d)
    try:
        s.sendall(data); s.settimeout(0.2); s.recv(1000)
    except OSError:
        pass
    s.close()
EOF
	check "the_daemon_goes_on" c a status
fi
kill -STOP $DAEMON_PID; sleep 2; kill -CONT $DAEMON_PID
check "it_goes_on_after_being_stopped" c a status
check "it_stops_in_good_order" c a stop
finish
