#include "store/import_walk.h"

#include "store/error.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_BYTES 32768 /* of directory entries taken from the kernel at once */

void dir_path(const struct dir *d, uint32_t index, struct buf *out)
{
	size_t len = 0;
	uint32_t i = index;

	for (const struct dir *up = d; up; i = up->index, up = up->parent)
		len += up->entries[i].name_len + 1;
	buf_clear(out);
	if (!buf_room(out, len))
		return;
	out->len = len;
	/* Known from the entry upwards, so filled from the end. */
	for (i = index; d; i = d->index, d = d->parent) {
		len--;
		out->data[len] = len + 1 == out->len ? '\0' : '/';
		len -= d->entries[i].name_len;
		memcpy(out->data + len, dir_name(d, i), d->entries[i].name_len);
	}
}

void dir_free(struct dir *d)
{
	if (!d)
		return;
	free(d->entries);
	free(d->results);
	free(d->meta);
	buf_release(&d->names);
	free(d);
}

static struct dir *dir_new(struct dir *parent, uint32_t index)
{
	struct dir *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->parent = parent;
	d->index = index;
	d->holds = 1;
	return d;
}

struct frame {
	struct dir *dir;
	uint32_t next;
	size_t path; /* where in walk.path names below it begin */
	struct ignore *ignore; /* its own rules, or NULL */
};

struct walk {
	struct walker *walker;
	struct dirstack stack;
	struct frame *frames;
	size_t depth, cap;
	struct buf path; /* from the topmost directory, a slash behind each name */
	char list[LIST_BYTES];
};

static enum entry_type type_of_mode(mode_t mode)
{
	return S_ISREG(mode) ? ENTRY_FILE
	     : S_ISDIR(mode) ? ENTRY_DIR
	     : S_ISLNK(mode) ? ENTRY_SYMLINK
			     : ENTRY_OTHER;
}

static int entry_add(struct dir *d, size_t *cap, const char *name, enum entry_type type)
{
	size_t len = strlen(name), at = d->names.len;

	if (len > UINT16_MAX)
		return -ENAMETOOLONG;
	if (at + len >= UINT32_MAX)
		return -EFBIG;
	if (d->n == *cap) {
		size_t more = *cap ? *cap + *cap / 2 : 16;
		struct entry *entries = realloc(d->entries, more * sizeof *entries);

		if (!entries)
			return -ENOMEM;
		d->entries = entries;
		*cap = more;
	}
	buf_append(&d->names, name, len + 1);
	if (d->names.failed)
		return -ENOMEM;
	d->entries[d->n++] = (struct entry){ at, len, type };
	return 0;
}

struct dir *dir_new_top(const char *path)
{
	struct dir *d = dir_new(NULL, 0);
	size_t cap = 0;

	if (d && entry_add(d, &cap, path, ENTRY_OTHER) < 0) {
		dir_free(d);
		d = NULL;
	}
	return d;
}

static int compare_entries(const void *x, const void *y, void *names)
{
	const struct entry *a = x, *b = y;

	return strcmp((char *)names + a->name, (char *)names + b->name);
}

/* The rules a directory has for itself. */
static int load_ignore(int dir, struct ignore **out)
{
	int fd = openat(dir, IGNORE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	size_t len = 0;
	char *text = NULL;
	ssize_t n = 0;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (S_ISREG(st.st_mode) && st.st_size > IGNORE_FILE_MAX)
		r = -EFBIG;
	if (r < 0 || !S_ISREG(st.st_mode))
		goto out;
	r = -ENOMEM;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		goto out;
	while (len < (size_t)st.st_size &&
	       (n = read(fd, text + len, (size_t)st.st_size - len)) > 0)
		len += (size_t)n;
	r = n < 0 ? -errno : ignore_add(out, text, len);
out:
	free(text);
	close(fd);
	return r;
}

/* Whether an entry of the directory whose rules are `own` is to be left out. */
static int ignored(struct walk *w, const struct ignore *own, const char *name, bool is_dir)
{
	size_t len = w->path.len;
	int r;

	buf_append(&w->path, name, strlen(name) + 1);
	if (w->path.failed)
		return -ENOMEM;
	const char *path = (const char *)w->path.data;
	r = ignore_match(w->walker->exclude, path, is_dir);
	if (r < 0)
		r = ignore_match(own, path + len, is_dir);
	/* Rules nearer to the entry come before those above. */
	for (size_t i = w->depth; r < 0 && i-- > 1;)
		r = ignore_match(w->frames[i].ignore, path + w->frames[i].path, is_dir);
	w->path.len = len;
	return r > 0;
}

static int list(struct walk *w, int fd, struct dir *d, const struct ignore *own)
{
	size_t cap = 0;
	ssize_t n;

	while ((n = getdents64(fd, w->list, sizeof w->list)) > 0) {
		for (char *p = w->list; p < w->list + n;) {
			const struct dirent64 *e = (const struct dirent64 *)p;
			enum entry_type type = type_of_mode(DTTOIF(e->d_type));
			struct stat st;
			int r;

			p += e->d_reclen;
			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
				continue;
			if (e->d_name[0] == '.' && !w->walker->hidden)
				continue;
			if (e->d_type == DT_UNKNOWN) {
				if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
					return -errno;
				type = type_of_mode(st.st_mode);
			}
			r = ignored(w, own, e->d_name, type == ENTRY_DIR);
			if (r < 0)
				return r;
			if (r)
				continue;
			r = entry_add(d, &cap, e->d_name, type);
			if (r < 0)
				return r;
		}
	}
	if (n < 0)
		return -errno;
	if (d->n)
		qsort_r(d->entries, d->n, sizeof *d->entries, compare_entries,
			d->names.data);
	return 0;
}

/* Make `d` the frame the walk is in, which has the walk's hold from here on, and
 * owns its rules.  If it could not be, the depth is what it was. */
static int push(struct walk *w, struct dir *d, struct ignore *own)
{
	if (w->depth == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 16;
		struct frame *frames = realloc(w->frames, cap * sizeof *frames);

		if (!frames)
			return -ENOMEM;
		w->frames = frames;
		w->cap = cap;
	}
	w->frames[w->depth++] = (struct frame){ .dir = d, .path = w->path.len, .ignore = own };
	if (d->parent)
		atomic_fetch_add(&d->parent->holds, 1);
	return w->walker->enter(w->walker, d, dirstack_fd(&w->stack));
}

static int enter_top(struct walk *w, const char *path)
{
	struct dir *d = dir_new_top(path);
	struct stat st;
	int r = -ENOMEM;

	if (!d)
		return r;
	if (lstat(path, &st) < 0) {
		r = -errno;
		w->walker->failed(w->walker, d, 0, r);
		goto out;
	}
	d->entries[0].type = type_of_mode(st.st_mode);
	r = push(w, d, NULL);
	if (w->depth)
		d = NULL; /* handed over */
out:
	dir_free(d);
	return r;
}

static int enter(struct walk *w, struct dir *parent, uint32_t index)
{
	struct dir *d = dir_new(parent, index);
	struct ignore *own = NULL;
	size_t depth = w->depth;
	int r = -ENOMEM;

	if (!d)
		goto out;
	/* Rules do not see the path of the topmost. */
	if (depth > 1) {
		buf_append(&w->path, dir_name(parent, index), parent->entries[index].name_len);
		buf_append(&w->path, "/", 1);
		if (w->path.failed)
			goto out;
	}
	r = dirstack_enter(&w->stack, dir_name(parent, index));
	if (r == 0 && w->walker->ignore_files)
		r = load_ignore(dirstack_fd(&w->stack), &own);
	if (r == 0)
		r = list(w, dirstack_fd(&w->stack), d, own);
	if (r == 0) {
		r = push(w, d, own);
		if (w->depth > depth)
			return r;
	}
out:
	w->walker->failed(w->walker, parent, index, r);
	ignore_free(own);
	dir_free(d);
	return r;
}

static void pop(struct walk *w)
{
	struct frame *f = &w->frames[--w->depth];

	ignore_free(f->ignore);
	w->path.len = w->depth ? w->frames[w->depth - 1].path : 0;
	w->walker->leave(w->walker, f->dir);
}

int walk(struct walker *walker, const char *path)
{
	struct walk *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return -ENOMEM;
	w->walker = walker;
	r = enter_top(w, path);
	while (r == 0 && w->depth) {
		struct frame *f = &w->frames[w->depth - 1];

		if (f->next == f->dir->n) {
			if (w->depth > 1)
				r = dirstack_leave(&w->stack, NULL);
			if (r < 0)
				walker->failed(walker, f->dir->parent, f->dir->index, r);
			pop(w);
			continue;
		}
		uint32_t i = f->next++;

		r = f->dir->entries[i].type == ENTRY_DIR
			    ? enter(w, f->dir, i)
			    : walker->entry(walker, f->dir, i, dirstack_top(&w->stack));
	}
	while (w->depth)
		pop(w);
	buf_release(&w->path);
	dirstack_release(&w->stack);
	free(w->frames);
	free(w);
	return r;
}
