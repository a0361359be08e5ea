#include "store/chunker.h"
#include "store/chunker_internal.h"

#include "store/error.h"
#include "store/fastcdc.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define RABIN_AVG     262144 /* of plain "rabin" */
#define RABIN_MIN_MIN 16     /* the window */
#define FASTCDC_MIN_MIN 64   /* so are the bytes that the gear hash sees */

/* A number of at most eight digits, perhaps behind `label` and a colon, which
 * Kubo allows.  Ends at a dash or the end, where *text is left. */
static bool take_number(const char **text, const char *label, uint32_t *out)
{
	const char *p = *text;
	size_t n = strlen(label);
	uint32_t value = 0;

	if (n && !strncmp(p, label, n) && p[n] == ':')
		p += n + 1;
	n = 0;
	while (*p >= '0' && *p <= '9' && n++ < 8)
		value = value * 10 + (uint32_t)(*p++ - '0');
	if (!n || (*p && *p != '-'))
		return false;
	*out = value;
	*text = p;
	return true;
}

static int parse_size(struct chunker *out, const char *p, const char **why)
{
	*why = "size-N takes a number of bytes from 1 to 2096896";
	if (*p++ != '-' || !take_number(&p, "", &out->max) || *p)
		return -EINVAL;
	return out->max && out->max <= CHUNK_MAX ? 0 : -EINVAL;
}

static int parse_rabin(struct chunker *out, const char *p, const char **why)
{
	uint32_t first = RABIN_AVG;

	*why = "rabin takes nothing, -AVG from 48 to 1397931, or -MIN-AVG-MAX";
	if (*p && (*p++ != '-' || !take_number(&p, "min", &first)))
		return -EINVAL;
	if (!*p) {
		/* Below three windows Kubo's chunker never cuts at all. */
		if (first < 3 * RABIN_MIN_MIN || first > CHUNK_MAX)
			return -EINVAL;
		out->min = first / 3;
		out->avg = first;
		out->max = first + first / 2;
		return out->max <= CHUNK_MAX ? 0 : -EINVAL;
	}
	out->min = first;
	if (*p++ != '-' || !take_number(&p, "avg", &out->avg) || *p++ != '-' ||
	    !take_number(&p, "max", &out->max) || *p)
		return -EINVAL;
	*why = "rabin-MIN-AVG-MAX needs 16 <= MIN < AVG < MAX <= 2096896";
	return out->min >= RABIN_MIN_MIN && out->min < out->avg && out->avg < out->max &&
			       out->max <= CHUNK_MAX
		       ? 0
		       : -EINVAL;
}

static int parse_buzhash(struct chunker *out, const char *p, const char **why)
{
	*why = "buzhash takes no numbers";
	out->min = BUZHASH_MIN;
	out->max = BUZHASH_MAX;
	return *p ? -EINVAL : 0;
}

static int parse_fastcdc(struct chunker *out, const char *p, const char **why)
{
	*out = (struct chunker){ CHUNKER_FASTCDC, 64u << 10, 256u << 10, 1u << 20 };
	*why = "fastcdc takes nothing, or -MIN-AVG-MAX with 64 <= MIN < AVG < MAX <= 2096896";
	if (!*p)
		return 0;
	if (*p++ != '-' || !take_number(&p, "", &out->min) || *p++ != '-' ||
	    !take_number(&p, "", &out->avg) || *p++ != '-' || !take_number(&p, "", &out->max) ||
	    *p)
		return -EINVAL;
	return out->min >= FASTCDC_MIN_MIN && out->min < out->avg && out->avg < out->max &&
			       out->max <= CHUNK_MAX
		       ? 0
		       : -EINVAL;
}

static size_t fastcdc_cut(const struct chunker *c, const uint8_t *data, size_t len)
{
	struct fastcdc f;
	bool cut;

	fastcdc_init(&f, c->min, c->avg, c->max);
	return fastcdc_next(&f, data, len, &cut);
}

static const struct {
	const char *name;
	enum chunker_kind kind;
	int (*parse)(struct chunker *out, const char *behind, const char **why);
	size_t (*cut)(const struct chunker *c, const uint8_t *data, size_t len);
} kinds[] = {
	[CHUNKER_SIZE] = { "size", CHUNKER_SIZE, parse_size, NULL },
	[CHUNKER_RABIN] = { "rabin", CHUNKER_RABIN, parse_rabin, rabin_cut },
	[CHUNKER_BUZHASH] = { "buzhash", CHUNKER_BUZHASH, parse_buzhash, buzhash_cut },
	[CHUNKER_FASTCDC] = { "fastcdc", CHUNKER_FASTCDC, parse_fastcdc, fastcdc_cut },
};

int chunker_parse(struct chunker *out, const char *text, const char **why)
{
	size_t n = strcspn(text, "-");

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strlen(kinds[i].name) != n || memcmp(kinds[i].name, text, n))
			continue;
		*out = (struct chunker){ .kind = kinds[i].kind };
		return kinds[i].parse(out, text + n, why);
	}
	*why = "there are size-N, rabin[-MIN-AVG-MAX], buzhash and fastcdc[-MIN-AVG-MAX]";
	return -EINVAL;
}

const char *chunker_text(const struct chunker *c, char out[CHUNKER_TEXT_MAX])
{
	if (c->kind == CHUNKER_SIZE)
		snprintf(out, CHUNKER_TEXT_MAX, "size-%u", c->max);
	else if (c->kind == CHUNKER_BUZHASH)
		snprintf(out, CHUNKER_TEXT_MAX, "buzhash");
	else
		snprintf(out, CHUNKER_TEXT_MAX, "%s-%u-%u-%u", kinds[c->kind].name, c->min,
			 c->avg, c->max);
	return out;
}

size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t len)
{
	if (len > c->max)
		len = c->max;
	return len <= c->min || !kinds[c->kind].cut ? len : kinds[c->kind].cut(c, data, len);
}
