#include "net/kad_size.h"

#include <stdlib.h>

#define NOTES_ENOUGH 3

/* A distance as a part of the whole key space. */
static double part_of(const struct kad_id *d)
{
	double part = 0;

	for (int i = 7; i >= 0; i--)
		part = (part + d->b[i]) / 256;
	return part;
}

void kad_size_note(struct kad_size *s, const struct kad_id *target,
		   const struct kad_contact *nearest, int n)
{
	if (n < KAD_SIZE_FEW)
		return;
	struct kad_id last = kad_distance(target, &nearest[n - 1].id);
	double part = part_of(&last);

	/* The n-th of N evenly spread nodes lies at n / N. */
	if (part > 0)
		s->seen[s->n++ % KAD_SIZE_NOTES] = (n - 1) / part;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double kad_size_nodes(const struct kad_size *s)
{
	double sorted[KAD_SIZE_NOTES];
	unsigned n = s->n < KAD_SIZE_NOTES ? s->n : KAD_SIZE_NOTES;

	if (n < NOTES_ENOUGH)
		return 0;
	memcpy(sorted, s->seen, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, by_value);
	return sorted[n / 2];
}

bool kad_size_radius(const struct kad_size *s, double nodes, struct kad_id *out)
{
	double all = kad_size_nodes(s);

	if (all < 2 * nodes)
		return false;
	uint64_t top = (uint64_t)(nodes / all * 18446744073709551616.0);
	memset(out, 0xff, sizeof *out);
	for (int i = 0; i < 8; i++)
		out->b[i] = (uint8_t)(top >> (56 - 8 * i));
	return true;
}
