#include "store/export_place.h"

#include "store/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static uint64_t key_of(dev_t dev, ino_t ino)
{
	uint64_t key = ((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15;

	return key ? key : 1;
}

static size_t slot_of(const uint64_t *made, size_t slots, uint64_t key)
{
	size_t i = key >> 20 & (slots - 1);

	while (made[i] && made[i] != key)
		i = (i + 1) & (slots - 1);
	return i;
}

static bool is_ours(const struct place *p, const struct stat *st)
{
	return p->slots && p->made[slot_of(p->made, p->slots, key_of(st->st_dev, st->st_ino))];
}

static int remember(struct place *p, dev_t dev, ino_t ino)
{
	uint64_t key = key_of(dev, ino);

	if (!p->replace)
		return 0;
	if (2 * (p->n + 1) > p->slots) {
		size_t slots = p->slots ? 2 * p->slots : 64;
		uint64_t *made = calloc(slots, sizeof *made);

		if (!made)
			return -ENOMEM;
		for (size_t i = 0; i < p->slots; i++)
			if (p->made[i])
				made[slot_of(made, slots, p->made[i])] = p->made[i];
		free(p->made);
		p->made = made;
		p->slots = slots;
	}
	p->made[slot_of(p->made, p->slots, key)] = key;
	p->n++;
	return 0;
}

void place_release(struct place *p)
{
	free(p->made);
	*p = (struct place){ 0 };
}

/* What is there under the name: 0 nothing, 1 something to replace, or an error. */
static int look(const struct place *p, int at, const char *name)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!p->replace || is_ours(p, &st))
		return -EEXIST;
	return S_ISDIR(st.st_mode) ? -EISDIR : 1;
}

static int part_name(char out[PART_NAME_MAX])
{
	uint64_t r;

	if (getrandom(&r, sizeof r, 0) != sizeof r)
		return -EIO;
	snprintf(out, PART_NAME_MAX, ".cairn-%016llx", (unsigned long long)r);
	return 0;
}

static int create(int at, const char *name)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);

	return fd < 0 ? -errno : fd;
}

int place_file(struct place *p, int at, const char *name, bool at_once,
	       struct new_file *out)
{
	int r;

	*out = (struct new_file){ .fd = -1, .name = name };
	/* Without anything to replace, the kernel says whether the name is free. */
	if (!at_once || p->replace) {
		r = look(p, at, name);
		if (r < 0)
			return r;
		at_once = at_once && r == 0;
	}
	if (!at_once) {
		r = part_name(out->part);
		if (r < 0)
			return r;
	}
	r = create(at, at_once ? name : out->part);
	if (r < 0)
		return r;
	out->fd = r;
	return 0;
}

/* Give what has the name `part` its final name. */
static int settle(const struct place *p, int at, const char *part, const char *name)
{
	int fd;

	if (p->replace)
		return renameat(at, part, at, name) < 0 ? -errno : 0;
	if (renameat2(at, part, at, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot: reserve the name, then take it. */
	fd = create(at, name);
	if (fd < 0)
		return fd;
	close(fd);
	if (renameat(at, part, at, name) == 0)
		return 0;
	fd = -errno;
	unlinkat(at, name, 0);
	return fd;
}

int place_file_end(struct place *p, int at, struct new_file *f, int r)
{
	struct stat st = { 0 };

	if (r == 0 && p->replace && fstat(f->fd, &st) < 0)
		r = -errno;
	if (close(f->fd) < 0 && r == 0)
		r = -errno;
	f->fd = -1;
	if (r == 0 && f->part[0])
		r = settle(p, at, f->part, f->name);
	if (r == 0)
		return remember(p, st.st_dev, st.st_ino);
	unlinkat(at, f->part[0] ? f->part : f->name, 0);
	return r;
}

int place_symlink(struct place *p, int at, const char *name, const char *target)
{
	char part[PART_NAME_MAX];
	struct stat st;
	int r;

	if (!p->replace)
		return symlinkat(target, at, name) < 0 ? -errno : 0;
	r = look(p, at, name);
	if (r == 0)
		r = symlinkat(target, at, name) < 0 ? -errno : 0;
	else if (r > 0) {
		r = part_name(part);
		if (r == 0 && symlinkat(target, at, part) < 0)
			r = -errno;
		else if (r == 0) {
			r = settle(p, at, part, name);
			if (r < 0)
				unlinkat(at, part, 0);
		}
	}
	if (r < 0)
		return r;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return remember(p, st.st_dev, st.st_ino);
}

int place_dir(struct place *p, int at, const char *name, mode_t mode)
{
	if (mkdirat(at, name, mode) == 0)
		return 1;
	return errno == EEXIST && p->replace ? 0 : -errno;
}

int place_dir_opened(struct place *p, dev_t dev, ino_t ino)
{
	if (is_ours(p, &(struct stat){ .st_dev = dev, .st_ino = ino }))
		return -EEXIST;
	return remember(p, dev, ino);
}
