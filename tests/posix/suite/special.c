/* FIFOs, sockets and device nodes. */
#include "suite.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

CASE(a_fifo_carries_bytes)
{
	char got[8];
	int r, w;

	GOOD(mkfifo("p", 0640));
	CHECK(S_ISFIFO(stat_of("p").st_mode));
	SAME(stat_of("p").st_mode & 07777, 0640);
	SAME(stat_of("p").st_size, 0);
	FAILS(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
	r = (int)GOOD(open("p", O_RDONLY | O_NONBLOCK));
	w = (int)GOOD(open("p", O_WRONLY));
	SAME(write(w, "bytes", 5), 5);
	SAME(read(r, got, sizeof got), 5);
	close(w);
	SAME(read(r, got, sizeof got), 0);
	FAILS(ESPIPE, lseek(r, 0, SEEK_SET));
	GOOD(unlink("p"));
}

CASE(a_fifo_joins_two_processes_by_name)
{
	char got[8];
	pid_t pid;
	int r, status;

	GOOD(mkfifo("p", 0644));
	pid = GOOD(fork());
	if (pid == 0)
		_exit(write(opened("p", O_WRONLY), "hello", 5) != 5);
	r = opened("p", O_RDONLY);
	SAME(read(r, got, sizeof got), 5);
	GOOD(waitpid(pid, &status, 0));
	SAME(status, 0);
}

CASE(mkfifo_refuses)
{
	put("f", "x");
	FAILS(EEXIST, mkfifo("f", 0644));
	FAILS(ENOENT, mkfifo("none/p", 0644));
	FAILS(ENOTDIR, mkfifo("f/p", 0644));
}

static struct sockaddr_un named(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof a.sun_path, "%s", name);
	return a;
}

CASE(a_socket_is_bound_and_connected)
{
	struct sockaddr_un a = named("s");
	int server = (int)GOOD(socket(AF_UNIX, SOCK_STREAM, 0)), client, peer;
	char got[8];

	GOOD(bind(server, (struct sockaddr *)&a, sizeof a));
	CHECK(S_ISSOCK(stat_of("s").st_mode));
	GOOD(listen(server, 1));
	client = (int)GOOD(socket(AF_UNIX, SOCK_STREAM, 0));
	GOOD(connect(client, (struct sockaddr *)&a, sizeof a));
	peer = (int)GOOD(accept(server, NULL, NULL));
	SAME(write(client, "hello", 5), 5);
	SAME(read(peer, got, sizeof got), 5);
	FAILS(ENXIO, open("s", O_RDWR));
	client = (int)GOOD(socket(AF_UNIX, SOCK_STREAM, 0));
	FAILS(EADDRINUSE, bind(client, (struct sockaddr *)&a, sizeof a));
	close(server);
	FAILS(ECONNREFUSED, connect(client, (struct sockaddr *)&a, sizeof a));
	GOOD(rename("s", "t"));
	CHECK(S_ISSOCK(stat_of("t").st_mode));
	GOOD(unlink("t"));
}

CASE(mknod_makes_files_fifos_and_sockets)
{
	umask(0);
	GOOD(mknod("f", S_IFREG | 0640, 0));
	GOOD(mknod("p", S_IFIFO | 0604, 0));
	GOOD(mknod("s", S_IFSOCK | 0660, 0));
	SAME(stat_of("f").st_mode, S_IFREG | 0640);
	SAME(stat_of("p").st_mode, S_IFIFO | 0604);
	SAME(stat_of("s").st_mode, S_IFSOCK | 0660);
	GOOD(mknod("g", 0644, 0));
	SAME(stat_of("g").st_mode, S_IFREG | 0644);
	FAILS(EPERM, mknod("d", S_IFDIR | 0755, 0));
	FAILS(EEXIST, mknod("f", S_IFREG | 0640, 0));
	put("f", "text");
	CHECK(strcmp(text_of("f"), "text") == 0);
}

CASE_ROOT(device_nodes_keep_their_numbers)
{
	GOOD(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	GOOD(mknod("big", S_IFBLK | 0600, makedev(4000, 1000000)));
	CHECK(S_ISCHR(stat_of("null").st_mode));
	SAME(stat_of("null").st_rdev, makedev(1, 3));
	CHECK(S_ISBLK(stat_of("big").st_mode));
	SAME(stat_of("big").st_rdev, makedev(4000, 1000000));
	GOOD(rename("null", "n"));
	SAME(stat_of("n").st_rdev, makedev(1, 3));
}

CASE_ROOT(a_device_node_works_unless_the_mount_says_nodev)
{
	GOOD(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	if (open("null", O_WRONLY) < 0)
		SAME(errno, EACCES);
}

CASE_ROOT(users_make_no_devices)
{
	GOOD(chmod(".", 0777));
	AS(ME, ME)
	{
		FAILS(EPERM, mknod("null", S_IFCHR | 0666, makedev(1, 3)));
		GOOD(mknod("p", S_IFIFO | 0666, 0));
	}
}
