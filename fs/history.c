#include "fs/history.h"

#include "store/error.h"

#include <string.h>
#include <time.h>

int64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

int64_t commit_time_ms(struct commit_time t)
{
	/* Whatever a stranger wrote, it can be reckoned with. */
	if (t.sec > INT64_MAX / 2000)
		return INT64_MAX / 2;
	if (t.sec < INT64_MIN / 2000)
		return INT64_MIN / 2;
	return t.sec * 1000 + t.nsec / 1000000;
}

static int read_commit(struct block_source *s, const struct cid *cid, struct commit *out,
		       struct block **hold)
{
	struct block *b = NULL;
	int r;

	/* What a commit's CID must look like; anything else is no snapshot. */
	if (cid->codec != CODEC_DAG_CBOR)
		return ERR_MALFORMED;
	r = source_get(s, cid, &b);
	if (r < 0)
		return r;
	r = commit_decode(out, b->data, b->size);
	if (r < 0) {
		block_unref(b);
		return r == -E2BIG ? ERR_MALFORMED : r;
	}
	*hold = b;
	return 0;
}

/* A folder has one writer: the one who has its key. */
static int check(const struct commit *c, const struct peer_id *folder)
{
	struct public_key key;
	int r = commit_verify(c, folder ? folder : &c->folder);

	if (r < 0)
		return r;
	if (key_of_peer(&c->folder, &key) < 0 || key.type != KEY_ED25519 ||
	    key.len != sizeof c->author || memcmp(key.data, c->author, sizeof c->author))
		return ERR_MALFORMED;
	return 0;
}

int history_read(struct block_source *s, const struct cid *cid, const struct peer_id *folder,
		 struct commit *out, struct block **hold)
{
	struct block *b = NULL;
	int r = read_commit(s, cid, out, &b);

	if (r == 0)
		r = check(out, folder);
	if (r < 0) {
		block_unref(b);
		return r;
	}
	*hold = b;
	return 0;
}

void history_begin(struct history *h, struct block_source *s, const struct cid *head,
		   const struct peer_id *folder, int64_t now_ms)
{
	*h = (struct history){ .source = s, .folder = folder, .now_ms = now_ms, .next = *head };
	h->past.time_ms = now_ms;
}

int history_next(struct history *h, struct history_commit **out)
{
	struct history_commit *p = &h->past;
	struct block *hold = NULL;
	struct commit c;
	int r;

	if (h->next.version == 0xff)
		return 0;
	if (h->hold && p->back + 1 == HISTORY_MAX)
		return -E2BIG;
	if (h->trusted)
		r = read_commit(h->source, &h->next, &c, &hold);
	else
		r = history_read(h->source, &h->next, h->folder, &c, &hold);
	if (r < 0)
		return r;
	p->back = h->hold ? p->back + 1 : 0;
	block_unref(h->hold);
	h->hold = hold;
	p->commit = c;
	p->cid = h->next;
	int64_t time = commit_time_ms(c.time);
	if (time < p->time_ms)
		p->time_ms = time;
	if (c.n_parents)
		h->next = c.parents[0];
	else
		h->next.version = 0xff;
	*out = p;
	return 1;
}

void history_end(struct history *h)
{
	block_unref(h->hold);
	h->hold = NULL;
}

static bool is_meant(const struct folder_at *at, const struct history_commit *p)
{
	switch (at->kind) {
	case AT_HEAD:
		return true;
	case AT_BACK:
		return p->back == at->back;
	case AT_TIME:
		return p->time_ms <= at->time_ms;
	case AT_WORD:
		return short_id_matches(&p->cid, at->word);
	case AT_CID:
		break;
	}
	return false;
}

/* The walk ends where a commit is not here; what is meant may lie behind that. */
int history_find_from(struct block_source *s, const struct cid *head,
		      const struct peer_id *folder, const struct folder_at *at,
		      int64_t now_ms, struct cid *out)
{
	struct history h;
	struct history_commit *p;
	bool found = false;
	int r;

	if (at->kind == AT_WORD && !short_id_ok(at->word))
		return -ENOENT;
	if (at->kind == AT_CID) {
		struct block *hold = NULL;
		struct commit c;

		r = history_read(s, &at->cid, folder, &c, &hold);
		block_unref(hold);
		*out = at->cid;
		return r;
	}
	history_begin(&h, s, head, folder, now_ms);
	while ((r = history_next(&h, &p)) > 0) {
		if (!is_meant(at, p))
			continue;
		if (found) {
			r = -ENOTUNIQ;
			break;
		}
		found = true;
		*out = p->cid;
		/* Only a short id can mean two. */
		if (at->kind != AT_WORD || strlen(at->word) == 2 * (size_t)p->cid.hash.size) {
			r = 0;
			break;
		}
	}
	history_end(&h);
	if (r == ERR_MISSING && found)
		r = 0;
	return r < 0 ? r : found ? 0 : -ENOENT;
}

int history_find(struct block_source *s, const struct folder_file *f,
		 const struct peer_id *folder, const struct folder_at *at, int64_t now_ms,
		 struct cid *out)
{
	struct folder_branch *b = at->kind == AT_WORD ? folder_file_branch(f, at->word) : NULL;
	int r = -ENOENT;

	if (b) {
		*out = b->head;
		return 0;
	}
	/* On the current branch first, then on the others. */
	r = history_find_from(s, folder_file_head(f), folder, at, now_ms, out);
	if (at->kind != AT_WORD)
		return r;
	for (size_t i = 0; i < f->n_branches && (r == -ENOENT || r == ERR_MISSING); i++)
		if (i != f->current)
			r = history_find_from(s, &f->branches[i].head, folder, at, now_ms, out);
	return r;
}
