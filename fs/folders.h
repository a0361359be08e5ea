/*
 * The folders of a repository, and who uses them.
 *
 *	folders/NAME/folder.json	settings, branches and heads
 *	folders/NAME/key	the ed25519 key that signs its snapshots and is its name
 *	folders/NAME/{table,log}/	the working tree (folder.h)
 *
 * A folder is opened by its first user and closed by its last: a mount, a
 * snapshot and a status share one struct folder.  One process at a time has the
 * registry of a repository (it holds the store's lock).
 *
 * Any thread.  Functions marked [disk] wait for the disk or for a snapshot under
 * way: not from the loop thread.
 */
#ifndef FS_FOLDERS_H
#define FS_FOLDERS_H

#include "fs/folder.h"
#include "fs/folder_file.h"

#include <stdatomic.h>

struct folders;
struct store;

/*
 * [disk] Read what is there.  `repo` is the repository's directory; both are borrowed
 * until folders_free().  In between a gc leaves alone what the folders have: their
 * working trees, branches, and the snapshots that their retention keeps; if one of them
 * cannot be read, there is none (ERR_CORRUPT).
 */
int folders_new(struct folders **out, const char *repo, struct store *store);
/* A source that may wait for the network, for snapshots and restores of what is not all
 * here (else the store alone).  Once, before there is a second thread; borrowed. */
void folders_set_waiting(struct folders *fs, struct block_source *waiting);
/* [disk] All uses have ended. */
void folders_free(struct folders *fs);

/* Told when something of a folder is new: its head, its settings, that it is opened
 * or closed, there or gone.  Any thread; it may not call anything here.  One listener;
 * NULL: none any more, and no call is under way. */
void folders_listen(struct folders *fs, void (*changed)(void *arg, const char *name), void *arg);

struct folder_info {
	char name[FOLDER_NAME_MAX + 1];
	struct peer_id id; /* of its key: peer_name_text() shows k51… */
	struct folder_settings settings;
	char branch[FOLDER_NAME_MAX + 1]; /* what snapshots go on from */
	struct cid head;		  /* the newest snapshot on it: a commit */
	struct cid published;		  /* the commit its name points at; version 0xff: none */
	unsigned uses;
	bool mounted;
	bool snapshotting;
};
/* 0 or -ENOENT. */
int folders_find(struct folders *fs, const char *name, struct folder_info *out);
/* All of them by name, until each() returns non-zero, which is returned.  each() may
 * call anything here. */
int folders_each(struct folders *fs, int (*each)(void *arg, const struct folder_info *i), void *arg);

/*
 * [disk] Make one, with a first commit and a key.  root and attrs: what is in it,
 * version 0xff for nothing.  What is here of them is taken into the keep log; the rest is
 * fetched, and kept, when it is read.  -EEXIST, -EINVAL (the name), or an errno: then nothing
 * is left of it.
 */
struct folder_start {
	struct cid root, attrs;
	const char *message; /* of the commit; NULL: none */
	bool kept;	     /* all of it is in the keep log: it was just added */
	bool *lacks;	     /* may be NULL; true if not all of it is here */
	atomic_bool *cancel; /* may be NULL; true ends it with -ECANCELED before it is made */
};
int folders_create(struct folders *fs, const char *name, const struct folder_settings *settings,
		   const struct folder_start *start);
/* [disk] -ENOENT, -EBUSY (in use), -ENOTEMPTY (unless `force`: changes that no
 * snapshot has). */
int folders_remove(struct folders *fs, const char *name, bool force);
/* The working tree of one that is open; -ENOENT, or -EAGAIN (it is not open, or is
 * being opened or closed). */
int folders_peek(struct folders *fs, const char *name, struct folder_state *out);
/* [disk] The head, the root of its tree, and the key; for publishing. */
int folders_head(struct folders *fs, const char *name, struct secret_key *key,
		 struct cid *commit, struct cid *root);
/* [disk] Note that its name points at that commit; version 0xff: at none any more. */
int folders_published(struct folders *fs, const char *name, const struct cid *commit);

/* [disk] Change settings durably; the profile is left as it is.  Counts at once. */
int folders_configure(struct folders *fs, const char *name, const struct folder_settings *to);

/* ---- using one ---- */

struct folder_use;

#define FOLDER_USE_MOUNT  1u /* shown by a mount: one at a time */
#define FOLDER_USE_CLOSED 2u /* it need not be open: only that it is not removed */

/*
 * [disk] Open, or share what is open.  -ENOENT; -EBUSY (FOLDER_USE_MOUNT, and
 * mounted already); or why folder_open() failed.
 */
int folders_use(struct folders *fs, const char *name, unsigned flags, struct folder_use **out);
/* [disk] The last one closes it.  The error of the last sync. */
int folder_unuse(struct folder_use *u);
struct folder *folder_used(struct folder_use *u); /* NULL: it need not be open, and is not */
const char *folder_use_name(const struct folder_use *u);
void folder_use_info(struct folder_use *u, struct folder_info *out);

/*
 * What a mount wants to know: something changed that did not come through it
 * (restore, checkout), so what the kernel has cached of a name or of an inode's
 * attributes and data is to be dropped; or the head moved, and with it what there
 * is of the past.  Called on the thread that changes, with no lock of the folder
 * held.  Only of the use that is the mount.  NULL: no longer; then no call is under
 * way.
 */
struct folder_changed {
	void (*entry)(void *arg, uint64_t dir, const char *name);
	void (*inode)(void *arg, uint64_t ino);
	void (*past)(void *arg);
};
void folder_use_watch(struct folder_use *u, const struct folder_changed *changed, void *arg);

/* ---- snapshots ---- */

struct snapshot_made {
	struct cid commit, root, attrs; /* the head, new or as it was */
	uint64_t files, dirs;		/* built */
};
/*
 * [disk] Make a snapshot of what changed.  1: made, the head moved; 0: nothing
 * changed since the head; -ECANCELED (*cancel, may be NULL, became true); an
 * error: then everything is as it was.  One at a time: others wait.  `message` may be NULL.
 */
int folder_snapshot(struct folder_use *u, const char *message, atomic_bool *cancel,
		    struct snapshot_made *out);

/*
 * [disk] Put back what paths of an old version were (`commit`: of any folder): each
 * as a whole, by reference, in the place of whatever is there now, an entry of the top
 * directory and below.  Directories that lead to it are made if they are not there.
 * Without paths all that the version has is put back; what it does not have stays.
 * Nothing is ever followed: what stands in the way and is no directory is -ENOTDIR.
 * A snapshot is made of the outcome.
 *   -ENOENT     the version has no such path
 *   -ECANCELED  *cancel (may be NULL) became true
 *   ERR_MISSING not all of it is here or could be fetched
 * After these nothing was changed; after others paths before `where` (PATH_MAX bytes: the
 * one it is about) were put back.
 */
int folder_restore(struct folder_use *u, const struct cid *commit, const char *const *paths,
		   size_t n, atomic_bool *cancel, char *where);

/*
 * [disk] Make the whole folder what it was, after a snapshot of what is there (*before).
 * With a branch (NULL: none) whose head `commit` is, snapshots go on from that one; else
 * the next goes on from the present one, and is made at once.  What is the same in both keeps its inode.
 * -ECANCELED, ERR_MISSING: as of folder_restore(), after that first snapshot.
 */
int folder_checkout(struct folder_use *u, const struct cid *commit, const char *branch,
		    atomic_bool *cancel, struct snapshot_made *before);

/* [disk] A name for the head, or no more.  As folder_file_add() and _drop(). */
int folder_branch_add(struct folder_use *u, const char *branch);
int folder_branch_drop(struct folder_use *u, const char *branch);
/* All of them, until each() returns non-zero, which is returned.  each() may not call
 * anything here. */
int folder_branches(struct folder_use *u,
		    int (*each)(void *arg, const struct folder_branch *b, bool current), void *arg);

/*
 * [disk] What is kept of the history from the head back, the newest first, until
 * each() returns non-zero, which is returned.  At most `max` snapshots (0: all); it
 * ends without an error where a commit is not here.
 */
struct folder_past {
	struct cid commit, root, attrs;
	int64_t time_ms; /* no later than the one before it in the list, and than now */
	const char *message;
	bool kept; /* false: retention has let its tree go */
};
int folder_history(struct folder_use *u, size_t max,
		   int (*each)(void *arg, const struct folder_past *p), void *arg);

#endif
