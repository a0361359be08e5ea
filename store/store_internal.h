/*
 * The parts of a block store: store.c opens, finds and reads; store_piece.c cuts
 * blocks into pieces and makes them of pieces again; store_stream.c does that
 * across the leaves of a file; store_bundle.c gathers small blocks into bundles, and
 * store_frame.c reads them; store_append.c puts; store_flush.c makes durable; store_recover.c learns from the segments
 * what the index does not know; store_layout.c knows the directory; store_evict.c keeps the cache log within its quota;
 * gc.c and gc_compact.c take away what nobody needs, minding what store_use.c knows to be in use.
 *
 * A block goes   segment -> pending table -> (fsync) -> index,   and is looked
 * for in the tables first, so that it is never out of sight.  There are two
 * tables: puts fill one while a flush commits the other.  A small block lies in an
 * open bundle before it is in a segment.
 *
 * There are two logs, each with its own segments and its own end.  What is in the keep log never needs anything
 * of the cache log, whose blocks are whole, raw, and in an index table of their own.
 *
 * Locks, in the order they may be taken: use, busy of an open bundle, append of a log
 * (of one at a time), lock, those of the parts.  Nothing waits for the disk under `lock`.
 *
 * A place that was found may vanish before it is read: its block was moved, and
 * the index named the new place before; or dropped.  So who fails to read looks
 * it up again, and only what is still said to be there is damaged.
 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include "store/bundle.h"
#include "store/cache.h"
#include "store/index.h"
#include "store/nameset.h"
#include "store/pack.h"
#include "store/pending.h"
#include "store/recipe.h"
#include "store/segment.h"
#include "store/store.h"

#define STORE_VERSION 2
/* Names that holders are expected to put; more of them keep more garbage. */
#define USED_EXPECTED (1u << 20)

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
/* Bundles whose size is remembered, for those who go through all names: 2^ of them. */
#define SIZES_KEPT_BITS 12
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
	/* By place, which never gets another bundle. */
	struct bundle_size {
		uint32_t segment, offset, size;
	} *sizes; /* made when first used */
};

/* One of the two logs. */
struct log {
	uint8_t number;
	pthread_mutex_t append; /* held while a record is written */
	/* Changed under append and lock: */
	struct segment *active;
	struct mark tail; /* where the next record goes */
	uint32_t kicked;  /* the tail when the disk was last set to work */
};

/* A segment of the cache log, the oldest first. */
struct cached_segment {
	uint32_t number;
	uint64_t bytes;
	uint64_t *read; /* a bit for each stretch that was read since; may be NULL */
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

	struct log logs[LOGS];

	/*
	 * What is in use (store_use.c): held to read by whoever finds a block and
	 * counts on it, to write while blocks that nobody needs are dropped.
	 */
	pthread_rwlock_t use;
	struct nameset *used; /* names put or found since holders or a gc are there */
	pthread_mutex_t hold_lock;
	unsigned holders; /* under hold_lock */
	bool collecting;  /* changed under both */
	struct gc_mark *marked; /* while collecting, once complete; under `use` */
	struct gc_roots *roots; /* under roots_lock */
	pthread_mutex_t roots_lock;
	atomic_uint roots_changed;

	pthread_mutex_t lock;
	pthread_cond_t work, done; /* for the flusher; for those who wait for it */
	struct pending tables[2];
	struct pending *filling, *flushing;
	struct pending bad;     /* places found damaged; the index may name them yet */
	uint32_t last_number;   /* of the segments ever made */
	struct segment *sealed; /* full ones that were not synced yet */
	struct cached_segment *cached; /* of the cache log, but for the active one */
	size_t n_cached, room_cached;
	uint64_t cached_disk;   /* bytes of the cache log's files */
	uint64_t cache_quota;   /* 0: none */
	uint64_t evicted;       /* blocks */
	bool dir_dirty;         /* a segment file was made, and not yet synced */
	uint64_t segment_bytes; /* of all files */
	uint64_t open_blocks, open_bytes; /* in open bundles */
	int64_t first_put;      /* ms; when the first came that was not flushed */
	int64_t retry_at;       /* ms; not to flush before, unless asked */

	/* Puts are counted; `durable` is how many are on disk. */
	uint64_t puts, durable, wanted;
	uint64_t flush_puts; /* what the present flush covers */
	struct mark flush_tail[LOGS];
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
/* The place of a name in its log: 1, 0, or an error. */
int store_find(struct store *s, const struct record_name *name, struct place *out);
/* The place of a block in either log, whose name it becomes. */
int store_find_any(struct store *s, struct record_name *name, struct place *out);
/* Is it still there?  1, 0, or an error; if not, *at is where it is now, and *found
 * whether it is anywhere. */
int store_moved(struct store *s, const struct record_name *name, struct place *at, bool *found);
bool place_same(const struct place *a, const struct place *b);
/* A block from the disk, past the cache in memory.  `key` is its name. */
int store_load(struct store *s, struct record_name *key, const struct multihash *name,
	       struct block **out);

/* Forget a record that is not what it should be, and say so once. */
void store_drop(struct store *s, const struct record_name *name, const struct place *at);

/* store_piece.c */
struct packer *store_packer(struct store *s); /* the caller's until given back; NULL */
void store_packer_done(struct store *s, struct packer *p);
/* The bytes of a block (at->size of them) that lies or is described at a place. */
int store_read(struct store *s, const struct record_name *name, const struct place *at,
	       uint8_t *out);
/* The bytes of one range of a recipe. */
int store_read_range(struct store *s, struct packer *p, const struct range *g, uint8_t *out);
int store_read_recipe(struct store *s, const struct record_name *name,
		      const struct place *at, struct recipe *out);
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
/* Write a record that lay at `old` anew, at the end of the keep log: 0; 1 if it is
 * no longer there; or an error. */
int store_append_moved(struct store *s, const struct record_name *name,
		       const struct record *rec, const void *data, const struct place *old);
/* The same within the cache log, by whoever has its append lock. */
int store_append_again(struct store *s, const struct record_name *name,
		       const struct record *rec, const void *data);
/* Go on in a new file.  Under the log's append lock. */
int store_next_segment(struct store *s, struct log *l);
/* Note a name that lies in a segment.  Under `lock`. */
int store_note(struct store *s, const struct record_name *name, const struct place *at);
/* All names of what lies before that place of a log are noted; `stored` bytes have
 * come with them.  Under `lock`. */
void store_noted(struct store *s, struct log *l, uint32_t segment, uint32_t offset,
		 uint32_t stored);
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
/* Keep a block of at most BUNDLED_MAX bytes that is not in the store; or, with `moved`,
 * only there, from where it is to be moved. */
int store_put_bundled(struct store *s, const struct record_name *name, const uint8_t *data,
		      size_t len, const struct place *moved);
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
/* The room that a name takes in a segment: of a member, its share of the bundle. */
uint64_t store_room_of(struct store *s, size_t name_size, const struct place *at);
void store_frame_done(struct store *s, struct frame *f);
/* A member's bytes, at->size of them. */
int store_read_member(struct store *s, const struct record_name *name,
		      const struct place *at, bool fresh, uint8_t *out);

/* store_flush.c */
int store_flush(struct store *s); /* one round; by one thread at a time */
int store_flusher_start(struct store *s);
void store_flusher_stop(struct store *s); /* flushes what is left */

/* store_evict.c */
uint32_t store_cache_segment(const struct store *s); /* bytes of a file, at most */
/* A file of the cache log that gets no more.  Under `lock`.  0 or -ENOMEM. */
int store_cached_add(struct store *s, uint32_t number, uint64_t bytes);
/* Make room for one more file.  Under the cache log's append lock. */
int store_evict(struct store *s);
bool store_cache_full(struct store *s); /* more than the quota is there */
/* A block was read at a place of the cache log. */
void store_cached_read(struct store *s, const struct place *at);
void store_cached_free(struct store *s);

/* store_use.c: whoever puts says first what it counts on, and looks for it then, between
 * begin and end. */
void store_use_begin(struct store *s);
void store_use(struct store *s, const struct record_name *name);
void store_use_end(struct store *s);
/* Used, and found there, all at once: as store_find(). */
int store_find_used(struct store *s, const struct record_name *name, struct place *out);

/* store_recover.c: index what lies behind the mark, cut the torn end off. */
int store_recover(struct store *s);

/* store_layout.c */
/* The version, or -ENOENT, ERR_NEWER, ERR_CORRUPT, errno. */
int store_version_check(int dir);
int store_version_write(int dir);
int store_index_remove(int dir, const char *name); /* -ENOENT is none */

#endif
