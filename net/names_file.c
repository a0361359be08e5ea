#include "net/names_file.h"

#include "store/error.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct name_file {
	uv_work_t work;
	uv_loop_t *loop;
	char *dir, *name;
	void (*on_written)(void *arg, uint64_t version, int result);
	void *arg;
	bool working, freed;
	uint64_t version;          /* handed out last */
	uint64_t writing;          /* what the worker has */
	struct buf waiting, taken; /* to be written next; the worker's */
	int result;
};

int name_file_new(struct name_file **out, uv_loop_t *loop, const char *dir,
		  const char *name,
		  void (*on_written)(void *arg, uint64_t version, int result), void *arg)
{
	struct name_file *f = calloc(1, sizeof *f);

	if (!f)
		return -ENOMEM;
	f->loop = loop;
	f->dir = strdup(dir);
	f->name = strdup(name);
	f->on_written = on_written;
	f->arg = arg;
	f->work.data = f;
	if (!f->dir || !f->name) {
		name_file_free(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

void name_file_free(struct name_file *f)
{
	if (!f)
		return;
	f->freed = true;
	if (f->working)
		return;
	buf_release(&f->waiting);
	buf_release(&f->taken);
	free(f->dir);
	free(f->name);
	free(f);
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int replace(const char *dir, const char *name, const struct buf *data)
{
	char temp[NAME_MAX + 1];
	int d, fd = -1, r = 0;

	if (snprintf(temp, sizeof temp, "%s.new", name) >= (int)sizeof temp)
		return -ENAMETOOLONG;
	d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d < 0)
		return -errno;
	fd = openat(d, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = -errno;
		goto out;
	}
	r = write_all(fd, data->data, data->len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(d, temp, d, name) < 0)
		r = -errno;
	if (r == 0 && fsync(d) < 0)
		r = -errno;
out:
	if (fd >= 0)
		close(fd);
	close(d);
	return r;
}

/* On the pool. */
static void do_write(uv_work_t *w)
{
	struct name_file *f = w->data;

	f->result = replace(f->dir, f->name, &f->taken);
}

static void on_done(uv_work_t *w, int status);

static void begin(struct name_file *f)
{
	struct buf empty = f->taken;

	f->taken = f->waiting;
	f->waiting = empty;
	buf_clear(&f->waiting);
	f->writing = f->version;
	f->working = true;
	uv_queue_work(f->loop, &f->work, do_write, on_done);
}

static void on_done(uv_work_t *w, int status)
{
	struct name_file *f = w->data;

	f->working = false;
	if (f->waiting.len)
		begin(f);
	else if (f->freed)
		name_file_free(f);
	else
		f->on_written(f->arg, f->writing, status < 0 ? status : f->result);
}

uint64_t name_file_write(struct name_file *f, const void *data, size_t len)
{
	buf_clear(&f->waiting);
	buf_append(&f->waiting, data, len);
	if (f->waiting.failed) {
		buf_clear(&f->waiting);
		return 0;
	}
	f->version++;
	if (!f->working)
		begin(f);
	return f->version;
}

int name_file_read(const char *dir, const char *name, size_t max, struct buf *out,
		   uint64_t *age_ms)
{
	char path[PATH_MAX];
	struct stat st;
	struct timespec now;
	int fd, r = 0;

	if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		r = -EFBIG;
		goto out;
	}
	/* One byte more shows where it ends. */
	uint8_t *room = buf_room(out, max + 1);
	if (!room) {
		r = -ENOMEM;
		goto out;
	}
	size_t got = 0;
	for (ssize_t n = 1; n && got <= max;) {
		n = read(fd, room + got, max + 1 - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			goto out;
		}
		got += (size_t)n;
	}
	if (got > max) {
		r = -EFBIG;
		goto out;
	}
	out->len += got;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age = (now.tv_sec - st.st_mtim.tv_sec) * INT64_C(1000) +
		      (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
	*age_ms = age > 0 ? (uint64_t)age : 0;
out:
	close(fd);
	return r;
}
