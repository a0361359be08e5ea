/*
 * Cuts the power of the file system that holds a directory (ext4, xfs): nothing
 * more reaches its disk, not even its journal, until it is mounted again.
 *	shutdown_fs DIRECTORY
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FS_IOC_SHUTDOWN        _IOR('X', 125, uint32_t)
#define FS_SHUTDOWN_NOLOGFLUSH 2

int main(int argc, char **argv)
{
	uint32_t how = FS_SHUTDOWN_NOLOGFLUSH;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || ioctl(fd, FS_IOC_SHUTDOWN, &how) < 0) {
		perror(argc == 2 ? argv[1] : "usage: shutdown_fs DIRECTORY");
		return 1;
	}
	return 0;
}
