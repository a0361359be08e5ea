/* Single nodes and the way to them: attributes, link targets, paths, links. */
#include "store/cbor.h"
#include "store/dag_internal.h"
#include "store/error.h"

#include <string.h>

#define MODE_MASK 07777u
/* Times beyond are clamped, so that nobody overflows counting nanoseconds. */
#define MTIME_MAX (INT64_MAX / 1000000000)

static int decode_node(struct dag_node *n)
{
	int r = dagpb_decode(&n->pb, n->block->data, n->block->size);

	if (r < 0)
		return r;
	if (!n->pb.has_data)
		return ERR_MALFORMED; /* dag-pb, but not UnixFS */
	r = unixfs_decode(&n->u, n->pb.data, n->pb.data_len);
	if (r < 0)
		return r;
	return unixfs_check(&n->u, n->pb.n_links);
}

int dag_node_get(struct block_source *s, const struct cid *cid, struct dag_node *out,
		 struct misses *misses)
{
	int r;

	out->block = NULL;
	out->raw = cid->codec == CODEC_RAW;
	if (!out->raw && cid->codec != CODEC_DAG_PB)
		return -ENOTSUP;
	r = source_try(s, cid, &out->block, misses);
	if (r == 0 && !out->raw)
		r = decode_node(out);
	if (r < 0)
		dag_node_release(out);
	return r;
}

void dag_node_release(struct dag_node *n)
{
	block_unref(n->block);
	n->block = NULL;
}

int dag_stat(struct block_source *s, const struct cid *cid, struct dag_attr *out,
	     struct misses *misses)
{
	struct dag_node n;
	int r = dag_node_get(s, cid, &n, misses);

	if (r < 0)
		return r;
	*out = (struct dag_attr){ .type = DAG_FILE, .mode = 0644 };
	if (dag_node_is_file(&n)) {
		out->size = dag_node_size(&n);
	} else if (dag_node_is_dir(&n)) {
		out->type = DAG_DIR;
		out->mode = 0755;
	} else {
		out->type = DAG_SYMLINK;
		out->size = n.u.data_len;
	}
	if (!n.raw && n.u.has_mode) {
		out->has_mode = true;
		out->mode = n.u.mode & MODE_MASK;
	}
	if (!n.raw && n.u.has_mtime) {
		out->has_mtime = true;
		out->mtime = n.u.mtime;
		out->mtime_nsec = n.u.mtime_nsec;
		if (out->mtime > MTIME_MAX || out->mtime < -MTIME_MAX) {
			out->mtime = out->mtime < 0 ? -MTIME_MAX : MTIME_MAX;
			out->mtime_nsec = 0;
		}
	}
	dag_node_release(&n);
	return 0;
}

int dag_readlink(struct block_source *s, const struct cid *cid, char *out, size_t max,
		 struct misses *misses)
{
	struct dag_node n;
	int r = dag_node_get(s, cid, &n, misses);

	if (r < 0)
		return r;
	if (n.raw || n.u.type != UNIXFS_SYMLINK) {
		r = -EINVAL;
	} else if (n.u.data_len == 0 || memchr(n.u.data, 0, n.u.data_len)) {
		r = ERR_MALFORMED; /* no system call could have made it */
	} else if (n.u.data_len >= max) {
		r = -ENAMETOOLONG;
	} else {
		memcpy(out, n.u.data, n.u.data_len);
		out[n.u.data_len] = '\0';
		r = (int)n.u.data_len;
	}
	dag_node_release(&n);
	return r;
}

bool dag_name_ok(const char *name, size_t len)
{
	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return !memchr(name, '/', len) && !memchr(name, 0, len);
}

int dag_resolve(struct block_source *s, const struct cid *root, const char *path,
		struct dag_entry *out, struct misses *misses)
{
	*out = (struct dag_entry){ .cid = *root };
	for (;;) {
		path += strspn(path, "/");
		size_t len = strcspn(path, "/");
		if (len == 0)
			return 0;

		struct cid dir = out->cid;
		int r = dag_lookup(s, &dir, path, len, out, misses);
		if (r < 0)
			return r;
		path += len;
	}
}

int dag_links(const struct cid *cid, const struct block *b,
	      int (*each)(void *arg, const struct cid *child), void *arg)
{
	struct dagpb_node node;
	struct dagpb_link l;
	struct cid child;
	struct cursor in;
	int r;

	switch (cid->codec) {
	case CODEC_RAW:
		return 0;
	case CODEC_DAG_CBOR:
		in = cursor_over(b->data, b->size);
		r = cbor_links(&in, each, arg);
		return r == 0 && !cursor_done(&in) ? ERR_MALFORMED : r;
	case CODEC_DAG_PB:
		break;
	default:
		return -ENOTSUP;
	}
	r = dagpb_decode(&node, b->data, b->size);
	if (r < 0)
		return r;
	while ((r = dagpb_next(&node.links, &l)) > 0) {
		r = dagpb_link_cid(&l, &child);
		if (r == 0)
			r = each(arg, &child);
		if (r != 0)
			return r;
	}
	return r;
}
