/*
 * Editing and comparing trees whose blocks are not what they were made as: small
 * trees of all kinds are made once, and the input says which bytes of which
 * blocks are other ones, and what is then edited.
 */
#include "fs/attrs.h"
#include "store/dag_diff.h"
#include "store/edit_dir.h"
#include "store/edit_file.h"
#include "store/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define BLOCKS 512

static struct block *blocks[BLOCKS];
static size_t n_blocks;
static struct profile tiny[2];
static struct cid files[2], dirs[2], other_dirs[2], attrs;
static bool made; /* no more blocks are kept */

static int keep(struct block_sink *s, const struct multihash *name, const void *data,
		size_t len)
{
	if (made)
		return 0;
	if (n_blocks == BLOCKS || block_verify(&blocks[n_blocks], name, data, len) < 0)
		abort();
	n_blocks++;
	return 0;
}

/* Bytes that are others. */
struct source {
	struct block_source base;
	const uint8_t *changes; /* four bytes each: block, offset (2), what to XOR */
	size_t n;
};

static int get(struct block_source *base, const struct cid *cid, struct block **out)
{
	struct source *s = (struct source *)base;
	uint8_t *to;
	size_t i = 0;
	int r;

	while (i < n_blocks && !multihash_equal(&blocks[i]->name, &cid->hash))
		i++;
	if (i == n_blocks)
		return ERR_MISSING;
	r = block_reserve(out, &cid->hash, blocks[i]->size, &to);
	if (r < 0)
		return r;
	memcpy(to, blocks[i]->data, blocks[i]->size);
	for (size_t j = 0; j < s->n && blocks[i]->size; j++) {
		const uint8_t *c = s->changes + 4 * j;

		if (c[0] == i % 256)
			to[((size_t)c[1] << 8 | c[2]) % blocks[i]->size] ^= c[3];
	}
	return 0;
}

static int read_zeros(void *arg, uint64_t offset, void *buf, size_t len)
{
	memset(buf, 7, len);
	return 0;
}

static void get_attrs(const void *arg, size_t i, struct attrs_link *out)
{
	static const uint8_t xattrs[] = { 0x81, 0x82, 0x41, 'a', 0x59, 0x08, 0x00 };
	static uint8_t large[sizeof xattrs + 0x800];
	static char names[64][8];
	const size_t step = *(const size_t *)arg;

	memcpy(large, xattrs, sizeof xattrs);
	snprintf(names[i % 64], sizeof names[0], "%03zu", i * step);
	*out = (struct attrs_link){ .name = names[i % 64], .name_len = 3 };
	if (step == 1)
		out->attrs =
		    (struct attrs_entry){ .xattrs = large, .xattrs_len = sizeof large };
	else if (i % 2)
		out->attrs = (struct attrs_entry){ .group = 5 };
}

static size_t some_links(struct dir_link *out, size_t n, size_t step, uint8_t *cid)
{
	static char names[128][8];

	for (size_t i = 0; i < n; i++) {
		snprintf(names[i * step % 128], sizeof names[0], "%03zu", i * step);
		out[i] = (struct dir_link){ names[i * step % 128], cid, i, 3, 36 };
	}
	return n;
}

static void make(struct block_sink *sink, struct block_source *source)
{
	static const size_t one = 1;
	struct attrs_changes a = { 40, &one, get_attrs };
	struct file_change all = { 0, 500, false };
	struct dir_link links[100];
	uint8_t cid[CID_SIZE_MAX];
	struct built b;

	for (unsigned i = 0; i < 2; i++) {
		tiny[i] = *profiles[i];
		tiny[i].chunker.max = 16;
		tiny[i].max_links = 3;
		tiny[i].hamt_fanout = 8;
		tiny[i].hamt_threshold = 1000;
		struct file_edit e = { NULL, 500, &all, 1, read_zeros, NULL };
		if (edit_file(&tiny[i], source, sink, &e, &b, NULL) < 0)
			abort();
		files[i] = b.cid;
		struct cid raw;
		cid_of(&raw, 1, CODEC_RAW, "x", 1);
		cid_encode(&raw, cid);
		size_t n = some_links(links, 80, 1, cid);
		if (build_dir(&tiny[i], sink, links, n, &b) < 0)
			abort();
		dirs[i] = b.cid;
		if (build_dir(&tiny[i], sink, links + 5, n - 9, &b) < 0)
			abort();
		other_dirs[i] = b.cid;
	}
	if (attrs_edit(source, sink, NULL, NULL, &a, &attrs, NULL) != 1)
		abort();
	made = true;
}

static int see(void *arg, const struct dag_diff *d)
{
	if (strlen(d->path) != d->path_len)
		abort();
	return ++*(unsigned *)arg % 64 == 0 ? -ECANCELED : 1;
}

static int see_attrs(void *arg, const struct attrs_link *l)
{
	return !dag_name_ok(l->name, l->name_len);
}

static void fuzz_file(struct source *s, struct block_sink *sink, const uint8_t *in)
{
	struct cid room[4];
	struct misses misses = { room, 0, 4 };
	unsigned i = in[0] & 1;
	struct file_change c = { in[1], (uint64_t)in[1] + in[2] + 1, in[3] & 1 };
	struct file_edit e = { &files[i],      c.to + in[3], &c,
			       in[3] >> 1 & 1, read_zeros,   NULL };
	struct built b;

	edit_file(&tiny[i], &s->base, sink, &e, &b, &misses);
}

static void fuzz_dir(struct source *s, struct block_sink *sink, const uint8_t *in)
{
	struct cid room[4], raw;
	struct misses misses = { room, 0, 4 };
	unsigned i = in[0] & 1;
	struct dir_link links[16];
	uint8_t cid[CID_SIZE_MAX];
	struct built b;

	cid_of(&raw, 1, CODEC_RAW, "y", 1);
	cid_encode(&raw, cid);
	size_t n = some_links(links, in[2] % 16, 1 + in[1] % 7, cid);
	for (size_t j = 0; j < n; j++)
		links[j].cid_len = in[3] >> j % 8 & 1 ? 36 : 0;
	edit_dir_array(&tiny[i], &s->base, sink, &dirs[i], links, n, &b, &misses);
}

static void fuzz_attrs(struct source *s, struct block_sink *sink, const uint8_t *in)
{
	const size_t step = 2 + in[1] % 7;
	struct attrs_changes a = { in[2] % 8, &step, get_attrs };
	struct attrs_entry self;
	struct attrs_link l;
	struct block *hold;
	struct cid out;

	attrs_edit(&s->base, sink, &attrs, NULL, &a, &out, NULL);
	if (attrs_self(&s->base, &attrs, &self, &hold, NULL) == 0)
		block_unref(hold);
	if (attrs_list(&s->base, &attrs, see_attrs, NULL, NULL) == 1)
		abort();
	if (attrs_lookup(&s->base, &attrs, "007", 3, &l, &hold, NULL) == 0)
		block_unref(hold);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct source s = { .base.get = get };
	struct block_sink sink = { .put = keep };
	unsigned seen = 0;

	if (!made)
		make(&sink, &s.base);
	if (len < 4)
		return 0;
	s.n = data[0] >> 3 & 7;
	if (4 + 4 * s.n > len)
		s.n = (len - 4) / 4;
	s.changes = data + 4;
	switch (data[0] >> 1 & 3) {
	case 0:
		fuzz_file(&s, &sink, data);
		break;
	case 1:
		fuzz_dir(&s, &sink, data);
		break;
	case 2:
		fuzz_attrs(&s, &sink, data);
		break;
	case 3:
		dag_diff(&s.base, &dirs[data[0] & 1], &other_dirs[data[0] & 1], see,
			 &seen, NULL);
		break;
	}
	return 0;
}
