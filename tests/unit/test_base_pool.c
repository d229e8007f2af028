#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/clock.h"
#include "core/base/pool.h"

enum { TASKS = 1000 };

struct work {
	unsigned threads;
	unsigned runs[TASKS];           /* each written by the one thread that has the task */
	atomic_uint busy[64];           /* threads inside a worker number */
	atomic_uint clashes;
};

static void count(void *arg, size_t task, unsigned worker)
{
	struct work *w = arg;
	if (worker >= w->threads || atomic_fetch_add(&w->busy[worker], 1) != 0)
		atomic_fetch_add(&w->clashes, 1);
	w->runs[task]++;
	atomic_fetch_sub(&w->busy[worker], 1);
}

static void each_task_once(void **state)
{
	(void)state;
	static const unsigned threads[] = { 1, 2, 3, 8 };
	for (size_t t = 0; t < 4; t++) {
		struct pb_pool *pool;
		struct work w = { .threads = threads[t] };
		assert_int_equal(pb_pool_new(&pool, threads[t], NULL), PB_OK);
		assert_int_equal(pb_pool_threads(pool), threads[t]);
		for (unsigned job = 0; job < 200; job++)
			pb_pool_run(pool, job % 2 ? TASKS : job, count, &w);
		pb_pool_free(pool);
		for (unsigned i = 0; i < TASKS; i++) {
			/* 100 full jobs, and the even jobs larger than i */
			unsigned expected = 100;
			for (unsigned job = 0; job < 200; job += 2)
				expected += job > i;
			assert_int_equal(w.runs[i], expected);
		}
		assert_int_equal(w.clashes, 0);
	}
}

static void in_order(void *arg, size_t task, unsigned worker)
{
	size_t *next = arg;
	assert_int_equal(task, *next);
	assert_int_equal(worker, 0);
	++*next;
}

static void no_pool_is_in_order(void **state)
{
	(void)state;
	size_t next = 0;
	pb_pool_run(NULL, 50, in_order, &next);
	assert_int_equal(next, 50);
	next = 0;
	pb_pool_each(NULL, in_order, &next);
	assert_int_equal(next, 1);
	assert_int_equal(pb_pool_threads(NULL), 1);
	pb_pool_free(NULL);
}

struct nest {
	struct pb_pool *pool;
	unsigned threads;
	atomic_uint runs;
	atomic_uint clashes;
};

struct level {
	struct nest *nest;
	unsigned depth;
	atomic_uint busy[64];           /* threads inside a worker number, in this run */
};

static void descend(void *arg, size_t task, unsigned worker)
{
	struct level *l = arg;
	if (worker >= l->nest->threads || atomic_fetch_add(&l->busy[worker], 1) != 0)
		atomic_fetch_add(&l->nest->clashes, 1);
	atomic_fetch_add(&l->nest->runs, 1);
	if (l->depth > 1) {
		struct level below = { .nest = l->nest, .depth = l->depth - 1 };
		pb_pool_run(l->nest->pool, task % 7, descend, &below);
	}
	atomic_fetch_sub(&l->busy[worker], 1);
}

static unsigned runs_below(size_t tasks, unsigned depth)
{
	unsigned n = 0;
	for (size_t i = 0; i < tasks; i++)
		n += 1 + (depth > 1 ? runs_below(i % 7, depth - 1) : 0);
	return n;
}

static void tasks_run_tasks(void **state)
{
	(void)state;
	static const unsigned threads[] = { 1, 2, 3, 8 };
	for (size_t t = 0; t < 4; t++) {
		struct nest n = { .threads = threads[t] };
		unsigned expected = 0;
		assert_int_equal(pb_pool_new(&n.pool, threads[t], NULL), PB_OK);
		for (unsigned job = 0; job < 100; job++) {
			struct level top = { .nest = &n, .depth = 1 + job % 4 };
			pb_pool_run(n.pool, job, descend, &top);
			expected += runs_below(job, 1 + job % 4);
		}
		pb_pool_free(n.pool);
		assert_int_equal(n.runs, expected);
		assert_int_equal(n.clashes, 0);
	}
}

struct help {
	struct pb_pool *pool;
	pthread_barrier_t barrier;
	size_t caller;                  /* the outer task that asks for help */
	atomic_uint met;
};

static void meet_all(void *arg, size_t task, unsigned worker)
{
	struct help *h = arg;
	(void)task;
	(void)worker;
	pthread_barrier_wait(&h->barrier);
	atomic_fetch_add(&h->met, 1);
}

static void ask(void *arg, size_t task, unsigned worker)
{
	struct help *h = arg;
	(void)worker;
	if (task == h->caller)
		pb_pool_run(h->pool, 4, meet_all, h);
}

/* The barrier lets nobody through unless all four threads are in the inner run. */
static void idle_threads_help(void **state)
{
	(void)state;
	struct help h = { 0 };
	assert_int_equal(pb_pool_new(&h.pool, 4, NULL), PB_OK);
	pthread_barrier_init(&h.barrier, NULL, 4);
	for (int i = 0; i < 100; i++) {
		h.caller = (size_t)i % 5;
		pb_pool_run(h.pool, 5, ask, &h);
	}
	pb_pool_free(h.pool);
	pthread_barrier_destroy(&h.barrier);
	assert_int_equal(h.met, 400);
}

static unsigned threads_of_process(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/task");
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void one_thread_is_the_caller(void **state)
{
	(void)state;
	struct pb_pool *pool;
	unsigned before = threads_of_process();
	size_t next = 0;
	assert_int_equal(pb_pool_new(&pool, 1, NULL), PB_OK);
	assert_int_equal(threads_of_process(), before);
	pb_pool_run(pool, 10, in_order, &next);
	assert_int_equal(next, 10);
	pb_pool_free(pool);
	assert_int_equal(pb_pool_new(&pool, 3, NULL), PB_OK);
	assert_int_equal(threads_of_process(), before + 2);
	pb_pool_free(pool);
}

struct meeting {
	pthread_barrier_t barrier;
	atomic_uint seen[8];
	pthread_t ids[8];
};

static void meet(void *arg, size_t task, unsigned worker)
{
	struct meeting *m = arg;
	if (task == worker)
		atomic_fetch_add(&m->seen[worker], 1);
	m->ids[worker] = pthread_self();
	pthread_barrier_wait(&m->barrier);
}

/* The barrier lets nobody through unless all threads are inside fn together. */
static void each_runs_all_threads_together(void **state)
{
	(void)state;
	struct pb_pool *pool;
	struct meeting m = { 0 };
	assert_int_equal(pb_pool_new(&pool, 8, NULL), PB_OK);
	pthread_barrier_init(&m.barrier, NULL, 8);
	for (int i = 0; i < 20; i++)
		pb_pool_each(pool, meet, &m);
	pb_pool_free(pool);
	pthread_barrier_destroy(&m.barrier);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(m.seen[i], 20);
		for (int j = 0; j < i; j++)
			assert_false(pthread_equal(m.ids[i], m.ids[j]));
	}
	assert_true(pthread_equal(m.ids[0], pthread_self()));
}

static void is_signal_blocked(void *arg, size_t task, unsigned worker)
{
	sigset_t set;
	(void)task;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	((int *)arg)[worker] = sigismember(&set, SIGINT);
}

static void signals_go_to_the_caller(void **state)
{
	(void)state;
	struct pb_pool *pool;
	int blocked[2] = { -1, -1 };
	assert_int_equal(pb_pool_new(&pool, 2, NULL), PB_OK);
	pb_pool_each(pool, is_signal_blocked, blocked);
	pb_pool_free(pool);
	assert_int_equal(blocked[0], 0);
	assert_int_equal(blocked[1], 1);
}

static void refuses_no_threads(void **state)
{
	(void)state;
	struct pb_pool *pool = NULL;
	struct pb_error err;
	assert_int_equal(pb_pool_new(&pool, 0, &err), PB_USAGE);
	assert_null(pool);
	assert_in_range(pb_cpu_count(), 1, 1 << 20);
}

static void clocks(void **state)
{
	(void)state;
	char utc[32];
	double a = pb_clock_seconds(), b = pb_clock_seconds();
	assert_true(b >= a && b - a < 10);
	pb_clock_utc(utc);
	assert_int_equal(strlen(utc), 20);
	assert_int_equal(utc[4], '-');
	assert_int_equal(utc[10], 'T');
	assert_int_equal(utc[19], 'Z');
	assert_in_range(atoi(utc), 2024, 2200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_task_once),
		cmocka_unit_test(no_pool_is_in_order),
		cmocka_unit_test(tasks_run_tasks),
		cmocka_unit_test(idle_threads_help),
		cmocka_unit_test(one_thread_is_the_caller),
		cmocka_unit_test(each_runs_all_threads_together),
		cmocka_unit_test(signals_go_to_the_caller),
		cmocka_unit_test(refuses_no_threads),
		cmocka_unit_test(clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
