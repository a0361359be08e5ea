/*
 * cairn verify: is every block of the store what its name says?  It only reads,
 * beside a daemon or without one.
 */
#include "store/error.h"
#include "tools/client.h"
#include "tools/progress.h"
#include "tools/repo.h"
#include "tools/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_verified(struct context *cx, const struct verified *v)
{
	char text[CID_TEXT_MAX], size[16];
	int status = v->n_damaged ? EXIT_FAILED : 0;

	if (cx->json) {
		int printed = print_json(json_pack("{s:I, s:I, s:o}", "blocks", (json_int_t)v->blocks,
						   "bytes", (json_int_t)v->bytes, "damaged",
						   verify_names(v->damaged, v->n_damaged)));
		return printed ? printed : status;
	}
	for (size_t i = 0; i < v->n_damaged; i++)
		printf("damaged %s%s%s\n", verify_text(&v->damaged[i].name, text),
		       v->damaged[i].error == ERR_CORRUPT ? "" : ": ",
		       v->damaged[i].error == ERR_CORRUPT ? "" : err_text(v->damaged[i].error));
	printf("verified %llu blocks, %s: ", (unsigned long long)v->blocks, bytes_text(v->bytes, size));
	if (v->n_damaged)
		printf("%zu damaged (see cairn repair --help)\n", v->n_damaged);
	else
		printf("all are right\n");
	return status;
}

/* "5", "5%", "0.1%" as a share of 1; negative if it is none. */
static double share_of(const char *text)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%")) || !isfinite(n) || n <= 0 || n > 100)
		return -1;
	return n / 100;
}

int cmd_verify(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "sample", required_argument, NULL, 's' }, { 0 } };
	struct verified v = { 0 };
	struct store *store = NULL;
	double share = 1;
	int c, r, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 's')
			return misuse(cx, "unknown option '%s', or its value is missing", argv[optind - 1]);
		share = share_of(optarg);
		if (share < 0)
			return misuse(cx, "--sample takes a percentage above 0, up to 100");
	}
	if (optind < argc)
		return misuse(cx, "it takes no arguments: all of the store is verified");
	status = repo_need(cx);
	if (status)
		return status;
	signals_catch();
	/* What a process left that was killed is read in first. */
	if (repo_store(cx->repo, STORE_WRITE, 0, &store) == 0)
		store_close(store);
	r = repo_store(cx->repo, 0, 0, &store);
	if (r < 0)
		return repo_store_fail(cx, r);
	r = verify_store(store, share, &v);
	if (r == -ECANCELED)
		fail(cx, "stopped");
	else if (r == ERR_CORRUPT)
		fail(cx, "the index of the store in %s is damaged: mend it with `cairn repair`", cx->repo);
	else if (r < 0)
		fail(cx, "cannot read all of the store in %s: %s", cx->repo, err_text(r));
	status = r < 0 ? EXIT_FAILED : 0;
	if (!r || v.n_damaged)
		status |= print_verified(cx, &v);
	verified_release(&v);
	store_close(store);
	return status;
}
