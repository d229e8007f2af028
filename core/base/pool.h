/* A pool of threads that runs numbered tasks. A task's result may depend on its number and never
 * on the thread that runs it; the split of work into tasks is fixed by the caller from sizes
 * alone, so results are the same bits for any number of threads. */
#ifndef PB_CORE_BASE_POOL_H
#define PB_CORE_BASE_POOL_H

#include <stddef.h>
#include "core/base/status.h"

struct pb_pool;

/* task: 0..n-1; worker: 0..pb_pool_threads-1, for scratch memory only. */
typedef void (*pb_task_fn)(void *arg, size_t task, unsigned worker);

enum pb_status pb_pool_new(struct pb_pool **out, unsigned threads, struct pb_error *err) PB_MUST_CHECK; /* threads >= 1; the caller is one of them */
void pb_pool_free(struct pb_pool *pool);                    /* NULL is fine */
unsigned pb_pool_threads(const struct pb_pool *pool);       /* 1 for NULL */

/* Runs fn for every task; returns when all are done. NULL pool: in the calling thread, in order. A task may itself run tasks in its
 * pool (not those of pb_pool_each): threads that have nothing else to do help it. Otherwise one caller at a time. */
void pb_pool_run(struct pb_pool *pool, size_t n_tasks, pb_task_fn fn, void *arg);

/* Runs fn once in each thread of the pool at the same time (task = worker), for per-thread counters. */
void pb_pool_each(struct pb_pool *pool, pb_task_fn fn, void *arg);

unsigned pb_cpu_count(void);                                /* usable by this process (affinity), >= 1 */

#endif
