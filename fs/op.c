#include "fs/op.h"

#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>

int op_errno(int r)
{
	switch (r) {
	case ERR_CORRUPT:
	case ERR_MALFORMED:
	case ERR_MISSING:
	case ERR_NEWER:
	case -ECANCELED:
		return EIO;
	case -ENOTSUP:
		return EOPNOTSUPP;
	default:
		return -r;
	}
}

/* What a program did wrong concerns nobody else. */
static bool is_ours(int r)
{
	switch (r) {
	case -EIO:
	case -ENOMEM:
	case -ENOSPC:
	case -EROFS:
	case -ETIMEDOUT:
	case -ENETUNREACH:
	case -EOVERFLOW:
	case -EMSGSIZE:
	case -ECANCELED:
	case -ENOTSUP:
		return true;
	default:
		return op_errno(r) == EIO;
	}
}

void op_fail(struct op *op, int r)
{
	struct mount *m = op->m;
	char what[4096 + CID_TEXT_MAX];

	/* Once per object, of late: a program that retries must not fill a disk. */
	if (is_ours(r) &&
	    atomic_exchange(&m->reported[op->ino % REPORTED], op->ino) != op->ino) {
		m->kind->describe(m, op->ino, what, sizeof what);
		log_line(LOG_WARN, "%s: %s: %s", m->dir, what, err_text(r));
	}
	fuse_reply_err(op->req, op_errno(r));
}

/* 0: answered; else it was not. */
static int run(struct op *op, struct lack *lack)
{
	int r;

	lack->blocks.n = 0;
	lack->name.len = 0;
	lack->top.version = 0xff;
	r = op->kind->run(op, lack);
	if (r == -ENOSPC && op->m->kind->relieve && op->m->kind->relieve(op->m))
		r = op->kind->run(op, lack);
	if (r == ERR_MISSING && lack->top.version == 0xff)
		op->m->kind->top(op->m, op->ino, &lack->top);
	return r;
}

static void on_interrupt(fuse_req_t req, void *arg)
{
	struct op *op = arg;

	parked_cancel(&op->parked, -EINTR);
}

static int run_parked(struct parked *p, struct lack *lack)
{
	struct op *op = (struct op *)p;
	int r;

	/* The reply frees the request, so first make sure no interrupt is in it. */
	fuse_req_interrupt_func(op->req, NULL, NULL);
	r = run(op, lack);
	if (r == ERR_MISSING)
		fuse_req_interrupt_func(op->req, on_interrupt, op);
	return r;
}

static void end_parked(struct parked *p, int result)
{
	struct op *op = (struct op *)p;

	if (result == 0)
		return;
	fuse_req_interrupt_func(op->req, NULL, NULL);
	op_fail(op, result);
}

static size_t length(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static void park(const struct op *op, const struct lack *lack)
{
	size_t name = length(op->name), to_name = length(op->to_name);
	size_t data = op->data ? op->size : 0;
	struct op *copy = malloc(sizeof *copy + name + to_name + data);
	char *behind = (char *)(copy + 1);
	int r;

	if (!copy) {
		fuse_reply_err(op->req, ENOMEM);
		return;
	}
	*copy = *op;
	if (name)
		copy->name = memcpy(behind, op->name, name);
	if (to_name)
		copy->to_name = memcpy(behind + name, op->to_name, to_name);
	if (data)
		copy->data = memcpy(behind + name + to_name, op->data, data);
	copy->parked = (struct parked){
		.run = run_parked,
		.end = end_parked,
		.dir = op->kind->locks ? op->ino : 0,
		.again = !op->kind->stale,
		.priority = WANT_READER,
	};
	parked_init(&copy->parked, op->m->parking);
	fuse_req_interrupt_func(copy->req, on_interrupt, copy);
	r = parking_add(&copy->parked, lack);
	if (r < 0) {
		end_parked(&copy->parked, r);
		parked_unref(&copy->parked);
	}
}

void op_start(struct op *op)
{
	struct blocks *blocks = op->m->blocks;
	struct cid cids[LACK_MAX];
	struct lack lack = { .blocks = { .cids = cids, .max = LACK_MAX } };
	int r = run(op, &lack);

	if (r == ERR_MISSING && !lack.name.len && blocks->offline(blocks))
		r = -ENETUNREACH;
	if (r == ERR_MISSING)
		park(op, &lack);
	else if (r < 0)
		op_fail(op, r);
}
