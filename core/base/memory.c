#include "core/base/memory.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)1 << 21)

static pthread_once_t fail_once = PTHREAD_ONCE_INIT;
static unsigned long long fail_at;      /* 0: never; written once, before any reader */
static atomic_ullong allocations;       /* counted only while fail_at is set */

static void read_fail_at(void)
{
	const char *s = getenv("PB_TEST_FAIL_ALLOC");
	if (s != NULL)
		fail_at = strtoull(s, NULL, 10);
}

static bool fails_now(void)
{
	pthread_once(&fail_once, read_fail_at);
	return fail_at != 0 && atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed) + 1 == fail_at;
}

/* Bytes of count * size, at least 1; 0 when it overflows or is more than an object may have. */
static size_t bytes_of(size_t count, size_t size)
{
	size_t n;
	if (__builtin_mul_overflow(count, size, &n) || n > PTRDIFF_MAX)
		return 0;
	return n == 0 ? 1 : n;
}

void *pb_alloc(size_t count, size_t size)
{
	size_t n = bytes_of(count, size);
	return n == 0 || fails_now() ? NULL : malloc(n);
}

void *pb_alloc_zero(size_t count, size_t size)
{
	size_t n = bytes_of(count, size);
	return n == 0 || fails_now() ? NULL : calloc(1, n);
}

void *pb_alloc_aligned(size_t count, size_t size)
{
	size_t n = bytes_of(count, size);
	void *p = NULL;
	size_t alignment = n < HUGE_PAGE ? 64 : HUGE_PAGE;
	if (n == 0 || n > PTRDIFF_MAX - alignment || fails_now() || posix_memalign(&p, alignment, n) != 0)
		return NULL;
	if (n >= HUGE_PAGE)
		(void)madvise(p, n, MADV_HUGEPAGE); /* a wish: refused, all works as well with small pages */
	return p;
}

void *pb_realloc(void *p, size_t count, size_t size)
{
	size_t n = bytes_of(count, size);
	return n == 0 || fails_now() ? NULL : realloc(p, n);
}

char *pb_strdup(const char *s)
{
	return pb_strndup(s, strlen(s));
}

char *pb_strndup(const char *s, size_t n)
{
	n = strnlen(s, n);
	char *copy = pb_alloc(n + 1, 1);
	if (copy != NULL) {
		memcpy(copy, s, n);
		copy[n] = '\0';
	}
	return copy;
}

void pb_free(void *p)
{
	free(p);
}

enum pb_status pb_out_of_memory(struct pb_error *err, const char *what)
{
	return pb_fail(err, PB_MEMORY, "%s: out of memory", what);
}

/* An arena is a list of chunks. A request that would leave a large part of a fresh chunk unused gets a chunk of its own,
 * put behind the current one, so that the current one stays in use. */
#define CHUNK_BYTES 65536
#define LARGE_BYTES (CHUNK_BYTES / 4)

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

struct pb_arena {
	struct chunk *chunks;
};

struct pb_arena *pb_arena_new(void)
{
	return pb_alloc_zero(1, sizeof(struct pb_arena));
}

void pb_arena_free(struct pb_arena *arena)
{
	if (arena == NULL)
		return;
	for (struct chunk *c = arena->chunks, *next; c != NULL; c = next) {
		next = c->next;
		pb_free(c);
	}
	pb_free(arena);
}

/* Chunks come cleared, so what is handed out is cleared. */
static struct chunk *new_chunk(size_t size)
{
	struct chunk *c = size > PTRDIFF_MAX - sizeof *c ? NULL : pb_alloc_zero(1, sizeof *c + size);
	if (c != NULL)
		c->size = size;
	return c;
}

void *pb_arena_alloc(struct pb_arena *arena, size_t count, size_t size)
{
	size_t n = bytes_of(count, size);
	if (n == 0 || n > PTRDIFF_MAX - 16)
		return NULL;
	n = (n + 15) & ~(size_t)15;
	struct chunk *c = arena->chunks;
	if (c == NULL || n > c->size - c->used) {
		bool large = n > LARGE_BYTES;
		struct chunk *fresh = new_chunk(large ? n : CHUNK_BYTES);
		if (fresh == NULL)
			return NULL;
		if (large && c != NULL) {
			fresh->next = c->next;
			c->next = fresh;
		} else {
			fresh->next = c;
			arena->chunks = fresh;
		}
		c = fresh;
	}
	void *p = c->bytes + c->used;
	c->used += n;
	return p;
}

char *pb_arena_strdup(struct pb_arena *arena, const char *s)
{
	return pb_arena_strndup(arena, s, strlen(s));
}

char *pb_arena_strndup(struct pb_arena *arena, const char *s, size_t n)
{
	n = strnlen(s, n);
	char *copy = pb_arena_alloc(arena, n + 1, 1);
	if (copy != NULL)
		memcpy(copy, s, n);
	return copy;
}

char *pb_arena_printf(struct pb_arena *arena, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	char *text = n < 0 ? NULL : pb_arena_alloc(arena, (size_t)n + 1, 1);
	if (text != NULL)
		vsnprintf(text, (size_t)n + 1, format, again);
	va_end(again);
	return text;
}
