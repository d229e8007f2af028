#include "core/base/status.h"

#include <stdio.h>
#include <string.h>

/* Puts a formatted text into err, cut at a UTF-8 boundary. It is made aside first, since an argument may be err's own text. */
static void set_text(struct pb_error *err, const char *text)
{
	size_t n = strlen(text);
	if (n >= PB_ERROR_TEXT) {
		n = PB_ERROR_TEXT - 1;
		while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
			n--;
	}
	memcpy(err->text, text, n);
	err->text[n] = '\0';
}

enum pb_status pb_fail(struct pb_error *err, enum pb_status status, const char *format, ...)
{
	if (err != NULL) {
		char text[PB_ERROR_TEXT + 4];
		va_list args;
		va_start(args, format);
		if (vsnprintf(text, sizeof text, format, args) < 0)
			text[0] = '\0';
		va_end(args);
		set_text(err, text);
		err->status = status;
	}
	return status;
}

enum pb_status pb_fail_prefix(struct pb_error *err, const char *format, ...)
{
	if (err == NULL)
		return PB_FAILED;
	char text[2 * PB_ERROR_TEXT + 4];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, PB_ERROR_TEXT, format, args);
	va_end(args);
	size_t length = n < 0 ? 0 : (size_t)n < PB_ERROR_TEXT ? (size_t)n : PB_ERROR_TEXT - 1;
	snprintf(text + length, sizeof text - length, ": %s", err->text);
	set_text(err, text);
	return err->status;
}

const char *pb_status_name(enum pb_status status)
{
	switch (status) {
	case PB_OK: return "ok";
	case PB_USAGE: return "usage";
	case PB_FORMAT: return "format";
	case PB_IO: return "io";
	case PB_MEMORY: return "memory";
	case PB_NUMERIC: return "numeric";
	case PB_UNSUPPORTED: return "unsupported";
	case PB_MISSING: return "missing";
	case PB_LIMIT: return "limit";
	case PB_INTERRUPTED: return "interrupted";
	case PB_FAILED: break;
	}
	return "failed";
}

int pb_status_exit(enum pb_status status)
{
	switch (status) {
	case PB_OK: return 0;
	case PB_USAGE: return 2;
	case PB_INTERRUPTED: return 130;
	default: return 1;
	}
}
