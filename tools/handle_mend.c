/*
 * The request behind `cairn repair`: damaged blocks are dropped, so that the
 * client can ask for them as for any that are not here.
 *	{cmd: "mend", blocks: [CID...]} -> {dropped: N}
 */
#include "tools/handlers.h"

#include "store/error.h"
#include "store/seen.h"

#include <stdlib.h>

struct mending {
	uv_work_t work;
	struct request *rq;
	struct store *store;
	struct seen *seen;
	json_int_t dropped;
	int result;
	size_t n;
	struct multihash blocks[];
};

static void mend_blocks(uv_work_t *work)
{
	struct mending *m = work->data;

	for (size_t i = 0; i < m->n && m->result >= 0; i++) {
		int r = store_mend(m->store, &m->blocks[i]);
		if (r == ERR_MISSING)
			m->dropped++;
		else if (r < 0)
			m->result = r;
	}
	/* Files whose blocks are gone have to be read again when they are added. */
	if (m->dropped)
		seen_forget(m->seen);
}

static void on_mended(uv_work_t *work, int status)
{
	struct mending *m = work->data;

	if (m->result < 0)
		request_fail(m->rq, m->result, "cannot drop what is damaged: %s", err_text(m->result));
	else
		request_reply(m->rq, json_pack("{s:I}", "dropped", m->dropped));
	free(m);
}

void handle_mend(struct request *rq)
{
	json_t *blocks = json_object_get(rq->args, "blocks");
	size_t n = json_array_size(blocks);
	struct mending *m = calloc(1, sizeof *m + n * sizeof *m->blocks);

	if (!m) {
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	m->rq = rq;
	m->store = rq->daemon->store;
	m->seen = rq->daemon->seen;
	m->work.data = m;
	m->n = n;
	for (size_t i = 0; i < n; i++) {
		json_t *text = json_array_get(blocks, i);
		struct cid cid;
		if (!json_is_string(text) ||
		    cid_parse(&cid, json_string_value(text), json_string_length(text)) < 0) {
			free(m);
			request_fail(rq, -EINVAL, "a block's name is not a CID");
			return;
		}
		m->blocks[i] = cid.hash;
	}
	int r = uv_queue_work(&rq->daemon->loop, &m->work, mend_blocks, on_mended);
	if (r < 0) {
		free(m);
		request_fail(rq, r, "out of memory");
	}
}
