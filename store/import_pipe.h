/*
 * The threads of an import.  The walk puts entries into a queue; workers take
 * them, or chunks of the files of several chunks that are open, which go first.
 * Whoever completes the last entry of a directory builds it, and so on upwards.
 * In memory are a chunk per worker, the queue, and the directories in work.
 * Private to the import.
 */
#ifndef STORE_IMPORT_PIPE_H
#define STORE_IMPORT_PIPE_H

#include "store/import.h"
#include "store/import_walk.h"

#include <pthread.h>
#include <sys/stat.h>

#define QUEUE 64 /* entries; each may hold its directory's descriptor */

struct task {
	struct dir *dir; /* held */
	uint32_t index;
	struct dirref *at; /* a reference, or NULL */
};

struct pipeline {
	const struct import_options *options;
	const struct profile *profile;
	struct block_sink *sink;
	uint64_t fingerprint;	/* of all that a file's CID depends on */
	size_t result_size;	/* bytes of an entry_result */
	bool meta;		/* attributes are kept */
	_Atomic uint64_t files, dirs, symlinks, bytes;

	pthread_mutex_t lock; /* of all below, and of files' turns */
	pthread_cond_t work;  /* something to take, or the end */
	pthread_cond_t room;  /* in the queue, or the end */
	struct task queue[QUEUE];
	unsigned first, n;
	struct import_file *open_files;
	unsigned idle; /* workers that wait */
	bool done;     /* the top is complete */
	struct {
		uint64_t tsize;
		uint8_t cid_len; /* 0 until there is a root */
		uint8_t cid[CID_SIZE_MAX];
	} top;
	/* The leaf of a hole, which is stored once. */
	struct built hole;
	size_t hole_len, hole_cut; /* 0: not known yet */
	atomic_int error; /* the first one; ends everything */

	pthread_mutex_t warning; /* one at a time */
	struct worker *workers;
	unsigned n_workers;
};

struct worker {
	struct pipeline *pipeline;
	pthread_t thread;
	uint8_t *room, *data; /* a chunk, with what build_leaf() needs around it */
};

/* Of all options that a file's CID depends on. */
uint64_t import_fingerprint(const struct import_options *o);

/* Start the threads.  0, or an error of pthread_create or memory. */
int pipeline_start(struct pipeline *p, const struct import_options *o,
		   struct block_sink *sink);

/* Room for the results of a directory's entries.  0 or -ENOMEM. */
int pipeline_results(struct pipeline *p, struct dir *d);

/*
 * What is kept of the attributes of a thing that is as `st` says (NULL: nobody
 * can say): *out, or NULL.
 */
const struct unixfs_meta *pipeline_meta(const struct pipeline *p, const struct stat *st,
					struct unixfs_meta *out);

/* Have an entry stored; waits for room.  The error that ended the pipeline. */
int pipeline_add(struct pipeline *p, struct dir *d, uint32_t index, struct dirref *at);

/* Drop a hold: the last one completes the directory. */
void pipeline_drop(struct pipeline *p, struct dir *d);

/* An entry is stored: note it, and drop the hold that was for it. */
void pipeline_stored(struct pipeline *p, struct dir *d, uint32_t index,
		     const struct built *b);

/* End the pipeline with an error, which is about that entry (dir may be NULL). */
void pipeline_fail(struct pipeline *p, struct dir *d, uint32_t index, int error);

/* Tell the user about an entry. */
void pipeline_warn(struct pipeline *p, struct dir *d, uint32_t index, int error);

/* The error it ended with, -ECANCELED if the user wants it to, or 0. */
int pipeline_error(struct pipeline *p);

/* Wait until all is stored or it failed; frees. */
int pipeline_finish(struct pipeline *p);

#endif
