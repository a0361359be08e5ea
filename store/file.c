#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int file_load(const char *path, size_t max, char **out, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data = NULL;
	size_t n = 0;
	int r;

	if (fd < 0)
		return -errno;
	data = malloc(max + 1);
	if (!data) {
		r = -ENOMEM;
		goto out;
	}
	for (;;) {
		ssize_t got = read(fd, data + n, max - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			r = -errno;
			goto out;
		}
		n += (size_t)got;
		if (!got)
			break;
		if (n == max) {
			r = -EFBIG;
			goto out;
		}
	}
	data[n] = 0;
	*out = data;
	if (len)
		*len = n;
	data = NULL;
	r = 0;
out:
	free(data);
	close(fd);
	return r;
}

int file_replace(const char *path, const void *data, size_t len, unsigned mode)
{
	char temp[PATH_MAX], dir[PATH_MAX];
	const char *p = data;
	int fd = -1, r;

	if (snprintf(temp, sizeof temp, "%s.%d", path, getpid()) >= (int)sizeof temp)
		return -ENAMETOOLONG;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto failed;
		p += n;
		len -= (size_t)n;
	}
	if (fsync(fd) < 0)
		goto failed;
	if (close(fd) < 0) {
		fd = -1;
		goto failed;
	}
	fd = -1;
	if (rename(temp, path) < 0)
		goto failed;
	/* The name itself must survive a power cut too. */
	snprintf(dir, sizeof dir, "%s", path);
	int d = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d >= 0) {
		fsync(d);
		close(d);
	}
	return 0;
failed:
	r = -errno;
	if (fd >= 0)
		close(fd);
	unlink(temp);
	return r;
}
