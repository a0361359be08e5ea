#include "store/car_source.h"
#include "store/car.h"
#include "store/error.h"
#include "store/log.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A block's place.  `key` is a hash of its name: what is read is verified. */
struct spot {
	uint64_t key;
	uint64_t at;
	uint32_t size;
	atomic_bool bad; /* found to be wrong: not there any more */
};

struct car_file {
	struct block_source source;
	int fd;
	char *path;
	struct spot *spots; /* sorted by key */
	size_t n, cap;
	uint64_t n_roots;
	struct cid root;
};

/* The file as the input of a reader. */
struct file_input {
	struct car_input base;
	int fd;
};

static int64_t on_read(struct car_input *self, void *buf, size_t len)
{
	ssize_t n;

	do
		n = read(((struct file_input *)self)->fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int on_skip(struct car_input *self, uint64_t n)
{
	return lseek(((struct file_input *)self)->fd, (off_t)n, SEEK_CUR) < 0 ? -errno : 0;
}

static int add_spot(struct car_file *f, const struct car_section *s)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap + f->cap / 2 : 256;
		struct spot *more = realloc(f->spots, cap * sizeof *more);
		if (!more)
			return -ENOMEM;
		f->spots = more;
		f->cap = cap;
	}
	f->spots[f->n++] = (struct spot){ .key = multihash_hash(&s->cid.hash),
					  .at = s->data_at,
					  .size = (uint32_t)s->len };
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int scan(struct car_file *f, uint64_t size, const char **why)
{
	struct file_input in = { .base = { on_read, on_skip, size }, .fd = f->fd };
	struct car_reader *r;
	struct car_section s;
	int e = car_open(&r, &in.base, true);

	while (e >= 0 && (e = car_next(r, &s)) > 0)
		if (s.cid.hash.code != HASH_IDENTITY)
			e = add_spot(f, &s);
	if (e == 0) {
		struct cursor roots = car_roots(r);
		f->n_roots = car_root_count(r);
		car_root_next(&roots, &f->root);
		if (f->n)
			qsort(f->spots, f->n, sizeof *f->spots, by_key);
	} else if (r && why) {
		/* What it did not like is one of its fixed texts. */
		*why = *car_why(r) ? car_why(r) : NULL;
	}
	car_close(r);
	return e;
}

/* The first spot of `key`, or the end. */
static size_t find(const struct car_file *f, uint64_t key)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (f->spots[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int read_spot(struct car_file *f, struct spot *s, const struct cid *cid,
		     struct block **out)
{
	struct block *b = NULL;
	size_t got = 0;
	uint8_t *data;
	int r = block_reserve(&b, &cid->hash, s->size, &data);

	while (r == 0 && got < s->size) {
		ssize_t n = pread(f->fd, data + got, s->size - got, (off_t)(s->at + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		else if (n == 0)
			r = ERR_CORRUPT; /* it was cut off meanwhile */
		else
			got += (size_t)n;
	}
	if (r == 0)
		r = multihash_check(&cid->hash, data, s->size);
	if (r == 0)
		*out = b;
	else
		block_unref(b);
	return r;
}

static int get(struct block_source *self, const struct cid *cid, struct block **out)
{
	struct car_file *f = (struct car_file *)self;
	uint64_t key = multihash_hash(&cid->hash);
	char text[CID_TEXT_MAX];

	for (size_t i = find(f, key); i < f->n && f->spots[i].key == key; i++) {
		struct spot *s = &f->spots[i];
		if (s->bad)
			continue;
		int r = read_spot(f, s, cid, out);
		if (r == 0 || r == -ENOMEM)
			return r;
		if (!atomic_exchange(&s->bad, true))
			log_line(LOG_ERROR, "%s: the block at %llu is not %s: %s", f->path,
				 (unsigned long long)s->at, cid_text(cid, text), err_text(r));
	}
	return ERR_MISSING;
}

static int has(struct block_source *self, const struct cid *cid)
{
	struct car_file *f = (struct car_file *)self;
	uint64_t key = multihash_hash(&cid->hash);

	for (size_t i = find(f, key); i < f->n && f->spots[i].key == key; i++)
		if (!f->spots[i].bad)
			return 1;
	return 0;
}

static int not_regular(const char **why)
{
	if (why)
		*why = "it is no regular file";
	return -EINVAL;
}

int car_file_open(struct car_file **out, const char *path, const char **why)
{
	struct car_file *f = calloc(1, sizeof *f);
	struct stat st;
	int r = 0;

	if (why)
		*why = NULL;
	if (!f)
		return -ENOMEM;
	f->source = (struct block_source){ .get = get, .has = has };
	f->path = strdup(path);
	/* Not to wait for the other end of a pipe. */
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = not_regular(why);
	else if (!f->path)
		r = -ENOMEM;
	else
		r = scan(f, (uint64_t)st.st_size, why);
	if (r < 0) {
		car_file_close(f);
		return r;
	}
	*out = f;
	return 0;
}

void car_file_close(struct car_file *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->spots);
	free(f->path);
	free(f);
}

uint64_t car_file_roots(const struct car_file *f, struct cid *first)
{
	*first = f->root;
	return f->n_roots;
}

const char *car_file_path(const struct car_file *f)
{
	return f->path;
}

struct block_source *car_file_source(struct car_file *f)
{
	return &f->source;
}
