#include "fs/fuse_more.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static _Thread_local struct more now;
/* Flags to add to the answer of the INIT at hand. */
static _Thread_local uint32_t init_flags;

const struct more *more_now(void)
{
	return &now;
}

static ssize_t hook_read(int fd, void *buf, size_t len, void *userdata)
{
	return read(fd, buf, len);
}

/* The first answer of a worker that had INIT is INIT's. */
static ssize_t hook_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	if (init_flags) {
		const struct fuse_out_header *h = iov[0].iov_base;

		if (count == 2 && h->error == 0 &&
		    iov[1].iov_len >= sizeof(struct fuse_init_out)) {
			struct fuse_init_out *out = iov[1].iov_base;

			out->flags |= init_flags;
		}
		init_flags = 0;
	}
	return writev(fd, iov, count);
}

int more_init(struct fuse_session *se)
{
	static const struct fuse_custom_io io = { .read = hook_read,
						  .writev = hook_writev };

	return fuse_session_custom_io(se, &io, fuse_session_fd(se)) == 0 ? 0 : -ENOMEM;
}

/* The old form of SETXATTR: without the flags behind the sizes. */
static void shorten_setxattr(struct fuse_buf *buf, struct fuse_in_header *h)
{
	struct fuse_setxattr_in *in = (struct fuse_setxattr_in *)(h + 1);
	size_t cut = sizeof *in - FUSE_COMPAT_SETXATTR_IN_SIZE;
	char *from = (char *)(in + 1);

	if (buf->size < sizeof *h + sizeof *in)
		return;
	now.kill = in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
	memmove(from - cut, from, buf->size - sizeof *h - sizeof *in);
	buf->size -= cut;
	h->len -= cut;
}

void more_received(struct fuse_buf *buf)
{
	struct fuse_in_header *h = buf->mem;
	const void *body = h + 1;

	now = (struct more){ .tmpfile = false };
	if ((buf->flags & FUSE_BUF_IS_FD) || buf->size < sizeof *h)
		return;
	switch (h->opcode) {
	case FUSE_INIT: {
		const struct fuse_init_in *in = body;

		if (buf->size >= sizeof *h + 16)
			init_flags = in->flags & (FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT);
		break;
	}
	case FUSE_WRITE: {
		const struct fuse_write_in *in = body;

		now.kill = in->write_flags & FUSE_WRITE_KILL_SUIDGID;
		break;
	}
	case FUSE_SETATTR: {
		const struct fuse_setattr_in *in = body;

		now.kill = in->valid & FATTR_KILL_SUIDGID;
		break;
	}
	case FUSE_SETXATTR:
		shorten_setxattr(buf, h);
		break;
	case FUSE_TMPFILE: /* the very form of CREATE */
		h->opcode = FUSE_CREATE;
		now.tmpfile = true;
		break;
	case FUSE_SYNCFS: {
		struct fuse_fsync_in in = { .fh = 0 };

		h->opcode = FUSE_FSYNC;
		h->len = buf->size = sizeof *h + sizeof in;
		memcpy(h + 1, &in, sizeof in); /* the buffer holds the largest request */
		break;
	}
	}
}
