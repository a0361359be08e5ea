/* The bytes of a file to a descriptor, straight from the blocks. */
#include "store/dag.h"
#include "store/error.h"
#include "store/export_internal.h"

#include <string.h>
#include <unistd.h>

#define MAP_BYTES   (1u << 20)	/* held at once: more, and malloc gives pages back */
#define MAP_EXTENTS 64
#define AHEAD_BYTES (16u << 20) /* the source is told of, a half at a time: 32 chunks */
#define CHUNK_MIN   262144u	/* of those in use */
#define AHEAD_MAX   (AHEAD_BYTES / CHUNK_MIN)

#define HERE UINT64_MAX /* where the descriptor stands */

static int write_all(int fd, const uint8_t *data, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = at == HERE ? write(fd, data, len) : pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
		at += at == HERE ? 0 : (uint64_t)n;
	}
	return 0;
}

static int write_zeros(int fd, uint64_t len, const struct export_options *o)
{
	static const uint8_t zeros[65536];
	int r = 0;

	while (len && r == 0) {
		size_t n = len < sizeof zeros ? len : sizeof zeros;

		r = export_cancelled(o) ? -ECANCELED : write_all(fd, zeros, n, HERE);
		len -= n;
	}
	return r;
}

/* In a file made just now, they need not be written. */
static bool all_zeros(const uint8_t *data, size_t len)
{
	return len && !data[0] && !memcmp(data, data + 1, len - 1);
}

int export_bytes(int fd, const uint8_t *data, size_t len, bool *hole)
{
	*hole = all_zeros(data, len);
	return *hole ? 0 : write_all(fd, data, len, 0);
}

/* Tell the source of the leaves of a range.  Only a hint, so no errors. */
static void look_ahead(struct block_source *s, const struct cid *cid, uint64_t offset,
		       uint64_t len)
{
	struct cid cids[AHEAD_MAX];
	struct misses misses = { .cids = cids, .max = AHEAD_MAX };

	dag_leaves(s, cid, offset, len, &misses);
	if (misses.n)
		source_soon(s, misses.cids, misses.n);
}

int export_content(struct block_source *s, const struct cid *cid, uint64_t offset,
		   uint64_t len, int fd, bool in_place, const struct export_options *o)
{
	struct dag_extent extents[MAP_EXTENTS];
	uint64_t end = len > UINT64_MAX - offset ? UINT64_MAX : offset + len;
	uint64_t told = offset;
	int r = 0;

	while (offset < end && r == 0) {
		size_t want = end - offset < MAP_BYTES ? end - offset : MAP_BYTES;
		int n;

		if (export_cancelled(o))
			return -ECANCELED;
		if (s->soon && end - offset > CHUNK_MIN && told < offset + AHEAD_BYTES / 2) {
			uint64_t from = told > offset ? told : offset;

			look_ahead(s, cid, from, offset + AHEAD_BYTES - from);
			told = offset + AHEAD_BYTES;
		}
		n = dag_map(s, cid, offset, want, extents, MAP_EXTENTS, NULL);
		if (n <= 0)
			return n;
		for (int i = 0; i < n && r == 0; i++) {
			const struct dag_extent *e = &extents[i];

			const uint8_t *data = e->block ? e->block->data + e->offset : NULL;

			if (in_place && (!data || all_zeros(data, e->len)))
				r = 0;
			else if (data)
				r = write_all(fd, data, e->len, in_place ? offset : HERE);
			else
				r = write_zeros(fd, e->len, o);
			offset += e->len;
			if (r == 0 && o->progress)
				atomic_fetch_add(&o->progress->bytes, e->len);
		}
		dag_extents_release(extents, n);
	}
	return r;
}

int export_file(struct block_source *s, const struct cid *cid, uint64_t offset,
		uint64_t len, int fd, const struct export_options *o)
{
	return export_content(s, cid, offset, len, fd, false, o);
}
