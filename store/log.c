#include "store/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int shown = LOG_WARN;

void log_set_level(enum log_level level)
{
	shown = level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char text[1024], line[1200];
	struct timespec now;
	struct tm tm;
	va_list ap;

	if ((int)level > shown)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* A name from the network may hold terminal escapes. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	int n = snprintf(line, sizeof line, "%02d:%02d:%02d.%03ld %s: %s\n", tm.tm_hour,
			 tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, names[level], text);
	if (n > (int)sizeof line - 1)
		n = sizeof line - 1;
	/* One write, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
