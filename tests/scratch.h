/*
 * A directory of a test's own, below $TMPDIR, and what is done to files in it.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_MAX 256

/* Ends the test program if there is none to be had. */
static inline void scratch_make(char dir[SCRATCH_MAX])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, SCRATCH_MAX, "%s/cairn-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir)) {
		perror(dir);
		exit(1);
	}
}

static inline int scratch_unlink(const char *path, const struct stat *st, int type,
				 struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void scratch_remove(const char *dir)
{
	nftw(dir, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The bytes of a file, to free(); NULL if there is none. */
static inline uint8_t *scratch_read(const char *dir, const char *name, size_t *len)
{
	char path[4096];
	uint8_t *data = NULL;
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		return NULL;
	if (!fstat(fileno(f), &st) && (data = malloc((size_t)st.st_size + 1)))
		*len = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	return data;
}

/* 0 if the file now holds just these bytes. */
static inline int scratch_write(const char *dir, const char *name, const void *data,
				size_t len)
{
	char path[2 * SCRATCH_MAX];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	if (!f)
		return -1;
	size_t n = fwrite(data, 1, len, f);
	return fclose(f) || n != len ? -1 : 0;
}

/* A small generator: the same numbers for the same start, on every machine. */
static inline uint64_t scratch_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

#endif
