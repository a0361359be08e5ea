/*
 * The segment files of a store, <dir>/segments/NNNNNNNN.seg: opened by number,
 * read and written at places, scanned when the index does not know them.
 * Appending is store_append.c's, which knows where the end is.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "store/record.h"

#include <pthread.h>
#include <sys/types.h>

#define SEGMENTS_OPEN_MAX  64 /* descriptors kept for reading */
#define SEGMENT_NUMBER_MAX 99999999u

/* An open segment; counted, so that closing waits for its readers. */
struct segment {
	int fd;
	uint32_t number;
	unsigned refs;        /* atomic */
	struct segment *next; /* in a list of whoever holds it */
};
struct segment *segment_ref(struct segment *g);
void segment_unref(struct segment *g); /* the last one closes; NULL is allowed */

struct segments {
	int dir; /* descriptor of the folder, owned */
	pthread_mutex_t lock;
	struct {
		struct segment *file;
		uint64_t used;
	} open[SEGMENTS_OPEN_MAX];
	uint64_t clock;
};

/* The folder "segments" below `parent`.  0 or a negative errno. */
int segments_open(struct segments *s, int parent);
void segments_close(struct segments *s);

/* The numbers of the files that exist, ascending, in an array to free(); and
 * their bytes together. */
int segments_list(struct segments *s, uint32_t **numbers, size_t *n, uint64_t *bytes);

/* Make a new file of a log with its header: a reference the caller owns, for
 * writing. */
int segment_create(struct segments *s, uint32_t number, uint8_t log, struct segment **out);

/* Open an existing file for writing: a reference the caller owns. */
int segment_open(struct segments *s, uint32_t number, struct segment **out);

/* The log a file says it belongs to, and its bytes: 0; ERR_CORRUPT (its header is
 * no such; *bytes is right), ERR_NEWER, or an errno. */
int segment_log(struct segments *s, uint32_t number, uint8_t *log, uint64_t *bytes);

uint64_t segment_bytes(const struct segment *g); /* of the file */

/*
 * Remove a file, and free its bytes even if readers have it open: they find a
 * file that ends, and look for the block again.  Nothing may name it any more.
 */
int segment_remove(struct segments *s, uint32_t number);

/*
 * Write a record at `offset`, wholly: 0 or a negative errno.  What an error
 * left behind is cut off again if it can be; either way it is not a record.
 */
int segment_write(struct segment *g, uint32_t offset, const struct record *r,
		  const uint8_t *name, const void *data);

/*
 * Read the stored bytes of `name` from a place into `data` (place->stored bytes);
 * *encoding (may be NULL, then only raw ones will do) is how they are encoded.
 *   ERR_CORRUPT  the bytes there are not that record
 *   or a negative errno: we could not read
 */
int segment_read(struct segments *s, const struct place *at, const uint8_t *name,
		 size_t name_size, void *data, uint8_t *encoding);

/*
 * The same of the bundle a member's place is in: its header to *rec, what stands
 * in the place of its name, and its stored bytes.
 */
int segment_read_bundle(struct segments *s, const struct place *at, struct record *rec,
			uint8_t name[BUNDLE_NAME], void *data);

/* The bytes of all members of a bundle, as its header says; as segment_read(), but for
 * the check of the stored bytes. */
int segment_bundle_size(struct segments *s, const struct place *at, uint32_t *size);

/*
 * Give every name that whole records from `from` on have to each(), which stops the
 * scan by returning non-zero, which is passed on; of a bundle, those of all members.
 * `end`: all names that lie before it were given.  Damage is stepped over by looking
 * for the next record; what was found behind damage is checked by its strong
 * hash, since the bytes of a block may pretend to be a record.  A recipe found
 * there cannot be checked here: it is given with `doubtful` set.
 * *end: behind the last whole record; *damaged: bytes stepped over before it.
 */
/* In memory the record's header lies before the name and its bytes behind. */
typedef int (*segment_each_fn)(void *arg, const uint8_t *name, size_t name_size,
			       const struct place *at, uint32_t end, bool doubtful);
int segment_scan(struct segment *g, uint32_t from, segment_each_fn each, void *arg,
		 uint32_t *end, uint64_t *damaged);

#endif
