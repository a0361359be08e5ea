#include "store/ignore.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

struct rule {
	struct rule *before; /* the later one decides, so they are tried backwards */
	bool negated, dirs_only, anchored;
	char pattern[];
};

struct ignore {
	struct rule *last;
};

static int add_rule(struct ignore *rules, const char *p, size_t len)
{
	bool negated = false, dirs_only = false;
	struct rule *r;

	while (len && (p[len - 1] == '\r' || p[len - 1] == ' ') &&
	       !(len > 1 && p[len - 2] == '\\'))
		len--;
	if (!len || *p == '#')
		return 0;
	if (*p == '!') {
		negated = true;
		p++, len--;
	}
	while (len && p[len - 1] == '/') {
		dirs_only = true;
		len--;
	}
	bool anchored = memchr(p, '/', len);
	if (len && *p == '/')
		p++, len--;
	if (!len)
		return 0;
	r = malloc(sizeof *r + len + 1);
	if (!r)
		return -ENOMEM;
	*r = (struct rule){ rules->last, negated, dirs_only, anchored };
	memcpy(r->pattern, p, len);
	r->pattern[len] = '\0';
	rules->last = r;
	return 0;
}

int ignore_add(struct ignore **rules, const char *text, size_t len)
{
	const char *end = text + len;
	int r = 0;

	if (!*rules)
		*rules = calloc(1, sizeof **rules);
	if (!*rules)
		return -ENOMEM;
	while (r == 0 && text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));

		if (!line_end)
			line_end = end;
		r = add_rule(*rules, text, (size_t)(line_end - text));
		text = line_end + 1;
	}
	return r;
}

void ignore_free(struct ignore *rules)
{
	if (!rules)
		return;
	while (rules->last) {
		struct rule *r = rules->last;

		rules->last = r->before;
		free(r);
	}
	free(rules);
}

/*
 * One byte against the element of the pattern at *p, which is then behind it:
 * a set, an escaped byte, a question mark or the byte itself.
 */
static bool match_one(const char **p, unsigned char c)
{
	const char *q = *p;
	bool in = false, inverted;

	if (*q == '?') {
		*p = q + 1;
		return true;
	}
	if (*q == '\\' && q[1] && q[1] != '/')
		q++;
	else if (*q == '[') {
		const char *set = q + 1;

		inverted = *set == '!' || *set == '^';
		set += inverted;
		for (bool first = true; *set && *set != '/' && (first || *set != ']'); first = false) {
			unsigned char low = (unsigned char)*set, high = low;

			if (low == '\\' && set[1] && set[1] != '/')
				low = high = (unsigned char)*++set;
			set++;
			if (*set == '-' && set[1] && set[1] != ']' && set[1] != '/') {
				high = (unsigned char)set[1];
				set += 2;
			}
			in |= low <= c && c <= high;
		}
		if (*set == ']') {
			*p = set + 1;
			return in != inverted;
		}
		/* A bracket nobody closed is itself. */
	}
	*p = q + 1;
	return (unsigned char)*q == c;
}

/* One component.  Only the last star is ever tried again, which is enough. */
static bool match_component(const char *p, const char *p_end, const char *s, const char *s_end)
{
	const char *star = NULL, *from = NULL;

	while (s < s_end) {
		const char *next = p;

		if (p < p_end && *p == '*') {
			star = ++p;
			from = s;
		} else if (p < p_end && match_one(&next, (unsigned char)*s)) {
			p = next;
			s++;
		} else if (star) {
			p = star;
			s = ++from;
		} else {
			return false;
		}
	}
	while (p < p_end && *p == '*')
		p++;
	return p == p_end;
}

/* A path, component by component; of `**`, too, the last alone is tried again.
 * At the end of a pattern it needs something to stand for. */
static bool match_path(const char *p, const char *s)
{
	const char *stars = NULL, *from = NULL;

	while (*s) {
		const char *p_end = strchrnul(p, '/'), *s_end = strchrnul(s, '/');

		if (p_end - p == 2 && !memcmp(p, "**", 2)) {
			if (!*p_end)
				return true;
			stars = p = p_end + 1;
			from = s;
		} else if (*p && match_component(p, p_end, s, s_end)) {
			p = *p_end ? p_end + 1 : p_end;
			s = *s_end ? s_end + 1 : s_end;
		} else if (stars) {
			s_end = strchrnul(from, '/');
			from = s = *s_end ? s_end + 1 : s_end;
			p = stars;
		} else {
			return false;
		}
	}
	return !*p;
}

int ignore_match(const struct ignore *rules, const char *path, bool is_dir)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	for (const struct rule *r = rules ? rules->last : NULL; r; r = r->before)
		if ((is_dir || !r->dirs_only) &&
		    match_path(r->pattern, r->anchored ? path : name))
			return !r->negated;
	return -1;
}
