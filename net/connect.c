/* swarm_connect(): those who wait until a peer is connected and identified. */
#include "net/swarm_internal.h"
#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>

static void on_connect_task(struct task *t)
{
	struct connect_op *op = task_owner(t, struct connect_op, task);

	if (op->done)
		op->done(op->arg, op->result);
	else
		op->done_addr(op->arg, op->result, &op->peer);
	free(op);
}

static struct connect_op *op_new(void *arg)
{
	struct connect_op *op = calloc(1, sizeof *op);

	if (!op) {
		/* Nothing is left to remember the caller by. */
		log_line(LOG_ERROR, "out of memory");
		abort();
	}
	op->task.run = on_connect_task;
	op->arg = arg;
	return op;
}

static void op_end(struct swarm *s, struct connect_op *op, int result)
{
	op->result = result;
	task_later(s, &op->task);
}

static void connect_to(struct swarm *s, const struct peer_id *p, const struct addr *a,
		       int n, struct connect_op *op)
{
	struct remote *r;
	struct conn *c;

	op->peer = *p;
	if (s->freeing) {
		op_end(s, op, -ECANCELED);
		return;
	}
	r = remote_get(s, p);
	if (!r) {
		op_end(s, op, -ENOMEM);
		return;
	}
	c = remote_conn(r);
	if (c && (c->identified || r->identified)) {
		op_end(s, op, 0);
		return;
	}
	STAILQ_INSERT_TAIL(&r->connects, op, next);
	if (c)
		return;
	remote_hold(r);
	dial_remote(r, a, n);
	remote_release(r);
}

void swarm_connect(struct swarm *s, const struct peer_id *p, const struct addr *a, int n,
		   connect_fn done, void *arg)
{
	struct connect_op *op = op_new(arg);

	op->done = done;
	connect_to(s, p, a, n, op);
}

void swarm_connect_addr(struct swarm *s, const struct addr *a, connect_addr_fn done,
			void *arg)
{
	struct connect_op *op = op_new(arg);
	struct peer_id p;
	int r;

	op->done_addr = done;
	if (addr_peer(a, &p)) {
		connect_to(s, &p, a, 1, op);
		return;
	}
	r = s->freeing ? -ECANCELED : dial_addr(s, a, op);
	if (r < 0)
		op_end(s, op, r);
}
