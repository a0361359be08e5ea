#include "tools/config.h"

#include "store/error.h"
#include "tools/repo.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_ADDRS, KIND_CHOICE, KIND_PREFIX, KIND_SIZE };

static const struct setting {
	const char *key;
	enum kind kind;
	const char *initial; /* JSON */
	const char *choices; /* of KIND_CHOICE, with a space around each */
} settings[] = {
	{ "net.listen", KIND_ADDRS, "[\"/ip4/0.0.0.0/tcp/4001\",\"/ip6/::/tcp/4001\"]", NULL },
	{ "net.bootstrap", KIND_ADDRS, "[]", NULL },
	{ "net.dht", KIND_CHOICE, "\"auto\"", " auto server client " },
	{ "cache.quota", KIND_SIZE, "\"10G\"", NULL },
	{ "net.protocol-prefix", KIND_PREFIX, "\"/ipfs\"", NULL },
};

#define N_SETTINGS (sizeof settings / sizeof *settings)

static const struct setting *find(const char *key)
{
	for (size_t i = 0; i < N_SETTINGS; i++)
		if (!strcmp(settings[i].key, key))
			return &settings[i];
	return NULL;
}

const char *const *config_keys(void)
{
	static const char *keys[N_SETTINGS + 1];

	for (size_t i = 0; i < N_SETTINGS; i++)
		keys[i] = settings[i].key;
	return keys;
}

/* Bytes from text like 20G; "none" and "0" are 0.  0 or -EINVAL. */
static int parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	char *end;

	*out = 0;
	if (!strcmp(text, "none"))
		return 0;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (unit)
		end++;
	if (unit && !strcmp(end, "iB"))
		end += 2;
	else if (*end == 'B')
		end++;
	if (errno || *end || n > UINT64_MAX >> shift)
		return -EINVAL;
	*out = n << shift;
	return 0;
}

/* 0, or -EINVAL with the reason. */
static int check(const struct setting *s, const json_t *value, char *why)
{
	struct addr a;
	size_t i;
	json_t *item;

	switch (s->kind) {
	case KIND_ADDRS:
		if (!json_is_array(value)) {
			snprintf(why, 256, "%s is a list of multiaddrs", s->key);
			return -EINVAL;
		}
		json_array_foreach(value, i, item) {
			const char *text = json_string_value(item);
			if (!text || addr_parse(&a, text) < 0) {
				snprintf(why, 256,
					 "'%.100s' is no multiaddr: write it like /ip4/192.0.2.1/tcp/4001",
					 text ? text : "(not a string)");
				return -EINVAL;
			}
			struct sockaddr_storage sa;
			if (addr_sockaddr(&a, &sa) < 0) {
				snprintf(why, 256,
					 "'%.100s' cannot be used: cairn speaks TCP at IP addresses, like /ip4/192.0.2.1/tcp/4001",
					 text);
				return -EINVAL;
			}
		}
		return 0;
	case KIND_CHOICE: {
		char word[64];
		const char *text = json_string_value(value);
		snprintf(word, sizeof word, " %s ", text ? text : "");
		if (!text || !strstr(s->choices, word)) {
			snprintf(why, 256, "%s is one of:%s", s->key, s->choices);
			return -EINVAL;
		}
		return 0;
	}
	case KIND_SIZE: {
		const char *text = json_string_value(value);
		uint64_t n;
		if (!text || parse_size(text, &n) < 0 || (n && n < CACHE_QUOTA_MIN)) {
			snprintf(why, 256, "%s is a size of %u MiB or more, like 20G, or none", s->key,
				 CACHE_QUOTA_MIN >> 20);
			return -EINVAL;
		}
		return 0;
	}
	case KIND_PREFIX: {
		const char *text = json_string_value(value);
		if (!text || text[0] != '/' || strlen(text) < 2 || strlen(text) > 64 ||
		    text[strlen(text) - 1] == '/') {
			snprintf(why, 256, "%s begins with '/', like /ipfs or /my-network", s->key);
			return -EINVAL;
		}
		return 0;
	}
	}
	return -EINVAL;
}

static int config_path(char out[PATH_MAX], const char *repo)
{
	return snprintf(out, PATH_MAX, "%s/config.json", repo) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int config_load(const char *repo, json_t **out)
{
	char path[PATH_MAX], why[256];
	char *text = NULL;
	size_t len;
	int r = config_path(path, repo);

	if (r < 0)
		return r;
	r = file_load(path, 1 << 20, &text, &len);
	if (r == -ENOENT) {
		*out = json_object();
		return *out ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	json_t *config = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	if (!json_is_object(config)) {
		json_decref(config);
		return ERR_MALFORMED;
	}
	const char *key;
	json_t *value;
	json_object_foreach(config, key, value) {
		const struct setting *s = find(key);
		if (!s || check(s, value, why) < 0) {
			json_decref(config);
			return ERR_MALFORMED;
		}
	}
	*out = config;
	return 0;
}

int config_save(const char *repo, json_t *config)
{
	char path[PATH_MAX];
	int r = config_path(path, repo);

	if (r < 0)
		return r;
	char *text = json_dumps(config, JSON_INDENT(2) | JSON_SORT_KEYS);
	if (!text)
		return -ENOMEM;
	r = file_replace(path, text, strlen(text), 0600);
	free(text);
	return r;
}

json_t *config_get(json_t *config, const char *key)
{
	const struct setting *s = find(key);

	if (!s)
		return NULL;
	json_t *value = json_object_get(config, key);
	if (value)
		return value;
	/* The default is parsed into the object, where it is borrowed from. */
	value = json_loads(s->initial, JSON_DECODE_ANY, NULL);
	json_object_set_new(config, key, value);
	return value;
}

int config_set(json_t *config, const char *key, int n, char **words, char *why)
{
	const struct setting *s = find(key);
	json_t *value = NULL;

	if (!s)
		return -ENOENT;
	if (s->kind == KIND_ADDRS) {
		if (n == 1 && words[0][0] == '[') {
			value = json_loads(words[0], 0, NULL);
		} else {
			value = json_array();
			for (int i = 0; i < n; i++)
				for (char *save, *w = strtok_r(words[i], ", ", &save); w;
				     w = strtok_r(NULL, ", ", &save))
					json_array_append_new(value, json_string(w));
		}
	} else if (n == 1) {
		value = json_string(words[0]);
	}
	if (!value) {
		snprintf(why, 256, "%s takes %s", key,
			 s->kind == KIND_ADDRS ? "multiaddrs, or one JSON array" : "one value");
		return -EINVAL;
	}
	int r = check(s, value, why);
	if (r < 0) {
		json_decref(value);
		return r;
	}
	return json_object_set_new(config, key, value) < 0 ? -ENOMEM : 0;
}

int config_addrs(json_t *config, const char *key, struct addr **out)
{
	json_t *list = config_get(config, key), *item;
	size_t i, n = json_array_size(list);

	*out = calloc(n ? n : 1, sizeof **out);
	if (!*out)
		return -ENOMEM;
	json_array_foreach(list, i, item) {
		if (addr_parse(&(*out)[i], json_string_value(item)) < 0) {
			free(*out);
			*out = NULL;
			return ERR_MALFORMED;
		}
	}
	return (int)n;
}

uint64_t config_size(json_t *config, const char *key)
{
	const char *text = json_string_value(config_get(config, key));
	uint64_t n = 0;

	if (text)
		parse_size(text, &n);
	return n;
}
