#include "store/mdb_error.h"

#include "store/error.h"

#include <lmdb.h>

int mdb_error(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INCOMPATIBLE:
	case MDB_NOTFOUND: /* of a database or a record that must be there */
	case MDB_BAD_TXN:
	case MDB_PAGE_FULL:
	case MDB_CURSOR_FULL:
		return ERR_CORRUPT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EAGAIN;
	}
	return rc > 0 ? -rc : -EIO;
}
