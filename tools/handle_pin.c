/*
 * The requests about pins.  To pin a tree is to keep all of it: what is here is taken
 * into the keep log on the pool, what lacks is wanted from the network, and goes there
 * at once.  Both go on beside each other:
 *
 *	pool	keeping_run ---- what lacks ----> fetches (up to AT_ONCE)
 *		     ^                               |
 *	loop	     +------ what has come ----------+
 *
 * When it has run through and nothing is on its way any more, the last run syncs and pins.
 */
#include "tools/handlers.h"

#include "store/error.h"
#include "store/keep.h"
#include "tools/pins.h"
#include "tools/provide.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 64 /* blocks wanted */

struct fetch {
	struct pinning *pinning;
	struct cid cid;
	struct want *want; /* NULL: it is free */
};

struct pinning {
	struct request *rq;
	struct daemon *daemon;
	uv_work_t work;
	uv_timer_t tick;
	struct keeping *keeping;
	struct cid root;
	enum pin_mode mode;
	char name[PIN_NAME_MAX + 1];
	bool gone;
	atomic_bool cancel;
	bool running;		    /* on the pool, which then has `keeping`, `misses`, `ran` */
	bool last;		    /* nothing was on its way when it began to run */
	bool cancelling;
	struct cid lacking[AT_ONCE];
	struct misses misses;
	struct fetch fetches[AT_ONCE];
	unsigned fetching, came;    /* came: since it ran last, added to `keeping` */
	struct cid arrived[AT_ONCE];
	int ran, result;
	struct cid where; /* of an error in fetching */
};

static void on_pin_closed(uv_handle_t *h)
{
	free(h->data);
}

static json_t *pin_report(const struct pinning *p)
{
	char cid[CID_TEXT_MAX];
	uint64_t blocks, bytes;

	keeping_count(p->keeping, &blocks, &bytes);
	return json_pack("{s:s, s:I, s:I}", "cid", cid_text(&p->root, cid), "blocks",
			 (json_int_t)blocks, "bytes", (json_int_t)bytes);
}

static void pin_end(struct pinning *p)
{
	char cid[CID_TEXT_MAX];
	int r = p->result;

	store_unhold(p->daemon->store);
	if (r >= 0)
		request_reply(p->rq, pin_report(p));
	else if (r == ERR_MISSING || r == -ENETUNREACH)
		request_fail(p->rq, r, "not pinned: %s is not here, and the daemon is offline",
			     cid_text(&p->where, cid));
	else if (r == -EIO && p->where.hash.size)
		request_fail(p->rq, r, "not pinned: nobody who could be reached has %s",
			     cid_text(&p->where, cid));
	else
		request_fail(p->rq, r, "not pinned: %s", err_text(r));
	keeping_free(p->keeping);
	uv_close((uv_handle_t *)&p->tick, on_pin_closed);
}

static void pin_failed(struct pinning *p, int result, const struct cid *where)
{
	if (p->result >= 0) {
		p->result = result;
		if (where)
			p->where = *where;
	}
}

static void pin_run(struct pinning *p);

/* What is to be done now?  Every event on the loop ends here. */
static void pin_go_on(struct pinning *p)
{
	if (p->running || p->cancelling)
		return;
	if (p->result >= 0) {
		if (p->came || !p->fetching)
			pin_run(p);
		return;
	}
	/* The others are of no use any more; each tells on_want(). */
	p->cancelling = true;
	for (size_t i = 0; i < AT_ONCE; i++)
		if (p->fetches[i].want)
			want_cancel(p->fetches[i].want);
	pin_end(p);
}

/* ---- fetching ---- */

static void on_want(void *arg, int result, struct block *block)
{
	struct fetch *f = arg;
	struct pinning *p = f->pinning;

	f->want = NULL;
	p->fetching--;
	if (result < 0)
		pin_failed(p, result, &f->cid);
	else
		p->arrived[p->came++] = f->cid;
	pin_go_on(p);
}

static void fetch_lacking(struct pinning *p)
{
	struct daemon *d = p->daemon;
	struct fetch *f = p->fetches;

	for (size_t i = 0; i < p->misses.n; i++) {
		struct want_request wr = { .cid = p->lacking[i],
					   .root = p->root,
					   .priority = WANT_PREFETCH,
					   .keep = true };

		if (d->offline || d->stopping || p->gone) {
			pin_failed(p, d->offline ? -ENETUNREACH : -ECANCELED, &wr.cid);
			break;
		}
		while (f->want)
			f++;
		*f = (struct fetch){ .pinning = p, .cid = wr.cid };
		f->want = bitswap_want(d->node->bitswap, &wr, on_want, f);
		if (!f->want) {
			pin_failed(p, -ENOMEM, NULL);
			break;
		}
		p->fetching++;
	}
}

/* ---- keeping ---- */

static void keep_more(uv_work_t *work)
{
	struct pinning *p = work->data;
	struct daemon *d = p->daemon;

	p->ran = keeping_run(p->keeping, &p->misses, &p->cancel);
	if (p->ran < 0 || !p->last)
		return;
	p->ran = store_sync(d->store);
	if (p->ran >= 0)
		p->ran = pins_add(d->pins, &p->root, p->mode, p->name);
}

static void on_kept_more(uv_work_t *work, int status)
{
	struct pinning *p = work->data;

	p->running = false;
	if (p->ran >= 0 && p->last) {
		pin_end(p); /* pinned, even if the asker has gone meanwhile */
		return;
	}
	if (p->ran == ERR_MISSING)
		fetch_lacking(p);
	else if (p->ran < 0)
		pin_failed(p, p->ran, NULL);
	pin_go_on(p);
}

static void pin_run(struct pinning *p)
{
	int r = 0;

	for (; p->came && r >= 0; p->came--)
		r = keeping_add(p->keeping, &p->arrived[p->came - 1]);
	p->misses.max = AT_ONCE - p->fetching;
	p->last = !p->fetching;
	if (r >= 0)
		r = uv_queue_work(&p->daemon->loop, &p->work, keep_more, on_kept_more);
	p->running = r >= 0;
	if (r < 0) {
		pin_failed(p, r, NULL);
		pin_go_on(p);
	}
}

static void on_pin_gone(struct request *rq)
{
	struct pinning *p = rq->op;

	p->gone = true;
	p->cancel = true;
	pin_failed(p, -ECANCELED, NULL);
	pin_go_on(p);
}

static void on_pin_tick(uv_timer_t *t)
{
	struct pinning *p = t->data;

	request_progress(p->rq, pin_report(p));
}

static int parse_cid(struct request *rq, struct cid *out)
{
	const char *text = request_text(rq, "cid");

	return text && cid_parse(out, text, strlen(text)) == 0 ? 0 : -EINVAL;
}

/* {cmd: "pin", cid, name, direct: bool, progress: bool} -> {cid, blocks, bytes} */
void handle_pin(struct request *rq)
{
	const char *name = request_text(rq, "name");
	struct daemon *d = rq->daemon;
	struct pinning *p = calloc(1, sizeof *p);
	int r = p ? parse_cid(rq, &p->root) : -ENOMEM;

	if (r >= 0 && name && strlen(name) > PIN_NAME_MAX)
		r = -ENAMETOOLONG;
	if (r >= 0) {
		bool direct = json_is_true(json_object_get(rq->args, "direct"));
		struct cid top = p->root;

		p->mode = direct ? PIN_DIRECT : PIN_RECURSIVE;
		if (direct) /* what it links to is left alone */
			top = (struct cid){ .version = 1, .codec = CODEC_RAW, .hash = p->root.hash };
		r = keeping_new(&p->keeping, d->store);
		if (r >= 0)
			r = keeping_add(p->keeping, &top);
	}
	if (r >= 0)
		r = store_hold(d->store);
	if (r < 0) {
		if (p)
			keeping_free(p->keeping);
		free(p);
		request_fail(rq, r, "cannot pin that: %s", err_text(r));
		return;
	}
	snprintf(p->name, sizeof p->name, "%s", name ? name : "");
	p->rq = rq;
	p->daemon = d;
	p->misses = (struct misses){ p->lacking, 0, AT_ONCE };
	p->work.data = p;
	uv_timer_init(&d->loop, &p->tick);
	p->tick.data = p;
	rq->op = p;
	rq->on_gone = on_pin_gone;
	if (json_is_true(json_object_get(rq->args, "progress")))
		uv_timer_start(&p->tick, on_pin_tick, 100, 200);
	pin_go_on(p);
}

/* ---- and back ---- */

struct unpinning {
	uv_work_t work;
	struct request *rq;
	struct daemon *daemon;
	struct cid cid;
	const char *name;
	int result; /* pins removed */
	bool last;
};

static void unpin(uv_work_t *work)
{
	struct unpinning *u = work->data;
	struct daemon *d = u->daemon;
	int r = u->result = unpin_root(d->repo, d->pins, &u->cid, u->name);

	if (r > 0)
		r = pins_has(d->pins, &u->cid);
	u->last = u->result > 0 && r == 0;
	if (r < 0)
		u->result = r;
}

static void on_unpinned(uv_work_t *work, int status)
{
	struct unpinning *u = work->data;

	if (u->last && !u->daemon->stopping)
		provide_remove(u->daemon->provide, &u->cid);
	if (u->result < 0)
		request_fail(u->rq, u->result, "cannot unpin it: %s", err_text(u->result));
	else
		request_reply(u->rq, json_pack("{s:i, s:b}", "removed", u->result, "last", u->last));
	free(u);
}

/* {cmd: "unpin", cid, name} -> {removed: N, last: bool}; no name: all pins of the CID */
void handle_unpin(struct request *rq)
{
	struct unpinning *u = calloc(1, sizeof *u);

	if (!u || parse_cid(rq, &u->cid) < 0) {
		request_fail(rq, u ? -EINVAL : -ENOMEM, "unpin needs a CID");
		free(u);
		return;
	}
	u->rq = rq;
	u->daemon = rq->daemon;
	u->name = request_text(rq, "name");
	u->work.data = u;
	int r = uv_queue_work(&rq->daemon->loop, &u->work, unpin, on_unpinned);
	if (r < 0) {
		free(u);
		request_fail(rq, r, "out of memory");
	}
}

/* {cmd: "hold"}: until the session ends, what it adds stays, pinned or not. */
void handle_hold(struct request *rq)
{
	int r = request_hold(rq);

	if (r < 0)
		request_fail(rq, r, "cannot store anything: %s", err_text(r));
	else
		request_reply(rq, NULL);
}
