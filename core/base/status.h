/* Outcomes. Everything that can fail returns an enum pb_status and, on failure, puts one
 * sentence into the caller's struct pb_error. Out-parameters are untouched on failure.
 * A sentence reads "who: what: why" and ends without a full stop; an optional second line
 * (after '\n') says what to do. `err` may be NULL everywhere. */
#ifndef PB_CORE_BASE_STATUS_H
#define PB_CORE_BASE_STATUS_H

#include <stdarg.h>

enum pb_status {
	PB_OK = 0,
	PB_USAGE,       /* the user asked for something that does not exist or is out of range */
	PB_FORMAT,      /* a file is not what it says it is */
	PB_IO,          /* the system refused: open, read, write, full disk */
	PB_MEMORY,      /* allocation failed */
	PB_NUMERIC,     /* a value is not finite, a sum overflowed */
	PB_UNSUPPORTED, /* understood, and not done by this plugin or build */
	PB_MISSING,     /* a file or data set is not there */
	PB_LIMIT,       /* over a time, memory or size limit */
	PB_INTERRUPTED, /* the user stopped it */
	PB_FAILED       /* anything else */
};

#define PB_ERROR_TEXT 1024

struct pb_error {
	enum pb_status status;
	char text[PB_ERROR_TEXT];
};

#define PB_MUST_CHECK __attribute__((warn_unused_result))
#define PB_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Fills err (when not NULL) and returns `status`, so that `return pb_fail(err, PB_IO, "%s: ...", path);` works. */
enum pb_status pb_fail(struct pb_error *err, enum pb_status status, const char *format, ...) PB_PRINTF(3, 4);

/* Puts "prefix: " in front of the sentence already in err; returns err->status (PB_FAILED when err is NULL). */
enum pb_status pb_fail_prefix(struct pb_error *err, const char *format, ...) PB_PRINTF(2, 3);

/* "ok", "usage", "format", "io", "memory", "numeric", "unsupported", "missing", "limit", "interrupted", "failed" */
const char *pb_status_name(enum pb_status status);

/* The exit code of the program for a status: 0, 2 for usage, 130 for interrupted, else 1. */
int pb_status_exit(enum pb_status status);

#endif
