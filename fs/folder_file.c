#include "fs/folder_file.h"

#include "store/error.h"
#include "store/file.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_VERSION 1
#define FILE_MAX     (1u << 20)
#define SECONDS_MAX  (100LL * 366 * 86400)

void folder_settings_default(struct folder_settings *out)
{
	*out = (struct folder_settings){
		.profile = profiles[0],
		.quiet_ms = FOLDER_QUIET_MS,
		.max_age_ms = FOLDER_MAX_AGE_MS,
		.keep = { .all = true },
		.ttl_ms = FOLDER_TTL_MS,
	};
}

/* ---- the text ---- */

static int take_cid(struct cid *out, json_t *value)
{
	if (!json_is_string(value))
		return ERR_MALFORMED;
	return cid_parse(out, json_string_value(value), json_string_length(value)) < 0 ? ERR_MALFORMED : 0;
}

static int take_seconds(uint64_t *ms, json_t *value)
{
	double s = json_number_value(value);

	if (!json_is_number(value) || !(s >= 0 && s <= SECONDS_MAX))
		return ERR_MALFORMED;
	*ms = (uint64_t)(s * 1000 + 0.5);
	return 0;
}

static int take_settings(struct folder_settings *out, json_t *o)
{
	const char *profile = json_string_value(json_object_get(o, "profile"));
	const char *keep = json_string_value(json_object_get(o, "keep"));
	json_t *quota = json_object_get(o, "quota"), *publish = json_object_get(o, "publish");

	folder_settings_default(out);
	out->profile = profile ? profile_find(profile) : NULL;
	if (!out->profile || !keep || retention_parse(&out->keep, keep) < 0 ||
	    !json_is_integer(quota) || json_integer_value(quota) < 0 || !json_is_boolean(publish) ||
	    take_seconds(&out->quiet_ms, json_object_get(o, "quiet")) < 0 ||
	    take_seconds(&out->max_age_ms, json_object_get(o, "max-age")) < 0 ||
	    take_seconds(&out->ttl_ms, json_object_get(o, "ttl")) < 0)
		return ERR_MALFORMED;
	out->quota = (uint64_t)json_integer_value(quota);
	out->publish = json_is_true(publish);
	return 0;
}

static int take_branches(struct folder_file *f, json_t *o)
{
	const char *current = json_string_value(json_object_get(o, "branch")), *name;
	json_t *branches = json_object_get(o, "branches"), *value;
	struct cid head;
	int r;

	json_object_foreach(branches, name, value) {
		r = take_cid(&head, value);
		if (r == 0)
			r = folder_file_add(f, name, &head);
		if (r < 0)
			return r == -ENOMEM ? r : ERR_MALFORMED;
	}
	struct folder_branch *b = current ? folder_file_branch(f, current) : NULL;
	if (!b)
		return ERR_MALFORMED;
	f->current = (size_t)(b - f->branches);
	return 0;
}

int folder_file_decode(struct folder_file *out, const char *text, size_t len)
{
	struct folder_file f = { .published = { .version = 0xff } };
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *version = json_object_get(o, "version"), *published = json_object_get(o, "published");
	int r;

	if (!json_is_integer(version) || json_integer_value(version) < FILE_VERSION)
		r = ERR_MALFORMED;
	else if (json_integer_value(version) > FILE_VERSION)
		r = ERR_NEWER;
	else
		r = take_settings(&f.settings, o);
	if (r == 0)
		r = take_branches(&f, o);
	if (r == 0 && published)
		r = take_cid(&f.published, published);
	json_decref(o);
	if (r < 0) {
		folder_file_release(&f);
		return r;
	}
	*out = f;
	return 0;
}

static json_t *seconds(uint64_t ms)
{
	return ms % 1000 ? json_real((double)ms / 1000) : json_integer((json_int_t)(ms / 1000));
}

char *folder_file_encode(const struct folder_file *f)
{
	const struct folder_settings *s = &f->settings;
	char keep[RETAIN_TEXT_MAX], cid[CID_TEXT_MAX];
	json_t *branches = json_object(), *o;
	char *text;

	for (size_t i = 0; i < f->n_branches; i++)
		json_object_set_new(branches, f->branches[i].name,
				    json_string(cid_text(&f->branches[i].head, cid)));
	o = json_pack("{s:i, s:s, s:o, s:o, s:s, s:I, s:b, s:o, s:s, s:o}", "version", FILE_VERSION,
		      "profile", s->profile->name, "quiet", seconds(s->quiet_ms), "max-age",
		      seconds(s->max_age_ms), "keep", retention_text(&s->keep, keep), "quota",
		      (json_int_t)s->quota, "publish", s->publish, "ttl", seconds(s->ttl_ms), "branch",
		      f->branches[f->current].name, "branches", branches);
	if (o && f->published.version != 0xff)
		json_object_set_new(o, "published", json_string(cid_text(&f->published, cid)));
	char *dump = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	if (!dump || asprintf(&text, "%s\n", dump) < 0)
		text = NULL;
	free(dump);
	json_decref(o);
	return text;
}

void folder_file_release(struct folder_file *f)
{
	free(f->branches);
	*f = (struct folder_file){ 0 };
}

/* ---- branches ---- */

struct folder_branch *folder_file_branch(const struct folder_file *f, const char *name)
{
	for (size_t i = 0; i < f->n_branches; i++)
		if (!strcmp(f->branches[i].name, name))
			return &f->branches[i];
	return NULL;
}

int folder_file_add(struct folder_file *f, const char *name, const struct cid *head)
{
	struct cid copy = *head; /* it may be that of a branch, which moves */

	if (!folder_name_ok(name))
		return -EINVAL;
	if (folder_file_branch(f, name))
		return -EEXIST;
	if (f->n_branches == FOLDER_BRANCHES_MAX)
		return -ENOSPC;
	struct folder_branch *more = reallocarray(f->branches, f->n_branches + 1, sizeof *more);
	if (!more)
		return -ENOMEM;
	f->branches = more;
	more[f->n_branches] = (struct folder_branch){ .head = copy };
	strcpy(more[f->n_branches].name, name);
	f->n_branches++;
	return 0;
}

int folder_file_drop(struct folder_file *f, const char *name)
{
	struct folder_branch *b = folder_file_branch(f, name);

	if (!b)
		return -ENOENT;
	size_t i = (size_t)(b - f->branches);
	if (i == f->current)
		return -EBUSY;
	memmove(b, b + 1, (f->n_branches - i - 1) * sizeof *b);
	f->n_branches--;
	f->current -= f->current > i;
	return 0;
}

const struct cid *folder_file_head(const struct folder_file *f)
{
	return &f->branches[f->current].head;
}

/* ---- the disk ---- */

int folder_path_in(char out[PATH_MAX], const char *repo, const char *name, const char *file)
{
	int n = snprintf(out, PATH_MAX, "%s/folders/%s%s%s", repo, name, file ? "/" : "", file ? file : "");

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int folder_file_load(struct folder_file *out, const char *repo, const char *name)
{
	char path[PATH_MAX];
	char *text = NULL;
	size_t len;
	int r = folder_path_in(path, repo, name, "folder.json");

	if (r == 0)
		r = file_load(path, FILE_MAX, &text, &len);
	if (r < 0)
		return r == -ENOTDIR ? -ENOENT : r;
	r = folder_file_decode(out, text, len);
	free(text);
	return r;
}

int folder_file_store(const struct folder_file *f, const char *repo, const char *name)
{
	char path[PATH_MAX];
	int r = folder_path_in(path, repo, name, "folder.json");
	char *text = r < 0 ? NULL : folder_file_encode(f);

	if (!text)
		return r < 0 ? r : -ENOMEM;
	r = file_replace(path, text, strlen(text), 0600);
	free(text);
	return r;
}

int folder_key_load(struct secret_key *out, const char *repo, const char *name)
{
	char path[PATH_MAX];
	char *data = NULL;
	size_t len;
	int r = folder_path_in(path, repo, name, "key");

	if (r == 0)
		r = file_load(path, 4096, &data, &len);
	if (r < 0)
		return r;
	r = key_secret_decode(out, data, len);
	sodium_memzero(data, len);
	free(data);
	return r;
}

void folder_key_name(const struct secret_key *key, struct peer_id *out)
{
	struct public_key public;

	key_public(key, &public);
	key_peer(&public, out);
}
