/* XXH3, by the widest instructions that this CPU has. */
#ifndef STORE_XXH3_H
#define STORE_XXH3_H

#ifdef HAVE_XXH_DISPATCH
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#endif
