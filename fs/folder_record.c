#include "fs/folder_record.h"

#include "store/cid.h"
#include "store/error.h"

#include <string.h>
#include <sys/stat.h>

static uint8_t *put(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

static uint8_t *put_bytes(uint8_t *p, const void *data, size_t len)
{
	if (len)
		memcpy(p, data, len);
	return p + len;
}

static uint8_t *put_time(uint8_t *p, const struct timespec *t)
{
	return put(put(p, (uint64_t)t->tv_sec, 8), (uint64_t)t->tv_nsec, 4);
}

static uint8_t *put_core(uint8_t *p, const struct inode_core *c)
{
	p = put(put(put(put(p, c->mode, 4), c->uid, 4), c->gid, 4), c->nlink, 4);
	p = put(put(p, c->rdev, 8), c->size, 8);
	return put_time(put_time(put_time(p, &c->atime), &c->mtime), &c->ctime);
}

void inode_core_encode(struct buf *out, const struct inode_core *c)
{
	uint8_t *p = buf_room(out, INODE_CORE_BYTES);

	if (p)
		out->len += (size_t)(put_core(p, c) - p);
}

static void read_time(struct cursor *in, struct timespec *t)
{
	t->tv_sec = (int64_t)cursor_u64le(in);
	t->tv_nsec = cursor_u32le(in);
	in->bad |= t->tv_nsec > 999999999;
}

void inode_core_read(struct cursor *in, struct inode_core *c)
{
	c->mode = cursor_u32le(in);
	c->uid = cursor_u32le(in);
	c->gid = cursor_u32le(in);
	c->nlink = cursor_u32le(in);
	c->rdev = cursor_u64le(in);
	c->size = cursor_u64le(in);
	read_time(in, &c->atime);
	read_time(in, &c->mtime);
	read_time(in, &c->ctime);
	switch (c->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		break;
	default:
		in->bad = true;
	}
	in->bad |= c->mode > 0177777 || c->size > INT64_MAX;
}

void update_encode(struct buf *out, const struct update *u)
{
	uint8_t *start = buf_room(out, 128 + 2 * CID_SIZE_MAX + 256 + (size_t)u->value_len);
	uint8_t *p = start;

	if (!p)
		return;
	*p++ = (uint8_t)u->kind;
	switch (u->kind) {
	case UPDATE_INODE:
		*p++ = u->flags;
		p = put_core(put(p, u->ino, 8), &u->core);
		break;
	case UPDATE_ENTRY:
		*p++ = u->flags;
		*p++ = u->type;
		p = put(put(put(p, u->dir, 8), u->ino, 8), u->cookie, 8);
		*p++ = u->name_len;
		p = put_bytes(p, u->name, u->name_len);
		break;
	case UPDATE_EXTENT:
		*p++ = u->flags;
		p = put(put(put(put(p, u->ino, 8), u->offset, 8), u->len, 8), u->from, 8);
		break;
	case UPDATE_CUT:
		p = put(put(p, u->ino, 8), u->size, 8);
		break;
	case UPDATE_XATTR:
		*p++ = u->flags;
		p = put(p, u->ino, 8);
		*p++ = u->name_len;
		p = put_bytes(p, u->name, u->name_len);
		p = put_bytes(put(p, u->value_len, 4), u->value, u->value_len);
		break;
	case UPDATE_TARGET:
		p = put(put(p, u->ino, 8), u->value_len, 2);
		p = put_bytes(p, u->value, u->value_len);
		break;
	case UPDATE_BASE:
		*p++ = u->flags;
		p = put(put(put(put(p, u->ino, 8), u->size, 8), u->tsize, 8), u->upto, 8);
		*p++ = u->cid_len;
		p = put_bytes(p, u->cid, u->cid_len);
		*p++ = u->attrs_len;
		p = put_bytes(p, u->attrs, u->attrs_len);
		break;
	case UPDATE_LISTING:
		p = put(p, u->ino, 8);
		/* fall through */
	case UPDATE_SNAPSHOT:
		p = put(p, u->upto, 8);
		*p++ = u->cid_len;
		p = put_bytes(p, u->cid, u->cid_len);
		*p++ = u->attrs_len;
		p = put_bytes(p, u->attrs, u->attrs_len);
		break;
	case UPDATE_CLEAN:
		p = put(put(p, u->ino, 8), u->upto, 8);
		break;
	case UPDATE_SETTLED:
		*p++ = u->flags;
		p = put(put(p, u->upto, 8), u->dir, 8);
		*p++ = u->name_len;
		p = put_bytes(p, u->name, u->name_len);
		break;
	case UPDATE_FREE:
		p = put(p, u->ino, 8);
		break;
	case UPDATE_KINDS:
		break;
	}
	out->len += (size_t)(p - start);
}

static void read_name(struct cursor *in, struct update *u)
{
	u->name_len = cursor_u8(in);
	u->name = cursor_take(in, u->name_len);
	in->bad |= !u->name_len;
	if (!in->bad && (memchr(u->name, 0, u->name_len) ||
			 (u->kind != UPDATE_XATTR && memchr(u->name, '/', u->name_len))))
		in->bad = true;
}

/* A CID, or none. */
static const uint8_t *read_cid(struct cursor *in, uint8_t *len)
{
	struct cid c;
	const uint8_t *p;

	*len = cursor_u8(in);
	if (!*len)
		return NULL;
	p = cursor_take(in, *len);
	if (p && cid_decode(&c, p, *len) < 0)
		in->bad = true;
	return in->bad ? NULL : p;
}

int update_next(struct cursor *in, struct update *u)
{
	uint64_t end;

	if (!in->bad && in->p == in->end)
		return 0;
	*u = (struct update){ .kind = cursor_u8(in) };
	switch (u->kind) {
	case UPDATE_INODE:
		u->flags = cursor_u8(in);
		u->ino = cursor_u64le(in);
		inode_core_read(in, &u->core);
		in->bad |= u->flags > 7;
		break;
	case UPDATE_ENTRY:
		u->flags = cursor_u8(in);
		u->type = cursor_u8(in);
		u->dir = cursor_u64le(in);
		u->ino = cursor_u64le(in);
		u->cookie = cursor_u64le(in);
		read_name(in, u);
		in->bad |= u->flags > 7 || u->type > 15 || !u->dir;
		return in->bad ? ERR_MALFORMED : 1;
	case UPDATE_EXTENT:
		u->flags = cursor_u8(in);
		u->ino = cursor_u64le(in);
		u->offset = cursor_u64le(in);
		u->len = cursor_u64le(in);
		u->from = cursor_u64le(in);
		in->bad |= u->flags > EXTENT_PLACE || !u->len ||
			   __builtin_add_overflow(u->offset, u->len, &end) || end > INT64_MAX;
		/* What has a place lies in one segment. */
		in->bad |= u->flags == EXTENT_PLACE &&
			   (u->from >> 32 == 0 || (u->from & UINT32_MAX) + u->len > UINT32_MAX);
		in->bad |= u->flags == EXTENT_HOLE && u->from;
		break;
	case UPDATE_CUT:
		u->ino = cursor_u64le(in);
		u->size = cursor_u64le(in);
		break;
	case UPDATE_XATTR:
		u->flags = cursor_u8(in);
		u->ino = cursor_u64le(in);
		read_name(in, u);
		u->value_len = cursor_u32le(in);
		u->value = cursor_take(in, u->value_len);
		in->bad |= u->flags > 1 || (u->flags && u->value_len);
		break;
	case UPDATE_TARGET:
		u->ino = cursor_u64le(in);
		u->value_len = cursor_u8(in);
		u->value_len |= (uint32_t)cursor_u8(in) << 8;
		u->value = cursor_take(in, u->value_len);
		in->bad |= !u->value_len || u->value_len > 4095;
		if (!in->bad && memchr(u->value, 0, u->value_len))
			in->bad = true;
		break;
	case UPDATE_BASE:
		u->flags = cursor_u8(in);
		u->ino = cursor_u64le(in);
		u->size = cursor_u64le(in);
		u->tsize = cursor_u64le(in);
		u->upto = cursor_u64le(in);
		u->cid = read_cid(in, &u->cid_len);
		u->attrs = read_cid(in, &u->attrs_len);
		in->bad |= u->flags > 1 || u->size > INT64_MAX;
		break;
	case UPDATE_LISTING:
	case UPDATE_SNAPSHOT:
		if (u->kind == UPDATE_LISTING)
			u->ino = cursor_u64le(in);
		u->upto = cursor_u64le(in);
		u->cid = read_cid(in, &u->cid_len);
		u->attrs = read_cid(in, &u->attrs_len);
		break;
	case UPDATE_CLEAN:
		u->ino = cursor_u64le(in);
		u->upto = cursor_u64le(in);
		break;
	case UPDATE_SETTLED:
		u->flags = cursor_u8(in);
		u->upto = cursor_u64le(in);
		u->dir = cursor_u64le(in);
		read_name(in, u);
		in->bad |= u->flags > 1 || !u->dir;
		break;
	case UPDATE_FREE:
		u->ino = cursor_u64le(in);
		break;
	default:
		in->bad = true;
	}
	if (u->kind != UPDATE_SETTLED && u->kind != UPDATE_SNAPSHOT && !u->ino)
		in->bad = true;
	return in->bad ? ERR_MALFORMED : 1;
}
