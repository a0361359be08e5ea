/* Stands in for what other branches bring: folder.c, commit.c. */
#include "fs/commit.h"
#include "fs/folder_snap.h"
#include "store/error.h"
int folder_open(struct folder **out, const struct folder_config *cfg, const struct cid *root, const struct cid *attrs) { return -ENOSYS; }
int folder_close(struct folder *f) { return 0; }
void folder_state(struct folder *f, struct folder_state *out) { *out = (struct folder_state){ 0 }; }
int commit_sign(struct commit *c, const struct secret_key *author, struct buf *out) { buf_append(out, &c->root, sizeof c->root); return 0; }
void commit_cid(const void *data, size_t len, struct cid *out) { cid_of(out, 1, CODEC_DAG_CBOR, data, len); }
int commit_decode(struct commit *out, const void *data, size_t len) { return -ENOSYS; }
int commit_verify(const struct commit *c, const struct peer_id *folder) { return -ENOSYS; }
struct commit_time commit_time_clamp(struct commit_time t, struct commit_time now) { return t; }
struct commit_time commit_time_next(struct commit_time now, struct commit_time newest) { return now; }
int folder_freeze(struct folder *f, struct frozen **out) { return -ENOSYS; }
struct frozen_view *frozen_view(struct frozen *z) { return NULL; }
int frozen_read(struct frozen *z, const struct frozen_file *file, uint64_t offset, void *buf, size_t len) { return -ENOSYS; }
int folder_thaw(struct folder *f, struct frozen *z) { return -ENOSYS; }
void folder_unfreeze(struct folder *f, struct frozen *z) {}
int attrs_edit(struct block_source *s, struct block_sink *sink, const struct cid *old, const struct attrs_entry *self, const struct attrs_changes *changes, struct cid *out, struct misses *misses) { return -ENOSYS; }
