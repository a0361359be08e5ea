#include "fs/folder_internal.h"

#include "fs/acl.h"
#include "fs/attrs.h"
#include "store/error.h"

#include <string.h>
#include <sys/xattr.h>

#define NAME_BYTES  255
#define VALUE_BYTES 65536
#define LIST_BYTES  65536
/* All of an inode, since they go together into a row and the attributes DAG. */
#define TOTAL_BYTES (ATTRS_XATTRS_MAX - 1024)

static int check_name(const char *name, size_t *len)
{
	*len = strlen(name);
	if (!*len || *len > NAME_BYTES)
		return -ERANGE;
	return 0;
}

ssize_t folder_getxattr(struct folder *f, uint64_t ino, const char *name, void *value,
			size_t size, struct lack *lack)
{
	struct xattr *x;
	struct inode *i;
	size_t len;
	ssize_t r = check_name(name, &len);

	if (r < 0)
		return r;
	load_begin(f);
	r = inode_get(f, ino, &i, lack);
	if (!r) {
		x = xattr_find(i, name, len);
		r = !x ? -ENODATA : !size ? (ssize_t)x->len : x->len > size ? -ERANGE : (ssize_t)x->len;
		if (r > 0 && size)
			memcpy(value, xattr_value(x), x->len);
	}
	load_end(f);
	return r;
}

ssize_t folder_listxattr(struct folder *f, uint64_t ino, char *list, size_t size,
			 struct lack *lack)
{
	struct inode *i;
	ssize_t r;

	load_begin(f);
	r = inode_get(f, ino, &i, lack);
	for (struct xattr *x = r < 0 ? NULL : i->xattrs; x; x = x->next) {
		size_t len = x->name_len + 1u;

		if (size && (size_t)r + len > size) {
			r = -ERANGE;
			break;
		}
		if (size)
			memcpy(list + r, x->name, len);
		r += (ssize_t)len;
	}
	load_end(f);
	return r;
}

static void record_xattr(struct folder *f, uint64_t ino, const char *name, size_t len,
			 const void *value, size_t size, bool remove)
{
	const struct update u = { .kind = UPDATE_XATTR,
				  .flags = remove ? XATTR_REMOVED : 0,
				  .ino = ino,
				  .name = (const uint8_t *)name,
				  .name_len = (uint8_t)len,
				  .value = value,
				  .value_len = (uint32_t)size };

	update_encode(&f->record, &u);
}

/* Room for one more: names and values, and the names as they are listed. */
static int check_room(const struct inode *i, const struct xattr *old, size_t name_len,
		      size_t size)
{
	size_t list = name_len + 1, total = name_len + size + 16;

	for (const struct xattr *x = i->xattrs; x; x = x->next)
		if (x != old) {
			list += x->name_len + 1u;
			total += x->name_len + x->len + 16u;
		}
	return list > LIST_BYTES || total > TOTAL_BYTES ? -ENOSPC : 0;
}

/* A list of permissions: the mode follows it.  1 if it is all said by the mode. */
static int check_acl(struct inode *i, const char *name, const void *value, size_t size,
		     struct inode_core *c)
{
	mode_t mode;
	int r;

	if (!strcmp(name, ACL_DEFAULT)) {
		if (!i->dir)
			return -EACCES;
		return acl_check(value, size);
	}
	if (strcmp(name, ACL_ACCESS))
		return 0;
	if (S_ISLNK(c->mode))
		return -EOPNOTSUPP;
	r = acl_mode(value, size, &mode);
	if (r >= 0)
		c->mode = (c->mode & ~0777u) | mode;
	return r;
}

static int set(struct folder *f, uint64_t ino, const char *name, size_t len,
	       const void *value, size_t size, int flags, struct lack *lack)
{
	struct inode_core c;
	struct xattr *old;
	struct inode *i;
	int r = inode_get(f, ino, &i, lack);

	if (r < 0)
		return r;
	old = xattr_find(i, name, len);
	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	r = check_room(i, old, len, size);
	if (!r)
		r = inode_adopt(f, i, lack);
	if (r < 0)
		return r;
	c = i->core;
	r = check_acl(i, name, value, size, &c);
	if (r < 0)
		return r;
	if (!r)
		record_xattr(f, ino, name, len, value, size, false);
	else if (old)
		record_xattr(f, ino, name, len, NULL, 0, true);
	c.ctime = folder_now();
	record_inode(f, ino, &c, INODE_CHANGED);
	return change_commit(f, NULL, 0);
}

int folder_setxattr(struct folder *f, uint64_t ino, const char *name, const void *value,
		    size_t size, int flags, struct lack *lack)
{
	size_t len;
	int r = check_name(name, &len);

	if (!r && size > VALUE_BYTES)
		r = -E2BIG;
	if (!r && (flags & ~(XATTR_CREATE | XATTR_REPLACE)))
		r = -EINVAL;
	if (!r)
		r = change_begin(f);
	if (r < 0)
		return r;
	r = set(f, ino, name, len, value, size, flags, lack);
	change_end(f);
	return r;
}

int folder_removexattr(struct folder *f, uint64_t ino, const char *name, struct lack *lack)
{
	struct inode_core c;
	struct inode *i;
	size_t len;
	int r = check_name(name, &len);

	if (!r)
		r = change_begin(f);
	if (r < 0)
		return r;
	r = inode_get(f, ino, &i, lack);
	if (!r && !xattr_find(i, name, len))
		r = -ENODATA;
	if (!r)
		r = inode_adopt(f, i, lack);
	if (!r) {
		record_xattr(f, ino, name, len, NULL, 0, true);
		c = i->core;
		c.ctime = folder_now();
		record_inode(f, ino, &c, INODE_CHANGED);
		r = change_commit(f, NULL, 0);
	}
	change_end(f);
	return r;
}
