#include "store/multibase.h"
#include "store/error.h"

#include <stdbool.h>
#include <string.h>

#define TEXT_MAX 1024

/*
 * Two families: bases of 2^bits characters, cut from the bits from the front,
 * and the others (bits 0), where the bytes are one big number.
 */
struct base {
	char prefix;
	unsigned bits;
	bool any_case; /* read either case, as Go does */
	bool padded;
	const char *digits;
};

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const struct base bases[] = {
	{ 'b', 5, true, false, LOWER "234567" },
	{ 'B', 5, true, false, UPPER "234567" },
	{ 'k', 0, true, false, "0123456789" LOWER },
	{ 'K', 0, true, false, "0123456789" UPPER },
	{ 'z', 0, false, false,
	  "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz" },
	{ 'f', 4, true, false, "0123456789abcdef" },
	{ 'F', 4, true, false, "0123456789ABCDEF" },
	{ 'm', 6, false, false, UPPER LOWER "0123456789+/" },
	{ 'M', 6, false, true, UPPER LOWER "0123456789+/" },
	{ 'u', 6, false, false, UPPER LOWER "0123456789-_" },
	{ 'U', 6, false, true, UPPER LOWER "0123456789-_" },
};

static const struct base *base_find(char prefix)
{
	for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
		if (bases[i].prefix == prefix)
			return &bases[i];
	return NULL;
}

/* The value of a character, or -1. */
static int digit(const struct base *b, char c)
{
	const char *at;

	if (!c)
		return -1;
	at = strchr(b->digits, c);
	if (!at && b->any_case && c >= 'a' && c <= 'z')
		at = strchr(b->digits, c - 'a' + 'A');
	if (!at && b->any_case && c >= 'A' && c <= 'Z')
		at = strchr(b->digits, c - 'A' + 'a');
	return at ? (int)(at - b->digits) : -1;
}

static int decode_bits(const struct base *b, uint8_t *out, size_t max, const char *text,
		       size_t len)
{
	uint32_t held = 0;
	unsigned n_held = 0;
	size_t n = 0;

	if (b->padded) {
		if (len % 4)
			return ERR_MALFORMED;
		for (int i = 0; i < 2 && len && text[len - 1] == '='; i++)
			len--;
	}
	for (size_t i = 0; i < len; i++) {
		int v = digit(b, text[i]);
		if (v < 0)
			return ERR_MALFORMED;
		held = held << b->bits | (uint32_t)v;
		n_held += b->bits;
		if (n_held < 8)
			continue;
		n_held -= 8;
		if (n == max)
			return -EFBIG;
		out[n++] = (uint8_t)(held >> n_held);
		held &= (1u << n_held) - 1;
	}
	/* Of the last character only bits that fill the byte are left, all zero. */
	if (n_held >= b->bits || held)
		return ERR_MALFORMED;
	return (int)n;
}

static int decode_number(const struct base *b, uint8_t *out, size_t max, const char *text,
			 size_t len)
{
	uint8_t number[TEXT_MAX]; /* least significant byte first */
	unsigned radix = (unsigned)strlen(b->digits);
	size_t zeros = 0, n = 0;

	while (zeros < len && text[zeros] == b->digits[0])
		zeros++;
	for (size_t i = zeros; i < len; i++) {
		int v = digit(b, text[i]);
		if (v < 0)
			return ERR_MALFORMED;
		unsigned carry = (unsigned)v;
		for (size_t j = 0; j < n; j++) {
			carry += number[j] * radix;
			number[j] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry)
			number[n++] = (uint8_t)carry; /* radix < 256: one byte at most */
	}
	if (zeros + n > max)
		return -EFBIG;
	memset(out, 0, zeros);
	for (size_t i = 0; i < n; i++)
		out[zeros + i] = number[n - 1 - i];
	return (int)(zeros + n);
}

static int decode(const struct base *b, uint8_t *out, size_t max, const char *text,
		  size_t len)
{
	if (len > TEXT_MAX)
		return ERR_MALFORMED;
	return b->bits ? decode_bits(b, out, max, text, len)
		       : decode_number(b, out, max, text, len);
}

int multibase_decode(uint8_t *out, size_t max, const char *text, size_t len)
{
	if (len == 0)
		return ERR_MALFORMED;

	const struct base *b = base_find(text[0]);
	return b ? decode(b, out, max, text + 1, len - 1) : -ENOTSUP;
}

int base58_decode(uint8_t *out, size_t max, const char *text, size_t len)
{
	return decode(base_find('z'), out, max, text, len);
}

static int encode_bits(const struct base *b, char *out, size_t max, const uint8_t *data,
		       size_t len)
{
	size_t chars = (len * 8 + b->bits - 1) / b->bits;
	uint32_t held = 0;
	unsigned n_held = 0;
	size_t n = 0;

	if (chars >= max)
		return -ENOSPC;
	for (size_t i = 0; i < len; i++) {
		held = held << 8 | data[i];
		for (n_held += 8; n_held >= b->bits;) {
			n_held -= b->bits;
			out[n++] = b->digits[held >> n_held];
			held &= (1u << n_held) - 1;
		}
	}
	if (n_held)
		out[n++] = b->digits[held << (b->bits - n_held)];
	out[n] = '\0';
	return (int)n;
}

static int encode_number(const struct base *b, char *out, size_t max, const uint8_t *data,
			 size_t len)
{
	uint8_t number[TEXT_MAX]; /* digits, least significant first */
	unsigned radix = (unsigned)strlen(b->digits);
	size_t zeros = 0, n = 0;

	while (zeros < len && !data[zeros])
		zeros++;
	for (size_t i = zeros; i < len; i++) {
		unsigned carry = data[i];
		for (size_t j = 0; j < n; j++) {
			carry += (unsigned)number[j] << 8;
			number[j] = (uint8_t)(carry % radix);
			carry /= radix;
		}
		for (; carry; carry /= radix) {
			if (n == sizeof number)
				return -ENOSPC;
			number[n++] = (uint8_t)(carry % radix);
		}
	}
	if (zeros + n >= max)
		return -ENOSPC;
	memset(out, b->digits[0], zeros);
	for (size_t i = 0; i < n; i++)
		out[zeros + i] = b->digits[number[n - 1 - i]];
	out[zeros + n] = '\0';
	return (int)(zeros + n);
}

static int encode(const struct base *b, char *out, size_t max, const void *data,
		  size_t len)
{
	/* Longer text could not be read back. */
	if (len > TEXT_MAX)
		return -ENOSPC;
	return b->bits ? encode_bits(b, out, max, data, len)
		       : encode_number(b, out, max, data, len);
}

int multibase_encode(char *out, size_t max, char base, const void *data, size_t len)
{
	const struct base *b = base_find(base);

	if (!b || b->padded)
		return -ENOTSUP;
	if (max < 2)
		return -ENOSPC;
	int r = encode(b, out + 1, max - 1, data, len);
	if (r < 0)
		return r;
	out[0] = base;
	return r + 1;
}

int base58_encode(char *out, size_t max, const void *data, size_t len)
{
	return encode(base_find('z'), out, max, data, len);
}
