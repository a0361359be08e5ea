/*
 * Thousands of damages to a store's files, one at a time: a bit, a stretch of
 * zeros or of noise, two stretches swapped, a cut, an older page.  Whatever it was,
 *	- a reader gives right bytes, or says that it cannot;
 *	- a writer or a reader that was open already, too;
 *	- what the reader lacks, a verification tells of;
 *	- what a verification calls right is all there;
 *	- a repair leaves a store that is right, and loses nothing if only the index
 *	  was harmed;
 * and nothing crashes without a word.  Each is tried in a process of its own.
 *	damage_many [DAMAGES [SEED]]	(300, 1); prints TAP
 */
#include "store/error.h"
#include "store/log.h"
#include "store/store.h"
#include "tests/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define BLOCKS	  240
#define LARGEST	  200000
#define FILE_MAX_ (8u << 20)

enum { RIGHT, TOLD, WRONG }; /* how a child exits; anything else is a crash */

static char dir[SCRATCH_MAX], store_dir[SCRATCH_MAX + 8];
static uint64_t dice;

/* The files, and how they are when all is right. */
static struct file {
	const char *name;
	unsigned weight; /* of 16: how often it is chosen */
	uint8_t *good, *older;
	size_t size, older_size;
	unsigned chosen, seen;
} files[] = {
	{ "segments/00000001.seg", 6 },
	{ "segments/00000002.seg", 2 },
	{ "index/data.mdb", 7 },
	{ "version", 1 },
};
#define N_FILES (sizeof files / sizeof *files)

static size_t bytes_of(unsigned i, uint8_t *out, struct multihash *name)
{
	uint64_t random = i;
	size_t len = 8 + scratch_random(&random) % (i % 40 ? 1000 : LARGEST - 8);

	for (size_t k = 0; k < len; k++)
		out[k] = i % 3 ? (uint8_t)scratch_random(&random) : (uint8_t)(k / 64 % 251);
	memcpy(out, &i, sizeof i);
	multihash_sha256(name, out, len);
	return len;
}

static uint8_t bytes[LARGEST];

static int put_some(struct store *s, unsigned from, unsigned to)
{
	struct multihash name;
	int r = 0;

	for (unsigned i = from; i < to && r >= 0; i++) {
		size_t len = bytes_of(i, bytes, &name);
		r = store_put_bytes(s, &name, bytes, len);
		if (r >= 0 && i % 16 == 15) /* so that the index has a history */
			r = store_sync(s);
	}
	return r;
}

/* Give every block: RIGHT if all came, TOLD if some did not. */
static int read_from(struct store *s, unsigned n)
{
	int lacking = 0;

	for (unsigned i = 0; i < n; i++) {
		struct block *b = NULL;
		struct multihash name;
		size_t len = bytes_of(i, bytes, &name);

		if (store_get(s, &name, &b) < 0) {
			lacking++;
			continue;
		}
		if (b->size != len || memcmp(b->data, bytes, len) != 0)
			return WRONG;
		block_unref(b);
	}
	return lacking ? TOLD : RIGHT;
}

static int read_all(void)
{
	struct store *s;
	int r;

	if (store_open(&s, store_dir, 0, NULL) < 0)
		return TOLD;
	r = read_from(s, BLOCKS);
	store_close(s);
	return r;
}

static int check_one(void *arg, const struct multihash *name, size_t size)
{
	int r = store_check(arg, name);

	return r < 0 ? r : 0;
}

/* As `cairn verify` does. */
static int verify(void)
{
	struct store *s;
	int r;

	if (store_open(&s, store_dir, STORE_WRITE, NULL) < 0 || store_close(s) < 0 ||
	    store_open(&s, store_dir, 0, NULL) < 0)
		return TOLD;
	r = store_check_index(s);
	if (!r)
		r = store_each(s, check_one, s);
	store_close(s);
	return r < 0 ? TOLD : RIGHT;
}

static int mend_one(void *arg, const struct multihash *name, size_t size)
{
	int r = store_mend(arg, name);

	return r == ERR_MISSING ? 0 : r;
}

/* As `cairn repair` does. */
static int repair(void)
{
	struct store *s;
	int r = store_open(&s, store_dir, STORE_WRITE, NULL);

	if (r == ERR_CORRUPT) {
		if (store_rebuild(store_dir, NULL, NULL) < 0)
			return WRONG;
		r = store_open(&s, store_dir, STORE_WRITE, NULL);
	}
	/* By a version file that names a newer one: somebody has to look. */
	if (r < 0)
		return r == ERR_NEWER ? TOLD : WRONG;
	r = store_each(s, mend_one, s);
	return r < 0 || store_close(s) < 0 ? WRONG : RIGHT;
}

static int live(void);
static int live_reader(void);
static void harm(struct file *f, char *what, size_t room);

/* A writer, open while it happens: it reads and goes on writing. */
static struct file *victim;
static char what[128];
static int live(void)
{
	struct store *s;
	int r;

	if (store_open(&s, store_dir, STORE_WRITE, NULL) < 0)
		return WRONG;
	if (read_from(s, BLOCKS / 8) != RIGHT)
		return WRONG;
	harm(victim, what, sizeof what);
	r = read_from(s, BLOCKS);
	if (r != WRONG && put_some(s, BLOCKS, BLOCKS + 40) >= 0 && store_sync(s) >= 0)
		r = read_from(s, BLOCKS + 40);
	store_close(s);
	return r;
}

/* A reader, open while it happens. */
static int live_reader(void)
{
	struct store *s;

	if (store_open(&s, store_dir, 0, NULL) < 0 || read_from(s, BLOCKS / 8) != RIGHT)
		return WRONG;
	harm(victim, what, sizeof what);
	int r = read_from(s, BLOCKS);
	store_close(s);
	return r;
}

/* In a process of its own: how it exits, or 128 + the signal that ended it. */
static int child(int (*run)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (!pid) {
		alarm(60); /* whoever runs in a circle has crashed too */
		_exit(run());
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void load(struct file *f)
{
	f->good = scratch_read(store_dir, f->name, &f->size);
	if (!f->good || f->size > FILE_MAX_) {
		fprintf(stderr, "cannot read %s\n", f->name);
		exit(1);
	}
}

static void put_back(void)
{
	for (size_t i = 0; i < N_FILES; i++)
		if (scratch_write(store_dir, files[i].name, files[i].good, files[i].size) < 0)
			exit(1);
	/* A writer may have begun another segment. */
	for (int i = 3; i < 8; i++) {
		char path[2 * SCRATCH_MAX];
		snprintf(path, sizeof path, "%s/segments/%08d.seg", store_dir, i);
		unlink(path);
	}
}

static size_t below(size_t n)
{
	return n ? (size_t)(scratch_random(&dice) % n) : 0;
}

/* One damage, written into the file as it lies there, so that maps see it. */
static void harm(struct file *f, char *out, size_t room)
{
	static const char *const kinds[] = { "bit", "bit", "bit", "zeros", "noise", "swap", "cut", "older" };
	static const size_t lengths[] = { 1, 8, 64, 512, 4096 };
	const char *kind = kinds[below(8)];
	size_t n = lengths[below(5)], at = below(f->size), other, from = 0, to = f->size;
	uint8_t *now = malloc(f->size + 1);
	char path[2 * SCRATCH_MAX];
	int fd;

	snprintf(path, sizeof path, "%s/%s", store_dir, f->name);
	memcpy(now, f->good, f->size);
	if (n > f->size - at)
		n = f->size - at;
	switch (*kind) {
	case 'b':
		now[at] ^= (uint8_t)(1u << below(8));
		break;
	case 'z':
		memset(now + at, 0, n);
		break;
	case 'n':
		for (size_t i = 0; i < n; i++)
			now[at + i] = (uint8_t)scratch_random(&dice);
		break;
	case 's':
		other = below(f->size - n + 1);
		for (size_t i = 0; i < n; i++) {
			uint8_t b = now[at + i];
			now[at + i] = now[other + i];
			now[other + i] = b;
		}
		break;
	case 'o': /* a page that was not written */
		at = at / 4096 * 4096;
		n = 4096;
		if (f->older && at + n <= f->older_size && at + n <= f->size)
			memcpy(now + at, f->older + at, n);
		else
			now[at] ^= 1;
		break;
	case 'c':
		to = at;
		break;
	}
	snprintf(out, room, "%s of %s, %zu bytes at %zu", kind, f->name, n, at);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, now + from, to - from, (off_t)from) != (ssize_t)(to - from) ||
	    ftruncate(fd, (off_t)to) < 0)
		exit(1);
	close(fd);
	free(now);
}

static struct file *choose(void)
{
	size_t w = below(16);

	for (size_t i = 0; i < N_FILES; i++) {
		if (w < files[i].weight)
			return &files[i];
		w -= files[i].weight;
	}
	return &files[0];
}

static void make_store(void)
{
	struct store *s;
	char path[2 * SCRATCH_MAX];

	snprintf(store_dir, sizeof store_dir, "%s/store", dir);
	mkdir(store_dir, 0700);
	if (store_open(&s, store_dir, STORE_WRITE | STORE_CREATE, NULL) < 0 ||
	    put_some(s, 0, BLOCKS / 2) < 0 || store_close(s) < 0)
		exit(1);
	files[2].older = scratch_read(store_dir, files[2].name, &files[2].older_size);
	/* A segment without the last bytes of its header is not appended to: the
	 * second half goes to another. */
	snprintf(path, sizeof path, "%s/segments/00000001.seg", store_dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t header[32], zero[8] = { 0 };
	if (fd < 0 || pread(fd, header, 32, 0) != 32 || pwrite(fd, zero, 8, 24) != 8)
		exit(1);
	if (store_open(&s, store_dir, STORE_WRITE, NULL) < 0 ||
	    put_some(s, BLOCKS / 2, BLOCKS) < 0 || store_close(s) < 0 ||
	    pwrite(fd, header, 32, 0) != 32)
		exit(1);
	close(fd);
	for (size_t i = 0; i < N_FILES; i++)
		load(&files[i]);
}

static unsigned n_tests, n_failed;
static void tap(const char *name, unsigned bad)
{
	printf("%sok %u - %s\n", bad ? "not " : "", ++n_tests, name);
	if (bad)
		printf("# %u did\n", bad);
	n_failed += bad;
}

int main(int argc, char **argv)
{
	unsigned damages = argc > 1 ? (unsigned)atoi(argv[1]) : 300;
	unsigned wrong = 0, crashed = 0, unseen = 0, unmended = 0, seen = 0, harmless = 0;

	dice = argc > 2 ? (uint64_t)atoll(argv[2]) : 1;
	log_set_level((enum log_level)-1);
	scratch_make(dir);
	make_store();
	/* To the children: a crash in the index is told of. */
	store_guard("");
	if (child(read_all) != RIGHT || child(verify) != RIGHT) {
		printf("not ok 1 - the_store_is_right_before\n1..1\n");
		return 1;
	}
	for (unsigned i = 0; i < damages; i++) {
		int got, told, open, reader;

		victim = choose();
		uint64_t begin = dice;
		victim->chosen++;
		harm(victim, what, sizeof what);
		got = child(read_all);
		told = child(verify);
		bool mended = true;
		if (told == RIGHT) {
			harmless++;
			/* (If an older state of the index came up, opening to write has
			 * read in what it lacked.) */
			if (child(read_all) != RIGHT) {
				unseen++;
				printf("# %s: not seen\n", what);
			}
		} else {
			seen++;
			victim->seen++;
			if (i % 4 == 0) {
				int r = child(repair), v = child(verify), all = child(read_all);
				mended = (r == TOLD && victim == &files[3]) ||
					 (r == RIGHT && v == RIGHT && all <= (victim->name[0] == 's' ? TOLD : RIGHT));
				if (!mended)
					printf("# %s: repair %d, verified %d, read %d\n", what, r, v, all);
			}
		}
		unmended += !mended;
		put_back();
		/* The same once more, under a writer, and under a reader. */
		dice = begin;
		open = child(live);
		put_back();
		dice = begin;
		reader = child(live_reader);
		put_back();
		scratch_random(&dice);
		if (got == WRONG || open == WRONG || reader == WRONG) {
			wrong++;
			printf("# %s: wrong bytes: read %d, open %d, %d\n", what, got, open, reader);
		}
		if (got > WRONG || told > TOLD || open > WRONG || reader > WRONG) {
			crashed++;
			printf("# %s: crashed: read %d, verify %d, open %d, %d\n", what, got, told,
			       open, reader);
		}
	}
	printf("# %u damages: %u seen, %u touched nothing that anybody has\n", damages, seen, harmless);
	for (size_t i = 0; i < N_FILES; i++)
		printf("# %s: %u of %u seen\n", files[i].name, files[i].seen, files[i].chosen);
	tap("b115_no_damage_gives_wrong_bytes", wrong);
	tap("b115_no_damage_crashes_or_searches_for_ever", crashed);
	tap("b115_what_is_verified_is_all_there", unseen);
	tap("what_was_seen_can_be_repaired", unmended);
	tap("the_damages_did_damage", seen < damages / 4);
	printf("1..%u\n", n_tests);
	scratch_remove(dir);
	return n_failed != 0;
}
