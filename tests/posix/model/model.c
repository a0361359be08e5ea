/*
 * The model test (see model.h).
 *	folder_model [OPTION]... DIRECTORY TWIN
 * -n N      operations in all (20,000)		-s SEED   (1); printed, replays
 * -p N      processes (4); with one a seed replays exactly
 * -r N      operations in a round (2,000); after it the trees are compared
 * -c CMD    run after a round; with several one by chance: remount, kill, ...
 * -d CMD    run during each round, while the operations go on: a snapshot
 * -a CMD    run after each comparison, and must succeed: compare the roots
 * -F        make no FIFOs	-S   share nothing
 * -v        print every operation
 * -L        link counts of directories are not compared
 * Between rounds nothing is open.  DIRECTORY must exist and be empty then, as
 * TWIN must; both are opened again after each command.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMANDS = 16, PROCESSES = 64 };

static const char *after[COMMANDS], *during, *agree;
static int n_after;

static int command(const char *text)
{
	int status;

	fflush(stdout);
	status = system(text);
	if (status)
		printf("# '%s' failed: %d\n", text, status);
	fflush(stdout);
	return status;
}

static int open_twins(struct twins *t)
{
	t->dir = open(t->dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->twin = open(t->twin_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0 || t->twin < 0) {
		printf("# %s, %s: %s\n", t->dir_path, t->twin_path, strerror(errno));
		return -1;
	}
	return 0;
}

static void close_twins(struct twins *t)
{
	close(t->dir);
	close(t->twin);
}

static int make(const struct twins *t, const char *name)
{
	return mkdirat(t->dir, name, 0755) < 0 || mkdirat(t->twin, name, 0755) < 0 ? -1
										   : 0;
}

/* One round of all workers.  Returns how many met a difference. */
static int round_of(struct twins *t, const struct model_options *o, int processes,
		    long ops, uint64_t seed, const char *lock_path)
{
	pid_t pids[PROCESSES], aside = -1;
	int bad = 0, status;

	fflush(stdout);
	for (int i = 0; i < processes; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

			umask(0);
			_exit(lock < 0 ||
			      model_work(t, o, i, ops / processes,
					 seed * 1000003u + (uint64_t)i, lock) < 0);
		}
	}
	if (during) {
		aside = fork();
		if (aside == 0)
			_exit(command(during) ? 1 : 0);
	}
	for (int i = 0; i < processes; i++) {
		if (waitpid(pids[i], &status, 0) < 0 || status) {
			printf("# worker %d ended with status %d\n", i, status);
			bad++;
		}
	}
	if (aside > 0 && (waitpid(aside, &status, 0) < 0 || status))
		bad++;
	return bad;
}

int main(int argc, char **argv)
{
	long ops = 20000, per_round = 2000, done = 0;
	struct model_options o = { 0 };
	char lock[] = "/tmp/folder_model.XXXXXX", name[16];
	struct twins t = { .dir = -1 };
	struct chance c;
	uint64_t seed = 1;
	int opt, processes = 4, bad = 0;

	while ((opt = getopt(argc, argv, "n:s:p:r:c:d:a:FLSv")) != -1) {
		switch (opt) {
		case 'n':
			ops = atol(optarg);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			processes = atoi(optarg);
			break;
		case 'r':
			per_round = atol(optarg);
			break;
		case 'c':
			if (n_after < COMMANDS)
				after[n_after++] = optarg;
			break;
		case 'd':
			during = optarg;
			break;
		case 'a':
			agree = optarg;
			break;
		case 'F':
			o.no_fifos = true;
			break;
		case 'L':
			t.no_dir_links = true;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'S':
			o.no_sharing = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 2 || processes < 1 || processes > PROCESSES ||
	    per_round < 1) {
		fprintf(stderr, "usage: folder_model [OPTION]... DIRECTORY TWIN\n");
		return 2;
	}
	t.dir_path = argv[optind], t.twin_path = argv[optind + 1];
	if (mkstemp(lock) < 0 || open_twins(&t) < 0 || make(&t, "shared") < 0)
		return 2;
	for (int i = 0; i < processes; i++) {
		snprintf(name, sizeof name, "p%d", i);
		if (make(&t, name) < 0)
			return 2;
	}
	c.state = (seed + 7) * 0x9e3779b97f4a7c15u;
	for (long round = 0; done < ops && !bad; round++) {
		const char *next =
		    n_after ? after[chance_below(&c, (unsigned)n_after)] : NULL;

		bad +=
		    round_of(&t, &o, processes, per_round, seed + (uint64_t)round, lock);
		done += per_round;
		if (!bad)
			bad += model_compare(&t);
		if (!bad && agree)
			bad += command(agree) != 0;
		if (!bad && next) {
			close_twins(&t);
			bad += command(next) != 0;
			if (open_twins(&t) < 0)
				bad++;
			else
				bad += model_compare(&t);
			if (bad)
				printf("# after '%s'\n", next);
		}
		if (bad)
			printf("# round %ld of seed %llu\n", round,
			       (unsigned long long)seed);
	}
	unlink(lock);
	printf("%ld operations by %d processes, seed %llu: %s\n", done, processes,
	       (unsigned long long)seed, bad ? "differences" : "no difference");
	return bad ? 1 : 0;
}
