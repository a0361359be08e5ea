#include "tools/verify.h"

#include "store/error.h"
#include "tools/client.h"
#include "tools/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define QUEUE	    1024 /* names that wait for a thread */
#define THREADS_MAX 64

struct checking {
	struct store *store;
	uint64_t chance, dice; /* of 2^32; state of the dice */
	struct progress bar;
	uint64_t total; /* bytes to come, about */

	pthread_mutex_t lock;
	pthread_cond_t some, room;
	struct multihash queue[QUEUE];
	size_t sizes[QUEUE];
	size_t first, n;
	bool over; /* no more will come */
	int error; /* the first that is no block's */
	size_t damaged_room;
	struct verified *out;
};

/* Under `lock`. */
static int note_damaged(struct checking *c, const struct multihash *name, int error)
{
	struct verified *v = c->out;

	if (v->n_damaged == c->damaged_room) {
		size_t room = c->damaged_room ? 2 * c->damaged_room : 64;
		struct damaged *more = realloc(v->damaged, room * sizeof *more);
		if (!more)
			return -ENOMEM;
		v->damaged = more;
		c->damaged_room = room;
	}
	v->damaged[v->n_damaged++] = (struct damaged){ *name, error };
	return 0;
}

static void *check_blocks(void *arg)
{
	struct checking *c = arg;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->n && !c->over)
			pthread_cond_wait(&c->some, &c->lock);
		if (!c->n || c->error)
			break;
		struct multihash name = c->queue[c->first];
		size_t size = c->sizes[c->first];
		c->first = (c->first + 1) % QUEUE;
		c->n--;
		pthread_cond_signal(&c->room);
		pthread_mutex_unlock(&c->lock);
		int r = store_check(c->store, &name);
		pthread_mutex_lock(&c->lock);
		/* Who was dropped meanwhile is nobody's concern. */
		if (r == ERR_MISSING)
			continue;
		c->out->blocks++;
		c->out->bytes += size;
		if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
			c->error = r;
		else if (r < 0)
			r = note_damaged(c, &name, r);
		if (r == -ENOMEM)
			c->error = r;
	}
	pthread_cond_signal(&c->room);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static bool chosen(struct checking *c)
{
	/* xorshift64: the names of blocks are as good as random, but the same each time. */
	c->dice ^= c->dice << 13;
	c->dice ^= c->dice >> 7;
	c->dice ^= c->dice << 17;
	return c->dice >> 32 < c->chance;
}

static int on_name(void *arg, const struct multihash *name, size_t size)
{
	struct checking *c = arg;
	int r;

	if (interrupted)
		return -ECANCELED;
	if (!chosen(c))
		return 0;
	pthread_mutex_lock(&c->lock);
	while (c->n == QUEUE && !c->error)
		pthread_cond_wait(&c->room, &c->lock);
	r = c->error;
	if (!r) {
		size_t at = (c->first + c->n++) % QUEUE;
		c->queue[at] = *name;
		c->sizes[at] = size;
		pthread_cond_signal(&c->some);
	}
	uint64_t blocks = c->out->blocks, bytes = c->out->bytes;
	pthread_mutex_unlock(&c->lock);
	progress_at(&c->bar, blocks, bytes, c->total);
	return r;
}

int verify_store(struct store *s, double share, struct verified *out)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[THREADS_MAX];
	struct store_stat st;
	int n = 0, r = 0;

	*out = (struct verified){ 0 };
	struct checking *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->store = s;
	c->out = out;
	c->chance = (uint64_t)(share * 4294967296.0);
	if (getrandom(&c->dice, sizeof c->dice, 0) != sizeof c->dice)
		r = -EIO;
	c->dice |= 1; /* never zero */
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->some, NULL);
	pthread_cond_init(&c->room, NULL);
	store_stat(s, &st);
	c->total = (uint64_t)(share * (double)st.bytes);
	progress_begin(&c->bar, "verifying");
	c->bar.unit = "blocks";
	while (!r && n < cpus && n < THREADS_MAX)
		if (pthread_create(&threads[n], NULL, check_blocks, c))
			break;
		else
			n++;
	if (!r && !n)
		r = -EAGAIN;
	if (!r)
		r = store_check_index(s);
	if (!r)
		r = store_each(s, on_name, c);
	pthread_mutex_lock(&c->lock);
	c->over = true;
	if (r == -ECANCELED)
		c->error = r; /* what still waits need not be read */
	pthread_cond_broadcast(&c->some);
	pthread_mutex_unlock(&c->lock);
	while (n)
		pthread_join(threads[--n], NULL);
	progress_end(&c->bar);
	if (!r)
		r = c->error;
	pthread_cond_destroy(&c->some);
	pthread_cond_destroy(&c->room);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return r;
}

void verified_release(struct verified *v)
{
	free(v->damaged);
	*v = (struct verified){ 0 };
}

const char *verify_text(const struct multihash *name, char out[CID_TEXT_MAX])
{
	struct cid cid = { .version = 1, .codec = CODEC_RAW, .hash = *name };

	return cid_text(&cid, out);
}

json_t *verify_names(const struct damaged *list, size_t n)
{
	json_t *out = json_array();
	char text[CID_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, json_string(verify_text(&list[i].name, text)));
	return out;
}
