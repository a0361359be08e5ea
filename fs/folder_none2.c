/* Stands in for what the branch of the working tree brings. */
#include "fs/folder.h"
#include "store/error.h"
int folder_lookup(struct folder *f, uint64_t dir, const char *name, struct folder_attr *out, struct lack *lack) { return -ENOSYS; }
void folder_forget(struct folder *f, uint64_t ino, uint64_t n) {}
int folder_make(struct folder *f, const struct folder_caller *c, uint64_t dir, const char *name, const struct folder_new *what, struct folder_attr *out, struct lack *lack) { return -ENOSYS; }
int folder_tmpfile(struct folder *f, const struct folder_caller *c, uint64_t dir, mode_t mode, struct folder_attr *out, struct lack *lack) { return -ENOSYS; }
int folder_link(struct folder *f, uint64_t ino, uint64_t dir, const char *name, struct folder_attr *out, struct lack *lack) { return -ENOSYS; }
int folder_unlink(struct folder *f, uint64_t dir, const char *name, struct lack *lack) { return -ENOSYS; }
int folder_rmdir(struct folder *f, uint64_t dir, const char *name, struct lack *lack) { return -ENOSYS; }
int folder_rename(struct folder *f, uint64_t dir, const char *name, uint64_t to_dir, const char *to_name, unsigned flags, struct lack *lack) { return -ENOSYS; }
int folder_list(struct folder *f, uint64_t dir, uint64_t pos, bool plus, folder_each_fn each, void *arg, struct lack *lack) { return -ENOSYS; }
int folder_stat(struct folder *f, uint64_t ino, struct folder_attr *out, struct lack *lack) { return -ENOSYS; }
int folder_setattr(struct folder *f, uint64_t ino, unsigned set, const struct stat *to, struct folder_attr *out, struct lack *lack) { return -ENOSYS; }
int folder_readlink(struct folder *f, uint64_t ino, char *out, size_t max, struct lack *lack) { return -ENOSYS; }
ssize_t folder_getxattr(struct folder *f, uint64_t ino, const char *name, void *value, size_t size, struct lack *lack) { return -ENOSYS; }
ssize_t folder_listxattr(struct folder *f, uint64_t ino, char *list, size_t size, struct lack *lack) { return -ENOSYS; }
int folder_setxattr(struct folder *f, uint64_t ino, const char *name, const void *value, size_t size, int flags, struct lack *lack) { return -ENOSYS; }
int folder_removexattr(struct folder *f, uint64_t ino, const char *name, struct lack *lack) { return -ENOSYS; }
int folder_read(struct folder *f, uint64_t ino, uint64_t offset, size_t len, struct folder_bytes *out, struct lack *lack) { return -ENOSYS; }
void folder_bytes_release(struct folder_bytes *b) {}
ssize_t folder_write(struct folder *f, uint64_t ino, uint64_t offset, const void *data, size_t len, bool kill_suid, struct lack *lack) { return -ENOSYS; }
int folder_allocate(struct folder *f, uint64_t ino, int mode, uint64_t offset, uint64_t len, struct lack *lack) { return -ENOSYS; }
ssize_t folder_copy(struct folder *f, uint64_t from, uint64_t from_offset, uint64_t to, uint64_t to_offset, size_t len, struct lack *lack) { return -ENOSYS; }
int64_t folder_seek(struct folder *f, uint64_t ino, uint64_t offset, int whence, struct lack *lack) { return -ENOSYS; }
int folder_sync(struct folder *f) { return -ENOSYS; }
int folder_statfs(struct folder *f, struct statvfs *out) { return -ENOSYS; }
void folder_path(struct folder *f, uint64_t ino, char *out, size_t max) { *out = 0; }
