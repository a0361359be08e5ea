/*
 * Commits: the versions of a folder.  A commit is a dag-cbor map, signed by its
 * author over "cairn commit v1\0" and the map without the signature.  It names
 * its folder, so that it says nothing of any other; what is above it in history
 * follows from its parents.  doc/formats.md gives every byte.
 */
#ifndef FS_COMMIT_H
#define FS_COMMIT_H

#include "net/key.h"
#include "store/block.h"

#define COMMIT_PARENTS_MAX 32
#define COMMIT_MESSAGE_MAX (64u << 10) /* bytes */
#define COMMIT_PROFILE_MAX 64
#define COMMIT_MAX	   (80u << 10) /* bytes of a commit */

struct commit_time {
	int64_t sec;
	uint32_t nsec; /* 0..999999999 */
};

struct commit {
	struct cid root;
	bool has_attrs;
	struct cid attrs; /* of the root directory (attrs.h) */
	size_t n_parents;
	struct cid parents[COMMIT_PARENTS_MAX]; /* different ones; the first is what
						   it was made on */
	struct peer_id folder; /* the folder's name */
	uint8_t author[32];    /* an ed25519 public key */
	struct commit_time time;
	const char *message; /* borrowed; UTF-8, without NUL, not terminated */
	size_t message_len;
	const char *profile; /* the same; 1..COMMIT_PROFILE_MAX bytes */
	size_t profile_len;
	uint8_t signature[ED25519_SIGNATURE];
};

/*
 * Sign, and write the block.  Sets author and signature.  0; -EINVAL if a field
 * is not as above; -E2BIG (message, parents); -ENOMEM.
 */
int commit_sign(struct commit *c, const struct secret_key *author, struct buf *out);

/*
 * Read a commit; points into `data`.  Strict: 0; ERR_MALFORMED; ERR_NEWER (a
 * version that we do not know); -E2BIG.  Says nothing about the signature.
 */
int commit_decode(struct commit *out, const void *data, size_t len);

/*
 * 0 if its author signed it for that folder; ERR_CORRUPT if not, ERR_MALFORMED
 * if it is of another folder (hostile.md 95).  Whether the author may write the
 * folder is for the caller to know.
 */
int commit_verify(const struct commit *c, const struct peer_id *folder);

/* The CID of a commit's block: version 1, dag-cbor, sha2-256. */
void commit_cid(const void *data, size_t len, struct cid *out);

/*
 * A clock may be wrong by years (hostile.md 96), so times only ever order what
 * causality does not.  Later than `now` counts as `now`.
 */
struct commit_time commit_time_clamp(struct commit_time t, struct commit_time now);
/* The time for a new commit: now, or just behind its newest parent (clamped), if
 * that was made just now. */
struct commit_time commit_time_next(struct commit_time now, struct commit_time newest_parent);
int commit_time_compare(struct commit_time a, struct commit_time b);

#endif
