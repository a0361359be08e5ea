# Parts of tools/bench: reading through a mount, beside the file system itself.
local_mount() { # PATH: add it to a new repository and mount it at $T/mnt
	repo L; daemon L || return 1
	mkdir -p "$T/mnt"; MOUNTS+=("$T/mnt")
	c L mount "$(c L add -Q "$1")" "$T/mnt"
}
remount() { local s; s=$(c L status --json | jq -r '.mounts[0].source'); c L umount "$T/mnt"; cold; c L mount "$s" "$T/mnt"; }
local_down() { c L umount "$T/mnt"; c L stop; rm -rf "$T/L"; REPOS=(); }

bench_read() {
	mkdir -p "$D/seq"
	random_file "$D/seq/big.bin" 1073741824
	local_mount "$D/seq" || return
	local i
	: >"$T/t.native" >"$T/t.cairn" >"$T/t.warm"
	for i in $(seq "$RUNS"); do
		cold; echo "$(timed dd if="$D/seq/big.bin" of=/dev/null bs=1M)" >>"$T/t.native"
		remount; echo "$(timed dd if="$T/mnt/big.bin" of=/dev/null bs=1M)" >>"$T/t.cairn"
		echo "$(timed dd if="$T/mnt/big.bin" of=/dev/null bs=1M)" >>"$T/t.warm"
	done
	row "read: 1 GiB cold through the mount (bar: 500 MB/s)" "$(calc '%.0f MB/s' "1073.741824 / $(median <"$T/t.cairn")")"
	row "read: native cold; mount warm" "$(calc '%.0f MB/s' "1073.741824 / $(median <"$T/t.native")"), $(calc '%.0f MB/s' "1073.741824 / $(median <"$T/t.warm")")"
	local_down
}

bench_find() {
	real_tree "$D/many" 24000 0
	row "find: files" "$(find "$D/many" -type f | wc -l)"
	local_mount "$D/many" || return
	local i n m
	: >"$T/t.ratio" >"$T/t.find"
	for i in $(seq "$RUNS"); do
		cold; n=$(timed find "$D/many" -type f)
		remount; m=$(timed find "$T/mnt" -type f)
		calc '%.2f\n' "$m / $n" >>"$T/t.ratio"; echo "$m" >>"$T/t.find"
	done
	row "find: cold through the mount" "$(median <"$T/t.find") s"
	row "find: ratio to native (bar: 5)" "$(median <"$T/t.ratio")"
	local_down
}
