#include "tools/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *bytes_text(uint64_t n, char out[16])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)n;
	int u = 0;

	while (v >= 999.5 && u < 6) {
		v /= 1000;
		u++;
	}
	snprintf(out, 16, v < 9.95 && u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return out;
}

void progress_begin(struct progress *p, const char *what)
{
	*p = (struct progress){ .what = what, .unit = "files", .shown = isatty(STDERR_FILENO), .started = now() };
}

void progress_at(struct progress *p, uint64_t files, uint64_t bytes, uint64_t total)
{
	char done[16], all[16], rate[16];
	double t = now();

	if (!p->shown || t - p->last < 0.2)
		return;
	p->last = t;
	p->drawn = true;
	double passed = t - p->started;
	double speed = passed > 0 ? (double)bytes / passed : 0;
	fprintf(stderr, "\r\033[K%s %llu %s, %s", p->what, (unsigned long long)files,
		p->unit, bytes_text(bytes, done));
	if (total > bytes) {
		double left = speed > 0 ? (double)(total - bytes) / speed : 0;
		fprintf(stderr, " of %s (%d %%)", bytes_text(total, all),
			(int)((double)bytes * 100 / (double)total));
		if (speed > 0 && left < 359999)
			fprintf(stderr, ", %d:%02d left", (int)left / 60, (int)left % 60);
	}
	fprintf(stderr, ", %s/s", bytes_text((uint64_t)speed, rate));
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		fprintf(stderr, "\r\033[K");
	p->drawn = false;
}
