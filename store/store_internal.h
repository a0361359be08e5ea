/*
 * The parts of a block store: store.c opens, finds and reads; store_piece.c cuts
 * blocks into pieces and makes them of pieces again; store_stream.c does that
 * across the leaves of a file; store_bundle.c gathers small blocks into bundles, and
 * store_frame.c reads them; store_append.c puts; store_flush.c makes durable; store_recover.c learns from the segments
 * what the index does not know; store_layout.c knows the directory.
 *
 * A block goes   segment -> pending table -> (fsync) -> index,   and is looked
 * for in the tables first, so that it is never out of sight.  There are two
 * tables: puts fill one while a flush commits the other.  A small block lies in an
 * open bundle before it is in a segment.
 *
 * Locks, in the order they may be taken: busy of an open bundle, append, lock, those
 * of the parts.
 * Nothing waits for the disk under `lock`.
 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include "store/bundle.h"
#include "store/cache.h"
#include "store/index.h"
#include "store/pack.h"
#include "store/pending.h"
#include "store/recipe.h"
#include "store/segment.h"
#include "store/store.h"

#define STORE_VERSION 2

/* A flush begins at that much, or a second after the first block. */
#define FLUSH_BYTES    (64u << 20)
#define FLUSH_NAMES    32768u
#define FLUSH_AFTER_MS 1000
/* A put waits for the flush when this many are pending. */
#define PENDING_MAX (2 * FLUSH_NAMES)
/* The disk is set to work whenever this much was appended. */
#define WRITEBACK_BYTES (8u << 20)
/* Pieces, below the blocks (PIECE_MAX is the longest). */
#define PIECE_MIN     (16u << 10)
#define PIECE_AVERAGE (64u << 10)
/* Blocks of at most that many bytes go into bundles of that many, compressed
 * together; a reader of one unpacks all of them. */
#define BUNDLED_MAX  (64u << 10)
#define BUNDLE_BYTES (256u << 10)
/* Open bundles: one for each thread that puts, of which most use the first. */
#define BUNDLES_OPEN 8
/* Bundles that are kept unpacked, for those who read on. */
#define FRAMES_KEPT 8
/* Room for packing that is kept for the next who needs it. */
#define PACKERS_KEPT 8

/* A bundle that blocks are put into.  Whoever holds `busy` fills it; what is said of
 * its members changes under the store's lock too. */
struct open_bundle {
	pthread_mutex_t busy;
	uint8_t *table, *data; /* BUNDLE_TABLE_MAX and BUNDLE_BYTES; made when first used */
	uint32_t table_bytes, bytes, n;
	struct open_member {
		uint64_t hash;
		uint32_t at, size;
		uint16_t entry; /* where in the table */
		uint16_t next;	/* of one slot, counted from 1 */
	} members[BUNDLE_MEMBERS];
	uint16_t slots[BUNDLE_MEMBERS];
};

/* A bundle as a reader has it: unpacked.  Counted. */
struct frame {
	uint32_t segment, offset;
	uint64_t check; /* of the stored bytes */
	unsigned refs;	/* under the frames' lock */
	bool loading;
	uint64_t used;
	struct bundle_table table;
	uint8_t *data; /* of all members */
	uint8_t bytes[]; /* the table, the data */
};

struct frames {
	pthread_mutex_t lock;
	pthread_cond_t loaded;
	struct frame *kept[FRAMES_KEPT];
	uint64_t clock;
};

struct store {
	struct block_source source;
	char *path; /* of the directory, for messages */
	int dir, lock_fd;
	bool writable;
	uint64_t seed; /* of the hash tables */
	struct segments segments;
	struct index *index;
	struct cache *cache; /* NULL: none */
	atomic_uint_fast64_t corrupt;

	pthread_mutex_t packing;
	struct packer *packers[PACKERS_KEPT]; /* idle ones */
	unsigned n_packers;
	/* piece_name(); a test puts a worse one here. */
	void (*piece_name)(uint8_t out[PIECE_NAME], const void *data, size_t len);

	struct open_bundle bundles[BUNDLES_OPEN];
	struct frames frames;

	/* Appending: held while a record is written. */
	pthread_mutex_t append;

	pthread_mutex_t lock;
	pthread_cond_t work, done; /* for the flusher; for those who wait for it */
	struct pending tables[2];
	struct pending *filling, *flushing;
	struct pending bad;     /* places found damaged; the index may name them yet */
	struct segment *active; /* changed under append and lock */
	struct mark tail;       /* where the next record goes */
	struct segment *sealed; /* full ones that were not synced yet */
	bool dir_dirty;         /* a segment file was made, and not yet synced */
	uint64_t segment_bytes; /* of all files */
	uint64_t open_blocks, open_bytes; /* in open bundles */
	uint32_t kicked;        /* the tail when the disk was last set to work */
	int64_t first_put;      /* ms; when the first came that was not flushed */
	int64_t retry_at;       /* ms; not to flush before, unless asked */

	/* Puts are counted; `durable` is how many are on disk. */
	uint64_t puts, durable, wanted;
	uint64_t flush_puts; /* what the present flush covers */
	struct mark flush_tail;
	uint64_t rounds; /* flushes begun */
	uint64_t failed_round;
	int round_error; /* of failed_round */
	int full;        /* the last round's error, if space may cure it */
	int failed;      /* final */
	bool stop, running;
	bool flushes; /* the flusher has begun, and is: */
	pthread_t flusher_self;
	pthread_t flusher;
};

struct store *store_new(const char *path); /* nothing of it open; NULL: no memory */
void store_free(struct store *s);	   /* but does not stop the flusher */
int64_t store_now_ms(void);
/* True for errors that go away when somebody frees space. */
bool store_no_space(int r);
/* The live entry of a name in the tables, or NULL.  Under `lock`. */
struct pending_entry *store_find_pending(struct store *s, const struct record_name *name);
/* The place of a name: 1, 0, or an error. */
int store_find(struct store *s, const struct record_name *name, struct place *out);

/* Forget a record that is not what it should be, and say so once. */
void store_drop(struct store *s, const struct record_name *name, const struct place *at);

/* store_piece.c */
struct packer *store_packer(struct store *s); /* the caller's until given back; NULL */
void store_packer_done(struct store *s, struct packer *p);
/* The bytes of a block (at->size of them) that lies or is described at a place. */
int store_read(struct store *s, const struct record_name *name, const struct place *at,
	       uint8_t *out);
/* 0 if all pieces of the recipe there are known, else ERR_CORRUPT. */
int store_recipe_whole(struct store *s, const struct record_name *name,
		       const struct place *at);
/* Store a piece of at most PIECE_MAX bytes, unless it is there; gives its name. */
int store_put_piece(struct store *s, struct packer *p, const void *data, size_t len,
		    uint8_t name[PIECE_NAME]);
/* Store the recipe of a block of `size` bytes, all pieces of which are stored. */
int store_put_recipe(struct store *s, const struct record_name *name,
		     const struct recipe *recipe, size_t size);
/* Store a block that came alone, cut if it is long. */
int store_put_cut(struct store *s, struct packer *p, const struct record_name *name,
		  const uint8_t *data, size_t len);

/* store_append.c: add a record: 0; 1 if its name is there, just put by another
 * thread; or an error. */
int store_append(struct store *s, const struct record_name *name, uint8_t kind,
		 const struct packed *packed, size_t size);
/* Note a name that lies in a segment.  Under `lock`. */
int store_note(struct store *s, const struct record_name *name, const struct place *at);
/* All names of what lies before `offset` of the active segment are noted; `stored`
 * bytes have come with them.  Under `lock`. */
void store_noted(struct store *s, uint32_t offset, uint32_t stored);
/*
 * Append a bundle: its header without the check of the stored bytes, what stands in
 * the place of its name, and the stored bytes, whose table is `table`.  All members
 * are noted there, or none.
 */
int store_append_bundle(struct store *s, struct record *rec, const uint8_t name[BUNDLE_NAME],
			const uint8_t *stored, const struct bundle_table *table);

/* store_bundle.c: small blocks on their way into a segment. */
int store_bundles_init(struct store *s);
void store_bundles_release(struct store *s);
/* Keep a block of at most BUNDLED_MAX bytes that is not in the store. */
int store_put_bundled(struct store *s, const struct record_name *name, const uint8_t *data,
		      size_t len);
/* Its place, if it lies in an open bundle: true.  Under `lock`. */
bool store_find_open(struct store *s, const struct record_name *name, struct place *out);
/* Its bytes (`size` of them), if it still lies in one: 0, else ERR_MISSING. */
int store_read_open(struct store *s, const struct record_name *name, size_t size,
		    uint8_t *out);
/* Append all that is open: what was put before the call has a place in a segment when
 * it returns 0.  Without `wait`, bundles that others fill are left alone. */
int store_close_bundles(struct store *s, bool wait);

/*
 * store_frame.c: members of bundles in segments.  A frame tells a collector which
 * members there are (frame->table) and has their bytes (frame->data + member->at), to be
 * put anew; segment_read_bundle() and store_append_bundle() move a bundle as it is.
 */
void store_frames_init(struct store *s);
void store_frames_release(struct store *s);
/* The bundle at the place of a member: *out is to be given back.  `fresh`: as it is
 * on the disk now.  ERR_CORRUPT, or an I/O error. */
int store_frame(struct store *s, const struct place *at, bool fresh, struct frame **out);
void store_frame_done(struct store *s, struct frame *f);
/* A member's bytes, at->size of them. */
int store_read_member(struct store *s, const struct record_name *name,
		      const struct place *at, bool fresh, uint8_t *out);

/* store_flush.c */
int store_flush(struct store *s); /* one round; by one thread at a time */
int store_flusher_start(struct store *s);
void store_flusher_stop(struct store *s); /* flushes what is left */

/* store_recover.c: index what lies behind the mark, cut the torn end off. */
int store_recover(struct store *s);

/* store_layout.c */
/* The version, or -ENOENT, ERR_NEWER, ERR_CORRUPT, errno. */
int store_version_check(int dir);
int store_version_write(int dir);
int store_index_remove(int dir, const char *name); /* -ENOENT is none */

#endif
