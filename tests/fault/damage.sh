#!/usr/bin/env bash
# Damage in the store's files: nobody is ever given wrong bytes, verify names
# what is damaged, repair mends what can be mended.
#	DAMAGES=60	through the commands; MANY=300	in processes that call the store
. "$(dirname "$0")/../lib.sh"
command -v python3 >/dev/null || skip_all "no python3"
SEED=${SEED:-4} DAMAGES=${DAMAGES:-60}

mkdir -p "$T/t/sub"
head -c 3000000 /dev/urandom >"$T/t/random"
seq 200000 >"$T/t/text"
for i in $(seq 40); do echo "small file $i" >"$T/t/sub/f$i"; done
find "$T/t" -exec touch -d '1 hour ago' {} + # old enough to be recognised
sleep 2.1
repo a
cid=$(c a add -Q "$T/t")
store=$T/a/store
cp -a "$store" "$T/good"

# restore: the store as it was.
restore() { rm -rf "$store"; cp -a "$T/good" "$store"; }
verified() { c a verify >"$T/out" 2>"$T/err"; }

check "a_sound_store_is_verified" verified
grep -q 'all are right' "$T/out" && ok "and_said_to_be_right" || not_ok "and_said_to_be_right" "$(cat "$T/out")"
check "a_sample_is_verified" c a verify --sample 50%
[ "$(c a verify --json | jq -c .damaged)" = '[]' ] && ok "verify_prints_json" || not_ok "verify_prints_json"
for n in 0 101 -1 x 5%% nan; do c a verify --sample "$n" 2>/dev/null; [ $? = 2 ] || not_ok "a_sample_of_$n_is_misuse"; done
ok "a_sample_that_is_no_percentage_is_misuse"

# harm KIND SEED: one damage; prints what it was.
harm() {
	python3 - "$store" "$1" "$2" <<'PY'
import glob, os, random, sys
store, where, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
dice = random.Random(seed)
path = dice.choice(sorted(glob.glob(store + '/segments/*'))) if where == 'segment' else store + '/index/data.mdb'
size = os.path.getsize(path)
data = bytearray(open(path, 'rb').read())
at = dice.randrange(size)
how = dice.choice(('flip', 'flip', 'zero', 'swap', 'cut') if where == 'segment' else ('flip', 'zero', 'cut'))
n = min(dice.choice((1, 8, 512, 4096)), size - at)
if how == 'flip': data[at] ^= 1 << dice.randrange(8)
if how == 'zero': data[at:at + n] = bytes(n)
if how == 'swap':
    other = dice.randrange(size - n + 1)
    data[at:at + n], data[other:other + n] = data[other:other + n], data[at:at + n]
if how == 'cut': del data[at:]
with open(path, 'r+b') as f:
    f.write(data); f.truncate(len(data))
print(how, where, at, n)
PY
}

# Each damage: get gives right bytes or fails; a get that fails is one verify fails for too.
wrong=0 unseen=0 crashed=0 failed=0 whole=0
for i in $(seq "$DAMAGES"); do
	restore
	where=segment; [ $((i % 5)) = 0 ] && where=index
	what=$(harm $where $((SEED * 1000 + i)))
	rm -rf "$T/got"
	timeout 20 "$CAIRN" --repo "$T/a" get -o "$T/got" "$cid" >/dev/null 2>"$T/get.log"; got=$?
	timeout 20 "$CAIRN" --repo "$T/a" verify >"$T/out" 2>"$T/log"; seen=$?
	if [ $got -gt 1 ] || [ $seen -gt 1 ]; then crashed=$((crashed + 1)); note "$what: get exits $got, verify $seen: $(grep -m 2 -h 'ERROR\|runtime' "$T/get.log" "$T/log" | tr '\n' '|')"; fi
	if [ $got = 0 ]; then
		whole=$((whole + 1))
		diff -r "$T/t" "$T/got" >/dev/null || { wrong=$((wrong + 1)); note "$what: wrong bytes"; }
	else
		failed=$((failed + 1))
		# What was written before the error is right, file by file.
		(cd "$T/got" 2>/dev/null && find . -type f) | while read -r f; do cmp -s "$T/t/$f" "$T/got/$f" || echo "$f"; done >"$T/differ"
		[ -s "$T/differ" ] && { wrong=$((wrong + 1)); note "$what: wrong $(head -n 1 "$T/differ")"; }
		[ $seen = 0 ] && { unseen=$((unseen + 1)); note "$what: get fails, verify does not"; }
	fi
	if [ $where = segment ] && [ $seen = 1 ] && ! grep -q '^damaged baf' "$T/out"; then unseen=$((unseen + 1)); note "$what: verify names nothing: $(cat "$T/log")"; fi
done
note "$DAMAGES damages: $failed gets failed, $whole gave all"
[ $wrong = 0 ] && ok "no_damage_gives_wrong_bytes" || not_ok "no_damage_gives_wrong_bytes" "$wrong did"
[ $unseen = 0 ] && ok "verify_sees_what_get_stumbles_over" || not_ok "verify_sees_what_get_stumbles_over" "$unseen were not seen"
[ $crashed = 0 ] && ok "no_damage_crashes_or_hangs" || not_ok "no_damage_crashes_or_hangs" "$crashed did"
[ $failed -ge $((DAMAGES / 6)) ] && ok "the_damages_did_damage" || not_ok "the_damages_did_damage" "$failed gets failed"

# The index gone, or nonsense.
for how in gone nonsense; do
	restore
	if [ $how = gone ]; then rm -rf "$store/index"; else head -c 20000 /dev/urandom >"$store/index/data.mdb"; fi
	for command in "cat $cid/text" stat verify; do
		fails_with 1 "${command%% *}_fails_with_the_index_$how" timeout 20 "$CAIRN" --repo "$T/a" $command
		grep -q 'cairn repair' "$T/err" || not_ok "and_names_the_cure" "$(cat "$T/err")"
	done
	check "repair_rebuilds_an_index_that_is_$how" c a repair
	rm -rf "$T/got"
	check "everything_is_there_again_$how" sh -c "'$CAIRN' --repo '$T/a' get -o '$T/got' '$cid' && diff -r '$T/t' '$T/got'"
	check "and_verified_$how" c a verify
	# Whoever writes makes it anew by himself.
	restore
	if [ $how = gone ]; then rm -rf "$store/index"; else head -c 20000 /dev/urandom >"$store/index/data.mdb"; fi
	[ "$(c a add -Q "$T/t" 2>"$T/log")" = "$cid" ] && grep -q 'making it anew' "$T/log" && ok "add_rebuilds_an_index_that_is_$how" || not_ok "add_rebuilds_an_index_that_is_$how" "$(cat "$T/log")"
	check "and_all_is_there_$how" sh -c "'$CAIRN' --repo '$T/a' verify && '$CAIRN' --repo '$T/a' cat '$cid/random' | cmp - '$T/t/random'"
	restore
	if [ $how = gone ]; then rm -rf "$store/index"; else head -c 20000 /dev/urandom >"$store/index/data.mdb"; fi
	check "so_does_a_daemon_$how" daemon a
	check "and_serves_what_it_found_$how" sh -c "'$CAIRN' --repo '$T/a' cat '$cid/text' | cmp - '$T/t/text' && '$CAIRN' --repo '$T/a' stop"
done

# An entry of the index that was changed, or lost, with all else as it should be.
restore
python3 - "$store/index/data.mdb" <<'PY'
import sys
path = sys.argv[1]
data = bytearray(open(path, 'rb').read())
# Most leaves are half empty: change the last byte of the last leaf that has nodes.
for page in range(len(data) // 4096 - 1, 1, -1):
    p = page * 4096
    if data[p + 10] == 2 and data[p + 12] > 16: data[p + 4095] ^= 1
open(path, 'r+b').write(data)
PY
fails_with 1 "an_entry_that_was_changed_is_seen" c a verify
check "and_mended" c a repair
check "so_that_all_is_verified" c a verify

# Many damages to a small store, in one process each.
many=$(dirname "$CAIRN")/../tests/damage_many
if [ -x "$many" ]; then
	"$many" "${MANY:-300}" "$SEED" >"$T/many"
	grep '^#' "$T/many"
	while read -r word rest; do
		case $word in ok) ok "${rest#* - }" ;; not) not_ok "${rest#* - }" ;; esac
	done <"$T/many"
else
	skip "many_damages_to_a_small_store" "not built"
fi
restore
check "a_sound_index_is_rebuilt_on_demand" sh -c "'$CAIRN' --repo '$T/a' repair --rebuild --json | jq -e '.rebuilt and (.lost | length == 0)' && '$CAIRN' --repo '$T/a' cat $cid/text | cmp - '$T/t/text'"

# rot NAME: damage the data of many blocks of a repository, and count them.
rot() {
	python3 - "$T/$1"/store/segments/* <<'PY'
import sys
for path in sys.argv[1:]:
    with open(path, 'r+b') as f:
        size = f.seek(0, 2)
        for at in range(60000, size, 400000):
            f.seek(at); b = f.read(1); f.seek(at); f.write(bytes([b[0] ^ 0x40]))
PY
}

# Without a daemon: damaged blocks are dropped, and adding brings them back.
rot a
c a repair >"$T/out" 2>"$T/err"; [ $? = 1 ] && grep -q '^lost baf' "$T/out" && ok "repair_without_a_daemon_names_what_is_lost" || not_ok "repair_without_a_daemon_names_what_is_lost" "$(cat "$T/out" "$T/err")"
check "what_is_lost_is_dropped" c a verify
[ "$(c a add -Q "$T/t")" = "$cid" ]
check "adding_again_mends_it" sh -c "'$CAIRN' --repo '$T/a' cat $cid/random | cmp - '$T/t/random'"

# With a daemon: from another.
restore
repo b
daemon b || { not_ok "the_reader_starts"; finish; }
daemon a || { not_ok "the_provider_starts"; finish; }
check "they_are_connected" c b connect "$(address a)"
check "the_reader_fetches_all" c b get -o "$T/fetched" "$cid"
rot b
sleep 1.5 # the store syncs in the background
c b verify >"$T/out" 2>"$T/err"; [ $? = 1 ] && ok "verify_beside_a_daemon_finds_damage" || not_ok "verify_beside_a_daemon_finds_damage" "$(cat "$T/out" "$T/err")"
fails_with 1 "rebuilding_beside_a_daemon_is_refused" "$CAIRN" --repo "$T/b" repair --rebuild
c b repair >"$T/out" 2>"$T/err"; r=$?
[ $r = 0 ] && grep -q '^mended baf' "$T/out" && ok "repair_fetches_from_the_peer" || not_ok "repair_fetches_from_the_peer" "exit $r: $(tr '\n' '|' <"$T/out") $(tr '\n' '|' <"$T/err")"
check "and_then_all_is_right" c b verify
check "the_daemons_stop" sh -c "'$CAIRN' --repo '$T/a' stop && '$CAIRN' --repo '$T/b' stop"
rm -rf "$T/got"
check "what_was_mended_is_on_disk" sh -c "'$CAIRN' --repo '$T/b' get -o '$T/got' '$cid' && diff -r '$T/t' '$T/got'"
finish
