/*
 * Reads the first byte of every file in a directory at once, a thread each, and
 * reports how many reads returned.  For tests of requests that wait.
 *	read_many DIRECTORY COUNT
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic int good, bad, last_error;

static void failed(int error)
{
	last_error = error;
	bad++;
}

static void *read_one(void *arg)
{
	char byte;
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, &byte, 1) == 1)
		good++;
	else
		failed(errno);
	if (fd >= 0)
		close(fd);
	free(arg);
	return NULL;
}

int main(int argc, char **argv)
{
	int want = argc == 3 ? atoi(argv[2]) : 0, n = 0;
	pthread_t *threads = calloc((size_t)want + 1, sizeof *threads);
	DIR *dir = want > 0 ? opendir(argv[1]) : NULL;
	pthread_attr_t attr;
	struct dirent *e;

	if (!dir || !threads) {
		fprintf(stderr, "usage: read_many DIRECTORY COUNT\n");
		return 2;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	while (n < want && (e = readdir(dir))) {
		char *path = NULL;
		if (e->d_name[0] == '.' || asprintf(&path, "%s/%s", argv[1], e->d_name) < 0)
			continue;
		if (pthread_create(&threads[n], &attr, read_one, path)) {
			fprintf(stderr, "only %d threads\n", n);
			free(path);
			break;
		}
		n++;
	}
	closedir(dir);
	fprintf(stderr, "%d reads begun\n", n);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%d read, %d failed", good, bad);
	printf(bad ? " (%s)\n" : "\n", strerror(last_error));
	free(threads);
	return bad ? 1 : 0;
}
