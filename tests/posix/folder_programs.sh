#!/usr/bin/env bash
# Programs in a writable folder, as people use them: git, SQLite, a C build,
# rsync, tar, vim, and with LONG set PostgreSQL.  What each leaves is compared
# once more after a cold remount.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../folder.sh"
need_folders
folder f || { not_ok "a_folder_is_mounted" "$(tail -n 2 "$T/f.err" | tr '\n' '|')"; finish; }
M=$T/f.mnt
has() { command -v "$1" >/dev/null || { skip "$2" "no $1"; return 1; }; }
export GIT_CONFIG_GLOBAL=$T/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --global user.name tester 2>/dev/null
git config --global user.email tester@example.org 2>/dev/null
git config --global init.defaultBranch main 2>/dev/null

# A source tree: files of every small size in directories, one larger, links.
mkdir -p "$T/src/lib/deep/er"
for i in $(seq 300); do head -c $((i * 37)) /dev/urandom | base64 >"$T/src/lib/f$i"; done
head -c 3000000 /dev/urandom >"$T/src/large"
ln -s ../lib/f1 "$T/src/lib/deep/link"; ln "$T/src/lib/f2" "$T/src/lib/deep/er/hard"
chmod 755 "$T/src/lib/f3"

use_git() {
	git init -q "$T/origin" && cp -a "$T/src/." "$T/origin/" && git -C "$T/origin" add -A &&
		git -C "$T/origin" commit -qm one || return 1
	git clone -q "$T/origin" "$M/git" || return 1
	cd "$M/git" || return 1
	[ -z "$(git status --porcelain)" ] || return 1
	for i in $(seq 20); do
		echo "change $i" >>lib/f$i && git mv lib/f$((i + 100)) lib/moved$i && git commit -qam "change $i" || return 1
	done
	git checkout -q -b other HEAD~10 && git checkout -q main && git merge -q other && git stash list || return 1
	git repack -q -ad && git gc -q --prune=now && git fsck --strict && [ -z "$(git status --porcelain)" ] && git push -q origin HEAD:copy
}
use_sqlite() { # JOURNAL
	local db=$M/$1.db i
	{ echo "PRAGMA journal_mode=$1; CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB);"
	  for i in $(seq 50); do echo "BEGIN; INSERT INTO t(v) SELECT randomblob(2000) FROM generate_series(1, 20); UPDATE t SET v = randomblob(300) WHERE i % 7 = $i % 7; COMMIT;"; done
	  echo "DELETE FROM t WHERE i % 3 = 0; VACUUM; PRAGMA integrity_check;"; } | sqlite3 "$db" >"$T/sqlite" 2>&1
	[ "$(tail -n 1 "$T/sqlite")" = ok ] || { cat "$T/sqlite"; return 1; }
}
# Several processes at once: locks, and in WAL the shared memory file.
sqlite_together() { # JOURNAL
	local db=$M/$1-many.db i p pids=()
	sqlite3 "$db" "PRAGMA journal_mode=$1; CREATE TABLE t(i INTEGER PRIMARY KEY, who INT);" >/dev/null || return 1
	for p in 1 2 3 4; do
		for i in $(seq 25); do echo ".timeout 20000"; echo "INSERT INTO t(who) VALUES($p);"; done | sqlite3 "$db" & pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p" || return 1; done
	[ "$(sqlite3 "$db" 'SELECT count(*) FROM t')" = 100 ] && [ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ]
}
use_cc() {
	local i
	mkdir -p "$M/c" && cd "$M/c" || return 1
	{ echo 'all: program'; echo 'program: main.o'; printf '\tcc -o $@ $^ libparts.a && ./program\n'; } >Makefile
	printf 'libparts.a:' >>Makefile; for i in $(seq 20); do printf ' p%d.o' $i >>Makefile; done
	printf '\n\tar rcs $@ $^\nprogram: libparts.a\n%%.o: %%.c parts.h\n\tcc -O1 -c -o $@ $<\n' >>Makefile
	for i in $(seq 20); do echo "int part$i(void);" >>parts.h; printf '#include "parts.h"\nint part%d(void) { return %d; }\n' $i $i >p$i.c; done
	{ echo '#include <stdio.h>'; echo '#include "parts.h"'; printf 'int main(void) { return printf("%%d\\n", 0'; for i in $(seq 20); do printf ' + part%d()' $i; done; echo ') < 0; }'; } >main.c
	[ "$(make -s -j4)" = 210 ] && make -q && touch p7.c && ! make -q && [ "$(make -s)" = 210 ]
}
use_rsync() {
	rsync -aHAX "$T/src/" "$M/rsync/" && diff -r --no-dereference "$T/src" "$M/rsync" || return 1
	[ -z "$(rsync -aHAXi "$T/src/" "$M/rsync/")" ] || { echo "a second rsync moves something"; return 1; }
	echo new >"$T/src/lib/f9" && rm "$T/src/lib/f10" && rsync -aHAX --delete "$T/src/" "$M/rsync/" && diff -r --no-dereference "$T/src" "$M/rsync"
}
use_tar() {
	tar -C "$T/src" -cf "$T/src.tar" . && mkdir -p "$M/tar" && tar -C "$M/tar" -xpf "$T/src.tar" && tar -C "$M/tar" -df "$T/src.tar" || return 1
	tar -C "$M/tar" -cf "$M/again.tar" . && tar -C "$T/src" -df "$M/again.tar"
	[ "$(stat -c %h "$M/tar/lib/f2")" = 2 ]
}
use_vim() {
	local how
	for how in "" "set backupcopy=yes" "set backup" "set nowritebackup"; do
		printf 'one\ntwo\n' >"$M/edited.txt"; chmod 640 "$M/edited.txt"
		vim -e -s -N -u NONE -i NONE ${how:+-c "$how"} -c '%s/two/three/' -c wq "$M/edited.txt" </dev/null >/dev/null 2>&1
		[ "$(cat "$M/edited.txt")" = "$(printf 'one\nthree')" ] && [ "$(stat -c %a "$M/edited.txt")" = 640 ] || return 1
	done
	mv "$M/edited.txt" "$M/renamed.txt"
	vim -e -s -N -u NONE -i NONE -c '%s/three/four/' -c 'w other.txt' -c 'saveas! last.txt' -c q "$M/renamed.txt" </dev/null >/dev/null 2>&1
	[ "$(tail -n 1 "$M/renamed.txt")" = three ] && [ ! -e "$M/.renamed.txt.swp" ]
}
use_sh() {
	cd "$M" && mkdir -p sh && cd sh || return 1
	for i in $(seq 100); do echo "$i" >>log; done && [ "$(wc -l <log)" = 100 ] && sort -R log | sort -n | cmp - log &&
		cp --sparse=always ../tar/large sparse 2>/dev/null; sed -i 's/^50$/fifty/' log && grep -q fifty log &&
		mkdir d && mv log d/ && ln -s d/log l && [ "$(tail -n 1 l)" = 100 ] && find . -name log | grep -q d/log
}
use_postgres() {
	local bin port=54329
	bin=$(dirname "$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort | tail -n 1)")
	as() { runuser -u postgres -- "$@"; }
	install -d -o postgres -m 700 "$M/pg" || return 1
	install -d -o postgres "$T/pgsock" && chmod 755 "$T" || return 1
	as "$bin/initdb" -D "$M/pg" -A trust >"$T/pg.log" 2>&1 || { tail -n 5 "$T/pg.log"; return 1; }
	as "$bin/pg_ctl" -w -D "$M/pg" -l "$M/pg/log" -o "-c listen_addresses= -c port=$port -c unix_socket_directories=$T/pgsock" start >/dev/null || return 1
	as "$bin/pgbench" -h "$T/pgsock" -p $port -i -s 2 postgres >"$T/pg.log" 2>&1 &&
		as "$bin/pgbench" -h "$T/pgsock" -p $port -c 4 -j 2 -t 200 postgres >>"$T/pg.log" 2>&1 &&
		as psql -qAt -h "$T/pgsock" -p $port postgres -c 'SELECT sum(abalance) = (SELECT sum(delta) FROM pgbench_history) FROM pgbench_accounts' | grep -qx t
	local r=$?
	as "$bin/pg_ctl" -w -D "$M/pg" -m fast stop >/dev/null && [ $r = 0 ] || { tail -n 5 "$T/pg.log"; return 1; }
	as "$bin/pg_checksums" -D "$M/pg" --enable >/dev/null && as "$bin/pg_checksums" -D "$M/pg" --check >/dev/null
}
in_shell() { (use_"$@"); }

check "git_clones_commits_collects_and_finds_no_fault" in_shell git
if has sqlite3 "sqlite"; then
	for j in delete truncate wal; do check "sqlite_with_journal_$j" in_shell sqlite $j; done
	for j in delete wal; do check "four_sqlites_together_with_journal_$j" sqlite_together $j; done
fi
has cc "a_C_program_is_built" && check "a_C_program_is_built_and_make_knows_what_is_new" in_shell cc
has rsync "rsync" && check "rsync_copies_all_and_then_nothing" in_shell rsync
check "tar_packs_and_unpacks" in_shell tar
has vim "vim" && check "vim_writes_in_each_of_its_ways" in_shell vim
check "the_shells_own_tools" in_shell sh
if [ -n "${LONG:-}" ] && [ "$(id -u)" = 0 ] && [ -d /usr/lib/postgresql ]; then check "postgresql_keeps_its_books" in_shell postgres
else skip "postgresql_keeps_its_books" "only as root, with LONG in the environment and PostgreSQL installed"; fi

(cd "$M" && find . -type f ! -name '*.swp' -print0 | sort -z | xargs -0 sha256sum) >"$T/before"
(cd "$M" && find . -printf '%p %y %m %s %T@ %n %l\n' | sed 's/ [0-9]* \([0-9.]* [0-9]* \)$/ \1/' | sort) >"$T/stat.before"
check "a_cold_remount" folder_again f
(cd "$M" && find . -type f ! -name '*.swp' -print0 | sort -z | xargs -0 sha256sum) >"$T/after"
(cd "$M" && find . -printf '%p %y %m %s %T@ %n %l\n' | sed 's/ [0-9]* \([0-9.]* [0-9]* \)$/ \1/' | sort) >"$T/stat.after"
check "shows_the_same_bytes" cmp "$T/before" "$T/after"
check "shows_the_same_attributes" diff "$T/stat.before" "$T/stat.after"
check "git_finds_no_fault_cold" git -C "$M/git" fsck --strict
check "git_sees_no_change_cold" sh -c "[ -z \"\$(git -C '$M/git' status --porcelain)\" ]"
has sqlite3 "sqlite_cold" && check "sqlite_is_sound_cold" sh -c "for d in delete truncate wal delete-many wal-many; do [ \"\$(sqlite3 '$M'/\$d.db 'PRAGMA integrity_check')\" = ok ] || exit 1; done"
check "make_has_nothing_to_do_cold" make -q -C "$M/c"
has rsync "rsync_cold" && check "rsync_has_nothing_to_do_cold" sh -c "[ -z \"\$(rsync -aHAXi '$T/src/' '$M/rsync/')\" ]"
check "rm_takes_it_all_away" sh -c "rm -rf '$M'/* && [ -z \"\$(ls '$M')\" ]"
check "and_it_stops_in_good_order" folder_down f
finish
