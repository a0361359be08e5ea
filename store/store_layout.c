/*
 * The directory of a store: its version file, and the index as a folder that
 * can be removed.
 */
#include "store/error.h"
#include "store/store_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VERSION_TEXT "cairn store "

int store_version_check(int dir)
{
	char text[64];
	uint64_t version = 0;
	ssize_t n;

	int fd = openat(dir, "version", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text);
	int r = n < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;

	size_t i = strlen(VERSION_TEXT);
	if ((size_t)n <= i || memcmp(text, VERSION_TEXT, i))
		return ERR_CORRUPT;
	for (; i < (size_t)n && text[i] >= '0' && text[i] <= '9' && version < UINT32_MAX;
	     i++)
		version = version * 10 + (uint64_t)(text[i] - '0');
	/* A newer version may add text behind its number. */
	if (version > STORE_VERSION)
		return ERR_NEWER;
	if (i != (size_t)n - 1 || text[i] != '\n' || !version)
		return ERR_CORRUPT;
	return (int)version;
}

int store_version_write(int dir)
{
	char text[64];
	int n = snprintf(text, sizeof text, VERSION_TEXT "%d\n", STORE_VERSION);
	int r = 0;

	int fd =
	    openat(dir, "version.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ssize_t done = write(fd, text, (size_t)n);
	if (done != n)
		r = done < 0 ? -errno : -ENOSPC;
	else if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (!r && renameat(dir, "version.new", dir, "version") < 0)
		r = -errno;
	if (!r && fsync(dir) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, "version.new", 0);
	return r;
}

int store_index_remove(int dir, const char *name)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	int r = 0;

	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		if (unlinkat(fd, files[i], 0) < 0 && errno != ENOENT && !r)
			r = -errno;
	close(fd);
	if (!r && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}
