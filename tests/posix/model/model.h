/*
 * A model test for any directory: the same random operations on it and on a twin
 * beside it, an ordinary file system that is taken to be right.  Results, errors
 * and bytes are compared at once, whole trees after every round.
 *
 * Each of several processes works in a directory of its own without regard for
 * the others, and now and then, one at a time, in one they share.
 */
#ifndef CAIRN_TESTS_POSIX_MODEL_H
#define CAIRN_TESTS_POSIX_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	FILE_MAX = 6 << 20, /* no file grows beyond */
	WRITE_MAX = 1 << 20,
};

/* The two directories: descriptors, and their paths for messages. */
struct twins {
	int dir, twin;
	const char *dir_path, *twin_path;
	/* For model_compare: a path that may differ, or NULL; and whether link
	 * counts of directories are not compared; and whether to say nothing. */
	const char *unsettled;
	bool no_dir_links, quiet;
};

struct model_options {
	bool no_fifos, no_sharing, verbose;
};

/* xorshift64*: the same everywhere. */
struct chance {
	uint64_t state;
};

static inline uint64_t chance_next(struct chance *c)
{
	c->state ^= c->state >> 12;
	c->state ^= c->state << 25;
	c->state ^= c->state >> 27;
	return c->state * 0x2545f4914f6cdd1du;
}

static inline unsigned chance_below(struct chance *c, unsigned n)
{
	return (unsigned)((chance_next(c) >> 33) % n);
}

/*
 * Run `ops` operations as worker `who`; `lock` is a file descriptor that guards
 * what is shared.  Prints the first difference with the operations before it and
 * returns -1, or 0 if there is none.
 */
int model_work(const struct twins *t, const struct model_options *o, int who, long ops,
	       uint64_t seed, int lock);

/*
 * Compare the trees: names, types, attributes, link counts, which names are one
 * file, contents, holes.  Prints what differs.  Returns how many places do.
 */
int model_compare(const struct twins *t);

/* The same below one directory of both. */
int model_compare_below(const struct twins *t, const char *path);

#endif
