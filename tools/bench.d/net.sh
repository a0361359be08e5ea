# Parts of tools/bench: hosts A, B and C in network namespaces of their own (root).
three_hosts() {
	hosts_up A B C || return 1
	local h
	for h in A B C; do
		repo $h
		c $h config net.listen "/ip4/0.0.0.0/tcp/4001" "/ip6/::/tcp/4001"
	done
	daemon B B || return 1; PID_B=$DAEMON_PID
	local b; b=/ip4/10.77.0.2/tcp/4001/p2p/$(c B id --json | jq -r .id)
	c A config net.bootstrap "$b"
	c C config net.bootstrap "$b"
	daemon A A || return 1; PID_A=$DAEMON_PID
	daemon C C || return 1; PID_C=$DAEMON_PID
}
hosts_down() { local h; for h in A B C; do [ -S "$T/$h/control.sock" ] && c $h stop; rm -rf "${T:?}/$h"; done; for h in "${NAMESPACES[@]}"; do ip netns del "$h"; done; NAMESPACES=(); REPOS=(); }

bench_path() {
	need_root path || return
	real_tree "$D/real" 12000 330
	row "path: files, bytes" "$(find "$D/real" -type f | wc -l), $(du -sb "$D/real" | cut -f1)"
	three_hosts || return
	local cid name s
	cid=$(c A add -Q "$D/real")
	name=$(c A publish "$cid")
	mkdir -p "$T/mnt"; MOUNTS+=("$T/mnt")
	s=$(now)
	c C mount "/ipns/$name" "$T/mnt" || return
	diff -r --no-dereference "$D/real" "$T/mnt" >"$T/diff" 2>&1 && row "path: diff -r" "no difference" || row "path: diff -r" "DIFFERS: $(head -n 1 "$T/diff")"
	row "path: mount by name and diff -r (bar: 20 s)" "$(calc '%.2f s' "$(now) - $s")"
	row "path: resident, C and A (bar: 64 MiB)" "$(calc '%.1f MiB' "$(rss_kb $PID_C) / 1024"), $(calc '%.1f MiB' "$(rss_kb $PID_A) / 1024")"
	sleep 5
	local t0 t1
	t0=$(cpu_ticks $PID_C); sleep 20; t1=$(cpu_ticks $PID_C)
	row "path: idle CPU of C (bar: 0.5 %)" "$(calc '%.2f %%' "($t1 - $t0) * 100 / ($(getconf CLK_TCK) * 20)")"
	c C umount "$T/mnt"
	hosts_down
}

bench_demand() {
	need_root demand || return
	mkdir -p "$D/demand"
	random_file "$D/demand/big.bin" 1073741824
	[ -f "$D/demand/f200" ] || for i in $(seq 200); do echo "$i" >"$D/demand/f$i"; done
	three_hosts || return
	local cid name before after
	cid=$(c A add -Q "$D/demand")
	name=$(c A publish "$cid")
	mkdir -p "$T/mnt"; MOUNTS+=("$T/mnt")
	c C mount "/ipns/$name" "$T/mnt" || return
	before=$(ip -n ${NS}C -s -j link show eth0 | jq '.[0].stats64.rx.bytes')
	ls "$T/mnt" >/dev/null
	dd if="$T/mnt/big.bin" bs=4096 count=1 skip=131072 of="$T/range" 2>/dev/null
	after=$(ip -n ${NS}C -s -j link show eth0 | jq '.[0].stats64.rx.bytes')
	cmp -s "$T/range" <(dd if="$D/demand/big.bin" bs=4096 count=1 skip=131072 2>/dev/null) && row "demand: the range" right || row "demand: the range" WRONG
	row "demand: ls and 4 KiB of 1 GiB moved (bar: 4 MiB)" "$(calc '%.2f MiB' "($after - $before) / 1048576")"
	c C umount "$T/mnt"
	hosts_down
}

bench_parked() {
	need_root parked || return
	"$(dirname "$0")/../tests/fault/parked_reads.sh" | sed 's/^# /parked: /'
}

bench_get() {
	need_root get || return
	command -v nginx >/dev/null || { row get "skipped: no nginx"; return; }
	random_file "$D/big.bin" 1073741824
	three_hosts || return
	local i cid
	cid=$(c A add -Q "$D/big.bin")
	mkdir -p "$T/web"; ln "$D/big.bin" "$T/web/big.bin" 2>/dev/null || cp "$D/big.bin" "$T/web/big.bin"
	chmod 755 "$T" "$T/web"; chmod 644 "$T/web/big.bin"
	printf 'pid %s/nginx.pid; error_log /dev/null;\nevents {}\nhttp { access_log off; sendfile on; server { listen 10.77.0.1:8080; root %s; } }\n' "$T" "$T/web" >"$T/nginx.conf"
	on A nginx -c "$T/nginx.conf" >/dev/null 2>&1 || { row get "skipped: nginx does not start"; return; }
	sleep 0.5
	: >"$T/t.get" >"$T/t.curl" >"$T/t.ratio"
	for i in $(seq "$RUNS"); do
		local g u
		u=$(timed on C curl -s -o "$T/curled" http://10.77.0.1:8080/big.bin); rm -f "$T/curled"
		g=$(timed c C get -o "$T/got" "$cid")
		cmp -s "$T/got" "$D/big.bin" || row "get: bytes" WRONG
		rm -f "$T/got"
		echo "$u" >>"$T/t.curl"; echo "$g" >>"$T/t.get"; calc '%.2f\n' "$g / $u" >>"$T/t.ratio"
		# The next run fetches again, into an empty store.
		c C stop; rm -rf "$T/C/store"; cp -a "$T/C" "$T/C.bak"; rm -rf "$T/C"
		"$CAIRN" --repo "$T/C" init >/dev/null; cp "$T/C.bak/config.json" "$T/C/"; rm -rf "$T/C.bak"
		daemon C C; PID_C=$DAEMON_PID
	done
	row "get: 1 GiB over veth" "$(median <"$T/t.get") s"
	row "get: curl from nginx" "$(median <"$T/t.curl") s"
	row "get: ratio (bar: 4)" "$(median <"$T/t.ratio")"
	kill "$(cat "$T/nginx.pid")"
	rm -rf "$T/web"
	hosts_down
}
