/* Sockets we listen on, and at which addresses that makes us reachable. */
#include "net/swarm_internal.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define OWN_FRESH   10000 /* ms for which the list of interfaces is taken as it was */
#define OWN_REFRESH 30000
/* Handshakes over the limit that are kept for trusted peers. */
#define TRUSTED_PLACES 16

struct listener {
	struct swarm *s;
	uv_tcp_t tcp;
	struct addr addr; /* with the real port */
	TAILQ_ENTRY(listener) all;
};

static void on_closed(uv_handle_t *h)
{
	struct listener *l = h->data;
	struct swarm *s = l->s;

	free(l);
	swarm_handle_closed(s);
}

/* Does a peer that somebody asked to keep live at that IP address? */
static bool trusted(struct swarm *s, const struct sockaddr *from)
{
	struct addr known[PEERBOOK_ADDRS], a;
	size_t ip;

	/* The first component: a code and the bytes of the IP address. */
	addr_of_sockaddr(&a, from);
	ip = from->sa_family == AF_INET ? 5 : 17;
	for (int i = 0; i < 256; i++)
		for (struct remote *r = s->remotes[i]; r; r = r->chain) {
			int n = !r->protect
				    ? 0
				    : peerbook_get(s->book, &r->id, known, PEERBOOK_ADDRS,
						   uv_now(s->loop));
			while (n--)
				if (known[n].len >= ip &&
				    !memcmp(known[n].bytes, a.bytes, ip))
					return true;
		}
	return false;
}

static bool admit(struct swarm *s, const struct sockaddr *from)
{
	uint32_t half_open = s->limits.half_open_max;

	if (s->freeing)
		return false;
	if (s->n_half_open >= half_open || s->n_conns >= s->limits.conns_max + half_open)
		if (s->n_half_open >= half_open + TRUSTED_PLACES || !trusted(s, from))
			return false;
	return limits_admit(s->sources, from, uv_now(s->loop));
}

static void on_connection(uv_stream_t *h, int status)
{
	struct listener *l = h->data;
	struct swarm *s = l->s;
	struct conn *c;
	int len = sizeof c->peer_sa;

	if (status < 0)
		return;
	c = conn_new(s, true);
	if (!c)
		return;
	if (uv_accept(h, (uv_stream_t *)&c->tcp) < 0 ||
	    uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&c->peer_sa, &len) < 0) {
		conn_doom(c, -ECONNABORTED);
		return;
	}
	addr_of_sockaddr(&c->addr, (struct sockaddr *)&c->peer_sa);
	if (!admit(s, (struct sockaddr *)&c->peer_sa)) {
		conn_doom(c, -EBUSY);
		return;
	}
	c->counted_source = true;
	s->n_half_open++;
	conn_serve(c);
}

int swarm_listen(struct swarm *s, const struct addr *a)
{
	struct sockaddr_storage sa;
	struct listener *l;
	int len = sizeof sa;
	int r = addr_sockaddr(a, &sa);

	if (r < 0)
		return r;
	l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->s = s;
	r = uv_tcp_init(s->loop, &l->tcp);
	if (r < 0) {
		free(l);
		return r;
	}
	swarm_handle(s);
	l->tcp.data = l;
	/* ip6 says nothing about ip4: each is listened on by its own socket. */
	r = uv_tcp_bind(&l->tcp, (struct sockaddr *)&sa,
			sa.ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
	if (r >= 0)
		r = uv_listen((uv_stream_t *)&l->tcp, 256, on_connection);
	if (r >= 0)
		r = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&sa, &len);
	if (r < 0) {
		uv_close((uv_handle_t *)&l->tcp, on_closed);
		return r;
	}
	addr_of_sockaddr(&l->addr, (struct sockaddr *)&sa);
	TAILQ_INSERT_TAIL(&s->listeners, l, all);
	s->own_at = 0;
	swarm_changed(s);
	return 0;
}

static void add_own(struct addr *own, int *n, int max, const struct addr *a)
{
	for (int i = 0; i < *n; i++)
		if (addr_equal(&own[i], a))
			return;
	if (*n < max)
		own[(*n)++] = *a;
}

/* An address for every interface that is up. */
static void expand(const struct listener *l, struct addr *own, int *n, int max)
{
	uv_interface_address_t *ifs;
	struct sockaddr_storage any;
	int n_ifs;

	addr_sockaddr(&l->addr, &any);
	if (uv_interface_addresses(&ifs, &n_ifs) < 0)
		return;
	for (int i = 0; i < n_ifs; i++) {
		struct addr a;

		if (any.ss_family == AF_INET &&
		    ifs[i].address.address4.sin_family == AF_INET) {
			struct sockaddr_in in = ifs[i].address.address4;
			in.sin_port = ((struct sockaddr_in *)&any)->sin_port;
			addr_of_sockaddr(&a, (struct sockaddr *)&in);
		} else if (any.ss_family == AF_INET6 &&
			   ifs[i].address.address6.sin6_family == AF_INET6) {
			struct sockaddr_in6 in6 = ifs[i].address.address6;
			if (IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr))
				continue; /* means nothing without the interface */
			in6.sin6_port = ((struct sockaddr_in6 *)&any)->sin6_port;
			addr_of_sockaddr(&a, (struct sockaddr *)&in6);
		} else {
			continue;
		}
		add_own(own, n, max, &a);
	}
	uv_free_interface_addresses(ifs, n_ifs);
}

const struct addr *listen_addrs(struct swarm *s, int *n)
{
	struct addr own[sizeof s->own / sizeof *s->own];
	uint64_t now = uv_now(s->loop);
	struct listener *l;
	int count = 0;

	if (s->own_at && now - s->own_at < OWN_FRESH)
		goto out;
	TAILQ_FOREACH (l, &s->listeners, all) {
		if (addr_unspecified(&l->addr))
			expand(l, own, &count, sizeof own / sizeof *own);
		else
			add_own(own, &count, sizeof own / sizeof *own, &l->addr);
	}
	bool same = count == s->n_own;
	for (int i = 0; i < count && same; i++)
		same = addr_equal(&own[i], &s->own[i]);
	s->own_at = now ? now : 1;
	if (!same) {
		memcpy(s->own, own, count * sizeof *own);
		s->n_own = count;
		swarm_changed(s);
	}
out:
	*n = s->n_own;
	return s->own;
}

int swarm_addrs(struct swarm *s, struct addr *out, int max)
{
	int n;
	const struct addr *own = listen_addrs(s, &n);

	if (n > max)
		n = max;
	memcpy(out, own, n * sizeof *out);
	return n;
}

void listen_tick(struct swarm *s, uint64_t now)
{
	int n;

	if (s->own_at && now - s->own_at >= OWN_REFRESH)
		listen_addrs(s, &n);
}

void listen_end_all(struct swarm *s)
{
	struct listener *l;

	while ((l = TAILQ_FIRST(&s->listeners))) {
		TAILQ_REMOVE(&s->listeners, l, all);
		uv_close((uv_handle_t *)&l->tcp, on_closed);
	}
}
