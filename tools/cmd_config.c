/* cairn config: show or change settings. */
#include "store/error.h"
#include "tools/config.h"
#include "tools/repo.h"

#include <stdio.h>
#include <string.h>

/* A list a line each, anything else as it is. */
static int show(struct context *cx, json_t *value)
{
	size_t i;
	json_t *item;

	if (cx->json) {
		json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
		putchar('\n');
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, item)
			puts(json_string_value(item));
	} else {
		puts(json_string_value(value));
	}
	return 0;
}

int cmd_config(struct context *cx, int argc, char **argv)
{
	char why[256];
	json_t *config = NULL, *value;
	int status = repo_need(cx);

	if (status)
		return status;
	int r = config_load(cx->repo, &config);
	if (r == ERR_MALFORMED)
		return fail(cx, "%s/config.json is damaged: mend it, or delete it to return to the defaults", cx->repo);
	if (r < 0)
		return fail(cx, "cannot read the settings: %s", err_text(r));

	if (argc == 1) {
		for (const char *const *k = config_keys(); *k; k++) {
			value = config_get(config, *k);
			if (cx->json)
				continue;
			printf("%s ", *k);
			json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
			putchar('\n');
		}
		if (cx->json)
			print_json(json_incref(config));
		goto out;
	}
	if (argc == 2) {
		value = config_get(config, argv[1]);
		status = value ? show(cx, value) : misuse(cx, "there is no setting '%s'", argv[1]);
		goto out;
	}
	r = config_set(config, argv[1], argc - 2, argv + 2, why);
	if (r == -ENOENT)
		status = misuse(cx, "there is no setting '%s'", argv[1]);
	else if (r == -EINVAL)
		status = misuse(cx, "%s", why);
	else if (r < 0 || (r = config_save(cx->repo, config)) < 0)
		status = fail(cx, "cannot save the settings: %s", err_text(r));
out:
	json_decref(config);
	return status;
}
