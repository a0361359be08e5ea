/*
 * The registry of folders, as its files share it.
 *	folders.c	which there are, who uses them
 *	folders_make.c	making and removing
 *	folders_past.c	snapshots, branches, history
 *	folders_restore.c	putting old versions back
 *	folders_live.c	what a gc leaves alone
 *
 * Locks, each taken before those below it:
 *	managed.work	one snapshot, restore or change of a branch at a time
 *	managed.opening	the folder is opened or closed
 *	managed.updating	folder.json is written
 *	folders.lock	the list, counts, and what folder.json says; never held
 *			while waiting for the disk
 */
#ifndef FS_FOLDERS_INTERNAL_H
#define FS_FOLDERS_INTERNAL_H

#include "fs/folders.h"

#include "store/gc.h"

#include <pthread.h>

struct managed {
	struct managed *next; /* by name */
	struct folders *folders;
	char name[FOLDER_NAME_MAX + 1];
	struct peer_id id;
	struct secret_key key;
	struct folder_file file;
	struct folder *folder; /* while it is open; guarded by `opening` */
	struct folder_use *uses;
	unsigned n_uses;
	bool mounted, snapshotting;
	struct cid restoring[2]; /* the version that is put back: tree, attributes */
	pthread_mutex_t work, opening, updating;
	pthread_mutex_t calling; /* the watcher, which is the mount */
	const struct folder_changed *watcher;
	void *watcher_arg;
};

struct folder_use {
	struct managed *of;
	struct folder_use *next;
	unsigned flags;
};

struct folders {
	char *repo;
	struct store *store;
	struct block_source *source, *waiting;
	pthread_mutex_t lock, making; /* making: one is made or removed; taken first of all */
	struct managed *all;
	struct gc_roots roots;
	unsigned unusable; /* folders that could not be read */
	pthread_mutex_t telling; /* `changed` is called */
	void (*changed)(void *arg, const char *name);
	void *changed_arg;
};

/* Tell the listener. */
void folders_tell(struct folders *fs, const char *name);

/* With the lock. */
struct managed *folders_get(struct folders *fs, const char *name);
void managed_info(const struct managed *m, struct folder_info *out);

/* A copy of what folder.json says, to be released. */
int managed_file(struct managed *m, struct folder_file *out);
/*
 * [disk] Have `fn` change a copy of what folder.json says, store that, and from then
 * on it counts.  What fn returns is returned if it is not 0.
 */
int managed_update(struct managed *m, int (*fn)(void *arg, struct folder_file *f), void *arg);

/* Load one that is on the disk, and take it into the list. */
int folders_load(struct folders *fs, const char *name);
void managed_free(struct managed *m);

/* Sign a commit and put it; not yet durable.  `parent` may be NULL. */
int managed_commit(struct folders *fs, const struct secret_key *key,
		   const struct profile *profile, const struct cid *root,
		   const struct cid *attrs, const struct cid *parent, const char *message,
		   struct cid *out);

/* folder_snapshot(), by who has `work` already. */
int managed_snapshot(struct managed *m, const char *message, atomic_bool *cancel,
		     struct snapshot_made *out);

/* Tell the mount, if there is one. */
void managed_entry_changed(struct managed *m, uint64_t dir, const char *name);
void managed_inode_changed(struct managed *m, uint64_t ino);

/* [disk] The trees of a commit of our own; attrs is version 0xff if it has none. */
int folders_commit_tree(struct folders *fs, const struct cid *commit, struct cid *root,
			struct cid *attrs);

/* folders_live.c: as gc_roots.each. */
int folders_live(struct gc_roots *roots, struct gc_mark *mark);

/* folders_make.c: what a crash left half made. */
void folders_tidy(struct folders *fs);

#endif
