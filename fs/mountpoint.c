#include "fs/mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* mountinfo writes blanks and backslashes as three octal digits. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*out++ = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = 0;
}

struct mounted {
	char type[64];	 /* of the file system on top */
	char device[32]; /* "MAJOR:MINOR" */
};

/* Is something mounted at `path`, and what?  Asks no file system. */
static bool mounted(const char *path, struct mounted *out)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	if (!f)
		return false;
	while (getline(&line, &room, f) > 0) {
		char *field[5] = { NULL }, *rest = line, *dash = strstr(line, " - ");

		for (int i = 0; i < 5; i++)
			field[i] = strsep(&rest, " ");
		char *point = field[4];
		if (!point || !dash)
			continue;
		unescape(point);
		if (strcmp(point, path) != 0)
			continue;
		found = true;
		snprintf(out->type, sizeof out->type, "%.*s",
			 (int)strcspn(dash + 3, " "), dash + 3);
		snprintf(out->device, sizeof out->device, "%s", field[2]);
	}
	free(line);
	fclose(f);
	return found;
}

static int detach(const char *path)
{
	char *argv[] = { "fusermount3", "-u", "-q", "-z", "--", (char *)path, NULL };
	extern char **environ;
	int status;
	pid_t pid;

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return -EPERM;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* realpath() of a place that itself cannot be looked at. */
static int real_of_dead(const char *dir, char real[PATH_MAX])
{
	char copy[PATH_MAX], parent[PATH_MAX];
	size_t len = strlen(dir);
	const char *name;
	char *slash;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (len >= sizeof copy)
		return -ENAMETOOLONG;
	memcpy(copy, dir, len);
	copy[len] = 0;
	slash = strrchr(copy, '/');
	name = slash ? slash + 1 : copy;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -ENOTCONN;
	if (!slash)
		strcpy(parent, ".");
	else
		snprintf(parent, sizeof parent, "%.*s",
			 (int)(slash - copy) + (slash == copy), copy);
	if (!realpath(parent, real))
		return -errno;
	len = strlen(real);
	if (len + strlen(name) + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	sprintf(real + len, "%s%s", len > 1 ? "/" : "", name);
	return 0;
}

int mountpoint_check(const char *dir, char real[PATH_MAX])
{
	struct mounted m;
	struct dirent *e;
	struct statvfs fs;
	struct stat st;
	DIR *d;
	int r = 0;

	/* What stat() asks of a dead mount may be answered by the kernel's cache. */
	if (statvfs(dir, &fs) < 0 && errno == ENOTCONN) {
		r = real_of_dead(dir, real);
		if (r < 0)
			return r;
		if (!mounted(real, &m) || strcmp(m.type, "fuse.cairn") != 0)
			return -EBUSY;
		r = detach(real);
		if (r < 0)
			return r;
	}
	if (stat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (!realpath(dir, real))
		return -errno;
	if (mounted(real, &m))
		return -EBUSY;
	d = opendir(real);
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = -ENOTEMPTY;
	}
	closedir(d);
	return r;
}

void mountpoint_tune(const char *dir)
{
	char path[96];
	struct mounted m;
	ssize_t done;
	int fd;

	if (!mounted(dir, &m))
		return;
	snprintf(path, sizeof path, "/sys/class/bdi/%s/read_ahead_kb", m.device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	done = write(fd, "1024", 4);
	(void)done; /* slower without */
	close(fd);
}
