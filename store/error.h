/*
 * Error numbers.  Functions return 0 (or a count) on success and a negative
 * number on failure, tested as `r < 0`.  Most are negative errno values; four
 * have a meaning of our own.
 */
#ifndef STORE_ERROR_H
#define STORE_ERROR_H

#include <errno.h>

#define ERR_CORRUPT   (-10001) /* bytes that do not match their name or checksum */
#define ERR_MALFORMED (-10002) /* bytes that the format forbids */
#define ERR_MISSING   (-10003) /* not here: ask elsewhere, then try again */
#define ERR_NEWER     (-10004) /* written by a newer version of cairn */

/* A short English text for `r`; never NULL, valid for ever. */
const char *err_text(int r);

#endif
