/* cairn cat: a file's bytes on standard output. */
#include "store/error.h"
#include "store/export.h"
#include "tools/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int cmd_cat(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "offset", required_argument, NULL, 'o' },
						 { "length", required_argument, NULL, 'l' },
						 { 0 } };
	struct export_options eo = { .cancel = &interrupted };
	struct opened source = { 0 };
	unsigned long long offset = 0, length = UINT64_MAX;
	char *end = "";
	int c, r, status = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'o')
			offset = strtoull(optarg, &end, 10);
		else if (c == 'l')
			length = strtoull(optarg, &end, 10);
		else
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		if (*end || *optarg == '-')
			return misuse(cx, "'%s' is not a number of bytes", optarg);
	}
	if (optind + 1 != argc)
		return misuse(cx, "one CID or name is needed");
	signals_catch();
	status = source_open(cx, argv[optind], &source);
	if (!status) {
		r = export_file(source.blocks, &source.cid, offset, length, STDOUT_FILENO, &eo);
		/* Whoever read our output has had enough: not our failure. */
		if (r < 0 && r != -EPIPE)
			status = r == -EISDIR ? fail(cx, "%s is a folder: use `cairn ls` or `cairn get`", argv[optind])
					      : source_fail(cx, argv[optind], r);
	}
	source_close(&source);
	return status;
}
