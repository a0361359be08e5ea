/*
 * Marking: which blocks the pins, and what is in use, lead to.  Nodes that link are
 * kept in mind exactly, since one that is passed over takes its tree with it; of
 * all other blocks only their names are, in a set that may keep some garbage.
 */
#include "store/dag.h"
#include "store/error.h"
#include "store/gc_internal.h"

#include <string.h>

#define STACK_MAX (256u << 20)

int gc_mark_init(struct gc_mark *m, struct store *s, const struct gc_options *o,
		 struct gc_result *result)
{
	struct index_stat count;
	int r;

	*m = (struct gc_mark){ .store = s, .options = o, .result = result };
	r = index_stat(s->index, &count);
	if (r >= 0)
		r = cidset_init(&m->whole);
	if (r >= 0)
		r = cidset_init(&m->partly);
	if (r < 0)
		return r;
	m->live = nameset_new(count.blocks);
	return m->live ? 0 : -ENOMEM;
}

void gc_mark_release(struct gc_mark *m)
{
	nameset_free(m->live);
	cidset_release(&m->whole);
	cidset_release(&m->partly);
	buf_release(&m->stack);
	buf_release(&m->given);
}

static void add_live(struct gc_mark *m, const struct cid *cid)
{
	struct record_name key;

	record_name(&key, &cid->hash, m->store->seed);
	nameset_add(m->live, key.hash);
	if (m->options->progress)
		m->options->progress->marked++;
}

static void push(struct buf *b, const struct cid *c)
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t n = cid_encode(c, bytes);

	buf_append(b, bytes, n);
	buf_u8(b, (uint8_t)n);
}

static void pop(struct buf *b, struct cid *out)
{
	size_t n = b->data[b->len - 1];

	b->len -= n + 1;
	struct cursor in = cursor_over(b->data + b->len, n);
	cid_read(&in, out); /* we wrote it */
}

static bool followed(const struct gc_mark *m, const struct cid *cid, bool strict)
{
	return cidset_has(&m->whole, cid) || (!strict && cidset_has(&m->partly, cid));
}

struct expanding {
	struct gc_mark *m;
	bool strict;
};

static int on_link(void *arg, const struct cid *child)
{
	struct expanding *e = arg;
	struct gc_mark *m = e->m;

	if (child->codec == CODEC_RAW) {
		add_live(m, child);
		return 0;
	}
	if (followed(m, child, e->strict))
		return 0;
	if (m->stack.len > STACK_MAX)
		return -EOVERFLOW;
	push(&m->stack, child);
	return m->stack.failed ? -ENOMEM : 0;
}

static int load(struct gc_mark *m, const struct cid *cid, struct block **out)
{
	struct record_name key;

	if (cid->hash.code == HASH_IDENTITY)
		return source_get(store_source(m->store), cid, out);
	record_name(&key, &cid->hash, m->store->seed);
	int r = store_load(m->store, &key, &cid->hash, out);
	/* A pin holds what no quota takes away. */
	if (!r && key.log == LOG_CACHE && !m->options->dry_run)
		r = store_keep(m->store, &cid->hash);
	return r;
}

/* One node: its links onto the stack. */
static int follow(struct gc_mark *m, const struct cid *cid, bool strict)
{
	struct expanding e = { m, strict };
	struct block *b = NULL;
	int r;

	add_live(m, cid);
	if (cid->codec == CODEC_RAW || followed(m, cid, strict))
		return 0;
	if (strict) {
		r = load(m, cid, &b);
	} else {
		struct record_name key;
		record_name(&key, &cid->hash, m->store->seed);
		r = cid->hash.code == HASH_IDENTITY
			? source_get(store_source(m->store), cid, &b)
			: store_load(m->store, &key, &cid->hash, &b);
	}
	if (r == ERR_MISSING && !strict)
		return 0;
	if (r == ERR_MISSING)
		m->result->missing = *cid;
	if (r >= 0)
		r = cidset_add(strict ? &m->whole : &m->partly, cid);
	if (r >= 0) {
		size_t before = m->stack.len;
		r = dag_links(cid, b, on_link, &e);
		/* What has no links we can read holds nothing but itself. */
		if (r == ERR_MALFORMED || r == -ENOTSUP) {
			m->stack.len = before;
			r = 0;
		}
	}
	block_unref(b);
	return r;
}

static int walk(struct gc_mark *m, const struct cid *root, bool strict)
{
	struct cid cid;
	int r;

	buf_clear(&m->stack);
	r = follow(m, root, strict);
	while (r >= 0 && m->stack.len) {
		if (gc_canceled(m->options))
			return -ECANCELED;
		pop(&m->stack, &cid);
		r = follow(m, &cid, strict);
	}
	return r < 0 ? r : 0;
}

int gc_live(struct gc_mark *m, const struct cid *root)
{
	push(&m->given, root);
	return m->given.failed ? -ENOMEM : 0;
}

int gc_live_block(struct gc_mark *m, const struct cid *block)
{
	add_live(m, block);
	return 0;
}

static int mark_pin(void *arg, const struct pin *pin)
{
	struct gc_mark *m = arg;

	if (pin->mode == PIN_RECURSIVE)
		return walk(m, &pin->cid, true);
	add_live(m, &pin->cid);
	return 0;
}

int gc_mark_pins(struct gc_mark *m)
{
	return pins_each(m->options->pins, mark_pin, m);
}

int gc_mark_roots(struct gc_mark *m)
{
	struct store *s = m->store;
	struct cid root;
	int r = 0;

	/* Before they are asked, so that what comes meanwhile is asked for again. */
	m->roots_at = s->roots_changed;
	buf_clear(&m->given);
	pthread_mutex_lock(&s->roots_lock);
	for (struct gc_roots *g = s->roots; g && r >= 0; g = g->next)
		r = g->each(g, m);
	pthread_mutex_unlock(&s->roots_lock);
	while (r >= 0 && m->given.len) {
		pop(&m->given, &root);
		r = walk(m, &root, false);
	}
	return r < 0 ? r : 0;
}

static int mark_used(void *arg, const struct cid *root)
{
	struct gc_mark *m = arg;
	struct record_name key;

	if (gc_canceled(m->options))
		return -ECANCELED;
	record_name(&key, &root->hash, m->store->seed);
	return nameset_has(m->store->used, key.hash) ? walk(m, root, false) : 0;
}

int gc_mark_seen(struct gc_mark *m)
{
	return m->options->seen ? seen_each(m->options->seen, mark_used, m) : 0;
}

bool gc_walked(const struct gc_mark *m, const struct cid *root)
{
	struct record_name key;

	if (root->codec != CODEC_RAW)
		return cidset_has(&m->whole, root);
	record_name(&key, &root->hash, m->store->seed);
	return nameset_has(m->live, key.hash);
}
