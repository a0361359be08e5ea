/*
 * The parts of a writable folder (folder.h).
 *
 *	folder.c	 open, recover, close; how an operation begins and is committed
 *	folder_names.c	 look-ups, and what changes names
 *	folder_list.c	 listings		folder_attr.c	attributes
 *	folder_xattr.c	 extended attributes	folder_bytes.c	content
 *	folder_apply.c	 makes the updates of a record, when it is written and when
 *			 it is replayed alike: nothing else changes objects
 *	folder_objects.c the objects in memory
 *	folder_base.c	 what is clean: objects made of the base, and taken over
 *	folder_table.c	 the LMDB		folder_save.c	checkpoints
 *	folder_freeze.c	 the frozen view	folder_thaw.c	what became of it
 *	folder_copy.c	 copies, holes		folder_graft.c	old versions; what was removed whole
 *	folder_clean.c	 space in the log	folder_room.c	on a full disk
 *
 * Two locks.  `change` orders everything that changes the folder or drops
 * objects; `state` guards the objects.  An operation that changes something has
 * `change` throughout, and `state` but for the time in which its record is
 * written, so that readers never wait for the disk.  An object found stays
 * where it is as long as one of the two is held.
 */
#ifndef FS_FOLDER_INTERNAL_H
#define FS_FOLDER_INTERNAL_H

/* net/ and the view have functions of these names. */
#define name_find folder_name_find
#define link_find folder_link_find

#include "fs/extents.h"
#include "fs/folder.h"
#include "fs/folder_known.h"
#include "fs/folder_log.h"
#include "fs/folder_record.h"

#include "store/lock.h"

#include <fcntl.h>
#include <pthread.h>

/* ---- objects ---- */

/* A counted string of bytes, malloc'ed: a CID in binary.  NULL: none. */
struct bytes {
	uint8_t len;
	uint8_t data[];
};

/* A name of an inode. */
struct link {
	struct link *next;
	uint64_t dir;
	uint8_t len;
	char name[]; /* with a NUL */
};

struct xattr {
	struct xattr *next;
	uint32_t len;
	uint8_t name_len;
	char name[]; /* with a NUL, and the value behind it */
};
static inline const uint8_t *xattr_value(const struct xattr *x)
{
	return (const uint8_t *)x->name + x->name_len + 1;
}

struct entry;

/* What directories have besides. */
struct directory {
	struct bytes *attrs;		      /* the snapshot's node of attributes */
	struct bytes *listing, *listing_attrs; /* the base that listings go by */
	uint64_t rebased; /* entries clean then and not touched since are the listing's */
	uint64_t n_changed; /* entries that are not what the snapshot has */
	bool relisted;	  /* `listing` is newer than what the log knows */
	bool whole;	  /* every entry over the base is in memory */
	/* Those not in the listing base, by cookie; NULL where one has gone.  If it is
	 * not whole, the table may have others. */
	struct added {
		uint64_t cookie;
		struct entry *entry;
	} *added;
	uint32_t n_added, cap_added, gone;
};

struct inode {
	struct inode *next; /* in its chain */
	uint64_t ino;
	struct inode_core core;
	/* Records that changed it since the snapshot; 0: none.  `based`: holes older
	 * than that are in the base. */
	uint64_t changed, content, based;
	struct bytes *base;		  /* content as of a snapshot */
	uint64_t base_size, base_tsize; /* of the base, as far as it still counts; of all of it */
	struct link *links;
	struct xattr *xattrs;
	char *target;
	struct extents map;
	struct directory *dir;
	uint32_t save_at, dirty_at; /* place in the sets, plus one */
	uint32_t pins;		    /* clean children in memory */
	uint32_t frozen;	    /* while a view is made: its place there, plus one */
	bool stored;		    /* the table has it */
	bool derived;		    /* clean: made of the base, and not in the table */
	bool unsure;		    /* derived, of a size that its directory claims */
	bool gone;		    /* freed; stays until the table has forgotten it */
	bool adopting;		    /* derived, but f->record takes it over */
	bool map_changed;	    /* since the last checkpoint */
	bool dying;		    /* and is on the list for that */
	bool used;		    /* lately; atomic */
};

/* A name that is not simply what the base says of it. */
struct entry {
	struct entry *next;
	uint64_t dir, ino; /* 0: no such name */
	uint64_t cookie;   /* 0: at its place in the listing base */
	uint64_t stored_cookie;
	uint64_t number;   /* the record that changed it last */
	uint32_t save_at, dirty_at;
	bool changed, listed, snapped; /* as in folder_record.h */
	bool stored, gone, dying, used;
	uint8_t type;
	uint8_t len;
	char name[]; /* with a NUL */
};

/* Objects that know their place in it, by a uint32_t at `place` in each. */
struct set {
	void **v;
	uint32_t n, cap;
	size_t place;
};

struct table;
struct frozen;

struct folder {
	struct folder_config cfg;
	char *dir;
	pthread_mutex_t change;
	pthread_rwlock_t state;
	_Atomic uint32_t lookers, changers; /* who wait for them */

	/* of the one who changes */
	struct folder_log *log;
	struct buf record;
	struct set adopting;		 /* by the record */
	unsigned added;			 /* entries, ever: makes cookies differ */
	uint64_t recording; /* number of the record that is or was applied last */
	uint64_t meta_bytes, data_bytes; /* in the log since the last checkpoint */
	bool hurry; /* the reserve was touched: let the keeper fill it again */
	uint64_t died; /* bytes of the log that may be dead since holes were made */
	struct log_mark saved, saving_upto; /* what checkpoints cover: the last one, the next */

	/* objects */
	struct table *table;
	struct inode **inodes;
	struct entry **entries;
	uint32_t inode_bits, entry_bits, n_inodes, n_entries;
	struct set save_inodes, save_entries;	/* not as in the table */
	struct set dirty_inodes, dirty_entries; /* not as in the snapshot */
	/* of the checkpoint that runs, or failed and is to be tried again */
	pthread_mutex_t save_lock; /* before all others */
	struct buf unsaved;
	pthread_mutex_t relief; /* before that */
	_Atomic uint64_t relieved; /* how often it was of use */
	struct set dying_inodes, dying_entries;
	bool saving;
	struct known known;			/* the kernel's look-ups */
	uint8_t key[16];			/* of numbers made of names */
	uint64_t seed;
	uint64_t next_ino;
	uint64_t dirty_bytes, n_dirty;
	struct bytes *root, *root_attrs; /* of the last snapshot */
	uint64_t snapshot;		 /* the record up to which it goes */
	uint64_t thaws;			 /* steps of them, since it is open */
	bool thawing;			 /* between two steps of one */
	int64_t first_change_ms, last_change_ms;
	bool replaying;
	int broken; /* memory ran out where nothing could be undone */
	struct frozen *frozen;
	uint32_t hand;	  /* of the clock that evicts */
	uint32_t loading; /* objects there were when the load began */

	/* the thread that keeps house */
	pthread_t keeper;
	pthread_mutex_t keep_lock;
	pthread_cond_t keep_wake;
	bool keeping, stop, wake, replayed;
	int lock_fd;
};

/* Positions of added entries in listings, above all that dag_list() gives; and of
 * the special ones of the base, between those. */
#define ADDED_COOKIE   (UINT64_C(3) << 61)
#define SPECIAL_COOKIE ((UINT64_C(1) << 62) + 16)

/* ---- how an operation goes (folder.c) ---- */

/* Take the locks: 0, or -EROFS. */
int change_begin(struct folder *f);
/* Append f->record, and apply it.  Nothing in it: nothing happens. */
int change_commit(struct folder *f, const void *data, uint32_t len);
/* The same of one without data that frees room, on a full disk too. */
int change_commit_freeing(struct folder *f);
void change_end(struct folder *f);
/* Let those in who only look, or load.  Nothing else changes meanwhile, and no object
 * goes. */
void change_pause(struct folder *f);
void change_resume(struct folder *f);
/* The same for a moment, if there are any: every few hundred objects of a long change. */
void change_breathe(struct folder *f);
#define BREATH 256
/* Between changes that follow each other at once: they would be the first again. */
void folder_give_way(struct folder *f);
/* For operations that only look, where all is in memory. */
void look_begin(struct folder *f);
void look_end(struct folder *f);
/* For those which may load objects. */
void load_begin(struct folder *f);
void load_end(struct folder *f);

/* Count a look-up by the kernel, for which there is room (known_room()). */
void inode_known(struct folder *f, const struct inode *i);
/* The same, with room or -ENOMEM, and tell of the inode. */
int folder_known(struct folder *f, struct inode *i, struct folder_attr *out);
/* All entries of a directory, until each() returns non-zero. */
int directory_each(struct folder *f, struct inode *dir, folder_each_fn each, void *arg,
		   struct lack *lack);
/* Free a directory that has no name, with what is in it, as far as nobody uses it. */
void folder_reap(struct folder *f, uint64_t ino);
void attr_fill(const struct inode *i, struct folder_attr *out);
/* 1 if a directory has no entry, 0 if it has, or an error. */
int directory_empty(struct folder *f, struct inode *dir, struct lack *lack);

struct timespec folder_now(void);
/* In tests: no thread works behind their backs. */
extern bool folder_keeper_rests;
/* Let the keeper make a checkpoint. */
void folder_wake(struct folder *f);

/* ---- objects (folder_objects.c) ---- */

struct inode *inode_find(struct folder *f, uint64_t ino); /* NULL: not in memory */
struct inode *inode_add(struct folder *f, uint64_t ino);  /* zeroed; NULL: no memory */
void inode_remove(struct folder *f, struct inode *i);	  /* free it */
/* Clean children keep the directories above them in memory; one is so no more. */
void inode_unpin(struct folder *f, struct inode *i);
/* Drop what hangs on it, telling the log. */
void inode_clear(struct folder *f, struct inode *i);
struct entry *entry_find(struct folder *f, uint64_t dir, const char *name, size_t len);
struct entry *entry_add(struct folder *f, uint64_t dir, const char *name, size_t len);
void entry_remove(struct folder *f, struct entry *e);
int directory_make(struct inode *i);

struct link *link_find(struct inode *i, uint64_t dir, const char *name, size_t len);
int link_add(struct inode *i, uint64_t dir, const char *name, size_t len);
void link_remove(struct inode *i, uint64_t dir, const char *name, size_t len);
struct xattr *xattr_find(struct inode *i, const char *name, size_t len);
int xattr_put(struct inode *i, const char *name, size_t name_len, const void *value,
	      size_t len);
void xattr_remove(struct inode *i, const char *name, size_t len);

/* The added entries of a directory, by cookie. */
int added_put(struct directory *d, struct entry *e);
void added_remove(struct directory *d, const struct entry *e);
uint32_t added_seek(const struct directory *d, uint64_t cookie); /* first above it */

int save_inode(struct folder *f, struct inode *i); /* the table is to get it */
int save_entry(struct folder *f, struct entry *e);
int dirty_inode(struct folder *f, struct inode *i, bool dirty);
int dirty_entry(struct folder *f, struct entry *e, bool dirty);
void set_remove(struct set *s, uint32_t *at);

struct bytes *bytes_new(const void *data, size_t len);
bool bytes_equal(const struct bytes *a, const struct bytes *b);
/* The CID in it; version 0xff if there is none. */
struct cid bytes_cid(const struct bytes *b);

const struct extents_live *live_of(struct folder *f, struct extents_live *out);

/* What may stay in memory although it could be loaded again. */
#define OBJECTS_MAX 100000u
extern uint32_t folder_objects_max; /* OBJECTS_MAX, but in tests */
/* Let go of what was not used for long, if there is much.  Both locks. */
void objects_evict(struct folder *f, uint32_t steps);
void objects_free(struct folder *f);

/* ---- what there is, wherever it is kept (folder_base.c) ---- */

/* An inode by number: -ESTALE, or why it cannot be had. */
int inode_get(struct folder *f, uint64_t ino, struct inode **out, struct lack *lack);
/* The same, that has to be a directory and not a removed one (-ENOENT). */
int inode_get_dir(struct folder *f, uint64_t ino, struct inode **out, struct lack *lack);
/* What is over the base: 1 and it, 0, or an error. */
int entry_get(struct folder *f, struct inode *dir, const char *name, size_t len,
	      struct entry **out);

/* What a name stands for. */
struct found {
	struct inode *dir;
	const char *name;
	uint8_t len;
	struct entry *entry; /* NULL: only the base may have it */
	struct inode *inode; /* NULL: there is none */
};
/* 0, also if the name is not there; or an error.  -ENAMETOOLONG. */
int name_find(struct folder *f, struct inode *dir, const char *name, struct found *out,
	      struct lack *lack);
/* A clean child: what the base says under a name, that no entry hides. */
int base_child(struct folder *f, struct inode *dir, const char *name, size_t len,
	       struct inode **out, struct lack *lack);
/* The same, where the entry of the listing is known (NULL: it is in none). */
int clean_child(struct folder *f, struct inode *dir, const char *name, size_t len,
		const struct dag_entry *e, struct inode **out, struct lack *lack);
/* The size of a raw leaf is taken from its entry, so a listing needs no leaves. */
int entry_type(struct folder *f, const struct dag_entry *e, struct dag_attr *a,
	       struct lack *lack);
struct attrs_entry;
/* What stat() shows of a clean thing, of which this is said. */
void clean_core(const struct attrs_entry *a, const struct dag_attr *d, struct inode_core *c);
/* The number of a clean thing. */
uint64_t base_ino(struct folder *f, uint64_t dir, const char *name, size_t len);

/* Put updates into f->record that make a clean inode, and what is above it, one
 * that has a row in the table; nothing if it has one.  ERR_MISSING: not even
 * its size was known. */
int inode_adopt(struct folder *f, struct inode *i, struct lack *lack);

/* The size of a clean file that is only claimed becomes that which it has. */
int inode_sure(struct folder *f, struct inode *i, struct lack *lack);

/* ---- updates for f->record ---- */

void record_inode(struct folder *f, uint64_t ino, const struct inode_core *c,
		  unsigned flags);
/* The entry is to name `ino` (0: nothing); its place in listings is found here. */
void record_entry(struct folder *f, const struct found *at, uint64_t ino, mode_t mode);
void record_extent(struct folder *f, uint64_t ino, unsigned place, uint64_t offset,
		   uint64_t len, uint64_t from);

void record_free(struct folder *f, uint64_t ino);

void record_base(struct folder *f, uint64_t ino, uint64_t size, uint64_t tsize, uint64_t upto,
		 const struct cid *cid, const struct cid *attrs);
void record_listing(struct folder *f, uint64_t ino, uint64_t upto, const struct cid *cid,
		    const struct cid *attrs);
/* An inode loses a name (a directory its only one).  Freed if nobody knows it, unless
 * it is a directory. */
void record_unlinked(struct folder *f, const struct inode *i, const struct timespec *now);
/* What a directory is after its entries changed, with so many more sub-directories. */
struct inode_core dir_touched(const struct inode *dir, const struct timespec *now, int dirs);

/* ---- applying (folder_apply.c) ---- */

/* Make the updates of a record.  Live it cannot fail but for memory. */
int folder_apply(struct folder *f, const struct log_record *r);

/* Numbers of segments, put in ascending.  numbers is free()d by the owner. */
struct segment_set {
	uint32_t *numbers;
	size_t n, cap;
};
int segment_set_add(struct segment_set *s, uint32_t number); /* 0 or -ENOMEM */
bool segment_set_has(const void *set, uint32_t number);

/* After a checkpoint: move what is alive out of segments that are mostly dead, if
 * the dead bytes are more than those alive, and than folder_clean_min.  1 if something
 * was moved, so that another checkpoint is worth it; 0; an error. */
int folder_clean(struct folder *f);
extern uint64_t folder_clean_min;

/* ---- a full disk (folder_room.c) ---- */

/* How large the reserve is to be now.  A lock. */
uint64_t room_wanted(const struct folder *f);
/* Have the reserve whole, as far as there is room: true if it is. */
bool room_refill(struct folder *f);
/* table_commit() of what is unsaved, at the cost of the reserve if need be. */
int room_commit(struct folder *f);
/* After a checkpoint: if the disk is short of room, give it what is dead in the log. */
int room_give_back(struct folder *f);

/* A file of a frozen view is cut. */
void frozen_cut(struct frozen *z, uint64_t ino, uint64_t size);

/* ---- table (folder_table.c, folder_save.c) ---- */

#define TABLE_INODES  0
#define TABLE_ENTRIES 1 /* dir, name */
#define TABLE_ORDER   2 /* dir, cookie -> name */
#define TABLE_EXTENTS 3 /* ino, chunk */
#define TABLE_INDEX   4 /* 'i' ino, 'e' dir name: not as in the snapshot; 'o' ino: orphan */
#define TABLE_META    5
#define TABLES	      6

/* What the table says of the whole. */
struct table_meta {
	uint8_t key[16];
	struct log_mark covered;
	uint64_t next_ino, snapshot, n_dirty, dirty_bytes;
	int64_t first_change_ms, last_change_ms;
	struct bytes *root, *attrs;
};

/* Open; *fresh if it was just made and has nothing. */
int table_open(struct table **out, const char *dir, bool *fresh);
void table_close(struct table *t);
int table_meta_get(struct table *t, struct table_meta *out); /* the caller frees root, attrs */
/* 1 and the object in memory, 0, or an error. */
int table_inode(struct folder *f, uint64_t ino, struct inode **out);
int table_entry(struct folder *f, uint64_t dir, const char *name, size_t len,
		struct entry **out);
/* The name of the next added entry behind a cookie: 1, 0 or an error. */
int table_next_added(struct table *t, uint64_t dir, uint64_t *cookie, char *name,
		     size_t *len);
/* The keys of the index that begin with `kind`: copied to `out`, u16 length before each. */
int table_index(struct table *t, uint8_t kind, struct buf *out);

/* The numbers (u64) of inodes that have extents in segments that are wanted. */
int table_users(struct table *t, bool (*wanted)(const void *arg, uint32_t segment),
		const void *arg, struct buf *out);

/* Where data of wanted segments is in use; all of it as of one checkpoint. */
struct table_place {
	uint32_t segment, at, len;
};
int table_places(struct table *t, bool (*wanted)(const void *arg, uint32_t segment),
		 const void *arg, struct buf *out);

/* What a gc has to be told of the inodes, of all of them or only of those that may not
 * be as in the snapshot's tree. */
struct telling_bases {
	int (*each)(void *arg, const struct cid *tree); /* non-zero stops, and is passed on */
	void *arg;
	bool all;
	bool detached; /* a directory without a name was seen; below it may be anything */
};
int tell_bases(struct telling_bases *t, const struct inode_core *core, bool changed,
	       const struct bytes *const base[4]);
/* The same of each inode row. */
int table_each_base(struct table *t, struct telling_bases *telling);

/* A change of the table, behind others in a buffer. */
void rows_put(struct buf *b, unsigned table, const void *key, size_t key_len,
	       const struct buf *value);
void rows_del(struct buf *b, unsigned table, const void *key, size_t key_len);
void rows_del_prefix(struct buf *b, unsigned table, const void *key, size_t key_len);
/* Make them all, durably, or none: then that may be tried again. */
int table_commit(struct table *t, const struct buf *changes);

size_t entry_key(uint8_t out[8 + NAME_MAX_BYTES], uint64_t dir, const char *name,
		 size_t len);
void put_be(uint8_t *p, uint64_t v);
uint64_t get_be(const uint8_t *p);

/* How many bytes of each segment are in use, as of the last checkpoint:
 * u32 number, u64 bytes, ... */
int table_segments(struct table *t, struct buf *out);

/* Bring the table up to date.  Takes the locks. */
int folder_checkpoint(struct folder *f);
void meta_encode(struct buf *out, const struct folder *f, const struct log_mark *covered);
void inode_row(struct buf *out, const struct inode *i);
int inode_row_read(struct folder *f, uint64_t ino, const void *data, size_t len,
		   struct inode **out);

#endif
