#include "store/car_export.h"
#include "store/car.h"
#include "store/cidset.h"
#include "store/dag.h"
#include "store/error.h"

#include <string.h>

#define AHEAD	  32	       /* blocks the source is told of */
#define STACK_MAX (256u << 20) /* bytes of links not yet followed */

/*
 * The links still to follow, the next one last: a binary CID and, so that it can
 * be taken from the end, its length in a byte.
 */
struct walk {
	struct block_source *source;
	const struct car_export_options *o;
	struct car_export_result *result;
	int (*write)(void *arg, const void *data, size_t len); /* NULL: only walk */
	void *arg;
	struct cidset seen;
	struct buf stack, links, head;
	unsigned told; /* entries at the top that the source knows of */
};

static void push(struct buf *b, const struct cid *c)
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t n = cid_encode(c, bytes);

	buf_append(b, bytes, n);
	buf_u8(b, (uint8_t)n);
}

/* The entry that ends at `end`, which becomes its start. */
static void entry_before(const struct buf *b, size_t *end, struct cid *out)
{
	size_t n = b->data[*end - 1];

	*end -= n + 1;
	struct cursor in = cursor_over(b->data + *end, n);
	cid_read(&in, out); /* we wrote it */
}

static int on_link(void *arg, const struct cid *child)
{
	struct walk *w = arg;

	if (cidset_has(&w->seen, child))
		return 0;
	/* A thousand links to one child are one. */
	if (w->links.len) {
		size_t end = w->links.len;
		struct cid last;
		entry_before(&w->links, &end, &last);
		if (cid_equal(&last, child))
			return 0;
	}
	if (w->links.len + w->stack.len > STACK_MAX)
		return -EOVERFLOW;
	push(&w->links, child);
	return 0;
}

/* The links of a block onto the stack, the first on top. */
static int expand(struct walk *w, const struct cid *cid, const struct block *b)
{
	int r;

	buf_clear(&w->links);
	r = dag_links(cid, b, on_link, w);
	if (r < 0)
		return r;
	for (size_t end = w->links.len; end;) {
		struct cid c;
		entry_before(&w->links, &end, &c);
		push(&w->stack, &c);
	}
	if (w->links.len)
		w->told = 0;
	return w->links.failed || w->stack.failed ? -ENOMEM : 0;
}

/* What comes next, so that a source that fetches can begin. */
static void look_ahead(struct walk *w)
{
	struct cid cids[AHEAD], c;
	size_t n = 0, end = w->stack.len;
	unsigned looked = 0;

	if (!w->source->soon || w->o->partial)
		return;
	if (w->told > AHEAD / 2) {
		w->told--;
		return;
	}
	for (; end && looked < AHEAD; looked++) {
		entry_before(&w->stack, &end, &c);
		bool wanted = !cidset_has(&w->seen, &c) &&
			      (w->write || c.codec != CODEC_RAW);
		if (wanted)
			cids[n++] = c;
	}
	w->told = looked;
	source_soon(w->source, cids, n);
}

static int write_block(struct walk *w, const struct cid *cid, const struct block *b)
{
	int r;

	buf_clear(&w->head);
	car_put_section(&w->head, cid, b->size);
	if (w->head.failed)
		return -ENOMEM;
	r = w->write(w->arg, w->head.data, w->head.len);
	if (r == 0 && b->size)
		r = w->write(w->arg, b->data, b->size);
	w->result->blocks++;
	w->result->bytes += w->head.len + b->size;
	if (w->o->progress) {
		w->o->progress->blocks = w->result->blocks;
		w->o->progress->bytes = w->result->bytes;
	}
	return r;
}

static int visit(struct walk *w, const struct cid *cid)
{
	struct block *b = NULL;
	int r = cidset_add(&w->seen, cid);

	if (r <= 0)
		return r;
	/* What only has to be known by name need not be read. */
	if (!w->write && cid->codec == CODEC_RAW)
		return 0;
	r = source_get(w->source, cid, &b);
	if (r == ERR_MISSING && w->o->partial && w->write) {
		w->result->missing++;
		return 0;
	}
	if (r == 0 && w->write)
		r = write_block(w, cid, b);
	if (r == 0)
		r = expand(w, cid, b);
	block_unref(b);
	return r;
}

static int walk_tree(struct walk *w, const struct cid *root)
{
	struct cid cid = *root;
	int r = 0;

	buf_clear(&w->stack);
	push(&w->stack, root);
	w->told = 0;
	if (w->stack.failed)
		return -ENOMEM;
	while (r == 0 && w->stack.len) {
		if (w->o->cancel && *w->o->cancel)
			return -ECANCELED;
		look_ahead(w);
		size_t end = w->stack.len;
		entry_before(&w->stack, &end, &cid);
		w->stack.len = end;
		r = visit(w, &cid);
	}
	if (r < 0)
		w->result->at = cid;
	return r;
}

int car_export(struct block_source *s, const struct cid *root,
	       int (*write)(void *arg, const void *data, size_t len), void *arg,
	       const struct car_export_options *o, struct car_export_result *result)
{
	struct walk w = { .source = s, .o = o, .result = result };
	int r;

	*result = (struct car_export_result){ .at = *root };
	r = cidset_init(&w.seen);
	if (r == 0 && o->since) {
		r = walk_tree(&w, o->since);
		result->at_since = r < 0;
	}
	if (r < 0)
		goto out;
	car_put_header(&w.head, root, 1);
	r = w.head.failed ? -ENOMEM : write(arg, w.head.data, w.head.len);
	result->bytes = w.head.len;
	w.write = write;
	w.arg = arg;
	if (r == 0)
		r = walk_tree(&w, root);
out:
	cidset_release(&w.seen);
	buf_release(&w.stack);
	buf_release(&w.links);
	buf_release(&w.head);
	return r;
}
