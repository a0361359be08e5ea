/* The cairn command: the table of sub-commands, dispatch and help. */
#include "tools/command.h"
#include "store/log.h"
#include "store/store.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
	{ "init", cmd_init, "", "make a repository and this node's key", NULL },
	{ "daemon", cmd_daemon, "[--offline]", "run the node in the foreground",
	  "  --offline   open no sockets: serve local content and mounts only\n"
	  "Prints `ready` once it answers.  Ctrl-C stops it in good order; a second\n"
	  "Ctrl-C at once.  CAIRN_LOG=error|warn|info|debug sets what is told.\n" },
	{ "stop", cmd_stop, "", "stop the daemon, unmounting what it mounted", NULL },
	{ "status", cmd_status, "[--json]", "what the daemon is doing, and what it lacks", NULL },
	{ "id", cmd_id, "[--json]", "this node's peer id and addresses", NULL },
	{ "add", cmd_add, "[-Q] [-w] [OPTIONS] PATH...", "store files and folders, print their CIDs",
	  "  -Q, --quieter     print the root CID alone\n"
	  "  -w, --wrap        put all paths into one folder, whose CID comes last\n"
	  "  -                 as PATH: standard input (also --stdin)\n"
	  "  --stdin-name N    its name in the folder\n"
	  "  -n, --hash-only   print CIDs, store nothing\n"
	  "  --jobs N          threads (default: one for each CPU)\n"
	  "  --no-provide      do not tell the network that it is here\n"
	  "  --no-pin          the next gc may take it away; it is not announced either\n"
	  "What is taken:\n"
	  "  --hidden          dot files inside folders too\n"
	  "  --exclude RULE    leave out, as a line of .cairnignore would; repeatable\n"
	  "  --no-ignore       .cairnignore files mean nothing\n"
	  "A .cairnignore in a folder has rules as .gitignore has, for it and all below.\n"
	  "What CIDs come out, for equality with `ipfs add` under the same options:\n"
	  "  --profile P       unixfs-v1-2025 (default) or unixfs-v0-2015\n"
	  "  --cid-version V   0 or 1; also turns raw leaves off or on\n"
	  "  --raw-leaves[=B]  true or false\n"
	  "  --chunker C       size-N, rabin, rabin-AVG, rabin-MIN-AVG-MAX, buzhash,\n"
	  "                    or fastcdc[-MIN-AVG-MAX], which is cairn's own\n"
	  "  --max-links N     of a file's node\n"
	  "  --hash H          sha2-256, sha2-512, sha3-256, blake2b-256, blake2s-256, ...\n"
	  "  --preserve        keep mode and time of files and folders in them; or\n"
	  "                    --preserve-mode, --preserve-mtime, or for all the same\n"
	  "                    --mode OCTAL, --mtime SECONDS, --mtime-nsecs N\n"
	  "With a daemon running the content is served, and the root announced, at once.\n"
	  "Files that have not changed since they were added last are not read again.\n" },
	{ "ls", cmd_ls, "[-l] [--json] SOURCE", "list a folder",
	  "  -l      with type, size and CID\n"
	  "SOURCE is a CID, /ipfs/CID/path, a name, or /ipns/NAME/path.\n" },
	{ "cat", cmd_cat, "[--offset N] [--length N] SOURCE", "print a file's bytes", NULL },
	{ "get", cmd_get, "[-o TARGET] [-f] SOURCE", "write a file or folder to disk",
	  "  -o TARGET   where to (default: the last part of SOURCE, here)\n"
	  "  -f, --force replace files that exist\n"
	  "Nothing is ever written outside TARGET.\n" },
	{ "export", cmd_export, "[-o FILE] [--partial] [--since CID] SOURCE", "write a tree as a CAR file",
	  "  -o FILE      where to, all or nothing (default: standard output)\n"
	  "  --partial    what is here, without fetching the rest\n"
	  "  --since CID  only the blocks that this older tree lacks\n"
	  "The same tree always gives the same bytes: CAR version 1, depth first, each block\n"
	  "once, the root first.  `cairn import`, and every IPFS tool, reads it.\n" },
	{ "import", cmd_import, "[--pin] [--no-provide] [--json] FILE|-", "store the blocks of a CAR file, print its roots",
	  "  --pin          pin its roots, so that a gc leaves them\n"
	  "  --no-provide   do not tell the network that they are here\n"
	  "Takes versions 1 and 2, also from a pipe.  Every block is checked against its CID;\n"
	  "those before an error are kept.\n" },
	{ "stat", cmd_stat, "[--pins] [--json] [SOURCE]", "about one object, or about the store",
	  "  --pins   what each pin holds, and what of it no other does\n" },
	{ "verify", cmd_verify, "[--sample N%] [--json]", "read every block, and compare it with its name",
	  "  --sample N%   so many of them, chosen by chance\n"
	  "Prints the names of damaged blocks, and exits with 1 if there are any.  It changes\n"
	  "nothing, and may run beside the daemon.\n" },
	{ "repair", cmd_repair, "[--rebuild] [--json]", "mend what verify finds",
	  "  --rebuild   make the index anew even if it can be used\n"
	  "With a daemon running, damaged blocks are fetched again from peers.  Without one, an\n"
	  "index that cannot be used is made anew, and damaged blocks are dropped.  Exits with\n"
	  "1 if blocks are lost.\n" },
	{ "pin", cmd_pin, "add|rm|ls [OPTIONS] [SOURCE...]", "what is to stay here",
	  "  add [--name N] [--direct] SOURCE...   keep it, fetching what is not here;\n"
	  "                        --direct: its block alone, not what it links to\n"
	  "  rm [--name N] CID...  no longer: all its pins, or that of the name.  It is not\n"
	  "                        announced any more, and the next gc may take it away\n"
	  "  ls [--name N] [--json]\n"
	  "What is added is pinned.  Blocks that were only fetched to be read stay as long as\n"
	  "`cairn config cache.quota` has room for them.\n" },
	{ "gc", cmd_gc, "[-n] [--json]", "drop what no pin leads to, and give its room back",
	  "  -n, --dry-run   only say what would go\n"
	  "Mounted trees and files that are open stay too.  May run beside anything else.\n" },
	{ "publish", cmd_publish, "[--lifetime H] [--ttl S] CID | FOLDER", "point this node's name at a tree, or a folder's at it",
	  "  --lifetime H   hours until the record expires (default 48; it is renewed\n"
	  "                 every 4 while the daemon runs)\n"
	  "  --ttl S        seconds others may keep it without asking again (default 300)\n"
	  "Of a FOLDER its own name is printed, and moved with each snapshot from now on; that\n"
	  "is `cairn folder config FOLDER publish on`.\n" },
	{ "resolve", cmd_resolve, "[--refresh] [--json] NAME", "what a name points at",
	  "  --refresh   ask the network even if the last answer is still fresh\n" },
	{ "folder", cmd_folder, "create|list|remove|status|config [ARGUMENTS]",
	  "folders of your own: writable, with history",
	  "  create NAME [--from SOURCE|DIR] [--profile P] [--publish]\n"
	  "                      make one, print its name for others (k51…)\n"
	  "  list                all of them\n"
	  "  status [NAME]       what changed, the last snapshot, is it published\n"
	  "  config NAME [SETTING [VALUE]]\n"
	  "    quiet 30s         a snapshot by itself so long after the last change, or off\n"
	  "    max-age 10m       and at the latest so long after the first, or off\n"
	  "    keep all          which snapshots stay: hourly=24,daily=30,weekly=8,...\n"
	  "    quota off         bytes of changes that no snapshot has yet: 20G\n"
	  "    publish off       on: each snapshot moves the folder's name\n"
	  "    ttl 5m            how long others may believe it without asking again\n"
	  "  remove NAME [-f]    remove it; -f: also changes that no snapshot has\n" },
	{ "snapshot", cmd_snapshot, "[-m MESSAGE] [--json] NAME", "make a snapshot of a folder",
	  "Prints its short id and the CID of its tree.  Without changes none is made.\n" },
	{ "log", cmd_log, "[-n N] [--json] NAME", "the snapshots of a folder, the newest first",
	  "  -n N   at most so many\n"
	  "NAME is a folder, or the name of somebody's published one (k51…).  A single snapshot\n"
	  "is NAME@REF, here and everywhere a SOURCE is asked for:\n"
	  "  NAME@3fa9c1e2b0           by its id, or the beginning of it\n"
	  "  NAME@BRANCH               the newest of a branch\n"
	  "  NAME@{3}                  the third before the newest\n"
	  "  NAME@{yesterday}, NAME@{2 hours ago}, NAME@{2026-11-01}, NAME@{2026-11-01 12:30}\n"
	  "                            the newest that is not younger\n"
	  "and a path may follow: NAME@{yesterday}/letters/mum.txt\n" },
	{ "show", cmd_show, "[--json] NAME@REF", "one snapshot, and what it changed", NULL },
	{ "diff", cmd_diff, "[--json] A [B]", "what differs between two trees",
	  "A and B are any SOURCE.  `cairn diff NAME@REF` compares with the newest snapshot,\n"
	  "`cairn diff NAME` that with the one before.  A: added, D: removed, M: changed, T: of\n"
	  "another type now.  What is only on one side is named once, with all that is in it.\n" },
	{ "restore", cmd_restore, "NAME@REF [PATH...]", "put old versions back into a folder",
	  "Each PATH becomes what it was; without one, all that the snapshot has.  What the\n"
	  "snapshot does not have is left alone.\n" },
	{ "checkout", cmd_checkout, "NAME REF", "make a folder what it was",
	  "After a snapshot of what is there.  If REF is a branch, the next snapshots go on\n"
	  "from it.\n" },
	{ "branch", cmd_branch, "[-d] NAME [BRANCH]", "list branches, or make one",
	  "  -d   forget a branch\n"
	  "A branch is a name for a snapshot, which moves with the snapshots made on it.\n" },
	{ "mount", cmd_mount, "[SOURCE] DIR", "show a folder, a tree, a name, or everything at DIR",
	  "  --timeout S     how long a read waits for the network (default 60)\n"
	  "  --allow-other   let other users in\n"
	  "  --suid, --dev   of a folder, for root: let set-id programs and devices work\n"
	  "SOURCE is a folder of this repository, to be read and written; a CID,\n"
	  "/ipfs/CID/path, a name, or /ipns/NAME/path; or a CAR file, which is read in place,\n"
	  "without importing it.  Without SOURCE DIR shows /ipfs, /ipns and /folders.  Starts the\n"
	  "daemon if none runs.\n" },
	{ "umount", cmd_umount, "DIR", "take a mount away", NULL },
	{ "peers", cmd_peers, "[--json]", "who is connected, and what came from whom", NULL },
	{ "connect", cmd_connect, "ADDRESS", "connect to a peer's multiaddr", NULL },
	{ "ping", cmd_ping, "[-c COUNT] PEER", "round trips to a peer id or multiaddr", NULL },
	{ "providers", cmd_providers, "[-n MAX] [--json] CID", "who has it, according to the DHT", NULL },
	{ "config", cmd_config, "[KEY [VALUE...]]", "show or change settings",
	  "A list takes several values, or one JSON array; '[]' empties it.  Changes\n"
	  "count from the next start of the daemon.\n" },
};

#define N_COMMANDS (sizeof commands / sizeof *commands)

static void usage(FILE *out)
{
	fprintf(out, "usage: cairn [--repo DIR] COMMAND [ARGUMENTS]\n\n"
		     "A file system over the IPFS network.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\ncairn COMMAND --help tells more.  The repository is --repo DIR, else\n"
		     "$CAIRN_REPO, else the XDG data directory.  --json prints for scripts.\n"
		     "Exit status: 0, 1 for a failure, 2 for misuse.\n");
}

static void command_usage(FILE *out, const struct command *c)
{
	fprintf(out, "usage: cairn %s%s%s\n\n%c%s.\n", c->name, *c->args ? " " : "", c->args,
		toupper((unsigned char)c->help[0]), c->help + 1);
	if (c->more)
		fprintf(out, "%s", c->more);
}

int fail(struct context *cx, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "cairn %s: ", cx->command->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

int misuse(struct context *cx, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "cairn %s: ", cx->command->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (see cairn %s --help)\n", cx->command->name);
	return EXIT_MISUSE;
}

int print_json(json_t *value)
{
	if (!value)
		return EXIT_FAILED;
	json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(value);
	return fflush(stdout) ? EXIT_FAILED : 0;
}

static void print_escaped(const char *text, char end)
{
	static int tty = -1;

	if (tty < 0)
		tty = isatty(STDOUT_FILENO);
	for (const unsigned char *p = (const unsigned char *)text; *p && *p != (unsigned char)end; p++)
		if (tty && (*p < 0x20 || *p == 0x7f))
			printf("\\x%02x", *p);
		else
			putchar(*p);
}

void print_name(const char *name)
{
	print_escaped(name, 0);
}

void print_line(const char *text)
{
	print_escaped(text, '\n');
}

static char *default_repo(void)
{
	const char *dir = getenv("CAIRN_REPO"), *xdg = getenv("XDG_DATA_HOME"),
		   *home = getenv("HOME");
	char *out = NULL;

	if (dir && *dir)
		return strdup(dir);
	if (xdg && *xdg == '/') {
		if (asprintf(&out, "%s/cairn", xdg) < 0)
			return NULL;
		return out;
	}
	if (asprintf(&out, "%s/.local/share/cairn", home && *home ? home : "/root") < 0)
		return NULL;
	return out;
}

/* A command says itself what failed, in one line; the daemon has only its log. */
static void set_log_level(bool daemon)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	const char *want = getenv("CAIRN_LOG");

	log_set_level(daemon ? LOG_WARN : LOG_NONE);
	for (int i = 0; want && i < 4; i++)
		if (!strcmp(want, names[i]))
			log_set_level(i);
}

/* --repo, --json and --help may stand anywhere before "--": take them out. */
static int take_globals(struct context *cx, int argc, char **argv, bool *help)
{
	int n = 1;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--")) {
			while (i < argc)
				argv[n++] = argv[i++];
			break;
		}
		if (!strcmp(argv[i], "--json")) {
			cx->json = true;
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			*help = true;
		} else if (!strncmp(argv[i], "--repo=", 7)) {
			free(cx->repo);
			cx->repo = strdup(argv[i] + 7);
		} else if (!strcmp(argv[i], "--repo")) {
			if (i + 1 == argc)
				return -1;
			free(cx->repo);
			cx->repo = strdup(argv[++i]);
		} else {
			argv[n++] = argv[i];
		}
	}
	argv[n] = NULL;
	return n;
}

int main(int argc, char **argv)
{
	struct context cx = { .repo = default_repo() };
	bool help = false;
	int status = EXIT_MISUSE;

	signal(SIGPIPE, SIG_IGN);
	store_guard("cairn: the index of the store is damaged: make it anew with `cairn repair --rebuild`\n");
	argc = take_globals(&cx, argc, argv, &help);
	if (argc < 0) {
		fprintf(stderr, "cairn: --repo needs a directory\n");
		goto out;
	}
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		printf("cairn %s\n", CAIRN_VERSION);
		status = 0;
		goto out;
	}
	if (argc < 2 || !strcmp(argv[1], "help")) {
		usage(help || argc > 1 ? stdout : stderr);
		status = help || argc > 1 ? 0 : EXIT_MISUSE;
		goto out;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		cx.command = &commands[i];
		set_log_level(commands[i].run == cmd_daemon);
		if (help) {
			command_usage(stdout, &commands[i]);
			status = 0;
		} else {
			status = commands[i].run(&cx, argc - 1, argv + 1);
		}
		goto out;
	}
	fprintf(stderr, "cairn: there is no command '%s' (see cairn --help)\n", argv[1]);
out:
	free(cx.repo);
	/* A full disk or a closed pipe behind stdout is a failure too. */
	if (fflush(stdout) && !status) {
		/* Who stopped reading knows. */
		if (errno != EPIPE)
			fprintf(stderr, "cairn: cannot write the output: %s\n", strerror(errno));
		status = EXIT_FAILED;
	}
	return status;
}
