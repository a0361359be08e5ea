/* The settings of a folder as people write them (`cairn folder config`). */
#ifndef TOOLS_FOLDER_SETTINGS_H
#define TOOLS_FOLDER_SETTINGS_H

#include "fs/folder_file.h"

#include <jansson.h>

/*
 *	quiet, max-age	30, 30s, 10m, 2h, 1d, or off
 *	keep		all, or hourly=24,daily=30,... (fs/retain.h)
 *	quota		bytes, with K, M, G, T behind it, or off
 *	publish		on, off
 *	ttl		as quiet, but not off
 * -ENOENT: there is no such setting; -EINVAL; then `why` (256 bytes) says what is
 * accepted.
 */
int folder_setting_set(struct folder_settings *s, const char *key, const char *value, char *why);

/* All of them, as a JSON object of texts. */
json_t *folder_settings_json(const struct folder_settings *s);

#endif
