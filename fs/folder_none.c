/* Stands in for what other branches bring: folder.c. */
#include "fs/commit.h"
#include "fs/folder_snap.h"
#include "store/error.h"
int folder_freeze(struct folder *f, struct frozen **out) { return -ENOSYS; }
struct frozen_view *frozen_view(struct frozen *z) { return NULL; }
int frozen_read(struct frozen *z, const struct frozen_file *file, uint64_t offset, void *buf, size_t len) { return -ENOSYS; }
int folder_thaw(struct folder *f, struct frozen *z) { return -ENOSYS; }
void folder_unfreeze(struct folder *f, struct frozen *z) {}
int folder_graft(struct folder *f, uint64_t dir, const char *name, const struct folder_graft *what, struct lack *lack) { return -ENOSYS; }
