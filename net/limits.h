/*
 * Who may knock: half-open handshakes and the rate of connects, by source
 * address (IPv4 /32, IPv6 /64).  A fixed table: a source that is forgotten
 * because others came is taken for new.  Pure; the time is an argument.
 */
#ifndef NET_LIMITS_H
#define NET_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct limits;

struct limits_config {
	uint32_t half_open; /* handshakes at once */
	uint32_t burst;     /* connects at once ... */
	uint64_t interval;  /* ... and then one in so many ms; not for loopback */
};

struct limits *limits_new(const struct limits_config *cfg); /* NULL if out of memory */
void limits_free(struct limits *l);

/* May it connect?  If so it counts as half open until limits_done(). */
bool limits_admit(struct limits *l, const struct sockaddr *from, uint64_t now);
void limits_done(struct limits *l, const struct sockaddr *from);

#endif
