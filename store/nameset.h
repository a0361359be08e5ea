/*
 * A set of names that may say yes too often, a few times in a thousand when it is as
 * full as was expected, and never no: for what to keep.  Two bytes a name.  Nothing is
 * taken out but all.  Any thread.
 */
#ifndef STORE_NAMESET_H
#define STORE_NAMESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nameset;

struct nameset *nameset_new(size_t expected); /* NULL: no memory */
void nameset_free(struct nameset *s);
void nameset_clear(struct nameset *s);

/* `hash` is the name's, from a keyed function that strangers cannot foresee. */
void nameset_add(struct nameset *s, uint64_t hash);
bool nameset_has(const struct nameset *s, uint64_t hash);

#endif
