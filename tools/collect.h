/* What a gc tells, for the command and the daemon alike. */
#ifndef TOOLS_COLLECT_H
#define TOOLS_COLLECT_H

#include "store/gc.h"

#include <jansson.h>

/* The result as JSON. */
json_t *collect_result(const struct gc_result *result, bool dry_run);
json_t *collect_report(const struct gc_progress *p);
/* Why it failed, as a sentence, into `why` (512 bytes). */
void collect_why(int r, const struct gc_result *result, char *why);

#endif
