/* What of a writable mount can be tested without one. */
#include "fs/folder_mount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/fuse.h>
#include <string.h>

static _Alignas(8) char mem[4096];

/* A request of `opcode` with `len` bytes behind the header, as read. */
static struct fuse_buf request(uint32_t opcode, const void *body, size_t len)
{
	struct fuse_in_header h = { .len = sizeof h + len, .opcode = opcode, .nodeid = 5 };

	memset(mem, 0xaa, sizeof mem);
	memcpy(mem, &h, sizeof h);
	memcpy(mem + sizeof h, body, len);
	return (struct fuse_buf){ .mem = mem, .size = h.len };
}

static struct fuse_in_header *header(void)
{
	return (struct fuse_in_header *)mem;
}

static void a_tmpfile_is_a_create_that_is_told_apart(void **state)
{
	struct fuse_create_in in = { .mode = 0100600 };
	struct fuse_buf b = request(FUSE_TMPFILE, &in, sizeof in);

	more_received(&b);
	assert_int_equal(header()->opcode, FUSE_CREATE);
	assert_int_equal(header()->nodeid, 5);
	assert_true(more_now()->tmpfile);
	b = request(FUSE_CREATE, &in, sizeof in);
	more_received(&b);
	assert_int_equal(header()->opcode, FUSE_CREATE);
	assert_false(more_now()->tmpfile);
}

static void set_id_bits_are_cleared_where_the_kernel_says_so(void **state)
{
	struct fuse_write_in w = { .write_flags = FUSE_WRITE_KILL_SUIDGID | FUSE_WRITE_CACHE };
	struct fuse_setattr_in s = { .valid = FATTR_SIZE | FATTR_KILL_SUIDGID };
	struct fuse_buf b = request(FUSE_WRITE, &w, sizeof w);

	more_received(&b);
	assert_true(more_now()->kill);
	w.write_flags = FUSE_WRITE_CACHE;
	b = request(FUSE_WRITE, &w, sizeof w);
	more_received(&b);
	assert_false(more_now()->kill);
	b = request(FUSE_SETATTR, &s, sizeof s);
	more_received(&b);
	assert_true(more_now()->kill);
	s.valid = FATTR_SIZE;
	b = request(FUSE_SETATTR, &s, sizeof s);
	more_received(&b);
	assert_false(more_now()->kill);
}

static void setxattr_gets_its_old_form(void **state)
{
	struct {
		struct fuse_setxattr_in in;
		char rest[14];
	} body = { { .size = 5, .flags = 1, .setxattr_flags = FUSE_SETXATTR_ACL_KILL_SGID },
		   "user.nam\0value" };
	struct fuse_buf b = request(FUSE_SETXATTR, &body, sizeof body.in + 14);
	const uint32_t *sizes = (void *)(mem + sizeof(struct fuse_in_header));

	more_received(&b);
	assert_true(more_now()->kill);
	assert_int_equal(b.size, sizeof(struct fuse_in_header) + 8 + 14);
	assert_int_equal(header()->len, b.size);
	assert_int_equal(sizes[0], 5);
	assert_int_equal(sizes[1], 1);
	assert_memory_equal(sizes + 2, "user.nam\0value", 14);
}

static void syncfs_is_a_sync_of_the_whole(void **state)
{
	struct fuse_syncfs_in in = { 0 };
	struct fuse_buf b = request(FUSE_SYNCFS, &in, sizeof in);

	more_received(&b);
	assert_int_equal(header()->opcode, FUSE_FSYNC);
	assert_int_equal(b.size, sizeof(struct fuse_in_header) + sizeof(struct fuse_fsync_in));
	assert_int_equal(header()->len, b.size);
}

static void what_libfuse_knows_is_left_alone(void **state)
{
	struct fuse_buf b = request(FUSE_LOOKUP, "name", 5);
	char before[64];

	memcpy(before, mem, sizeof before);
	more_received(&b);
	assert_memory_equal(mem, before, sizeof before);
	assert_int_equal(b.size, sizeof(struct fuse_in_header) + 5);
}

static void snapshots_are_named_by_time_and_id(void **state)
{
	struct cid commit;
	char name[PAST_NAME_MAX];

	cid_of(&commit, 1, CODEC_DAG_CBOR, "", 0);
	past_name(1700000000123, &commit, name);
	assert_string_equal(name, "2023-11-14T22-13-20.123Z-e3b0c44298");
	/* A clock that is beyond all years does not break the name. */
	past_name(INT64_MAX, &commit, name);
	assert_string_equal(name, "1970-01-01T00-00-00.807Z-e3b0c44298");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tmpfile_is_a_create_that_is_told_apart),
		cmocka_unit_test(set_id_bits_are_cleared_where_the_kernel_says_so),
		cmocka_unit_test(setxattr_gets_its_old_form),
		cmocka_unit_test(syncfs_is_a_sync_of_the_whole),
		cmocka_unit_test(what_libfuse_knows_is_left_alone),
		cmocka_unit_test(snapshots_are_named_by_time_and_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
