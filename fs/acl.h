/*
 * POSIX access control lists as the kernel hands them over, in the value of
 * system.posix_acl_access and system.posix_acl_default:
 *	u32 version 2, then entries: u16 tag | u16 permissions | u32 id
 * Little-endian.  Pure.
 */
#ifndef FS_ACL_H
#define FS_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ACL_ACCESS    "system.posix_acl_access"
#define ACL_DEFAULT   "system.posix_acl_default"
#define ACL_BYTES_MAX 65536

/* 0 if it is a list that may stand at a file, or -EINVAL. */
int acl_check(const uint8_t *acl, size_t len);

/*
 * What a new file gets of its directory's default list, asked for with *mode
 * (permission bits, not masked): its mode, and its access list if it needs one
 * (*len is 0 if mode says it all).  0, or -EINVAL.
 */
int acl_inherit(const uint8_t *def, size_t def_len, mode_t *mode, uint8_t *access,
		size_t *len);

/* chmod() of a file with an access list: change it so. */
int acl_chmod(uint8_t *acl, size_t len, mode_t mode);

/*
 * The permission bits that an access list stands for.  1 if they say all that it
 * says, so that it need not be kept; 0; or -EINVAL.
 */
int acl_mode(const uint8_t *acl, size_t len, mode_t *mode);

#endif
