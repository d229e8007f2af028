/* Memory. Allocation goes through here so that every failure is an error with a name and so
 * that PB_TEST_FAIL_ALLOC=n (the n-th allocation of the process fails, counted from 1) can
 * prove it. Sizes are overflow-checked. An arena frees everything at once. */
#ifndef PB_CORE_BASE_MEMORY_H
#define PB_CORE_BASE_MEMORY_H

#include <stddef.h>
#include "core/base/status.h"

/* NULL when memory is out, when count * size overflows, or by PB_TEST_FAIL_ALLOC. Zero bytes give a valid pointer. */
void *pb_alloc(size_t count, size_t size);          /* not cleared */
void *pb_alloc_zero(size_t count, size_t size);
void *pb_alloc_aligned(size_t count, size_t size);  /* 64-byte aligned, not cleared; freed by pb_free */
void *pb_realloc(void *p, size_t count, size_t size);
char *pb_strdup(const char *s);
char *pb_strndup(const char *s, size_t n);
void pb_free(void *p);                              /* NULL is fine */

/* For `return pb_out_of_memory(err, "what was being made")`. */
enum pb_status pb_out_of_memory(struct pb_error *err, const char *what);

/* A growing region; single-threaded. All pointers live until pb_arena_free. */
struct pb_arena;
struct pb_arena *pb_arena_new(void);                /* NULL when memory is out */
void pb_arena_free(struct pb_arena *arena);         /* NULL is fine */
void *pb_arena_alloc(struct pb_arena *arena, size_t count, size_t size); /* 16-byte aligned, cleared; NULL when out */
char *pb_arena_strdup(struct pb_arena *arena, const char *s);
char *pb_arena_strndup(struct pb_arena *arena, const char *s, size_t n);
char *pb_arena_printf(struct pb_arena *arena, const char *format, ...) PB_PRINTF(2, 3);

#endif
