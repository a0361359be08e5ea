/*
 * Settings: a table of keys with their kinds and defaults, kept as a flat JSON
 * object in config.json.  Only what differs from the defaults is written.
 */
#ifndef TOOLS_CONFIG_H
#define TOOLS_CONFIG_H

#include "net/addr.h"
#include "tools/command.h"

/* Load; an absent file gives the defaults.  ERR_MALFORMED or an errno. */
int config_load(const char *repo, json_t **out);
int config_save(const char *repo, json_t *config);

/* The value in force (borrowed); NULL if the key is unknown. */
json_t *config_get(json_t *config, const char *key);

/*
 * Set from words of the command line.  0, or -EINVAL with a sentence in `why`
 * (256 bytes) that says what is accepted; -ENOENT: no such key.
 */
int config_set(json_t *config, const char *key, int n, char **words, char *why);

/* All keys in order, ended by NULL. */
const char *const *config_keys(void);

/* A size in bytes. */
uint64_t config_size(json_t *config, const char *key);

/* A list of multiaddrs, parsed; the caller frees.  The count or ERR_MALFORMED. */
int config_addrs(json_t *config, const char *key, struct addr **out);

#endif
