/*
 * What stands behind the @ in NAME@REF: which snapshot of a folder is meant.
 * Pure: the clock is an argument.
 *
 *	BRANCH			its newest
 *	0123456789		a short id: the beginning of a commit's digest in hex
 *	bafyrei...		a commit's CID
 *	{3}			three before the newest
 *	{now} {today} {yesterday} {2 hours ago} {2026-11-01} {2026-11-01 12:30[:05]}
 *				the newest that is not younger; a day means its end
 *
 * Dates without "Z" at their end are of the local time zone.
 */
#ifndef FS_FOLDER_REF_H
#define FS_FOLDER_REF_H

#include "store/cid.h"

#define FOLDER_NAME_MAX 64
#define FOLDER_REF_MAX	128 /* bytes behind the @ */
#define SHORT_ID_MIN	4   /* hex digits */
#define SHORT_ID	10  /* as they are shown */

/* Is it a name of a folder or branch: 1 to 64 bytes of [A-Za-z0-9._-], not beginning
 * with a dot or a dash, and nothing that can be read as a CID or a peer id. */
bool folder_name_ok(const char *name);

enum folder_at_kind { AT_HEAD, AT_BACK, AT_TIME, AT_WORD, AT_CID };
struct folder_at {
	enum folder_at_kind kind;
	uint64_t back;			/* AT_BACK */
	int64_t time_ms;		/* AT_TIME */
	char word[FOLDER_NAME_MAX + 1]; /* AT_WORD: a branch or a short id */
	struct cid cid;			/* AT_CID */
};

/* `len` bytes behind the @; none: AT_HEAD.  0 or ERR_MALFORMED. */
int folder_at_parse(struct folder_at *out, const char *text, size_t len, int64_t now_ms);

/*
 * NAME, NAME@REF, and a path behind it: 0, and where the path begins (without
 * leading slashes; "" if there is none); or ERR_MALFORMED.  Whether there is such a
 * folder is another question.  In braces slashes and spaces belong to the time.
 */
struct folder_ref {
	char name[FOLDER_NAME_MAX + 1];
	struct folder_at at;
	const char *path;
};
int folder_ref_parse(struct folder_ref *out, const char *text, int64_t now_ms);

/* A commit as people see it. */
const char *short_id(const struct cid *commit, char out[SHORT_ID + 1]);
/* Does its digest begin with these hex digits (of either case)? */
bool short_id_matches(const struct cid *commit, const char *hex);
/* Can it be a short id at all? */
bool short_id_ok(const char *word);

#endif
