/*
 * What is in use although no pin says so: the names that writers put, or found to
 * be there and count on, before their root is pinned; and the roots that mounts
 * and the like live from.  A gc drops a block only while nobody is between finding
 * it and saying so.
 */
#include "store/error.h"
#include "store/gc.h"
#include "store/gc_internal.h"
#include "store/store_internal.h"

int store_hold(struct store *s)
{
	if (!s->used)
		return -EROFS;
	pthread_mutex_lock(&s->hold_lock);
	/* What was used before by those who are done is no longer. */
	if (!s->holders++ && !s->collecting)
		nameset_clear(s->used);
	pthread_mutex_unlock(&s->hold_lock);
	return 0;
}

void store_unhold(struct store *s)
{
	pthread_mutex_lock(&s->hold_lock);
	s->holders--;
	pthread_mutex_unlock(&s->hold_lock);
}

int store_collect_begin(struct store *s)
{
	int r = 0;

	pthread_rwlock_wrlock(&s->use);
	pthread_mutex_lock(&s->hold_lock);
	if (s->collecting)
		r = -EBUSY;
	else if (!s->holders)
		nameset_clear(s->used);
	s->collecting = true;
	pthread_mutex_unlock(&s->hold_lock);
	pthread_rwlock_unlock(&s->use);
	return r;
}

void store_collect_end(struct store *s)
{
	pthread_rwlock_wrlock(&s->use);
	pthread_mutex_lock(&s->hold_lock);
	s->collecting = false;
	s->marked = NULL;
	pthread_mutex_unlock(&s->hold_lock);
	pthread_rwlock_unlock(&s->use);
}

void store_use_begin(struct store *s)
{
	pthread_rwlock_rdlock(&s->use);
}

void store_use(struct store *s, const struct record_name *name)
{
	if (s->used)
		nameset_add(s->used, name->hash);
}

void store_use_end(struct store *s)
{
	pthread_rwlock_unlock(&s->use);
}

int store_find_used(struct store *s, const struct record_name *name, struct place *out)
{
	store_use_begin(s);
	store_use(s, name);
	int r = store_find(s, name, out);
	store_use_end(s);
	return r;
}

bool store_use_tree(struct store *s, const struct cid *root)
{
	struct record_name key;
	struct place at;
	bool there;

	record_name(&key, &root->hash, s->seed);
	store_use_begin(s);
	/* While a gc is on its way, only what it has walked is sure to be whole; before,
	 * it will walk what is noted here. */
	there = (!s->collecting || (s->marked && gc_walked(s->marked, root))) &&
		store_find(s, &key, &at) > 0;
	if (there)
		store_use(s, &key);
	store_use_end(s);
	return there;
}

void gc_roots_add(struct store *s, struct gc_roots *roots)
{
	pthread_mutex_lock(&s->roots_lock);
	roots->next = s->roots;
	s->roots = roots;
	pthread_mutex_unlock(&s->roots_lock);
	gc_roots_changed(s);
}

void gc_roots_remove(struct store *s, struct gc_roots *roots)
{
	struct gc_roots **p;

	pthread_mutex_lock(&s->roots_lock);
	for (p = &s->roots; *p && *p != roots; p = &(*p)->next)
		;
	if (*p)
		*p = roots->next;
	pthread_mutex_unlock(&s->roots_lock);
}

void gc_roots_changed(struct store *s)
{
	s->roots_changed++;
}
