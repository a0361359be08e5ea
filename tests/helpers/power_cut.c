/*
 * Cuts a mounted file system off from its disk at once, as a loss of power
 * would: what was not written stays unwritten, the journal too (root).
 *	power_cut DIR
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* The same number in ext4, xfs, f2fs; not in the headers of the kernel. */
#define SHUTDOWN	  _IOR('X', 125, uint32_t)
#define SHUTDOWN_NO_FLUSH 2u

int main(int argc, char **argv)
{
	uint32_t how = SHUTDOWN_NO_FLUSH;

	if (argc != 2)
		return 2;
	int fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, SHUTDOWN, &how) < 0) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
