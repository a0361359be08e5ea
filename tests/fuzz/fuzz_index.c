/* The file of the index as it may lie on a disk that lies: a sound one, with a
 * stretch of it changed.  Nothing may be read outside of it. */
#include "store/index.h"
#include "store/index_pages.h"
#include "tests/scratch.h"

#include <lmdb.h>

static uint8_t *sound;
static size_t sound_size;

static void make_sound(void)
{
	char dir[SCRATCH_MAX];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	scratch_make(dir);
	if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 2) ||
	    mdb_env_open(env, dir, MDB_NOSYNC, 0600))
		abort();
	for (unsigned round = 0; round < 4; round++) {
		if (mdb_txn_begin(env, NULL, 0, &txn) ||
		    mdb_dbi_open(txn, "blocks", MDB_CREATE, &dbi))
			abort();
		for (unsigned i = 0; i < 200; i++) {
			uint32_t key[8] = { i * 2654435761u, round / 2 };
			MDB_val k = { sizeof key, key }, v = { 16, key };
			if (mdb_put(txn, dbi, &k, &v, 0))
				abort();
		}
		if (mdb_txn_commit(txn))
			abort();
	}
	mdb_env_close(env);
	sound = scratch_read(dir, "data.mdb", &sound_size);
	scratch_remove(dir);
	if (!sound)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t sum;
	uint32_t at;

	if (!INDEX_FORM_KNOWN)
		return 0;
	if (!sound)
		make_sound();
	(void)index_head_check(data, size, size);
	(void)index_pages_check(data, size, INDEX_NEWEST, &sum);
	if (size < 4)
		return 0;
	memcpy(&at, data, 4);
	at %= (uint32_t)sound_size;
	data += 4;
	size -= 4;
	if (size > sound_size - at)
		size = sound_size - at;
	uint8_t *copy = malloc(sound_size);
	if (!copy)
		return 0;
	memcpy(copy, sound, sound_size);
	memcpy(copy + at, data, size);
	(void)index_pages_check(copy, sound_size, INDEX_NEWEST, &sum);
	free(copy);
	return 0;
}
