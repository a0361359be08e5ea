#include "store/block.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

int block_reserve(struct block **out, const struct multihash *name, size_t len,
		  uint8_t **data)
{
	if (len > BLOCK_MAX)
		return -EFBIG;

	/* The bytes lie behind the struct. */
	struct block *b = malloc(sizeof *b + len);
	if (!b)
		return -ENOMEM;
	*data = (uint8_t *)(b + 1);
	b->data = *data;
	b->size = len;
	b->name = *name;
	b->refs = 1;
	*out = b;
	return 0;
}

static int copy_of(struct block **out, const struct multihash *name, const void *data,
		   size_t len)
{
	uint8_t *to;
	int r = block_reserve(out, name, len, &to);

	if (r == 0 && len)
		memcpy(to, data, len);
	return r;
}

int block_verify(struct block **out, const struct multihash *name, const void *data,
		 size_t len)
{
	int r;

	if (len > BLOCK_MAX)
		return -EFBIG;
	r = multihash_allowed(name);
	if (r == 0)
		r = multihash_check(name, data, len);
	if (r < 0)
		return r;
	return copy_of(out, name, data, len);
}

int block_make(struct block **out, const void *data, size_t len)
{
	struct multihash name;

	if (len > BLOCK_MAX)
		return -EFBIG;
	multihash_sha256(&name, data, len);
	return copy_of(out, &name, data, len);
}

struct block *block_ref(struct block *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void block_unref(struct block *b)
{
	/* The last holder must see what the others did before they let go. */
	if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(b);
}
