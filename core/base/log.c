#include "core/base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/text.h"

static atomic_int log_verbosity;
static atomic_int log_file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;        /* of stderr, and of before_line */
static void (*before_line)(void);

void pb_log_setup(int verbosity)
{
	atomic_store(&log_verbosity, verbosity);
	const char *path = getenv("PB_LOG");
	if (path == NULL || path[0] == '\0' || atomic_load(&log_file) >= 0)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		pb_log(PB_LOG_WARNING, "%s: cannot open the log of PB_LOG", path);
	else
		atomic_store(&log_file, fd);
}

static void write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done <= 0)
			return;
		p += done;
		n -= (size_t)done;
	}
}

/* A line for people. Names of files and the like may hold anything; no control character reaches the terminal. */
static void print_line(enum pb_level level, const char *text)
{
	struct pb_text t = { 0 };
	pb_text_string(&t, "paretobench: ");
	if (level == PB_LOG_WARNING)
		pb_text_string(&t, "warning: ");
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\n')
			pb_text_string(&t, "\n  ");
		else
			pb_text_char(&t, (unsigned char)*p < 0x20 || *p == 0x7F ? '?' : *p);
	}
	pb_text_char(&t, '\n');
	pthread_mutex_lock(&lock);
	if (before_line != NULL)
		before_line();
	if (t.failed) {
		write_all(STDERR_FILENO, text, strlen(text));
		write_all(STDERR_FILENO, "\n", 1);
	} else {
		write_all(STDERR_FILENO, t.data, t.length);
	}
	pthread_mutex_unlock(&lock);
	pb_text_free(&t);
}

static void write_record(int fd, enum pb_level level, const char *text)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char utc[32];
	struct pb_text t = { 0 };
	pb_clock_utc(utc);
	pb_text_printf(&t, "{\"utc\":\"%s\",\"seconds\":%.6f,\"level\":\"%s\",\"pid\":%ld,\"event\":\"", utc, pb_clock_seconds(), names[level], (long)getpid());
	for (const char *p = text, *end = text + strlen(text); p < end;) {
		uint32_t c = pb_utf8_next(&p, end);
		if (c == '"' || c == '\\') {
			pb_text_char(&t, '\\');
			pb_text_char(&t, (char)c);
		} else if (c < 0x20) {
			pb_text_printf(&t, "\\u%04x", (unsigned)c);
		} else {
			char bytes[4];
			pb_text_bytes(&t, bytes, pb_utf8_put(bytes, c));
		}
	}
	pb_text_string(&t, "\"}\n");
	if (!t.failed)
		write_all(fd, t.data, t.length);
	pb_text_free(&t);
}

static bool shown(enum pb_level level)
{
	return (int)level <= atomic_load_explicit(&log_verbosity, memory_order_relaxed) + 1;
}

static void put(enum pb_level level, const char *text)
{
	int fd = atomic_load_explicit(&log_file, memory_order_relaxed);
	if (shown(level))
		print_line(level, text);
	if (fd >= 0)
		write_record(fd, level, text);
}

void pb_log(enum pb_level level, const char *format, ...)
{
	if (!shown(level) && atomic_load_explicit(&log_file, memory_order_relaxed) < 0)
		return;
	struct pb_text t = { 0 };
	va_list args;
	va_start(args, format);
	pb_text_vprintf(&t, format, args);
	va_end(args);
	put(level, t.failed ? "out of memory for a message" : pb_text_c(&t));
	pb_text_free(&t);
}

void pb_log_failure(const struct pb_error *err)
{
	put(PB_LOG_ERROR, err->text);
}

void pb_log_before(void (*hook)(void))
{
	pthread_mutex_lock(&lock);
	before_line = hook;
	pthread_mutex_unlock(&lock);
}
