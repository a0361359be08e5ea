/*
 * One line per event worth telling the person who runs the daemon, on standard
 * error.  What a peer can cause is logged at debug level, or limited by its
 * caller: a stranger must not fill a disk.
 */
#ifndef STORE_LOG_H
#define STORE_LOG_H

enum log_level { LOG_NONE = -1, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* What is shown: set once at the start (default LOG_WARN; CAIRN_LOG in tools). */
void log_set_level(enum log_level level);

/* printf-like, without a newline.  Control characters are shown escaped. */
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#endif
