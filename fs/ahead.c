/*
 * Carrying out what readahead.h decides: finding the blocks that come next and
 * fetching those that are not here.
 */
#include "fs/tree_ops.h"

#include "store/error.h"

#include <stdlib.h>

#define LEAVES_MAX 256  /* of one file at a time: 32 MiB of 128 KiB leaves */
#define BATCH      64   /* of small files */
#define LOOKS_MAX  4096 /* at entries in one go */
#define LEVELS_MAX 8    /* directories above a file that are told of it */

static bool offline(struct shown *t)
{
	return t->m->blocks->offline(t->m->blocks);
}

void shown_ahead_leaves(struct shown *t, const struct cid *file, const struct cid *top,
			uint64_t from, uint64_t n)
{
	struct misses leaves = { .max = LEAVES_MAX };

	leaves.cids = malloc(LEAVES_MAX * sizeof *leaves.cids);
	if (!leaves.cids)
		return;
	dag_leaves(t->tree.source, file, from, n, &leaves);
	prefetch_add(t->prefetch, &leaves, top, WANT_READAHEAD);
	free(leaves.cids);
}

/*
 * Going through a directory from where its users are: for the small files that
 * come next, its own and those of the directories in it; or, for those who only
 * look things up, for the nodes of its entries.  Parked, it waits for a node as
 * a reader would, only less urgently.
 */
struct scan {
	struct parked parked;
	struct shown *shown;
	uint64_t dir, from;
	unsigned max; /* entries that lack something */
	bool nodes;

	/* of this run */
	struct lack *lack;
	struct misses batch;
	struct cid batch_cids[BATCH];
	uint64_t pos, bytes;
	unsigned n, looks;
	bool end, inside;
};

/* The two kinds of use of a directory are told apart by a bit no inode has. */
static uint64_t stream_of(uint64_t dir, bool nodes)
{
	return nodes ? dir | 1ull << 63 : dir;
}

static void flush(struct scan *s)
{
	prefetch_add(s->shown->prefetch, &s->batch, &s->lack->top, WANT_READAHEAD);
	s->batch.n = 0;
}

/* True if some of it is not here. */
static bool take_file(struct scan *s, const struct dag_entry *e, uint64_t size)
{
	size_t before;

	if (size > SMALL_FILE)
		return false;
	if (s->batch.n > BATCH - 8) /* a small file has few leaves */
		flush(s);
	before = s->batch.n;
	dag_leaves(s->shown->tree.source, &e->cid, 0, size, &s->batch);
	if (s->batch.n == before)
		return false;
	s->bytes += size;
	return true;
}

static bool take_node(struct scan *s, const struct dag_entry *e)
{
	if (e->cid.codec == CODEC_RAW || source_has(s->shown->tree.source, &e->cid))
		return false;
	if (s->batch.n == BATCH)
		flush(s);
	misses_add(&s->batch, &e->cid);
	return true;
}

static int on_entry(void *arg, const struct dag_entry *e, uint64_t pos);

static bool take_files(struct scan *s, const struct dag_entry *e)
{
	struct block_source *source = s->shown->tree.source;
	struct misses *nodes = &s->lack->blocks;
	struct dag_attr a;
	size_t before = s->batch.n + nodes->n;

	if (e->cid.codec == CODEC_RAW)
		return take_file(s, e, e->tsize);
	if (dag_stat(source, &e->cid, &a, nodes) < 0)
		return nodes->n > 0;
	if (a.type == DAG_FILE)
		return take_file(s, e, a.size);
	if (a.type != DAG_DIR || s->inside)
		return false;
	s->inside = true;
	dag_list(source, &e->cid, 0, on_entry, s, nodes);
	s->inside = false;
	return s->batch.n + nodes->n != before;
}

/* 1 to stop. */
static int on_entry(void *arg, const struct dag_entry *e, uint64_t pos)
{
	struct scan *s = arg;
	bool lacking = s->nodes ? take_node(s, e) : take_files(s, e);

	s->looks++;
	if (!s->inside) {
		s->pos = pos;
		s->n += lacking;
	}
	return s->bytes >= SIBLINGS_BYTES || s->looks >= LOOKS_MAX ||
	       s->lack->blocks.n == s->lack->blocks.max || (!s->inside && s->n >= s->max);
}

static int run_scan(struct parked *p, struct lack *lack)
{
	struct scan *s = (struct scan *)p;
	struct inode_info dir;
	int r = inodes_get(s->shown->inodes, s->dir, &dir);

	if (r < 0 || dir.kind != INODE_DIR)
		return r;
	s->lack = lack;
	s->batch = (struct misses){ s->batch_cids, 0, BATCH };
	s->pos = s->from;
	s->bytes = s->n = s->looks = 0;
	inodes_top(s->shown->inodes, s->dir, &lack->top);
	r = dag_list(s->shown->tree.source, &dir.cid, s->from, on_entry, s, &lack->blocks);
	flush(s);
	s->end = r == 0;
	if (r >= 0 && lack->blocks.n > 0)
		r = ERR_MISSING;
	return r > 0 ? 0 : r;
}

static void end_scan(struct parked *p, int result)
{
	struct scan *s = (struct scan *)p;

	readahead_siblings_done(s->shown->readahead, stream_of(s->dir, s->nodes), s->pos,
				s->n, s->end);
}

static void start_scan(struct shown *t, uint64_t dir, bool nodes, uint64_t from,
		       unsigned max)
{
	struct scan *s = malloc(sizeof *s);

	if (!s) {
		readahead_siblings_done(t->readahead, stream_of(dir, nodes), from, 0,
					false);
		return;
	}
	s->parked = (struct parked){
		.run = run_scan,
		.end = end_scan,
		.priority = WANT_READAHEAD,
	};
	s->shown = t;
	s->dir = dir;
	s->nodes = nodes;
	s->from = s->pos = from;
	s->max = max;
	s->n = 0;
	s->end = false;
	s->inside = false;
	parked_init(&s->parked, t->m->parking);
	if (parking_add(&s->parked, NULL) < 0) {
		end_scan(&s->parked, -ENOMEM);
		parked_unref(&s->parked);
	}
}

static void small_file(struct shown *t, const struct inode_info *file)
{
	bool local = source_has(t->tree.source, &file->cid), first = true;
	struct inode_info i = *file;

	for (int level = 0; level < LEVELS_MAX && first && i.parent; level++) {
		/* Positions are the mount's: two more than the directory's own. */
		struct sibling entry = { i.parent, i.pos > 2 ? i.pos - 2 : 0, local };
		uint64_t from;
		unsigned n = readahead_sibling(t->readahead, &entry, &from, &first);

		if (n > 0)
			start_scan(t, i.parent, false, from, n);
		if (i.parent == INODE_ROOT || inodes_get(t->inodes, i.parent, &i) < 0 ||
		    i.kind != INODE_DIR)
			break;
	}
}

void shown_ahead_read(struct shown *t, uint64_t file, uint64_t offset, size_t len)
{
	struct inode_info i;
	uint64_t from, n;

	if (offline(t) || inodes_get(t->inodes, file, &i) < 0)
		return;
	if (offset == 0 && i.size <= SMALL_FILE)
		small_file(t, &i);
	if (i.cid.codec != CODEC_RAW &&
	    readahead_read(t->readahead, file, offset, len, i.size, &from, &n)) {
		struct cid top = { .version = 0xff };

		inodes_top(t->inodes, file, &top);
		shown_ahead_leaves(t, &i.cid, &top, from, n);
	}
}

void shown_ahead_lookup(struct shown *t, uint64_t dir, bool local)
{
	struct sibling entry = { stream_of(dir, true), 0, local };
	uint64_t from;
	unsigned n;
	bool first;

	if (offline(t))
		return;
	n = readahead_sibling(t->readahead, &entry, &from, &first);
	if (n > 0)
		start_scan(t, dir, true, from, n);
}
