/*
 * The errors of LMDB as numbers of ours, for all who keep a table in it.
 */
#ifndef STORE_MDB_ERROR_H
#define STORE_MDB_ERROR_H

/*
 * What an mdb_ function returned: 0; ERR_CORRUPT (the file cannot be used, or
 * what must be there is not); -ENOSPC (the map is full); -EAGAIN (too many
 * readers); the errno it passed on; -EIO.
 */
int mdb_error(int rc);

#endif
