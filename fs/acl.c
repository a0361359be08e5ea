#include "fs/acl.h"

#include <errno.h>
#include <string.h>

#define VERSION 2
#define HEADER	4
#define ENTRY	8

enum tag {
	USER_OBJ = 0x01,
	USER = 0x02,
	GROUP_OBJ = 0x04,
	GROUP = 0x08,
	MASK = 0x10,
	OTHER = 0x20,
};

static unsigned get16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void put_perm(uint8_t *entry, unsigned perm)
{
	entry[2] = (uint8_t)perm;
	entry[3] = 0;
}

/* As the kernel wants it: sorted by kind and id, the obligatory ones there, a
 * mask where somebody is named. */
int acl_check(const uint8_t *acl, size_t len)
{
	unsigned seen = 0, last_tag = 0;
	uint32_t last_id = 0;

	if (len < HEADER || (len - HEADER) % ENTRY || len > ACL_BYTES_MAX ||
	    get32(acl) != VERSION)
		return -EINVAL;
	for (const uint8_t *e = acl + HEADER; e < acl + len; e += ENTRY) {
		unsigned tag = get16(e);
		uint32_t id = get32(e + 4);

		if (get16(e + 2) > 7)
			return -EINVAL;
		switch (tag) {
		case USER_OBJ:
		case GROUP_OBJ:
		case MASK:
		case OTHER:
			if (tag <= last_tag)
				return -EINVAL;
			break;
		case USER:
		case GROUP:
			if (tag < last_tag || (tag == last_tag && id <= last_id) ||
			    id == UINT32_MAX)
				return -EINVAL;
			break;
		default:
			return -EINVAL;
		}
		last_tag = tag;
		last_id = id;
		seen |= tag;
	}
	if ((seen & (USER_OBJ | GROUP_OBJ | OTHER)) != (USER_OBJ | GROUP_OBJ | OTHER))
		return -EINVAL;
	return (seen & (USER | GROUP)) && !(seen & MASK) ? -EINVAL : 0;
}

static uint8_t *find(uint8_t *acl, size_t len, unsigned tag)
{
	for (uint8_t *e = acl + HEADER; e < acl + len; e += ENTRY)
		if (get16(e) == tag)
			return e;
	return NULL;
}

int acl_mode(const uint8_t *acl, size_t len, mode_t *mode)
{
	uint8_t *a = (uint8_t *)acl, *mask;
	bool plain = len == HEADER + 3 * ENTRY;

	if (acl_check(acl, len) < 0)
		return -EINVAL;
	mask = find(a, len, MASK);
	*mode = get16(find(a, len, USER_OBJ) + 2) << 6 |
		get16((mask ? mask : find(a, len, GROUP_OBJ)) + 2) << 3 |
		get16(find(a, len, OTHER) + 2);
	return plain;
}

int acl_chmod(uint8_t *acl, size_t len, mode_t mode)
{
	uint8_t *mask;

	if (acl_check(acl, len) < 0)
		return -EINVAL;
	mask = find(acl, len, MASK);
	put_perm(find(acl, len, USER_OBJ), mode >> 6 & 7);
	put_perm(mask ? mask : find(acl, len, GROUP_OBJ), mode >> 3 & 7);
	put_perm(find(acl, len, OTHER), mode & 7);
	return 0;
}

int acl_inherit(const uint8_t *def, size_t def_len, mode_t *mode, uint8_t *access,
		size_t *len)
{
	uint8_t *owner, *group, *other;
	mode_t m = *mode;

	if (acl_check(def, def_len) < 0)
		return -EINVAL;
	memcpy(access, def, def_len);
	owner = find(access, def_len, USER_OBJ);
	group = find(access, def_len, MASK);
	if (!group)
		group = find(access, def_len, GROUP_OBJ);
	other = find(access, def_len, OTHER);
	/* Nobody gets more than was asked for. */
	put_perm(owner, get16(owner + 2) & (m >> 6 & 7));
	put_perm(group, get16(group + 2) & (m >> 3 & 7));
	put_perm(other, get16(other + 2) & (m & 7));
	*mode = (m & ~(mode_t)0777) | get16(owner + 2) << 6 | get16(group + 2) << 3 |
		get16(other + 2);
	*len = def_len == HEADER + 3 * ENTRY ? 0 : def_len;
	return 0;
}
