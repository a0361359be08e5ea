/*
 * The log of a writable folder: its journal and the bytes written to files, in
 * one (doc/formats.md, "Folders: table and log").  Segments are files that only
 * grow:
 *
 *	segment = "cairnlog" | u32 version | u32 number | u64 0 | u64 XXH3-64 of
 *		  the 24 bytes before | records
 *	record	= u32 "CFLR" | u32 bytes of meta | u32 bytes of data | u32 0
 *		  | u64 number | u64 XXH3-64 of the data | u64 check | meta | data
 *		  | 0 up to a multiple of 8
 *
 * Little-endian.  The check is the XXH3-64 of header (with 0 in its place) and
 * meta, with the seed segment * 2^32 + offset.  Records are numbered without a gap.
 *
 * A record that was appended is with the kernel and survives our death; one
 * that was synced survives a power cut.  Opened again, the log gives back a
 * prefix of what was appended: up to the first record that is not whole.
 *
 * One thread appends at a time (the caller sees to it); everything else may be
 * called from any thread.  After a write or sync that failed, but for a write
 * that found no room and was undone, the log takes nothing any more (-EROFS).
 */
#ifndef FS_FOLDER_LOG_H
#define FS_FOLDER_LOG_H

#include "store/buf.h"

#include <sys/types.h>
#include <sys/uio.h>

#define LOG_SEGMENT_HEADER 32u
#define LOG_RECORD_HEADER  40u
#define LOG_SEGMENT_BYTES  (64u << 20) /* a longer record has one for itself */
#define LOG_META_MAX	   (64u << 20)
#define LOG_DATA_MAX	   (64u << 20)

struct folder_log;

/* Between two records. */
struct log_mark {
	uint32_t segment, at; /* where the next one begins; 0, 0: the first segment */
	uint64_t number;      /* which it has */
};

/* A record that came back. */
struct log_record {
	uint64_t number;
	const uint8_t *meta; /* borrowed */
	size_t meta_len;
	uint32_t segment, at; /* of its data */
	uint32_t data_len;
};
/* A negative result ends the replay and is passed on. */
typedef int (*log_each_fn)(void *arg, const struct log_record *r);

/* Open the log in directory `dir` (made if it is not there). */
int folder_log_open(struct folder_log **out, const char *dir);
/*
 * Before anything else: replay all records from `from` on.  What follows the
 * first that is not whole is cut off; the next record begins a new segment.
 * An errno, ERR_NEWER, what each() returned.
 */
int folder_log_replay(struct folder_log *log, const struct log_mark *from, log_each_fn each,
		      void *arg);
void folder_log_close(struct folder_log *log); /* does not sync; NULL is allowed */

/*
 * Append a record.  `record` begins with LOG_RECORD_HEADER bytes that are
 * written here, and the meta follows.  `out` is told its number and where its
 * data lies.  One that frees room may use the reserve.  0; -ENOSPC or -EDQUOT (nothing
 * changed); -EROFS; or the errno that makes it -EROFS from now on.
 */
int folder_log_append(struct folder_log *log, struct buf *record, const void *data,
		      uint32_t len, bool frees, struct log_record *out);
/* If nothing in the last segment is in use, and it is not short, let the next record begin another, so that
 * it can go.  Appending thread. */
void folder_log_turn(struct folder_log *log);

/* All that was appended before is on disk.  Concurrent calls share one wait. */
int folder_log_sync(struct folder_log *log);

/* The end.  Appending thread. */
struct log_mark folder_log_end(const struct folder_log *log);

/* Bytes of a segment.  0; -EIO (they are not there); an errno. */
int folder_log_read(struct folder_log *log, uint32_t segment, uint32_t at, void *buf,
		    size_t len);

/*
 * How many bytes of segments are in use: who maps them keeps count here, and
 * what is in use stays.
 */
void folder_log_use(struct folder_log *log, uint32_t segment, int64_t bytes);

/* A segment's state, in order of their numbers. */
struct log_segment_state {
	uint32_t number, size, holes; /* holes: bytes of it that are not on the disk */
	int64_t in_use;
};
/* The first with a number of at least `from`: true, or false if there is none. */
bool folder_log_segment(struct folder_log *log, uint32_t from,
			struct log_segment_state *out);

/* From here until folder_log_unhold() a segment stays, whatever else is said. */
void folder_log_hold(struct folder_log *log, uint32_t segment);
void folder_log_unhold(struct folder_log *log, uint32_t segment);

/*
 * A checkpoint that covers everything before `covered` is made of what is in
 * use now: when it is durable, folder_log_trim() removes the segments that are
 * then neither in use nor needed for a replay.
 */
void folder_log_retire(struct folder_log *log, const struct log_mark *covered);
void folder_log_trim(struct folder_log *log);

/*
 * Room for what frees room: a file of that many bytes beside the segments, given up a
 * piece at a time by appends of what frees, and by folder_log_spend().  Where the file
 * system cannot keep room for a file, there is no reserve, and no error.
 */

/* 0 if there are so many bytes, or now are; -ENOSPC or -EDQUOT. */
int folder_log_reserve(struct folder_log *log, uint64_t want);
/* Make it so many, or as many as there is room for: true if it has them. */
bool folder_log_refill(struct folder_log *log, uint64_t want);
/* It has fewer than it was to have. */
bool folder_log_short(struct folder_log *log);
/* Give up about so many: false if there were none. */
bool folder_log_spend(struct folder_log *log, uint64_t bytes);

/*
 * Give the disk back what is dead of a segment before `end`: all but what is live, in
 * order.  No record before there may be needed for a replay; what readers hold stays.
 * 0, or an errno: -EOPNOTSUPP where files have no holes.
 */
struct log_span {
	uint32_t at, len;
};
int folder_log_punch(struct folder_log *log, uint32_t segment, const struct log_span *live,
		     size_t n, uint32_t end);

uint64_t folder_log_bytes(struct folder_log *log); /* on disk */
int folder_log_failed(struct folder_log *log);	   /* why it takes nothing, or 0 */

/* How it reaches the disk; a test puts its own here, to fail. */
struct folder_log_io {
	ssize_t (*pwritev)(int fd, const struct iovec *iov, int n, off_t offset);
	int (*fdatasync)(int fd);
	int (*ftruncate)(int fd, off_t size);
	int (*allocate)(int fd, off_t offset, off_t len); /* fallocate() */
	int (*punch)(int fd, off_t offset, off_t len);	  /* the same, of a hole */
};
extern struct folder_log_io folder_log_io;

#endif
