#include "core/base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/memory.h"

/* Looks at the other side's counter before sleeping. Short: a spinning thread on a busy machine takes time from the one it waits for. */
#define SPINS 2000

/* A run from inside of a task, in its caller's frame. */
struct inner {
	_Alignas(64) atomic_size_t next;        /* next task to hand out */
	_Alignas(64) atomic_uint helpers;       /* threads in it beside its caller; raised under the lock, while it is in the list */
	pb_task_fn fn;
	void *arg;
	size_t n_tasks;
	struct inner *after;
};

/* One outer job at a time. The caller writes the job's fields, then raises `generation`; a worker that sees the new value sees the
 * fields. Each worker lowers `running` once a job, also when no task was left for it; the job is over at 0. Threads that wait, for
 * a job or for its end, help with inner runs: whoever takes the last task of one takes it off the list, so that a list that is
 * not empty is work to do. A helper is in an inner run only while that run's caller is in a task of the outer job, so it is
 * free when the next one begins. */
struct pb_pool {
	_Alignas(64) atomic_size_t next;        /* next task to hand out */
	_Alignas(64) atomic_uint running;
	_Alignas(64) atomic_uint generation;
	pb_task_fn fn;
	void *arg;
	size_t n_tasks;
	bool each;                              /* fn once in each thread, in place of handing out tasks */
	bool stop;
	unsigned threads, started;              /* threads counts the caller; started does not */
	_Atomic(struct inner *) inner;          /* the list; changed under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake, done;              /* of workers without a job; of callers, for helpers too */
	struct worker {
		struct pb_pool *pool;
		pthread_t id;
		unsigned number;
	} *workers;
};

/* The pool that this thread works for at the moment, and as which of its threads. */
static _Thread_local struct place {
	const struct pb_pool *pool;
	unsigned worker;
} here;

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static void work(struct pb_pool *pool, unsigned worker)
{
	if (pool->each) {
		pool->fn(pool->arg, worker, worker);
		return;
	}
	for (;;) {
		size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
		if (task >= pool->n_tasks)
			return;
		pool->fn(pool->arg, task, worker);
	}
}

static void take_off(struct pb_pool *pool, const struct inner *run)
{
	struct inner *before = NULL, *at;

	pthread_mutex_lock(&pool->lock);
	for (at = atomic_load_explicit(&pool->inner, memory_order_relaxed); at != run; at = at->after)
		before = at;
	if (before)
		before->after = run->after;
	else
		atomic_store_explicit(&pool->inner, run->after, memory_order_relaxed);
	pthread_mutex_unlock(&pool->lock);
}

static void work_inner(struct pb_pool *pool, struct inner *run, unsigned worker)
{
	for (;;) {
		size_t task = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed);
		if (task >= run->n_tasks)
			return;
		if (task + 1 == run->n_tasks)
			take_off(pool, run);
		run->fn(run->arg, task, worker);
	}
}

static bool is_help_wanted(const struct pb_pool *pool)
{
	return atomic_load_explicit(&pool->inner, memory_order_relaxed) != NULL;
}

static void help(struct pb_pool *pool, unsigned worker)
{
	struct inner *run;

	pthread_mutex_lock(&pool->lock);
	run = atomic_load_explicit(&pool->inner, memory_order_relaxed);
	if (run)
		atomic_fetch_add_explicit(&run->helpers, 1, memory_order_relaxed);
	pthread_mutex_unlock(&pool->lock);
	if (!run)
		return;
	work_inner(pool, run, worker);
	/* At 0 the run may be gone. */
	pthread_mutex_lock(&pool->lock);
	if (atomic_fetch_sub_explicit(&run->helpers, 1, memory_order_release) == 1)
		pthread_cond_broadcast(&pool->done);
	pthread_mutex_unlock(&pool->lock);
}

static void run_inner(struct pb_pool *pool, size_t n_tasks, pb_task_fn fn, void *arg, unsigned worker)
{
	struct inner run = { .fn = fn, .arg = arg, .n_tasks = n_tasks };

	pthread_mutex_lock(&pool->lock);
	run.after = atomic_load_explicit(&pool->inner, memory_order_relaxed);
	atomic_store_explicit(&pool->inner, &run, memory_order_relaxed);
	pthread_cond_broadcast(&pool->wake);
	pthread_cond_broadcast(&pool->done);
	pthread_mutex_unlock(&pool->lock);
	work_inner(pool, &run, worker);
	for (int i = 0; i < SPINS && atomic_load_explicit(&run.helpers, memory_order_acquire) != 0; i++)
		relax();
	pthread_mutex_lock(&pool->lock);
	while (atomic_load_explicit(&run.helpers, memory_order_acquire) != 0)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

static bool is_idle(const struct pb_pool *pool, unsigned seen)
{
	return atomic_load_explicit(&pool->generation, memory_order_acquire) == seen && !is_help_wanted(pool);
}

static void *worker_main(void *arg)
{
	struct worker *self = arg;
	struct pb_pool *pool = self->pool;
	unsigned seen = 0;
	here = (struct place){ pool, self->number };
	for (;;) {
		for (int i = 0; i < SPINS && is_idle(pool, seen); i++)
			relax();
		if (is_idle(pool, seen)) {
			pthread_mutex_lock(&pool->lock);
			while (is_idle(pool, seen))
				pthread_cond_wait(&pool->wake, &pool->lock);
			pthread_mutex_unlock(&pool->lock);
		}
		if (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen) {
			help(pool, self->number);
			continue;
		}
		seen++;
		if (pool->stop)
			return NULL;
		work(pool, self->number);
		if (atomic_fetch_sub_explicit(&pool->running, 1, memory_order_acq_rel) == 1) {
			pthread_mutex_lock(&pool->lock);
			pthread_cond_broadcast(&pool->done);
			pthread_mutex_unlock(&pool->lock);
		}
	}
}

static void start(struct pb_pool *pool)
{
	atomic_store_explicit(&pool->running, pool->started, memory_order_relaxed);
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}

static bool is_over(const struct pb_pool *pool)
{
	return atomic_load_explicit(&pool->running, memory_order_acquire) == 0;
}

static void run(struct pb_pool *pool)
{
	struct place before = here;

	here = (struct place){ pool, 0 };
	start(pool);
	work(pool, 0);
	while (!is_over(pool)) {
		for (int i = 0; i < SPINS && !is_over(pool) && !is_help_wanted(pool); i++)
			relax();
		if (is_help_wanted(pool)) {
			help(pool, 0);
			continue;
		}
		pthread_mutex_lock(&pool->lock);
		while (!is_over(pool) && !is_help_wanted(pool))
			pthread_cond_wait(&pool->done, &pool->lock);
		pthread_mutex_unlock(&pool->lock);
	}
	here = before;
}

enum pb_status pb_pool_new(struct pb_pool **out, unsigned threads, struct pb_error *err)
{
	if (threads < 1)
		return pb_fail(err, PB_USAGE, "threads: 0 is out of range: at least 1");
	struct pb_pool *pool = pb_alloc_aligned(1, sizeof *pool);
	struct worker *workers = pb_alloc_zero(threads, sizeof *workers);
	if (pool == NULL || workers == NULL) {
		pb_free(pool);
		pb_free(workers);
		return pb_out_of_memory(err, "thread pool");
	}
	memset(pool, 0, sizeof *pool);
	pool->threads = threads;
	pool->workers = workers;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pthread_cond_init(&pool->done, NULL);

	/* Signals go to the program's own thread. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failure = 0;
	for (unsigned i = 1; i < threads && failure == 0; i++) {
		workers[i] = (struct worker){ .pool = pool, .number = i };
		failure = pthread_create(&workers[i].id, NULL, worker_main, &workers[i]);
		if (failure == 0)
			pool->started++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failure != 0) {
		pb_pool_free(pool);
		return pb_fail(err, PB_LIMIT, "thread pool: cannot start %u threads: %s", threads, strerror(failure));
	}
	*out = pool;
	return PB_OK;
}

void pb_pool_free(struct pb_pool *pool)
{
	if (pool == NULL)
		return;
	pool->stop = true;
	if (pool->started > 0)
		start(pool);
	for (unsigned i = 1; i <= pool->started; i++)
		pthread_join(pool->workers[i].id, NULL);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	pb_free(pool->workers);
	pb_free(pool);
}

unsigned pb_pool_threads(const struct pb_pool *pool)
{
	return pool == NULL ? 1 : pool->threads;
}

void pb_pool_run(struct pb_pool *pool, size_t n_tasks, pb_task_fn fn, void *arg)
{
	unsigned worker = pool != NULL && here.pool == pool ? here.worker : 0;
	if (pool == NULL || pool->started == 0 || n_tasks <= 1) {
		for (size_t i = 0; i < n_tasks; i++)
			fn(arg, i, worker);
		return;
	}
	if (here.pool == pool) {
		run_inner(pool, n_tasks, fn, arg, worker);
		return;
	}
	pool->fn = fn;
	pool->arg = arg;
	pool->n_tasks = n_tasks;
	pool->each = false;
	atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
	run(pool);
}

void pb_pool_each(struct pb_pool *pool, pb_task_fn fn, void *arg)
{
	if (pool == NULL || pool->started == 0) {
		fn(arg, 0, 0);
		return;
	}
	pool->fn = fn;
	pool->arg = arg;
	pool->each = true;
	run(pool);
}

unsigned pb_cpu_count(void)
{
	/* The kernel refuses a set smaller than its own, so the set grows until it is taken. */
	for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC((size_t)cpus);
		if (set == NULL)
			return 1;
		size_t size = CPU_ALLOC_SIZE((size_t)cpus);
		int failed = sched_getaffinity(0, size, set), why = errno;
		int n = failed ? 0 : CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (!failed)
			return n < 1 ? 1 : (unsigned)n;
		if (why != EINVAL)
			return 1;
	}
	return 1;
}
