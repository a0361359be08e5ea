/*
 * Carrying out what readahead.h decides: finding the blocks that come next and
 * fetching those that are not here.
 */
#include "fs/mount_internal.h"

#include "store/error.h"

#include <stdlib.h>

#define LEAVES_MAX 256 /* of one file at a time: 32 MiB of 128 KiB leaves */
#define BATCH      64  /* of small files */
#define LEVELS_MAX 8   /* directories above a file that are told of it */

static void fetch_leaves(struct mount *m, const struct inode_info *i, uint64_t from,
			 uint64_t n)
{
	struct misses leaves = { .max = LEAVES_MAX };
	struct cid top = { .version = 0xff };

	leaves.cids = malloc(LEAVES_MAX * sizeof *leaves.cids);
	if (!leaves.cids)
		return;
	dag_leaves(m->tree.source, &i->cid, from, n, &leaves);
	inodes_top(m->inodes, i->id, &top);
	prefetch_add(m->prefetch, &leaves, &top, WANT_READAHEAD);
	free(leaves.cids);
}

/*
 * Going through a directory from where its readers are, for the small files
 * that come next, its own and those of the directories in it.  Parked, it waits
 * for nodes as a reader would, only less urgently.
 */
struct scan {
	struct parked parked;
	struct mount *m;
	uint64_t dir, from;
	unsigned max; /* entries */

	/* of this run */
	struct lack *lack;
	struct misses batch;
	struct cid batch_cids[BATCH];
	uint64_t pos, bytes;
	unsigned n;
	bool end, inside;
};

static void flush(struct scan *s)
{
	prefetch_add(s->m->prefetch, &s->batch, &s->lack->top, WANT_READAHEAD);
	s->batch.n = 0;
}

static void take_file(struct scan *s, const struct dag_entry *e, uint64_t size)
{
	if (size > SMALL_FILE)
		return;
	s->bytes += size;
	if (s->batch.n > BATCH - 8) /* a small file has few leaves */
		flush(s);
	dag_leaves(s->m->tree.source, &e->cid, 0, size, &s->batch);
}

/* 1 to stop. */
static int on_entry(void *arg, const struct dag_entry *e, uint64_t pos)
{
	struct block_source *source;
	struct scan *s = arg;
	struct dag_attr a;

	source = s->m->tree.source;
	if (e->cid.codec == CODEC_RAW) {
		take_file(s, e, e->tsize);
	} else if (dag_stat(source, &e->cid, &a, &s->lack->blocks) == 0) {
		if (a.type == DAG_FILE) {
			take_file(s, e, a.size);
		} else if (a.type == DAG_DIR && !s->inside) {
			s->inside = true;
			dag_list(source, &e->cid, 0, on_entry, s, &s->lack->blocks);
			s->inside = false;
		}
	}
	if (!s->inside) {
		s->pos = pos;
		s->n++;
	}
	return s->bytes >= SIBLINGS_BYTES || s->lack->blocks.n == s->lack->blocks.max ||
	       (!s->inside && s->n >= s->max);
}

static int run_scan(struct parked *p, struct lack *lack)
{
	struct scan *s = (struct scan *)p;
	struct inode_info dir;
	int r = inodes_get(s->m->inodes, s->dir, &dir);

	if (r < 0 || dir.kind != INODE_DIR)
		return r;
	s->lack = lack;
	s->batch = (struct misses){ s->batch_cids, 0, BATCH };
	s->pos = s->from;
	s->bytes = s->n = 0;
	inodes_top(s->m->inodes, s->dir, &lack->top);
	r = dag_list(s->m->tree.source, &dir.cid, s->from, on_entry, s, &lack->blocks);
	flush(s);
	s->end = r == 0;
	if (r >= 0 && lack->blocks.n > 0)
		r = ERR_MISSING;
	return r > 0 ? 0 : r;
}

static void end_scan(struct parked *p, int result)
{
	struct scan *s = (struct scan *)p;

	readahead_siblings_done(s->m->readahead, s->dir, s->pos, s->n, s->end);
}

static void start_scan(struct mount *m, uint64_t dir, uint64_t from, unsigned max)
{
	struct scan *s = malloc(sizeof *s);

	if (!s) {
		readahead_siblings_done(m->readahead, dir, from, 0, false);
		return;
	}
	s->parked = (struct parked){
		.run = run_scan,
		.end = end_scan,
		.priority = WANT_READAHEAD,
	};
	s->m = m;
	s->dir = dir;
	s->from = s->pos = from;
	s->max = max;
	s->n = 0;
	s->end = false;
	s->inside = false;
	parked_init(&s->parked, m->parking);
	if (parking_add(&s->parked, NULL) < 0) {
		end_scan(&s->parked, -ENOMEM);
		parked_unref(&s->parked);
	}
}

static void small_file(struct mount *m, const struct inode_info *file)
{
	struct inode_info i = *file;
	bool first = true;

	for (int level = 0; level < LEVELS_MAX && first && i.parent; level++) {
		/* Positions are the mount's: two more than the directory's own. */
		uint64_t from, pos = i.pos > 2 ? i.pos - 2 : 0;
		unsigned n =
		    readahead_sibling(m->readahead, i.parent, pos, &from, &first);

		if (n > 0)
			start_scan(m, i.parent, from, n);
		if (i.parent == INODE_ROOT || inodes_get(m->inodes, i.parent, &i) < 0 ||
		    i.kind != INODE_DIR)
			break;
	}
}

void mount_ahead(struct mount *m, uint64_t file, uint64_t offset, size_t len)
{
	struct inode_info i;
	uint64_t from, n;

	if (m->blocks->offline(m->blocks) || inodes_get(m->inodes, file, &i) < 0)
		return;
	if (offset == 0 && i.size <= SMALL_FILE)
		small_file(m, &i);
	if (i.cid.codec != CODEC_RAW &&
	    readahead_read(m->readahead, file, offset, len, i.size, &from, &n))
		fetch_leaves(m, &i, from, n);
}
