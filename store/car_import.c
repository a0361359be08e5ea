#include "store/car_import.h"
#include "store/error.h"

int car_import(struct car_reader *r, struct block_sink *sink,
	       const struct car_import_options *o, struct car_import_result *result)
{
	struct car_section s;
	int e;

	*result = (struct car_import_result){ 0 };
	while ((e = car_next(r, &s)) > 0) {
		if (o->cancel && *o->cancel)
			return -ECANCELED;
		e = multihash_check(&s.cid.hash, s.data, s.len);
		if (e < 0) {
			result->cid = s.cid;
			result->at = s.at;
			result->in_block = true;
			return e;
		}
		/* An identity CID is its own block. */
		if (s.cid.hash.code == HASH_IDENTITY)
			continue;
		e = sink->put(sink, &s.cid.hash, s.data, s.len);
		if (e < 0)
			return e;
		result->blocks++;
		result->bytes += s.len;
		if (o->progress) {
			o->progress->blocks = result->blocks;
			o->progress->bytes = car_offset(r);
		}
	}
	return e;
}
