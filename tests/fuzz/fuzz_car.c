/* CAR files: headers, and files as they come from a pipe and from a disk. */
#include "store/car.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct bytes {
	struct car_input base;
	const uint8_t *data;
	size_t len, at;
};

static int64_t on_read(struct car_input *self, void *buf, size_t len)
{
	struct bytes *b = (struct bytes *)self;

	if (len > b->len - b->at)
		len = b->len - b->at;
	if (len)
		memcpy(buf, b->data + b->at, len);
	b->at += len;
	return (int64_t)len;
}

static int on_skip(struct car_input *self, uint64_t n)
{
	struct bytes *b = (struct bytes *)self;

	if (n > b->len - b->at)
		abort();
	b->at += n;
	return 0;
}

static int go_through(const uint8_t *data, size_t len, bool file, bool heads, uint64_t *n)
{
	struct bytes in = { .base = { on_read, file ? on_skip : NULL, file ? len : UINT64_MAX },
			    .data = data,
			    .len = len };
	struct car_reader *r;
	struct car_section s;
	struct cid root;
	int e = car_open(&r, &in.base, heads);

	*n = 0;
	if (e == 0) {
		struct cursor roots = car_roots(r);
		uint64_t count = 0;
		while (car_root_next(&roots, &root))
			count++;
		if (count != car_root_count(r))
			abort();
	}
	while (e >= 0 && (e = car_next(r, &s)) > 0) {
		if (s.data_at > len || s.len > len - s.data_at || s.at >= s.data_at)
			abort();
		if (!heads && s.len && memcmp(s.data, data + s.data_at, s.len))
			abort();
		++*n;
	}
	if (e < 0 && !*car_why(r))
		abort();
	car_close(r);
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t header[] = { 0x11, 0xa2, 0x65, 'r', 'o', 'o', 't', 's', 0x80,
					  0x67, 'v',  'e',  'r', 's', 'i', 'o', 'n', 0x01 };
	struct car_header h;
	uint64_t a, b, c;
	uint8_t *car = malloc(sizeof header + len);

	car_header_decode(&h, data, len);
	go_through(data, len, true, false, &a);
	/* Behind a good header too; all ways to read it agree. */
	memcpy(car, header, sizeof header);
	if (len)
		memcpy(car + sizeof header, data, len);
	len += sizeof header;
	int e = go_through(car, len, true, false, &a);
	if (go_through(car, len, false, false, &b) != e || go_through(car, len, true, true, &c) != e ||
	    a != b || a != c)
		abort();
	free(car);
	return 0;
}
