/* Shared by the files of the export. */
#ifndef STORE_EXPORT_INTERNAL_H
#define STORE_EXPORT_INTERNAL_H

#include "store/export.h"

bool export_cancelled(const struct export_options *o);

/*
 * export_file(), which with `holes` skips over zeros instead of writing them;
 * the caller sets the size of the file afterwards.
 */
int export_content(struct block_source *s, const struct cid *cid, uint64_t offset,
		   uint64_t len, int fd, bool holes, const struct export_options *o);

#endif
