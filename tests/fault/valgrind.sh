#!/usr/bin/env bash
# The main path under valgrind: nothing is definitely lost, nothing is read
# before it is written.
. "$(dirname "$0")/../lib.sh"
command -v valgrind >/dev/null || skip_all "no valgrind"
case $CAIRN in *asan*) skip_all "valgrind cannot run a sanitizer build" ;; esac
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
real=$CAIRN
cat >"$T/cairn-vg" <<EOF
#!/bin/sh
exec valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99 --log-file=$T/vg.%p "$real" "\$@"
EOF
chmod +x "$T/cairn-vg"
mkdir -p "$T/t/d"; echo hello >"$T/t/hello"; head -c 3000000 /dev/urandom >"$T/t/d/large"; ln -s hello "$T/t/link"
repo a; repo b
CAIRN=$T/cairn-vg
cid=$(c a add -Q "$T/t")
check "add" test -n "$cid"
daemon a || { not_ok "a_daemon_starts"; finish; }
CAIRN=$real; c b config net.bootstrap "$(address a)"; CAIRN=$T/cairn-vg
daemon b || { not_ok "a_daemon_starts"; finish; }
name=$("$real" --repo "$T/a" publish "$cid")
check "ls" c b ls -l "$name"
check "get" c b get -o "$T/got" "$cid"
mnt m
check "mount" timeout 60 "$real" --repo "$T/b" mount "$name" "$T/m"
check "read" timeout 60 diff -r --no-dereference "$T/t" "$T/m"
check "umount" timeout 60 "$real" --repo "$T/b" umount "$T/m"
check "stop" timeout 60 "$real" --repo "$T/b" stop
check "stop" timeout 60 "$real" --repo "$T/a" stop
CAIRN=$real
found=$(cat "$T"/vg.* 2>/dev/null | head -n 12 | tr '\n' '|')
[ -z "$found" ] && ok "valgrind_reports_nothing" || not_ok "valgrind_reports_nothing" "$found"
finish
