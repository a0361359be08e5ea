/* The parts of a folder's log: folder_log.c, and folder_log_replay.c reads it back. */
#ifndef FS_FOLDER_LOG_INTERNAL_H
#define FS_FOLDER_LOG_INTERNAL_H

#include "fs/folder_log.h"

#include <pthread.h>

#define LOG_MAGIC 0x524c4643u /* "CFLR" */

struct segment {
	uint32_t number, size;
	int64_t in_use;
	int fd;	       /* -1: not open */
	unsigned refs; /* readers */
	uint64_t used; /* when fd was last */
	bool retired;  /* may go when nobody reads it */
};

struct folder_log {
	int dir;
	/* of the appending thread */
	struct log_mark end;
	uint32_t ahead;	    /* the last segment has zeros up to there, if that is behind its end */
	uint32_t allocated; /* and blocks up to there, it may be */
	/* below: under the lock */
	pthread_mutex_t lock;
	pthread_cond_t synced_one;
	struct segment *segments; /* by number; the last is appended to, if `fresh` is not set */
	size_t n, cap;
	unsigned n_open;
	uint64_t clock, bytes;
	uint64_t appended, synced; /* numbers behind the last record */
	uint32_t unsynced;	   /* the first segment that may have unsynced bytes */
	uint64_t unsynced_bytes;
	unsigned small_syncs; /* in a row */
	bool fresh;		   /* the next record begins a segment */
	bool dir_changed, syncing;
	int failed;
};

/* Index of the first segment whose number is at least `number`. */
size_t log_find(const struct folder_log *log, uint32_t number);
/* Remove a segment, by index. */
void log_drop(struct folder_log *log, size_t i);
/* Have its descriptor open; `flags` of open() besides. */
int log_open_fd(struct folder_log *log, struct segment *s, int flags);
/* 0, ERR_CORRUPT or ERR_NEWER. */
int log_header_check(const uint8_t in[LOG_SEGMENT_HEADER], uint32_t number);

#endif
