/* Stands in for what other branches bring: folder.c. */
#include "fs/commit.h"
#include "fs/folder_snap.h"
#include "store/error.h"
int folder_open(struct folder **out, const struct folder_config *cfg, const struct cid *root, const struct cid *attrs) { return -ENOSYS; }
int folder_close(struct folder *f) { return 0; }
void folder_state(struct folder *f, struct folder_state *out) { *out = (struct folder_state){ 0 }; }
int folder_freeze(struct folder *f, struct frozen **out) { return -ENOSYS; }
struct frozen_view *frozen_view(struct frozen *z) { return NULL; }
int frozen_read(struct frozen *z, const struct frozen_file *file, uint64_t offset, void *buf, size_t len) { return -ENOSYS; }
int folder_thaw(struct folder *f, struct frozen *z) { return -ENOSYS; }
void folder_unfreeze(struct folder *f, struct frozen *z) {}
#include "store/dag_diff.h"
int dag_diff(struct block_source *s, const struct cid *old, const struct cid *new, dag_diff_fn each, void *arg, struct misses *misses) { return -ENOSYS; }
