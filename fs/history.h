/*
 * The history of a folder, from a commit back along the first parents.  It may
 * be a stranger's: every commit is read strictly, its signature and its folder
 * are checked, and nothing is held but one commit, so a history of any length is
 * walked with bounded memory and can be left at any point.
 *
 * Clocks are not believed (hostile.md 96): a time is clamped to now, and to that
 * of the commit made from it.
 */
#ifndef FS_HISTORY_H
#define FS_HISTORY_H

#include "fs/commit.h"
#include "fs/folder_file.h"
#include "store/source.h"

#define HISTORY_MAX 10000000 /* commits of one walk: ten years of one in half a minute */

/* One commit.  Valid until the next step. */
struct history_commit {
	struct cid cid;
	struct commit commit; /* as it says itself */
	int64_t time_ms;      /* clamped */
	uint64_t back;	      /* 0: where the walk began */
};

/*
 * Read a commit of the folder `folder` (NULL: whichever it says).  0 and a
 * reference in *hold, which out points into;
 *   ERR_MALFORMED  it is no commit, is of another folder, or is not by that
 *		    folder's key
 *   ERR_CORRUPT    its signature is wrong
 *   ERR_NEWER      a version we do not know
 *   ERR_MISSING, or another error of the source
 */
int history_read(struct block_source *s, const struct cid *cid, const struct peer_id *folder,
		 struct commit *out, struct block **hold);

struct history {
	struct block_source *source;
	const struct peer_id *folder; /* or NULL; borrowed */
	bool trusted; /* a history of our own: signatures were checked when it was made */
	int64_t now_ms;
	struct cid next; /* version 0xff: the end */
	struct block *hold;
	struct history_commit past;
};
void history_begin(struct history *h, struct block_source *s, const struct cid *head,
		   const struct peer_id *folder, int64_t now_ms);
/* 1 and *out, 0 at the end, -E2BIG after HISTORY_MAX, or an error of history_read();
 * h->next is then the commit it is about. */
int history_next(struct history *h, struct history_commit **out);
void history_end(struct history *h);

/*
 * The commit that `at` means, of a folder with these branches.  A whole CID may be
 * any commit of the folder.  0; -ENOENT (there is
 * no such branch or snapshot, or it does not go back so far); -ENOTUNIQ (a short id of
 * several); or an error of history_read().
 */
int history_find(struct block_source *s, const struct folder_file *f,
		 const struct peer_id *folder, const struct folder_at *at, int64_t now_ms,
		 struct cid *out);
/* The same of a head alone, where branches are not known. */
int history_find_from(struct block_source *s, const struct cid *head,
		      const struct peer_id *folder, const struct folder_at *at,
		      int64_t now_ms, struct cid *out);

int64_t commit_time_ms(struct commit_time t);
/* The clock. */
int64_t wall_ms(void);

#endif
