/*
 * folder.json: what is kept of a folder beside its working tree (doc/formats.md):
 * settings, branches with their heads, and what was published.
 */
#ifndef FS_FOLDER_FILE_H
#define FS_FOLDER_FILE_H

#include "fs/folder_ref.h"
#include "fs/retain.h"
#include "net/key.h"
#include "store/profile.h"

#include <limits.h>

#define FOLDER_QUIET_MS	  30000	 /* a snapshot by itself, so long after the last change */
#define FOLDER_MAX_AGE_MS 600000 /* and at the latest so long after the first */
#define FOLDER_TTL_MS	  300000
#define FOLDER_BRANCHES_MAX 256
#define FOLDER_BRANCH	  "main" /* the first */

struct folder_settings {
	const struct profile *profile;	/* fixed when it is made */
	uint64_t quiet_ms, max_age_ms;	/* 0: not by itself */
	struct retention keep;
	uint64_t quota; /* bytes of changes not yet in a snapshot; 0: what the disk has */
	bool publish;	/* each snapshot moves its name */
	uint64_t ttl_ms; /* how long others may believe that without asking again */
};
void folder_settings_default(struct folder_settings *out);

struct folder_branch {
	char name[FOLDER_NAME_MAX + 1];
	struct cid head; /* a commit */
};

struct folder_file {
	struct folder_settings settings;
	struct folder_branch *branches; /* at least one; owned */
	size_t n_branches;
	size_t current;	      /* which of them snapshots go on from */
	struct cid published; /* the commit that its name was last moved to; version 0xff: none */
};

/* Pure.  ERR_MALFORMED, ERR_NEWER, -ENOMEM; *out owns branches after 0. */
int folder_file_decode(struct folder_file *out, const char *text, size_t len);
/* Text, which the caller frees; NULL if out of memory. */
char *folder_file_encode(const struct folder_file *f);
void folder_file_release(struct folder_file *f);

struct folder_branch *folder_file_branch(const struct folder_file *f, const char *name);
/* Add one.  -EEXIST, -EINVAL (no name), -ENOSPC (there are too many), -ENOMEM. */
int folder_file_add(struct folder_file *f, const char *name, const struct cid *head);
/* Remove one.  -ENOENT, -EBUSY (the current one). */
int folder_file_drop(struct folder_file *f, const char *name);
/* The head of the current branch. */
const struct cid *folder_file_head(const struct folder_file *f);

/* "REPO/folders/NAME[/file]".  -ENAMETOOLONG. */
int folder_path_in(char out[PATH_MAX], const char *repo, const char *name, const char *file);

/* [disk] The file of a folder; -ENOENT: there is no such folder. */
int folder_file_load(struct folder_file *out, const char *repo, const char *name);
int folder_file_store(const struct folder_file *f, const char *repo, const char *name);
/* [disk] Its key. */
int folder_key_load(struct secret_key *out, const char *repo, const char *name);
/* Its name. */
void folder_key_name(const struct secret_key *key, struct peer_id *out);

#endif
