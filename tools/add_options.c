#include "tools/add_options.h"

#include "store/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY 128

void add_options_init(struct add_options *o)
{
	*o = (struct add_options){ .profile_name = "unixfs-v1-2025",
				   .cid_version = -1,
				   .raw_leaves = -1 };
}

void add_options_release(struct add_options *o)
{
	free(o->rules);
	ignore_free(o->exclude);
}

int add_options_exclude(struct add_options *o, const char *rule)
{
	char *rules = NULL;

	if (asprintf(&rules, "%s%s\n", o->rules ? o->rules : "", rule) < 0)
		return -ENOMEM;
	free(o->rules);
	o->rules = rules;
	return 0;
}

static bool wants_meta(const struct import_meta *m)
{
	return m->keep_mode || m->keep_mtime || m->fixed.has_mode || m->fixed.has_mtime;
}

/* The rules between options are Kubo's. */
int add_options_settle(struct add_options *o, char *why)
{
	const struct profile *base = profile_find(o->profile_name);
	struct profile *p = &o->profile;
	const char *sentence;

	if (!base) {
		snprintf(why, WHY, "there is no profile '%.32s': unixfs-v1-2025 or unixfs-v0-2015",
			 o->profile_name);
		return -EINVAL;
	}
	*p = *base;
	if (o->cid_version >= 0) {
		p->cid_version = o->cid_version;
		p->raw_leaves = o->cid_version == 1;
	}
	if (o->hash && profile_set_hash(p, o->hash) < 0) {
		snprintf(why, WHY, "there is no hash '%.32s': sha2-256, sha2-512, sha3-256, blake2b-256, ...",
			 o->hash);
		return -EINVAL;
	}
	if (o->hash && strcmp(o->hash, "sha2-256") != 0) {
		if (o->cid_version == 0) {
			snprintf(why, WHY, "a CID of version 0 has no hash but sha2-256");
			return -EINVAL;
		}
		p->raw_leaves |= p->cid_version == 0;
		p->cid_version = 1;
	}
	if (o->raw_leaves >= 0)
		p->raw_leaves = o->raw_leaves;
	if (wants_meta(&o->meta) && o->raw_leaves == 1) {
		snprintf(why, WHY, "raw leaves have no room for mode or time");
		return -EINVAL;
	}
	if (wants_meta(&o->meta))
		p->raw_leaves = false;
	if (o->chunker && chunker_parse(&p->chunker, o->chunker, &sentence) < 0) {
		snprintf(why, WHY, "bad chunker: %s", sentence);
		return -EINVAL;
	}
	if (o->max_links && (o->max_links < PROFILE_LINKS_MIN || o->max_links > PROFILE_LINKS_MAX)) {
		snprintf(why, WHY, "--max-links takes a number from %d to %d", PROFILE_LINKS_MIN,
			 PROFILE_LINKS_MAX);
		return -EINVAL;
	}
	if (o->max_links)
		p->max_links = (uint32_t)o->max_links;
	return o->rules ? ignore_add(&o->exclude, o->rules, strlen(o->rules)) : 0;
}

static void set_text(json_t *to, const char *key, const char *value, bool *bad)
{
	if (value && json_object_set_new(to, key, json_string(value)) < 0)
		*bad = true;
}

json_t *add_options_pack(const struct add_options *o)
{
	const struct import_meta *m = &o->meta;
	bool bad = false;
	json_t *j = json_pack("{s:b, s:b, s:i, s:i, s:i, s:I, s:b, s:b}", "hidden", o->hidden,
			      "no_ignore", o->no_ignore, "jobs", o->jobs, "cid_version",
			      o->cid_version, "raw_leaves", o->raw_leaves, "max_links",
			      (json_int_t)o->max_links, "keep_mode", m->keep_mode, "keep_mtime",
			      m->keep_mtime);

	if (!j)
		return NULL;
	set_text(j, "profile", o->profile_name, &bad);
	set_text(j, "hash", o->hash, &bad);
	set_text(j, "chunker", o->chunker, &bad);
	set_text(j, "rules", o->rules, &bad);
	if (m->fixed.has_mode)
		bad |= json_object_set_new(j, "mode", json_integer(m->fixed.mode)) < 0;
	if (m->fixed.has_mtime)
		bad |= json_object_set_new(j, "mtime", json_pack("[I, I]", (json_int_t)m->fixed.mtime,
								 (json_int_t)m->fixed.mtime_nsec)) < 0;
	if (!bad)
		return j;
	json_decref(j);
	return NULL;
}

static int number(json_t *from, const char *key, int otherwise)
{
	json_t *v = json_object_get(from, key);

	return json_is_integer(v) ? (int)json_integer_value(v) : otherwise;
}

int add_options_unpack(struct add_options *o, json_t *request, char *why)
{
	const char *profile = json_string_value(json_object_get(request, "profile"));
	const char *rules = json_string_value(json_object_get(request, "rules"));
	json_t *mode = json_object_get(request, "mode"), *mtime = json_object_get(request, "mtime");

	add_options_init(o);
	if (profile)
		o->profile_name = profile;
	o->hash = json_string_value(json_object_get(request, "hash"));
	o->chunker = json_string_value(json_object_get(request, "chunker"));
	o->hidden = json_is_true(json_object_get(request, "hidden"));
	o->no_ignore = json_is_true(json_object_get(request, "no_ignore"));
	o->jobs = number(request, "jobs", 0);
	o->cid_version = number(request, "cid_version", -1);
	o->raw_leaves = number(request, "raw_leaves", -1);
	o->max_links = number(request, "max_links", 0);
	o->meta.keep_mode = json_is_true(json_object_get(request, "keep_mode"));
	o->meta.keep_mtime = json_is_true(json_object_get(request, "keep_mtime"));
	if (mode) {
		o->meta.fixed.has_mode = true;
		o->meta.fixed.mode = (uint32_t)json_integer_value(mode) & 07777;
	}
	if (mtime) {
		json_int_t nsec = json_integer_value(json_array_get(mtime, 1));

		o->meta.fixed.has_mtime = true;
		o->meta.fixed.mtime = json_integer_value(json_array_get(mtime, 0));
		o->meta.fixed.mtime_nsec = nsec > 0 && nsec < 1000000000 ? (uint32_t)nsec : 0;
	}
	if (o->cid_version > 1 || o->raw_leaves > 1) {
		snprintf(why, WHY, "a request of a newer version");
		return -EINVAL;
	}
	if (rules) {
		o->rules = strdup(rules);
		if (!o->rules)
			return -ENOMEM;
	}
	return add_options_settle(o, why);
}

void add_options_apply(const struct add_options *o, struct import_options *io)
{
	io->profile = &o->profile;
	io->meta = o->meta;
	io->hidden = o->hidden;
	io->no_ignore_files = o->no_ignore;
	io->exclude = o->exclude;
	io->jobs = o->jobs;
}
