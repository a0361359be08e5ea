#include "store/hamt.h"
#include "store/error.h"
#include "store/murmur3.h"

static const char hex[] = "0123456789ABCDEF";

int hamt_shape_init(struct hamt_shape *out, uint64_t fanout)
{
	if (fanout < 8 || fanout > HAMT_FANOUT_MAX || (fanout & (fanout - 1)))
		return ERR_MALFORMED;
	out->fanout = (uint32_t)fanout;
	out->bits = (unsigned)__builtin_ctz(out->fanout);
	out->digits = (out->bits + 3) / 4;
	out->levels = 64 / out->bits;
	return 0;
}

uint64_t hamt_hash(const char *name, size_t name_len)
{
	return murmur3_x64_64(name, name_len);
}

unsigned hamt_bucket(const struct hamt_shape *shape, uint64_t hash, unsigned level)
{
	unsigned below = 64 - shape->bits * (level + 1);

	return (unsigned)(hash >> below) & (shape->fanout - 1);
}

void hamt_prefix(const struct hamt_shape *shape, unsigned bucket,
		 char out[HAMT_PREFIX_MAX + 1])
{
	for (unsigned i = shape->digits; i-- > 0; bucket >>= 4)
		out[i] = hex[bucket & 15];
	out[shape->digits] = '\0';
}

void hamt_field_set(const struct hamt_shape *shape, uint8_t *field, unsigned bucket)
{
	field[shape->fanout / 8 - 1 - bucket / 8] |= (uint8_t)(1u << bucket % 8);
}

const uint8_t *hamt_field_trim(const struct hamt_shape *shape, const uint8_t *field,
			       size_t *len)
{
	*len = shape->fanout / 8;
	while (*len && !*field) {
		field++;
		--*len;
	}
	return field;
}

int hamt_shard_init(struct hamt_shard *out, const struct dagpb_node *node,
		    const struct unixfs *u)
{
	size_t used = 0;

	if (u->type != UNIXFS_HAMT_SHARD || !u->has_hash_type ||
	    u->hash_type != HAMT_HASH_MURMUR3)
		return ERR_MALFORMED;
	if (!u->has_fanout || hamt_shape_init(&out->shape, u->fanout) < 0)
		return ERR_MALFORMED;
	if (u->data_len > out->shape.fanout / 8)
		return ERR_MALFORMED;
	for (size_t i = 0; i < u->data_len; i++)
		used += (size_t)__builtin_popcount(u->data[i]);
	if (used != node->n_links)
		return ERR_MALFORMED;
	out->field = u->data;
	out->field_len = u->data_len;
	out->links = node->links;
	out->n_links = node->n_links;
	return 0;
}

bool hamt_shard_has(const struct hamt_shard *s, unsigned bucket)
{
	if (bucket / 8 >= s->field_len)
		return false;
	return s->field[s->field_len - 1 - bucket / 8] >> bucket % 8 & 1;
}

size_t hamt_shard_rank(const struct hamt_shard *s, unsigned bucket)
{
	size_t rank = 0, bytes = bucket / 8;

	if (bytes >= s->field_len)
		return s->n_links;
	for (size_t i = 0; i < bytes; i++)
		rank += (size_t)__builtin_popcount(s->field[s->field_len - 1 - i]);
	unsigned last = s->field[s->field_len - 1 - bytes] & ((1u << bucket % 8) - 1);
	return rank + (size_t)__builtin_popcount(last);
}

int hamt_link_bucket(const struct hamt_shape *shape, const struct dagpb_link *l,
		     const char **name, size_t *name_len)
{
	unsigned bucket = 0;

	if (l->name_len < shape->digits)
		return ERR_MALFORMED;
	for (unsigned i = 0; i < shape->digits; i++) {
		char c = l->name[i];
		unsigned v;
		if (c >= '0' && c <= '9')
			v = (unsigned)(c - '0');
		else if (c >= 'A' && c <= 'F')
			v = (unsigned)(c - 'A') + 10;
		else
			return ERR_MALFORMED;
		bucket = bucket << 4 | v;
	}
	if (bucket >= shape->fanout)
		return ERR_MALFORMED;
	if (name)
		*name = l->name + shape->digits;
	*name_len = l->name_len - shape->digits;
	return (int)bucket;
}
