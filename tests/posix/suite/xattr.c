/* Extended attributes and POSIX ACLs. */
#include "suite.h"

#include <endian.h>
#include <sys/xattr.h>

static void have_xattr(void)
{
	put("f", "x");
	SUPPORTED(setxattr("f", "user.a", "one", 3, 0));
}

CASE(an_attribute_is_set_read_and_removed)
{
	char got[64];

	have_xattr();
	SAME(getxattr("f", "user.a", got, sizeof got), 3);
	CHECK(memcmp(got, "one", 3) == 0);
	GOOD(setxattr("f", "user.a", "another", 7, 0));
	SAME(getxattr("f", "user.a", NULL, 0), 7);
	FAILS(ERANGE, getxattr("f", "user.a", got, 6));
	GOOD(removexattr("f", "user.a"));
	FAILS(ENODATA, getxattr("f", "user.a", got, sizeof got));
	FAILS(ENODATA, removexattr("f", "user.a"));
}

CASE(create_and_replace_are_exact)
{
	have_xattr();
	FAILS(EEXIST, setxattr("f", "user.a", "x", 1, XATTR_CREATE));
	FAILS(ENODATA, setxattr("f", "user.b", "x", 1, XATTR_REPLACE));
	GOOD(setxattr("f", "user.b", "x", 1, XATTR_CREATE));
	GOOD(setxattr("f", "user.a", "y", 1, XATTR_REPLACE));
	FAILS(EINVAL, setxattr("f", "user.a", "y", 1, 64));
}

CASE(an_empty_value_is_a_value)
{
	char got[4];

	have_xattr();
	GOOD(setxattr("f", "user.empty", "", 0, 0));
	SAME(getxattr("f", "user.empty", got, sizeof got), 0);
}

static bool in_list(const char *list, ssize_t n, const char *name)
{
	for (const char *p = list; p < list + n; p += strlen(p) + 1)
		if (strcmp(p, name) == 0)
			return true;
	return false;
}

CASE(attributes_are_listed)
{
	char list[4096];
	ssize_t n;

	have_xattr();
	GOOD(setxattr("f", "user.b\xff with space", "2", 1, 0));
	n = GOOD(listxattr("f", list, sizeof list));
	SAME(listxattr("f", NULL, 0), n);
	CHECK(in_list(list, n, "user.a"));
	CHECK(in_list(list, n, "user.b\xff with space"));
	FAILS(ERANGE, listxattr("f", list, 3));
	GOOD(removexattr("f", "user.a"));
	n = GOOD(listxattr("f", list, sizeof list));
	CHECK(!in_list(list, n, "user.a"));
}

CASE(fifty_attributes_of_one_file)
{
	char name[64], value[64], got[64], list[8192];
	ssize_t n;

	have_xattr();
	for (int i = 0; i < 50; i++) {
		sprintf(name, "user.number.%d", i);
		sprintf(value, "value %d", i);
		GOOD(setxattr("f", name, value, strlen(value), 0));
	}
	n = GOOD(listxattr("f", list, sizeof list));
	for (int i = 0; i < 50; i++) {
		sprintf(name, "user.number.%d", i);
		sprintf(value, "value %d", i);
		SAME(getxattr("f", name, got, sizeof got), strlen(value));
		CHECK(memcmp(value, got, strlen(value)) == 0);
		CHECK(in_list(list, n, name));
	}
}

CASE(names_and_values_have_limits)
{
	char name[300] = "user.";
	static char value[65537];

	have_xattr();
	memset(name + 5, 'n', 250);
	name[255] = 0;
	GOOD(setxattr("f", name, "x", 1, 0));
	memset(name + 5, 'n', 251);
	name[256] = 0;
	FAILS(ERANGE, setxattr("f", name, "x", 1, 0));
	FAILS(ERANGE, getxattr("f", name, value, 1));
	FAILS(ERANGE, setxattr("f", "", "x", 1, 0));
	FAILS(E2BIG, setxattr("f", "user.big", value, 65537, 0));
	GOOD(setxattr("f", "user.big", value, 2000, 0));
	SAME(getxattr("f", "user.big", value, sizeof value), 2000);
}

CASE(a_value_of_64_kib_or_no_space)
{
	static char value[65536], got[65536];

	have_xattr();
	noise(value, sizeof value, 0);
	if (setxattr("f", "user.big", value, sizeof value, 0) < 0) {
		if (errno == ENOSPC)
			posix_skip("this file system keeps attributes in a block");
		FAIL("%s", strerror(errno));
	}
	SAME(getxattr("f", "user.big", got, sizeof got), sizeof got);
	CHECK(memcmp(value, got, sizeof got) == 0);
}

CASE(names_without_a_known_prefix_are_refused)
{
	have_xattr();
	FAILS(EOPNOTSUPP, setxattr("f", "noprefix", "x", 1, 0));
	FAILS(EOPNOTSUPP, setxattr("f", "unknown.x", "x", 1, 0));
}

CASE(attributes_of_directories_and_descriptors)
{
	char got[16];
	int fd;

	have_xattr();
	made_dir("d");
	GOOD(setxattr("d", "user.a", "dir", 3, 0));
	SAME(getxattr("d", "user.a", got, sizeof got), 3);
	fd = opened("f", O_RDONLY);
	GOOD(fsetxattr(fd, "user.fd", "v", 1, 0));
	SAME(fgetxattr(fd, "user.fd", got, sizeof got), 1);
	CHECK(flistxattr(fd, NULL, 0) >= 15);
	GOOD(fremovexattr(fd, "user.fd"));
	FAILS(ENODATA, fgetxattr(fd, "user.fd", got, sizeof got));
}

CASE(attributes_follow_the_file)
{
	char got[16];

	have_xattr();
	GOOD(link("f", "g"));
	GOOD(setxattr("g", "user.a", "via g", 5, 0));
	SAME(getxattr("f", "user.a", got, sizeof got), 5);
	GOOD(rename("f", "h"));
	SAME(getxattr("h", "user.a", got, sizeof got), 5);
	GOOD(unlink("h"));
	GOOD(unlink("g"));
	put("f", "new");
	FAILS(ENODATA, getxattr("f", "user.a", got, sizeof got));
}

CASE(user_attributes_are_for_files_and_directories)
{
	have_xattr();
	GOOD(symlink("f", "l"));
	GOOD(mkfifo("p", 0644));
	FAILS(EPERM, lsetxattr("l", "user.a", "x", 1, 0));
	FAILS(EPERM, setxattr("p", "user.a", "x", 1, 0));
	GOOD(setxattr("l", "user.through", "x", 1, 0));
	SAME(getxattr("f", "user.through", NULL, 0), 1);
	FAILS(ENOENT, setxattr("none", "user.a", "x", 1, 0));
}

CASE_ROOT(trusted_attributes_are_roots)
{
	char list[4096];
	ssize_t n;

	put("f", "x");
	SUPPORTED(setxattr("f", "trusted.a", "secret", 6, 0));
	SAME(getxattr("f", "trusted.a", list, sizeof list), 6);
	n = GOOD(listxattr("f", list, sizeof list));
	CHECK(in_list(list, n, "trusted.a"));
	GOOD(symlink("f", "l"));
	GOOD(lsetxattr("l", "trusted.l", "x", 1, 0));
	SAME(lgetxattr("l", "trusted.l", list, sizeof list), 1);
	GOOD(chown("f", ME, ME));
	AS(ME, ME)
	{
		FAILS(EPERM, setxattr("f", "trusted.b", "x", 1, 0));
		FAILS(ENODATA, getxattr("f", "trusted.a", list, sizeof list));
		GOOD(setxattr("f", "user.b", "x", 1, 0));
	}
}

CASE_ROOT(security_attributes_are_kept)
{
	/* cap_net_raw+ep, version 2 */
	static const uint8_t capability[20] = { 1, 0, 0, 2, 0, 0x20 };
	uint8_t got[32];

	put("f", "x");
	SUPPORTED(setxattr("f", "security.capability", capability, sizeof capability, 0));
	SAME(getxattr("f", "security.capability", got, sizeof got), 20);
	CHECK(memcmp(got, capability, 20) == 0);
	GOOD(setxattr("f", "security.other", "x", 1, 0));
	SAME(getxattr("f", "security.other", got, sizeof got), 1);
	/* A write takes the capability away. */
	put("f", "changed");
	FAILS(ENODATA, getxattr("f", "security.capability", got, sizeof got));
}

CASE_ROOT(user_attributes_ask_the_mode)
{
	char got[4];

	have_xattr();
	AS(ME, ME)
	{
		SAME(getxattr("f", "user.a", got, sizeof got), 3);
		FAILS(EACCES, setxattr("f", "user.a", "x", 1, 0));
		FAILS(EACCES, removexattr("f", "user.a"));
	}
	GOOD(chmod("f", 0));
	AS(ME, ME)
	{
		FAILS(EACCES, getxattr("f", "user.a", got, sizeof got));
		CHECK(listxattr("f", NULL, 0) > 0);
	}
}

/* The bytes of system.posix_acl_*: a version, then entries. */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[6];
};
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, MASK = 16, OTHERS = 32 };
#define NOBODY ((uint32_t)-1)

/* user::`u`, user:ME:`me`, group::`g`, mask::`m`, other::`o` */
static struct acl acl_of(int u, int me, int g, int m, int o)
{
	return (struct acl){ htole32(2),
			     { { htole16(USER_OBJ), (uint16_t)u, NOBODY },
			       { htole16(USER), (uint16_t)me, htole32(ME) },
			       { htole16(GROUP_OBJ), (uint16_t)g, NOBODY },
			       { htole16(MASK), (uint16_t)m, NOBODY },
			       { htole16(OTHERS), (uint16_t)o, NOBODY } } };
}
enum { ACL_SIZE = 4 + 5 * 8 };
#define ACCESS_ACL  "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"

CASE_ROOT(an_acl_lets_one_user_in)
{
	struct acl a = acl_of(6, 6, 0, 6, 0), got;

	put("f", "text");
	GOOD(chmod("f", 0600));
	AS(ME, ME)
	{
		FAILS(EACCES, open("f", O_RDWR));
	}
	SUPPORTED(setxattr("f", ACCESS_ACL, &a, ACL_SIZE, 0));
	SAME(getxattr("f", ACCESS_ACL, &got, sizeof got), ACL_SIZE);
	CHECK(memcmp(&a, &got, ACL_SIZE) == 0);
	SAME(stat_of("f").st_mode & 07777, 0660); /* the group shows the mask */
	AS(ME, ME)
	{
		GOOD(open("f", O_RDWR));
	}
	AS(OTHER, OTHER)
	{
		FAILS(EACCES, open("f", O_RDONLY));
	}
	a = acl_of(6, 6, 0, 4, 0);
	GOOD(setxattr("f", ACCESS_ACL, &a, ACL_SIZE, 0));
	AS(ME, ME)
	{
		GOOD(open("f", O_RDONLY));
		FAILS(EACCES, open("f", O_RDWR));
	}
}

CASE_ROOT(chmod_changes_the_mask_of_an_acl)
{
	struct acl a = acl_of(6, 7, 0, 6, 0), got;

	put("f", "text");
	SUPPORTED(setxattr("f", ACCESS_ACL, &a, ACL_SIZE, 0));
	GOOD(chmod("f", 0640));
	SAME(getxattr("f", ACCESS_ACL, &got, sizeof got), ACL_SIZE);
	SAME(got.e[3].perm, 4);
	SAME(got.e[2].perm, 0);
	AS(ME, ME)
	{
		FAILS(EACCES, open("f", O_WRONLY));
	}
	GOOD(removexattr("f", ACCESS_ACL));
	FAILS(ENODATA, getxattr("f", ACCESS_ACL, &got, sizeof got));
	SAME(stat_of("f").st_mode & 07777, 0640);
}

CASE_ROOT(a_default_acl_is_inherited)
{
	struct acl a = acl_of(7, 5, 5, 7, 0), got;

	made_dir("d");
	SUPPORTED(setxattr("d", DEFAULT_ACL, &a, ACL_SIZE, 0));
	umask(0);
	GOOD(mkdir("d/e", 0777));
	SAME(getxattr("d/e", DEFAULT_ACL, &got, sizeof got), ACL_SIZE);
	SAME(getxattr("d/e", ACCESS_ACL, &got, sizeof got), ACL_SIZE);
	SAME(stat_of("d/e").st_mode & 07777, 0770);
	GOOD(open("d/f", O_WRONLY | O_CREAT, 0666));
	SAME(getxattr("d/f", ACCESS_ACL, &got, sizeof got), ACL_SIZE);
	SAME(got.e[3].perm, 6);
	SAME(stat_of("d/f").st_mode & 07777, 0660);
	FAILS(ENODATA, getxattr("d/f", DEFAULT_ACL, &got, sizeof got));
	FAILS(EACCES, setxattr("d/f", DEFAULT_ACL, &a, ACL_SIZE, 0));
	/* The umask means nothing below a default ACL. */
	umask(077);
	GOOD(open("d/g", O_WRONLY | O_CREAT, 0666));
	SAME(stat_of("d/g").st_mode & 07777, 0660);
}

CASE_ROOT(an_acl_without_sense_is_refused)
{
	struct acl a = acl_of(6, 6, 0, 6, 0);

	put("f", "x");
	SUPPORTED(setxattr("f", ACCESS_ACL, &a, ACL_SIZE, 0));
	FAILS(EINVAL, setxattr("f", ACCESS_ACL, &a, ACL_SIZE - 8, 0)); /* no other:: */
	FAILS(EINVAL, setxattr("f", ACCESS_ACL, &a, 5, 0));
	a.version = htole32(3);
	FAILS(EOPNOTSUPP, setxattr("f", ACCESS_ACL, &a, ACL_SIZE, 0));
	AS(ME, ME)
	{
		a = acl_of(7, 7, 7, 7, 7);
		FAILS(EPERM, setxattr("f", ACCESS_ACL, &a, ACL_SIZE, 0));
	}
}
