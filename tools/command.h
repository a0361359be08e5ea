/*
 * What the sub-commands share: the context main() prepares, and how a command
 * ends.  A command is `int cmd_x(struct context *, int argc, char **argv)` with
 * argv[0] its name; it prints results to stdout, messages to stderr, and returns
 * an exit status: 0, EXIT_FAILED or EXIT_MISUSE.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

#define EXIT_FAILED 1
#define EXIT_MISUSE 2

struct context {
	char *repo;	  /* directory of the repository */
	bool json;	  /* --json was given */
	const struct command *command;
};

struct command {
	const char *name;
	int (*run)(struct context *cx, int argc, char **argv);
	const char *args;
	const char *help; /* one line */
	const char *more; /* options and examples, or NULL */
};

/* "cairn NAME: …" on stderr; returns the status, so `return fail(cx, …)`. */
__attribute__((format(printf, 2, 3))) int fail(struct context *cx, const char *fmt, ...);
/* The same for misuse, with a hint at --help. */
__attribute__((format(printf, 2, 3))) int misuse(struct context *cx, const char *fmt, ...);

/* Print a value as one line of JSON to stdout, and release it. */
int print_json(json_t *value);
/* Print bytes that came from a stranger; control characters escaped if stdout
 * is a terminal. */
void print_name(const char *name);

/* The same, of what may be several lines: the first. */
void print_line(const char *text);

int cmd_init(struct context *cx, int argc, char **argv);
int cmd_daemon(struct context *cx, int argc, char **argv);
int cmd_stop(struct context *cx, int argc, char **argv);
int cmd_status(struct context *cx, int argc, char **argv);
int cmd_id(struct context *cx, int argc, char **argv);
int cmd_add(struct context *cx, int argc, char **argv);
int cmd_ls(struct context *cx, int argc, char **argv);
int cmd_cat(struct context *cx, int argc, char **argv);
int cmd_get(struct context *cx, int argc, char **argv);
int cmd_stat(struct context *cx, int argc, char **argv);
int cmd_export(struct context *cx, int argc, char **argv);
int cmd_import(struct context *cx, int argc, char **argv);
int cmd_verify(struct context *cx, int argc, char **argv);
int cmd_repair(struct context *cx, int argc, char **argv);
int cmd_pin(struct context *cx, int argc, char **argv);
int cmd_gc(struct context *cx, int argc, char **argv);
int cmd_publish(struct context *cx, int argc, char **argv);
int cmd_resolve(struct context *cx, int argc, char **argv);
int cmd_folder(struct context *cx, int argc, char **argv);
int cmd_snapshot(struct context *cx, int argc, char **argv);
int cmd_log(struct context *cx, int argc, char **argv);
int cmd_show(struct context *cx, int argc, char **argv);
int cmd_diff(struct context *cx, int argc, char **argv);
int cmd_restore(struct context *cx, int argc, char **argv);
int cmd_checkout(struct context *cx, int argc, char **argv);
int cmd_branch(struct context *cx, int argc, char **argv);
int cmd_mount(struct context *cx, int argc, char **argv);
int cmd_umount(struct context *cx, int argc, char **argv);
int cmd_peers(struct context *cx, int argc, char **argv);
int cmd_connect(struct context *cx, int argc, char **argv);
int cmd_ping(struct context *cx, int argc, char **argv);
int cmd_providers(struct context *cx, int argc, char **argv);
int cmd_config(struct context *cx, int argc, char **argv);

#endif
