#include "store/bundle.h"

#include "store/error.h"

#include <string.h>

void bundle_name(uint8_t out[BUNDLE_NAME], uint32_t members, uint32_t table_bytes)
{
	out[0] = (uint8_t)members;
	out[1] = (uint8_t)(members >> 8);
	out[2] = (uint8_t)table_bytes;
	out[3] = (uint8_t)(table_bytes >> 8);
}

void bundle_entry(uint8_t *out, const uint8_t *name, size_t name_size, size_t size)
{
	*out++ = (uint8_t)name_size;
	memcpy(out, name, name_size);
	out += name_size;
	for (int i = 0; i < 3; i++)
		*out++ = (uint8_t)(size >> (8 * i));
}

int bundle_decode(struct bundle_table *out, const struct record *rec,
		  const uint8_t name[BUNDLE_NAME], const uint8_t *stored)
{
	uint32_t n = name[0] | (uint32_t)name[1] << 8, at = 0;
	uint32_t bytes = name[2] | (uint32_t)name[3] << 8;

	if (rec->kind != RECORD_BUNDLE || rec->name_size != BUNDLE_NAME || !n ||
	    n > BUNDLE_MEMBERS || bytes > BUNDLE_TABLE_MAX || bytes > rec->stored ||
	    rec->size > BUNDLE_MAX)
		return ERR_CORRUPT;
	if (rec->encoding == ENCODING_RAW ? rec->stored - bytes != rec->size
					  : rec->stored - bytes >= rec->size)
		return ERR_CORRUPT;

	struct cursor in = cursor_over(stored, bytes);
	*out = (struct bundle_table){ .bytes = bytes, .n = n };
	for (uint32_t i = 0; i < n; i++) {
		struct bundle_member *m = &out->members[i];

		m->name_size = cursor_u8(&in);
		m->name = cursor_take(&in, m->name_size);
		m->size = cursor_u8(&in);
		m->size |= (uint32_t)cursor_u8(&in) << 8;
		m->size |= (uint32_t)cursor_u8(&in) << 16;
		m->at = at;
		if (in.bad || !m->name_size || m->name_size > RECORD_NAME_MAX ||
		    m->size > rec->size - at)
			return ERR_CORRUPT;
		at += m->size;
	}
	return cursor_done(&in) && at == rec->size ? 0 : ERR_CORRUPT;
}

const struct bundle_member *bundle_find(const struct bundle_table *t, const uint8_t *name,
					size_t name_size)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->members[i].name_size == name_size &&
		    !memcmp(t->members[i].name, name, name_size))
			return &t->members[i];
	return NULL;
}
