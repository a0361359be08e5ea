# What the parts of tools/bench measure on; made once in $D.

# A tree of N real files of this machine, at least so many MB.
real_tree() { # DIR FILES MEGABYTES
	[ -d "$1" ] && return
	mkdir -p "$1"
	# Small ones first come, then enough of the larger to reach the size.
	{ find /usr/share /usr/include /usr/lib -xdev -type f -size -60k ! -path '*/.*' 2>/dev/null | head -n "$2"
	  find /usr/lib /usr/bin /usr/share -xdev -type f -size +1M -size -40M ! -path '*/.*' 2>/dev/null | xargs -d '\n' stat -c '%s %n' | awk -v want="$3" '{ if (sum > want * 1000000) exit; sum += $1; sub(/^[0-9]+ /, ""); print }'
	} | tr '\n' '\0' | xargs -0 cp --parents -t "$1" 2>/dev/null
}
random_file() { [ -f "$1" ] || head -c "$2" /dev/urandom >"$1"; }

# The kernel's source, as the distribution has it; or a copy of $TREE.
source_tree() { # prints its path
	local packed
	if [ -n "${TREE:-}" ]; then
		rm -rf "$D/tree"
		cp -a "${TREE%/}" "$D/tree" && echo "$D/tree"
		return
	fi
	if [ ! -d "$D/linux" ]; then
		packed=$(ls /usr/src/linux-source-6.*.tar.xz 2>/dev/null | tail -n 1)
		[ -n "$packed" ] || return
		rm -rf "$D/linux.new"; mkdir -p "$D/linux.new"
		tar xf "$packed" -C "$D/linux.new" --strip-components 1 && mv "$D/linux.new" "$D/linux" || return
	fi
	echo "$D/linux"
}

# What a busy server logs: lines much like each other, no two the same.
log_file() { # FILE BYTES
	[ -f "$1" ] || perl -e '
		srand 11; my ($want, $t, $n) = ($ARGV[0], 1700000000, 0);
		my @path = map { "/api/v1/" . (qw(users orders items sessions))[$_ % 4] . "/" . int rand 1e6 } 1 .. 5000;
		my @agent = map { "Mozilla/5.0 (X11; Linux x86_64; rv:$_.0) Gecko/20100101 Firefox/$_.0" } 90 .. 130;
		while ($n < $want) {
			$t += int rand 3;
			my $line = sprintf "%s 10.%d.%d.%d - - \"%s %s HTTP/1.1\" %d %d \"-\" \"%s\" rt=%.3f id=%08x\n",
				$t, rand 256, rand 256, rand 256, (qw(GET GET GET POST))[rand 4], $path[rand @path],
				(200, 200, 200, 304, 404)[rand 5], rand 50000, $agent[rand @agent], rand, rand 2**32;
			print $line; $n += length $line;
		}' "$2" | head -c "$2" >"$1"
}

# Put a line into the middle of every hundredth file of DIR, in place; with
# `restore`, take them out again.
edit_one_percent() { # DIR [restore]
	find "$1" -type f -size +0 | LC_ALL=C sort | awk 'NR % 100 == 0' | while IFS= read -r f; do
		perl -e '
			my ($f, $restore) = @ARGV; my $more = "a line more\n";
			open my $h, "+<:raw", $f or die "$f: $!"; local $/; my $all = <$h>;
			my $half = int((length($all) - ($restore ? length $more : 0)) / 2);
			substr $all, $half, $restore ? length $more : 0, $restore ? "" : $more;
			seek $h, 0, 0; print $h $all; truncate $h, length $all or die; close $h or die;' "$f" ${2:+1}
	done
}

# 100 insertions of 1 to 200 bytes, at places that are the same each time.
with_insertions() { # FILE: prints it
	perl -e 'srand 7; my $s = -s STDIN; my $at = 0; binmode STDIN; binmode STDOUT;
		for my $p (sort { $a <=> $b } map { int rand $s } 1 .. 100) {
			read STDIN, my $b, $p - $at; $at = $p;
			print $b, pack "C*", map { int rand 256 } 1 .. 1 + int rand 200;
		} local $/; print <STDIN>;' <"$1"
}
