#include "store/error.h"

#include <string.h>

const char *err_text(int r)
{
	switch (r) {
	case ERR_CORRUPT:
		return "the bytes do not match their name";
	case ERR_MALFORMED:
		return "malformed data";
	case ERR_MISSING:
		return "not available here";
	case ERR_NEWER:
		return "written by a newer version of cairn";
	}
	/* strerrordesc_np needs no buffer and no lock. */
	const char *text = r < 0 && r > -4096 ? strerrordesc_np(-r) : NULL;
	return text ? text : "unknown error";
}
