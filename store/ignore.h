/*
 * Rules for what an import leaves out, as .gitignore has them.  A line is a rule;
 * empty lines and those that begin with # are none; spaces at the end do not
 * count.  The last rule that matches decides.
 *	!RULE	takes in again what a rule before left out (but nothing below a
 *		folder that was left out)
 *	RULE/	folders only
 *	a/b, /a	with a slash before its end: the path from where the rule stands;
 *		without: the name, at any depth
 *	* ? [a-z] [!a]	any bytes, one byte, one of these; none matches a slash
 *	**	as a whole component: any number of components
 *	\x	x itself
 */
#ifndef STORE_IGNORE_H
#define STORE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#define IGNORE_FILE	".cairnignore"
#define IGNORE_FILE_MAX (1u << 20) /* bytes; a longer one is an error */

/* Rules in their order.  NULL is none. */
struct ignore;

/* Add the rules of a text to *rules, which the caller owns and frees with
 * ignore_free().  0 or -ENOMEM. */
int ignore_add(struct ignore **rules, const char *text, size_t len);
void ignore_free(struct ignore *rules);

/*
 * What the rules say of `path`, which is relative to where they stand and has
 * no slash at either end: 1 leave out, 0 take in, -1 nothing.
 */
int ignore_match(const struct ignore *rules, const char *path, bool is_dir);

#endif
