#include "store/old_file.h"

#include "store/error.h"

#include <string.h>

/* The only leaf of a file: 1 if it is as the builder makes it, 0, or -ENOMEM. */
static int check_leaf(const struct dag_node *n)
{
	struct unixfs u = { .type = UNIXFS_FILE,
			    .data = n->u.data,
			    .data_len = n->u.data_len,
			    .has_data = n->u.data_len,
			    .filesize = n->u.data_len,
			    .has_filesize = true };
	struct buf want = { 0 }, data = { 0 };
	int r = -ENOMEM;

	if (n->raw)
		return 1; /* it cannot be otherwise */
	unixfs_encode(&data, &u, NULL, 0);
	if (!data.failed)
		dagpb_put_data(&want, data.data, data.len);
	if (!data.failed && !want.failed)
		r = want.len == n->block->size &&
		    memcmp(want.data, n->block->data, want.len) == 0;
	buf_release(&data);
	buf_release(&want);
	return r;
}

/* Take the older tree's root as the first node on the way, if it is of the
 * profile's shape.  Takes n's block then. */
static int take_root(struct old_file *o, struct dag_node *n)
{
	int r = file_shape_init(&o->shape, o->profile, o->size);
	unsigned depth = o->shape.depth;

	if (r == -EFBIG || (r == 0 && !file_shape_names(&o->shape, depth, o->root)))
		return 0;
	if (r == 0)
		r = depth ? file_shape_check(&o->shape, depth, 0, n) : check_leaf(n);
	if (r <= 0)
		return r;
	o->shaped = true;
	o->dressed = depth && (n->u.has_mode || n->u.has_mtime);
	o->way[depth].node = *n;
	o->way[depth].index = o->way[depth].next = 0;
	o->way[depth].links = n->pb.links;
	n->block = NULL; /* handed over */
	return 0;
}

int old_file_open(struct old_file *o, const struct profile *p,
		  struct block_source *source, const struct cid *root,
		  struct misses *misses)
{
	struct dag_node n;
	int r;

	o->profile = p;
	o->source = source;
	o->misses = misses;
	o->root = root;
	r = dag_node_get(source, root, &n, misses);
	if (r < 0)
		return r;
	if (!dag_node_is_file(&n)) {
		r = dag_node_is_dir(&n) ? -EISDIR : -EINVAL;
	} else {
		o->size = dag_node_size(&n);
		r = take_root(o, &n);
	}
	dag_node_release(&n);
	return r;
}

/* The CID of a child of the node on the way at `level`. */
static int child_of(struct old_file *o, unsigned level, uint64_t child, struct cid *out)
{
	struct dagpb_link l;

	if (child < o->way[level].next) {
		o->way[level].links = o->way[level].node.pb.links;
		o->way[level].next = 0;
	}
	if (dagpb_skip(&o->way[level].links, child - o->way[level].next) < 0 ||
	    dagpb_next(&o->way[level].links, &l) <= 0)
		return ERR_MALFORMED;
	o->way[level].next = child + 1;
	return dagpb_link_cid(&l, out);
}

/* Read the node `index` on `level`, whose name is known. */
static int read_node(struct old_file *o, unsigned level, uint64_t index,
		     const struct cid *cid)
{
	struct dag_node n;
	int r = dag_node_get(o->source, cid, &n, o->misses);

	if (r < 0)
		return r;
	r = dag_node_is_file(&n) ? file_shape_check(&o->shape, level, index, &n) : 0;
	if (r != 1 || n.u.has_mode || n.u.has_mtime) {
		dag_node_release(&n);
		return r < 0 ? r : OLD_FILE_FOREIGN;
	}
	dag_node_release(&o->way[level].node);
	o->way[level].node = n;
	o->way[level].index = index;
	o->way[level].links = n.pb.links;
	o->way[level].next = 0;
	return 0;
}

int old_file_tree(struct old_file *o, unsigned level, uint64_t index, struct built *out)
{
	const uint32_t width = o->profile->max_links;
	unsigned at = level;
	int r = 0;

	out->cid = *o->root;
	/* Up to a node that is read, or the root, and down again. */
	while (at < o->shape.depth) {
		at++;
		if (o->way[at].node.block &&
		    o->way[at].index == index / o->shape.span[at - level])
			break;
	}
	while (r == 0 && at > level) {
		uint64_t child = index / o->shape.span[at - 1 - level];

		r = child_of(o, at, child % width, &out->cid);
		at--;
		if (r == 0 && at > level)
			r = read_node(o, at, child, &out->cid);
	}
	if (r == 0)
		file_shape_numbers(&o->shape, level, index, out);
	return r;
}

int old_file_leaf(struct old_file *o, uint64_t index, bool noting)
{
	struct dag_node n;
	struct built b;
	int r;

	if (o->way[0].node.block && o->way[0].index == index)
		return 0;
	r = old_file_tree(o, 0, index, &b);
	if (r == 0 && noting) {
		if (!source_has(o->source, &b.cid))
			misses_add(o->misses, &b.cid);
		return 0;
	}
	if (r == 0)
		r = dag_node_get(o->source, &b.cid, &n, o->misses);
	if (r != 0)
		return r;
	if (!dag_node_is_file(&n) || dag_node_size(&n) != b.size)
		r = ERR_MALFORMED;
	else if (!n.raw && n.pb.n_links)
		r = OLD_FILE_FOREIGN;
	if (r != 0) {
		dag_node_release(&n);
		return r;
	}
	dag_node_release(&o->way[0].node);
	o->way[0].node = n;
	o->way[0].index = index;
	return 0;
}

void old_file_release(struct old_file *o)
{
	for (unsigned i = 0; i <= BUILD_LEVELS; i++)
		dag_node_release(&o->way[i].node);
	o->shaped = o->dressed = false;
}
