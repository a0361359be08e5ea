/*
 * The options of `cairn add` that say what is taken and which CIDs come out, on
 * their way from the command line to the daemon.
 */
#ifndef TOOLS_ADD_OPTIONS_H
#define TOOLS_ADD_OPTIONS_H

#include "store/import.h"

#include <jansson.h>

struct add_options {
	struct profile profile;
	struct import_meta meta;
	bool hidden, no_ignore;
	int jobs;
	char *rules; /* lines to exclude by, or NULL */
	/* What was asked for, which decides what was not. */
	const char *profile_name, *hash, *chunker;
	int cid_version, raw_leaves; /* -1: not said */
	int64_t max_links;	     /* 0: not said */
	struct ignore *exclude;
};

void add_options_init(struct add_options *o);
void add_options_release(struct add_options *o);

/* Add a line to the rules.  0 or -ENOMEM. */
int add_options_exclude(struct add_options *o, const char *rule);

/*
 * Make the profile of what was asked for.  0, -ENOMEM, or -EINVAL; then `why`
 * (128 bytes) says what is accepted.
 */
int add_options_settle(struct add_options *o, char *why);

/* As a request, with what was asked for; NULL if it is not UTF-8.  The daemon
 * takes it back, borrowing from the request, and settles it. */
json_t *add_options_pack(const struct add_options *o);
int add_options_unpack(struct add_options *o, json_t *request, char *why);

/* Into the options of an import, which borrow from `o`. */
void add_options_apply(const struct add_options *o, struct import_options *io);

#endif
