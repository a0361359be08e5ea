#include "store/measure.h"

#include "store/buf.h"
#include "store/dag.h"
#include "store/error.h"
#include "store/store_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NODES_MAX (32u << 20)
#define STACK_MAX (256u << 20)

struct measured {
	struct store *store;
	struct store_measure *out;
};

static int add_name(void *arg, const uint8_t *name, size_t name_size,
		    const struct place *at)
{
	struct measured *of = arg;
	struct store_measure *m = of->out;

	if (at->kind == RECORD_PIECE) {
		m->pieces++;
	} else {
		m->blocks++;
		m->bytes += at->size;
	}
	if (at->kind != RECORD_RECIPE)
		m->unique += at->size;
	m->stored += store_room_of(of->store, name_size, at);
	return 0;
}

int store_measure(struct store *s, struct store_measure *out)
{
	struct measured of = { s, out };
	int r;

	*out = (struct store_measure){ 0 };
	r = index_walk(s->index, INDEX_BLOCKS, add_name, &of);
	return r ? r : index_walk(s->index, INDEX_PIECES, add_name, &of);
}

/* A block that some pin leads to.  Kept as a keyed hash of its CID. */
struct node {
	uint64_t mark[2]; /* both 0: free */
	uint32_t owner;	  /* number of the only pin, from 1 on; 0: several */
	uint32_t visited; /* by this pin last */
};

struct measuring {
	struct store *store;
	atomic_bool *cancel;
	struct node *nodes; /* at most 3/4 full */
	size_t n, room;
	uint8_t key[16];
	struct buf stack; /* binary CID, its length in a byte */
	struct pin_size *sizes;
	size_t n_sizes, room_sizes;
	uint32_t now; /* the pin at hand, from 1 on */
};

static struct node *slot_of(struct node *nodes, size_t room, const uint64_t mark[2])
{
	size_t i = mark[0] & (room - 1);

	while ((nodes[i].mark[0] || nodes[i].mark[1]) &&
	       memcmp(nodes[i].mark, mark, sizeof nodes[i].mark) != 0)
		i = (i + 1) & (room - 1);
	return &nodes[i];
}

static int grow(struct measuring *m)
{
	size_t room = m->room ? 2 * m->room : 4096;
	struct node *nodes;

	if (m->n >= NODES_MAX)
		return -EOVERFLOW;
	nodes = calloc(room, sizeof *nodes);
	if (!nodes)
		return -ENOMEM;
	for (size_t i = 0; i < m->room; i++)
		if (m->nodes[i].mark[0] || m->nodes[i].mark[1])
			*slot_of(nodes, room, m->nodes[i].mark) = m->nodes[i];
	free(m->nodes);
	m->nodes = nodes;
	m->room = room;
	return 0;
}

/* Count a block for the pin at hand: 1 if it had not come to it before, 0, or an error. */
static int count_block(struct measuring *m, const struct cid *cid)
{
	struct pin_size *size = &m->sizes[m->now - 1];
	uint8_t bytes[CID_SIZE_MAX];
	uint64_t mark[2];
	size_t len = 0;
	int r;

	if (m->n >= m->room / 4 * 3 && (r = grow(m)) < 0)
		return r;
	crypto_shorthash_siphashx24((uint8_t *)mark, bytes, cid_encode(cid, bytes), m->key);
	if (!mark[0] && !mark[1])
		mark[0] = 1;
	struct node *n = slot_of(m->nodes, m->room, mark);
	bool fresh = !n->mark[0] && !n->mark[1];
	if (!fresh && n->visited == m->now)
		return 0;
	if (cid->hash.code != HASH_IDENTITY && !store_has(m->store, &cid->hash, &len)) {
		size->partial = true;
		return 0;
	}
	if (fresh) {
		memcpy(n->mark, mark, sizeof mark);
		n->owner = m->now;
		size->exclusive += len;
		m->n++;
	} else if (n->owner) {
		m->sizes[n->owner - 1].exclusive -= len;
		n->owner = 0;
	}
	n->visited = m->now;
	size->blocks++;
	size->bytes += len;
	return 1;
}

static int push(struct measuring *m, const struct cid *c)
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t n = cid_encode(c, bytes);

	if (m->stack.len > STACK_MAX)
		return -EOVERFLOW;
	buf_append(&m->stack, bytes, n);
	buf_u8(&m->stack, (uint8_t)n);
	return m->stack.failed ? -ENOMEM : 0;
}

/* Leaves are done at once, and never on the stack. */
static int on_link(void *arg, const struct cid *child)
{
	struct measuring *m = arg;

	if (child->codec != CODEC_RAW)
		return push(m, child);
	int r = count_block(m, child);
	return r < 0 ? r : 0;
}

static int visit(struct measuring *m, const struct cid *cid)
{
	struct block *b = NULL;
	int r = count_block(m, cid);

	if (r <= 0 || cid->codec == CODEC_RAW ||
	    m->sizes[m->now - 1].pin.mode == PIN_DIRECT)
		return r < 0 ? r : 0;
	r = source_get(store_source(m->store), cid, &b);
	if (r == ERR_MISSING) {
		m->sizes[m->now - 1].partial = true;
		return 0;
	}
	if (r == 0)
		r = dag_links(cid, b, on_link, m);
	block_unref(b);
	return r == ERR_MALFORMED || r == -ENOTSUP ? 0 : r;
}

static int measure_pin(void *arg, const struct pin *pin)
{
	struct measuring *m = arg;
	struct cid cid;
	int r;

	if (m->n_sizes == m->room_sizes) {
		size_t room = m->room_sizes ? 2 * m->room_sizes : 16;
		struct pin_size *sizes = realloc(m->sizes, room * sizeof *sizes);

		if (!sizes)
			return -ENOMEM;
		m->sizes = sizes;
		m->room_sizes = room;
	}
	m->sizes[m->n_sizes++] = (struct pin_size){ .pin = *pin };
	m->now = (uint32_t)m->n_sizes;
	buf_clear(&m->stack);
	r = push(m, &pin->cid);
	while (r >= 0 && m->stack.len) {
		if (m->cancel && atomic_load(m->cancel))
			return -ECANCELED;
		size_t n = m->stack.data[m->stack.len - 1];
		m->stack.len -= n + 1;
		struct cursor in = cursor_over(m->stack.data + m->stack.len, n);
		cid_read(&in, &cid); /* we wrote it */
		r = visit(m, &cid);
	}
	return r < 0 ? r : 0;
}

int pins_measure(struct store *s, struct pins *pins, atomic_bool *cancel,
		 struct pin_size **out, size_t *n)
{
	struct measuring m = { .store = s, .cancel = cancel };
	int r = 0;

	if (getrandom(m.key, sizeof m.key, 0) != sizeof m.key)
		r = -EIO;
	if (r == 0)
		r = pins_each(pins, measure_pin, &m);
	free(m.nodes);
	buf_release(&m.stack);
	if (r < 0) {
		free(m.sizes);
		return r;
	}
	*out = m.sizes;
	*n = m.n_sizes;
	return 0;
}
