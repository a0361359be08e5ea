#include "store/segment.h"

#include "store/bundle.h"
#include "store/error.h"
#include "store/pack.h"
#include "store/recipe.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_NAME_MAX 16

struct segment *segment_ref(struct segment *g)
{
	__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
	return g;
}

void segment_unref(struct segment *g)
{
	if (!g || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL))
		return;
	close(g->fd);
	free(g);
}

int segments_open(struct segments *s, int parent)
{
	*s = (struct segments){
		.dir = openat(parent, "segments", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	if (s->dir < 0)
		return -errno;
	pthread_mutex_init(&s->lock, NULL);
	return 0;
}

void segments_close(struct segments *s)
{
	for (int i = 0; i < SEGMENTS_OPEN_MAX; i++)
		segment_unref(s->open[i].file);
	pthread_mutex_destroy(&s->lock);
	close(s->dir);
}

/* The number a file name stands for, or -1. */
static int64_t file_number(const char *name)
{
	uint32_t number = 0;

	for (int i = 0; i < 8; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		number = number * 10 + (uint32_t)(name[i] - '0');
	}
	return strcmp(name + 8, ".seg") ? -1 : (int64_t)number;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

int segments_list(struct segments *s, uint32_t **numbers, size_t *n, uint64_t *bytes)
{
	uint32_t *list = NULL;
	size_t count = 0, room = 0;
	struct dirent *e;
	struct stat st;
	int r = 0;

	*bytes = 0;
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (errno = 0, (e = readdir(d))) {
		int64_t number = file_number(e->d_name);
		if (number < 0)
			continue;
		if (count == room) {
			room = room ? 2 * room : 64;
			uint32_t *more = realloc(list, room * sizeof *list);
			if (!more) {
				r = -ENOMEM;
				goto out;
			}
			list = more;
		}
		list[count++] = (uint32_t)number;
		if (!fstatat(s->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			*bytes += (uint64_t)st.st_size;
	}
	r = -errno;
	if (r < 0)
		goto out;
	if (count)
		qsort(list, count, sizeof *list, by_number);
	*numbers = list;
	*n = count;
	list = NULL;
out:
	free(list);
	closedir(d);
	return r;
}

static int open_file(struct segments *s, uint32_t number, int flags, struct segment **out)
{
	struct segment *g = malloc(sizeof *g);
	char name[FILE_NAME_MAX];

	if (!g)
		return -ENOMEM;
	*g = (struct segment){ .number = number, .refs = 1 };
	snprintf(name, sizeof name, "%08u.seg", number);
	g->fd = openat(s->dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (g->fd < 0) {
		int r = -errno;
		free(g);
		return r;
	}
	*out = g;
	return 0;
}

static int write_all(int fd, struct iovec *iov, int n, off_t offset)
{
	while (n) {
		ssize_t done = pwritev(fd, iov, n, offset);
		if (done < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!done)
			return -EIO;
		offset += done;
		while (n && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int segment_create(struct segments *s, uint32_t number, uint8_t log, struct segment **out)
{
	uint8_t header[SEGMENT_HEADER];
	struct iovec iov = { header, sizeof header };
	struct segment *g = NULL;
	int r;

	if (number > SEGMENT_NUMBER_MAX)
		return -ENOSPC;
	r = open_file(s, number, O_RDWR | O_CREAT | O_EXCL, &g);
	if (r < 0)
		return r;
	segment_header_encode(header, number, log);
	r = write_all(g->fd, &iov, 1, 0);
	if (r < 0) {
		segment_remove(s, number);
		segment_unref(g);
		return r;
	}
	*out = g;
	return 0;
}

int segment_open(struct segments *s, uint32_t number, struct segment **out)
{
	return open_file(s, number, O_RDWR, out);
}

int segment_log(struct segments *s, uint32_t number, uint8_t *log, uint64_t *bytes)
{
	uint8_t header[SEGMENT_HEADER];
	struct segment *g = NULL;
	struct stat st;
	int r = open_file(s, number, O_RDONLY, &g);

	if (r < 0)
		return r == -EISDIR || r == -ELOOP ? ERR_CORRUPT : r;
	ssize_t n = pread(g->fd, header, sizeof header, 0);
	st.st_size = SEGMENT_HEADER;
	if (n < 0 || fstat(g->fd, &st) < 0)
		r = errno == EISDIR ? ERR_CORRUPT : -errno;
	else
		r = n == sizeof header ? segment_header_check(header, number) : ERR_CORRUPT;
	segment_unref(g);
	if (r >= 0 || r == ERR_CORRUPT)
		*bytes = (uint64_t)st.st_size;
	if (r >= 0)
		*log = (uint8_t)r;
	return r < 0 ? r : 0;
}

uint64_t segment_bytes(const struct segment *g)
{
	struct stat st;

	return fstat(g->fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* Close what is kept open of a file that goes. */
static void forget(struct segments *s, uint32_t number)
{
	struct segment *g = NULL;
	int n = 0, at = -1;

	pthread_mutex_lock(&s->lock);
	for (; n < SEGMENTS_OPEN_MAX && s->open[n].file; n++)
		if (s->open[n].file->number == number)
			at = n;
	if (at >= 0) {
		g = s->open[at].file;
		s->open[at] = s->open[n - 1];
		s->open[n - 1].file = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	segment_unref(g);
}

int segment_remove(struct segments *s, uint32_t number)
{
	struct segment *g = NULL;
	char name[FILE_NAME_MAX];
	int r = 0;

	/* Without a descriptor only the name goes. */
	(void)open_file(s, number, O_WRONLY, &g);
	snprintf(name, sizeof name, "%08u.seg", number);
	if (unlinkat(s->dir, name, 0) < 0)
		r = -errno;
	else if (g)
		(void)!ftruncate(g->fd, 0);
	segment_unref(g);
	forget(s, number);
	return r;
}

int segment_write(struct segment *g, uint32_t offset, const struct record *rec,
		  const uint8_t *name, const void *data)
{
	uint8_t head[RECORD_HEADER + RECORD_NAME_MAX];
	uint8_t zero[8] = { 0 };
	uint32_t head_size = RECORD_HEADER + rec->name_size;
	uint32_t pad = record_span(rec->name_size, rec->stored) - head_size - rec->stored;
	struct iovec iov[3] = { { head, head_size },
				{ (void *)data, rec->stored },
				{ zero, pad } };
	int r;

	record_encode(head, rec, name, g->number, offset);
	r = write_all(g->fd, iov, 3, offset);
	/* A leftover is written over by the next record: cutting is tidiness. */
	if (r < 0)
		(void)!ftruncate(g->fd, offset);
	return r;
}

/* The open file of that number, for reading; opened if need be. */
static int acquire(struct segments *s, uint32_t number, struct segment **out)
{
	struct segment *g = NULL, *old = NULL;
	int oldest = 0, r;

	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < SEGMENTS_OPEN_MAX && s->open[i].file; i++)
		if (s->open[i].file->number == number) {
			s->open[i].used = ++s->clock;
			*out = segment_ref(s->open[i].file);
			pthread_mutex_unlock(&s->lock);
			return 0;
		}
	pthread_mutex_unlock(&s->lock);

	r = open_file(s, number, O_RDONLY, &g);
	if (r < 0)
		return r;

	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < SEGMENTS_OPEN_MAX; i++) {
		if (!s->open[i].file || s->open[i].file->number == number) {
			oldest = i;
			break;
		}
		if (s->open[i].used < s->open[oldest].used)
			oldest = i;
	}
	old = s->open[oldest].file;
	s->open[oldest].file = segment_ref(g);
	s->open[oldest].used = ++s->clock;
	pthread_mutex_unlock(&s->lock);
	segment_unref(old);
	*out = g;
	return 0;
}

/* Bytes read, fewer only at the end of the file; or a negative errno. */
static ssize_t read_all(int fd, struct iovec *iov, int n, off_t offset)
{
	ssize_t total = 0;

	while (n) {
		ssize_t got = preadv(fd, iov, n, offset + total);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!got)
			break;
		total += got;
		while (n && (size_t)got >= iov->iov_len) {
			got -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (char *)iov->iov_base + got;
			iov->iov_len -= (size_t)got;
		}
	}
	return total;
}

/*
 * Read a record at a place, whose name has `name_size` bytes, to `head` and `data`.
 * 0 if both checks are right.
 */
static int read_record(struct segments *s, const struct place *at, size_t name_size,
		       uint8_t head[RECORD_HEADER + RECORD_NAME_MAX], void *data,
		       struct record *rec)
{
	size_t head_size = RECORD_HEADER + name_size;
	struct iovec iov[2] = { { head, head_size }, { data, at->stored } };
	struct segment *g = NULL;
	int r;

	r = acquire(s, at->segment, &g);
	if (r < 0)
		return r == -ENOENT || r == -ELOOP ? ERR_CORRUPT : r;
	ssize_t got = read_all(g->fd, iov, 2, at->offset);
	segment_unref(g);
	if (got == -EISDIR)
		return ERR_CORRUPT;
	if (got < 0)
		return (int)got;
	if ((size_t)got != head_size + at->stored ||
	    record_decode(rec, head, head_size) < 0 || rec->name_size != name_size ||
	    rec->stored != at->stored || rec->kind != at->kind ||
	    !record_sound(rec, head, at->segment, at->offset) ||
	    record_check(data, rec->stored) != rec->check)
		return ERR_CORRUPT;
	return 0;
}

int segment_read(struct segments *s, const struct place *at, const uint8_t *name,
		 size_t name_size, void *data, uint8_t *encoding)
{
	uint8_t head[RECORD_HEADER + RECORD_NAME_MAX];
	struct record rec;
	int r = read_record(s, at, name_size, head, data, &rec);

	if (r < 0)
		return r;
	if (memcmp(head + RECORD_HEADER, name, name_size) || rec.size != at->size ||
	    (!encoding && rec.encoding != ENCODING_RAW))
		return ERR_CORRUPT;
	if (encoding)
		*encoding = rec.encoding;
	return 0;
}

int segment_read_bundle(struct segments *s, const struct place *at, struct record *rec,
			uint8_t name[BUNDLE_NAME], void *data)
{
	uint8_t head[RECORD_HEADER + RECORD_NAME_MAX];
	int r;

	if (at->kind != RECORD_BUNDLE || at->stored > BUNDLE_TABLE_MAX + BUNDLE_MAX)
		return ERR_CORRUPT;
	r = read_record(s, at, BUNDLE_NAME, head, data, rec);
	if (!r)
		memcpy(name, head + RECORD_HEADER, BUNDLE_NAME);
	return r;
}

int segment_bundle_size(struct segments *s, const struct place *at, uint32_t *size)
{
	uint8_t head[RECORD_HEADER + BUNDLE_NAME];
	struct iovec iov = { head, sizeof head };
	struct segment *g = NULL;
	struct record rec;
	int r = acquire(s, at->segment, &g);

	if (r < 0)
		return r == -ENOENT || r == -ELOOP ? ERR_CORRUPT : r;
	ssize_t got = read_all(g->fd, &iov, 1, at->offset);
	segment_unref(g);
	if (got < 0)
		return (int)got;
	if (got != sizeof head || record_decode(&rec, head, sizeof head) < 0 ||
	    rec.kind != RECORD_BUNDLE || rec.stored != at->stored ||
	    !record_sound(&rec, head, at->segment, at->offset))
		return ERR_CORRUPT;
	*size = rec.size;
	return 0;
}

/* A window that moves over a file. */
#define WINDOW (4u << 20)
struct window {
	int fd;
	struct packer *packer; /* for what has to be unpacked to be checked */
	struct bundle_table table; /* of the record at hand, if it is a bundle */
	uint8_t *buf;
	size_t room; /* WINDOW, or the file if it is smaller */
	off_t start;
	size_t len;
};

/* `n` bytes at `offset`, or NULL with errno (0: the file ends before). */
static const uint8_t *window_at(struct window *w, off_t offset, size_t n)
{
	if (offset < w->start || offset + (off_t)n > w->start + (off_t)w->len) {
		struct iovec iov = { w->buf, w->room };
		ssize_t got = read_all(w->fd, &iov, 1, offset);
		w->start = offset;
		w->len = got < 0 ? 0 : (size_t)got;
		errno = got < 0 ? (int)-got : 0;
		if (got < (ssize_t)n)
			return NULL;
	}
	return w->buf + (offset - w->start);
}

/* The bytes of a record, unpacked: `packed` of its stored ones; NULL: damaged. */
static const uint8_t *plain_bytes(struct window *w, const struct record *rec,
				  const uint8_t *packed, size_t len)
{
	if (rec->encoding == ENCODING_RAW)
		return packed;
	if (!w->packer)
		w->packer = packer_new();
	if (!w->packer ||
	    unpack(w->packer, rec->encoding, packed, len, packer_plain(w->packer), rec->size) < 0)
		return NULL;
	return packer_plain(w->packer);
}

static bool is_block(const uint8_t *name, size_t name_size, const uint8_t *data, size_t len)
{
	struct multihash hash;

	return multihash_decode(&hash, name, name_size) == 0 &&
	       multihash_check(&hash, data, len) == 0;
}

/* Do the stored bytes match the name?  As far as that can be said of a record
 * alone: of a recipe it cannot. */
static bool matches_name(struct window *w, const struct record *rec, const uint8_t *name,
			 const uint8_t *data)
{
	uint8_t piece[PIECE_NAME];

	if (rec->kind == RECORD_RECIPE)
		return true;
	data = plain_bytes(w, rec, data, rec->stored);
	if (!data)
		return false;
	if (rec->kind != RECORD_PIECE)
		return is_block(name, rec->name_size, data, rec->size);
	piece_name(piece, data, rec->size);
	return !memcmp(piece, name, PIECE_NAME);
}

/* Leave in w->table only members whose bytes match their names; is any left? */
static bool keep_matching(struct window *w, const struct record *rec, const uint8_t *data)
{
	struct bundle_table *t = &w->table;
	uint32_t kept = 0;

	data = plain_bytes(w, rec, data + t->bytes, rec->stored - t->bytes);
	for (uint32_t i = 0; data && i < t->n; i++) {
		const struct bundle_member *m = &t->members[i];

		if (is_block(m->name, m->name_size, data + m->at, m->size))
			t->members[kept++] = *m;
	}
	t->n = kept;
	return kept;
}

/* Names that no block can have do not occur in sound records. */
static bool names_sound(const struct window *w, const struct record *rec,
			const uint8_t *name)
{
	struct multihash hash;

	if (rec->kind == RECORD_PIECE)
		return true;
	if (rec->kind != RECORD_BUNDLE)
		return multihash_decode(&hash, name, rec->name_size) == 0;
	for (uint32_t i = 0; i < w->table.n; i++)
		if (multihash_decode(&hash, w->table.members[i].name,
				     w->table.members[i].name_size) < 0)
			return false;
	return true;
}

/*
 * The record at `offset` of a file of `size` bytes: 1 if it is whole, 0 if not,
 * or a negative errno.  *span: how far it is to where the next one may be.  The
 * members of a bundle are in w->table.
 */
static int whole_record(struct window *w, uint32_t number, uint32_t offset, uint32_t size,
			bool strong, const uint8_t **name, size_t *name_size,
			struct place *at, uint32_t *span)
{
	uint32_t left = size - offset, whole;
	struct record rec;
	const uint8_t *p;

	*span = 8;
	if (left < RECORD_HEADER)
		return 0;
	p = window_at(w, offset, RECORD_HEADER);
	if (!p)
		return -errno;
	if (record_decode(&rec, p, RECORD_HEADER) < 0)
		return 0;
	whole = record_span(rec.name_size, rec.stored);
	if (whole > left)
		return 0;
	p = window_at(w, offset, whole);
	if (!p)
		return -errno;
	*name = p + RECORD_HEADER;
	*name_size = rec.name_size;
	if (!record_sound(&rec, p, number, offset))
		return 0;
	const uint8_t *data = p + RECORD_HEADER + rec.name_size;
	bool bundle = rec.kind == RECORD_BUNDLE;
	bool right = record_check(data, rec.stored) == rec.check;
	if (right && bundle)
		right = bundle_decode(&w->table, &rec, *name, data) == 0;
	if (right)
		right = names_sound(w, &rec, *name);
	if (!right) {
		/* Behind damage, this may be a header that a block pretends. */
		if (!strong)
			*span = whole;
		return 0;
	}
	if (strong && !(bundle ? keep_matching(w, &rec, data)
			       : matches_name(w, &rec, *name, data)))
		return 0;
	*at = (struct place){ number, offset, rec.stored, rec.size, rec.kind };
	*span = whole;
	return 1;
}

/* Give the members of a bundle: the last one says that all are given. */
static int each_member(const struct window *w, struct place at, uint32_t end,
		       segment_each_fn each, void *arg, bool doubtful)
{
	const struct bundle_table *t = &w->table;
	int r = 0;

	for (uint32_t i = 0; i < t->n && !r; i++) {
		at.size = t->members[i].size;
		r = each(arg, t->members[i].name, t->members[i].name_size, &at,
			 i + 1 < t->n ? at.offset : end, doubtful);
	}
	return r;
}

int segment_scan(struct segment *g, uint32_t from, segment_each_fn each, void *arg,
		 uint32_t *end, uint64_t *damaged)
{
	struct window w = { .fd = g->fd };
	uint32_t offset = from, span;
	const uint8_t *name = NULL;
	size_t name_size = 0;
	struct place at;
	struct stat st;
	int r = 0;

	*end = from;
	*damaged = 0;
	if (fstat(g->fd, &st) < 0)
		return -errno;
	/* Nothing of ours is longer, whatever someone did to the file. */
	uint32_t size = st.st_size > SEGMENT_MAX ? SEGMENT_MAX : (uint32_t)st.st_size;
	if (from >= size)
		return 0;
	w.room = size - from < WINDOW ? size - from : WINDOW;
	w.buf = malloc(w.room);
	if (!w.buf)
		return -ENOMEM;

	while (offset < size) {
		bool strong = *damaged || *end != offset;
		r = whole_record(&w, g->number, offset, size, strong, &name, &name_size,
				 &at, &span);
		if (r < 0)
			goto out;
		if (r) {
			*damaged += offset - *end;
			r = at.kind == RECORD_BUNDLE
				? each_member(&w, at, offset + span, each, arg, strong)
				: each(arg, name, name_size, &at, offset + span, strong);
			if (r)
				goto out;
			*end = offset + span;
		}
		offset += span;
	}
out:
	packer_free(w.packer);
	free(w.buf);
	return r;
}
