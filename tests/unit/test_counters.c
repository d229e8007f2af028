/* Counters. A provider that lives only here plays what a machine can do wrong; the page-fault, nap, memory and clock tests run on
 * the machine itself and hold with and without a PMU. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <papi.h>
#include <cmocka.h>

#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/counters/provider.h"

/* What the fake provider does wrong; NULL and 0: nothing. */
static struct {
	int version;                /* what the library's init returns */
	const char *refused;        /* event that cannot be added; "*": all */
	int refused_code, refused_errno;
	const char *zero, *negative, *too_many;
	unsigned most_hardware;     /* in one set; 0: any number */
	bool absent_threads;        /* threads other than the first cannot register */
	int start_code, stop_code;
	pthread_t main_thread;
	unsigned entered, left;
} fake;
static struct pb_counter_facts fake_facts;

struct fake_set {
	const char *events[PB_MAX_QUANTITIES];
	unsigned n, runs;
	double begin;
	long faults;
};

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static long faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_minflt;
}

static bool same(const char *pattern, const char *event)
{
	return pattern && (strcmp(pattern, "*") == 0 || strcmp(pattern, event) == 0);
}

static bool papi_failed(int code, int number, struct pb_why *why)
{
	if (!code)
		return false;
	pb_papi_error(code, number, &fake_facts, why);
	return true;
}

static bool fake_probe(const struct pb_counter_facts *facts, struct pb_why *why)
{
	(void)facts;
	return pb_papi_version_check(fake.version, why);
}

static bool fake_enter(struct pb_why *why)
{
	if (fake.absent_threads && !pthread_equal(pthread_self(), fake.main_thread))
		return pb_because(why, PB_COUNTER_FAILED, "thread is not registered");
	__atomic_fetch_add(&fake.entered, 1, __ATOMIC_RELAXED);
	return true;
}

static void fake_leave(void)
{
	__atomic_fetch_add(&fake.left, 1, __ATOMIC_RELAXED);
}

static bool is_software(const char *event)
{
	return strncmp(event, "perf::", 6) == 0;
}

static bool fake_open(void **set, const char *const *events, unsigned n, struct pb_why *why)
{
	struct fake_set *s;
	unsigned hardware = 0;

	for (unsigned i = 0; i < n; i++) {
		hardware += !is_software(events[i]);
		if (same(fake.refused, events[i]) && papi_failed(fake.refused_code, fake.refused_errno, why))
			return false;
		if (strstr(events[i], "ENERGY") || strstr(events[i], "MAJOR"))
			return !papi_failed(PAPI_ENOEVNT, 0, why);
	}
	if (fake.most_hardware && hardware > fake.most_hardware && papi_failed(PAPI_ECNFLCT, 0, why))
		return false;
	s = pb_alloc_zero(1, sizeof(*s));
	assert_non_null(s);
	memcpy(s->events, events, n * sizeof(events[0]));
	s->n = n;
	*set = s;
	return true;
}

static bool fake_start(void *set, struct pb_why *why)
{
	struct fake_set *s = set;

	s->begin = cpu_seconds();
	s->faults = faults();
	return !papi_failed(fake.start_code, 0, why);
}

static bool fake_stop(void *set, double *values, struct pb_why *why)
{
	struct fake_set *s = set;
	double seconds = cpu_seconds() - s->begin;

	s->runs++;
	for (unsigned i = 0; i < s->n; i++) {
		const char *e = s->events[i];

		if (strcmp(e, "INS") == 0)
			values[i] = 4.0 * PB_PROOF_LOOPS * s->runs;
		else if (strcmp(e, "CYC") == 0)
			values[i] = 0.5 * PB_PROOF_LOOPS * s->runs; /* a believable clock, however fast iterations are */
		else if (strcmp(e, "BR") == 0)
			values[i] = 1.0 * PB_PROOF_LOOPS * s->runs;
		else if (strcmp(e, "perf::TASK-CLOCK") == 0)
			values[i] = 1e9 * seconds;
		else if (strcmp(e, "perf::MINOR-FAULTS") == 0)
			values[i] = (double)(faults() - s->faults);
		else
			values[i] = is_software(e) ? 0 : 7;
		if (same(fake.zero, e))
			values[i] = 0;
		if (same(fake.negative, e))
			values[i] = -values[i] - 1;
		if (same(fake.too_many, e))
			values[i] *= 1e7;
	}
	return !papi_failed(fake.stop_code, 0, why);
}

static void fake_close(void *set)
{
	pb_free(set);
}

static const struct pb_provider fake_provider = {
	.name = "fake", .probe = fake_probe, .enter = fake_enter, .leave = fake_leave, .open = fake_open, .start = fake_start, .stop = fake_stop, .close = fake_close,
};

static const char fake_groups_text[] =
	"[group base] ; title: base\n"
	"event instructions = INS\n"
	"event cycles = NONE | CYC\n"
	"metric ipc \"instructions per cycle\" = instructions / cycles\n"
	"[group branch]\n"
	"event branches = BR\n"
	"event branch_misses = MISS\n";
static struct pb_groups *fake_groups;

static int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.version = PAPI_VER_CURRENT;
	fake.main_thread = pthread_self();
	fake_facts = (struct pb_counter_facts){ .paranoid = 4, .virtual_machine = true };
	assert_int_equal(pb_groups_new(&fake_groups, NULL), PB_OK);
	return pb_groups_parse(fake_groups, "fake.txt", fake_groups_text, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	pb_groups_free(fake_groups);
	return 0;
}

static struct pb_ladder *probe_fake(void)
{
	struct pb_ladder *l = NULL;

	assert_int_equal(pb_ladder_probe(&l, PB_COUNTERS_AUTO, &fake_provider, &pb_os_provider, fake_groups, NULL, NULL), PB_OK);
	return l;
}

static void spin(double seconds)
{
	for (double end = cpu_seconds() + seconds; cpu_seconds() < end;)
		;
}

static void spin_task(void *arg, size_t task, unsigned worker)
{
	(void)task;
	(void)worker;
	spin(*(const double *)arg);
}

static struct pb_reading readings[PB_MAX_READINGS];
static unsigned n_readings;

static const struct pb_reading *reading(const char *name)
{
	for (unsigned i = 0; i < n_readings; i++)
		if (strcmp(readings[i].name, name) == 0)
			return &readings[i];
	fail_msg("no reading %s", name);
	return NULL;
}

/* Only what was measured has a number, anywhere. */
static void check_honest(void)
{
	json_t *json = pb_readings_json(readings, n_readings);

	assert_non_null(json);
	assert_int_equal(json_object_size(json), n_readings);
	for (unsigned i = 0; i < n_readings; i++) {
		const struct pb_reading *r = &readings[i];
		const json_t *one = json_object_get(json, r->name);

		assert_int_equal(json_object_size(one), 9);
		assert_string_equal(json_string_value(json_object_get(one, "status")), pb_counter_status_name(r->status));
		assert_int_equal(isfinite(r->value), r->status == PB_COUNTER_MEASURED);
		assert_int_equal(json_is_number(json_object_get(one, "value")), r->status == PB_COUNTER_MEASURED);
		assert_true(r->status == PB_COUNTER_MEASURED || json_is_null(json_object_get(one, "value")));
		assert_true(r->status == PB_COUNTER_MEASURED || r->note[0]);
	}
	json_decref(json);
}

static double work_seconds = 0.004;

/* Two threads that work so long each, or the calling thread alone. */
static void count(const struct pb_ladder *l, unsigned threads)
{
	struct pb_pool *pool = NULL;
	struct pb_counters *c = NULL;
	double seconds = work_seconds;

	if (threads > 1)
		assert_int_equal(pb_pool_new(&pool, threads, NULL), PB_OK);
	assert_int_equal(pb_region_begin(&c, l, pool, NULL), PB_OK);
	pb_pool_each(pool, spin_task, &seconds);
	n_readings = pb_counters_end(c, readings);
	pb_pool_free(pool);
	check_honest();
}

static void assert_reading(const char *name, enum pb_counter_status status, const char *note)
{
	const struct pb_reading *r = reading(name);

	if (r->status != status || (note && !strstr(r->note, note)))
		fail_msg("%s is %s: \"%s\", expected %s: \"%s\"", name, pb_counter_status_name(r->status), r->note, pb_counter_status_name(status), note ? note : "");
}

static void everything_works(void **state)
{
	struct pb_ladder *l = probe_fake();

	(void)state;
	count(l, 2);
	assert_reading("instructions", PB_COUNTER_MEASURED, NULL);
	assert_true(reading("instructions")->value == 2 * 4.0 * PB_PROOF_LOOPS);
	assert_string_equal(reading("instructions")->source, "fake:INS");
	assert_string_equal(reading("instructions")->scope, "threads:2/2");
	assert_int_equal(reading("instructions")->passes, 1);
	assert_string_equal(reading("cycles")->source, "fake:CYC");
	assert_reading("branch_misses", PB_COUNTER_MEASURED, NULL);
	assert_true(fabs(reading("ipc")->value - 4.0 / 0.5) < 1e-12);
	assert_reading("cpu_time", PB_COUNTER_MEASURED, NULL);
	assert_in_range((unsigned)(1e3 * reading("cpu_time")->value), 8, 60);
	assert_string_equal(reading("context_switches")->source, "os:getrusage ru_nvcsw + ru_nivcsw");
	assert_reading("last_level_misses", PB_COUNTER_UNAVAILABLE, "no group file");
	assert_true(reading("wall_time")->value > 0.003 && reading("wall_time")->window_ns > 3000000);
	/* Each thread but the caller's leaves again. */
	assert_int_equal(fake.entered, 2);
	assert_int_equal(fake.left, 1);
	count(l, 1);
	assert_string_equal(reading("instructions")->scope, "threads:1/1");
	assert_true(reading("instructions")->value == 4.0 * PB_PROOF_LOOPS);
	pb_free(l);
}

static void kernel_errors(void **state)
{
	static const struct {
		int code, number;
		enum pb_counter_status status;
		const char *note;
	} rows[] = {
		{ PAPI_EPERM, 0, PB_COUNTER_DENIED, "kernel refuses (perf_event_paranoid = 4, seccomp or capability)" },
		{ PAPI_ENOEVNT, 0, PB_COUNTER_UNAVAILABLE, "event not known here; no hardware PMU in this VM" },
		{ PAPI_ENOSUPP, 0, PB_COUNTER_UNAVAILABLE, "hardware does not support it" },
		{ PAPI_ESYS, 0, PB_COUNTER_UNAVAILABLE, "system call refused" },
		{ PAPI_ESYS, 38, PB_COUNTER_UNAVAILABLE, "system call refused: Function not implemented" },
		{ PAPI_ECOUNT, 0, PB_COUNTER_FAILED, "out of file descriptors" },
		{ PAPI_ENOMEM, 0, PB_COUNTER_FAILED, "out of memory" },
		{ PAPI_EINVAL, 0, PB_COUNTER_FAILED, "PAPI: " },
		{ PAPI_ECNFLCT, 0, PB_COUNTER_UNAVAILABLE, "does not fit with the other events" },
		{ PAPI_ECMP_DISABLED, 0, PB_COUNTER_UNAVAILABLE, "component is disabled" },
		{ PAPI_EBUG, 0, PB_COUNTER_FAILED, "PAPI: " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_ladder *l;

		fake.refused = "*";
		fake.refused_code = rows[i].code;
		fake.refused_errno = rows[i].number;
		l = probe_fake();
		count(l, 2);
		/* The name of a component with its reason comes from the library once that is in use. */
		assert_reading("instructions", rows[i].status, rows[i].code == PAPI_ECMP_DISABLED ? NULL : rows[i].note);
		assert_reading("branch_misses", rows[i].status, NULL);
		/* The operating system's counters stay. */
		assert_reading("cpu_time", PB_COUNTER_MEASURED, NULL);
		assert_string_equal(reading("cpu_time")->source, "os:CLOCK_PROCESS_CPUTIME_ID");
		assert_reading("page_faults_minor", PB_COUNTER_MEASURED, NULL);
		pb_free(l);
	}
	fake_facts.has_pmu = true;
	struct pb_why why = {0};
	pb_papi_error(PAPI_ENOEVNT, 0, &fake_facts, &why);
	assert_string_equal(why.note, "event not known here");
}

static void never_scheduled(void **state)
{
	struct pb_ladder *l;

	(void)state;
	fake.zero = "INS";
	l = probe_fake();
	count(l, 2);
	assert_reading("instructions", PB_COUNTER_UNAVAILABLE, "counted 0: the event was not scheduled");
	assert_reading("cycles", PB_COUNTER_MEASURED, NULL);
	for (unsigned i = 0; i < n_readings; i++)
		assert_string_not_equal(readings[i].name, "ipc");
	pb_free(l);
}

static void negative_in_the_proof(void **state)
{
	struct pb_ladder *l;

	(void)state;
	fake.negative = "MISS";
	l = probe_fake();
	count(l, 1);
	assert_reading("branch_misses", PB_COUNTER_UNAVAILABLE, "negative count");
	assert_reading("branches", PB_COUNTER_MEASURED, NULL);
	pb_free(l);
}

/* One event gone wrong makes its whole group suspect, and no other. */
static void suspect_counts(void **state)
{
	struct pb_ladder *l = probe_fake();

	(void)state;
	fake.negative = "CYC";
	count(l, 2);
	assert_reading("cycles", PB_COUNTER_SUSPECT, "negative count of cycles");
	assert_reading("instructions", PB_COUNTER_SUSPECT, "negative count of cycles; counted 80000000");
	assert_reading("ipc", PB_COUNTER_SUSPECT, "");
	assert_reading("branches", PB_COUNTER_MEASURED, NULL);
	fake.negative = NULL;
	fake.zero = "INS";
	count(l, 2);
	assert_reading("instructions", PB_COUNTER_SUSPECT, "0 instructions in");
	assert_reading("cycles", PB_COUNTER_SUSPECT, "0 instructions in");
	fake.zero = "CYC";
	count(l, 2);
	assert_reading("cycles", PB_COUNTER_SUSPECT, "0 cycles in");
	fake.zero = NULL;
	fake.too_many = "CYC";
	count(l, 2);
	assert_reading("cycles", PB_COUNTER_SUSPECT, "GHz");
	fake.too_many = "MISS";
	count(l, 2);
	assert_reading("branches", PB_COUNTER_SUSPECT, "more branch misses (140000000) than branches (20000000)");
	assert_reading("instructions", PB_COUNTER_MEASURED, NULL);
	fake.too_many = NULL;
	/* The threads' clocks and the process's disagree by more than ticks explain. */
	fake.zero = "perf::TASK-CLOCK";
	work_seconds = 0.05;
	count(l, 2);
	work_seconds = 0.004;
	assert_reading("cpu_time", PB_COUNTER_SUSPECT, "the threads' CPU time is 0 s");
	assert_reading("instructions", PB_COUNTER_SUSPECT, "the threads' CPU time");
	pb_free(l);
}

static void absent_thread(void **state)
{
	struct pb_ladder *l = probe_fake();

	(void)state;
	fake.absent_threads = true;
	count(l, 3);
	assert_reading("instructions", PB_COUNTER_UNSUITABLE, "1 of 3 threads counted: thread is not registered");
	assert_string_equal(reading("instructions")->scope, "threads:1/3");
	assert_reading("cpu_time", PB_COUNTER_MEASURED, "perf::TASK-CLOCK: 1 of 3 threads");
	assert_string_equal(reading("cpu_time")->source, "os:CLOCK_PROCESS_CPUTIME_ID");
	assert_string_equal(reading("page_faults_minor")->scope, "process");
	pb_free(l);
}

static void errors_while_counting(void **state)
{
	struct pb_ladder *l = probe_fake();

	(void)state;
	fake.start_code = PAPI_EISRUN;
	count(l, 2);
	assert_reading("instructions", PB_COUNTER_FAILED, "PAPI: ");
	fake.start_code = 0;
	fake.stop_code = PAPI_ESYS;
	count(l, 2);
	assert_reading("instructions", PB_COUNTER_UNAVAILABLE, "system call refused");
	assert_reading("cpu_time", PB_COUNTER_MEASURED, "perf::TASK-CLOCK: system call refused");
	fake.stop_code = 0;
	fake.refused = "INS";
	fake.refused_code = PAPI_ECOUNT;
	count(l, 2);
	assert_reading("cycles", PB_COUNTER_FAILED, "out of file descriptors");
	pb_free(l);
}

static void version_mismatch(void **state)
{
	struct pb_ladder *l;

	(void)state;
	fake.version = PAPI_VERSION_NUMBER(6, 1, 0, 0);
	l = probe_fake();
	count(l, 2);
	assert_reading("instructions", PB_COUNTER_UNAVAILABLE, "PAPI's library is version 6.1, this program was built with ");
	assert_reading("cpu_time", PB_COUNTER_MEASURED, NULL);
	pb_free(l);
	fake.version = PAPI_EINVAL;
	l = probe_fake();
	count(l, 1);
	assert_reading("cycles", PB_COUNTER_UNAVAILABLE, "PAPI does not start: ");
	pb_free(l);
}

static void group_fits_singly(void **state)
{
	struct pb_ladder *l;

	(void)state;
	fake.most_hardware = 3;
	l = probe_fake();
	count(l, 2);
	assert_reading("instructions", PB_COUNTER_MEASURED, NULL);
	assert_reading("cycles", PB_COUNTER_MEASURED, NULL);
	assert_reading("branches", PB_COUNTER_UNAVAILABLE, "proved alone, but not together");
	assert_reading("branch_misses", PB_COUNTER_UNAVAILABLE, "NMI watchdog");
	pb_free(l);
	fake.most_hardware = 1;
	l = probe_fake();
	count(l, 1);
	assert_reading("instructions", PB_COUNTER_UNAVAILABLE, "proved alone, but not together");
	pb_free(l);
}

static void switched_off(void **state)
{
	struct pb_ladder *l = NULL;

	(void)state;
	assert_int_equal(pb_ladder_probe(&l, PB_COUNTERS_OFF, &fake_provider, &pb_os_provider, fake_groups, NULL, NULL), PB_OK);
	count(l, 2);
	for (unsigned i = 0; i < n_readings; i++) {
		assert_int_equal(readings[i].status, PB_COUNTER_OFF);
		assert_string_equal(readings[i].source, "");
	}
	assert_int_equal(fake.entered, 0);
	pb_free(l);
	assert_int_equal(pb_ladder_probe(&l, PB_COUNTERS_OS, &fake_provider, &pb_os_provider, NULL, NULL, NULL), PB_OK);
	count(l, 2);
	assert_reading("instructions", PB_COUNTER_OFF, "PB_COUNTERS=os");
	assert_reading("cpu_time", PB_COUNTER_MEASURED, NULL);
	assert_int_equal(fake.entered, 0);
	pb_free(l);
	assert_int_equal(pb_counters_end(NULL, readings), 0);
}

static void report_tells_reasons(void **state)
{
	struct pb_text text = {0}, json = {0};
	struct pb_ladder *l;
	json_t *parsed = NULL;

	(void)state;
	fake.most_hardware = 3;
	l = probe_fake();
	assert_int_equal(pb_ladder_report(l, false, &text, NULL), PB_OK);
	assert_non_null(strstr(pb_text_c(&text), "instructions       fake:INS (every thread)"));
	assert_non_null(strstr(pb_text_c(&text), "branches           n/a (unavailable: proved alone, but not together"));
	assert_non_null(strstr(pb_text_c(&text), "proved, counted 40000000, then 80000000"));
	assert_int_equal(pb_ladder_report(l, true, &json, NULL), PB_OK);
	assert_int_equal(pb_json_parse(&parsed, "report", pb_text_c(&json), json.length, NULL), PB_OK);
	assert_true(json_array_size(json_object_get(parsed, "quantities")) > 10);
	json_decref(parsed);
	pb_text_free(&text);
	pb_text_free(&json);
	pb_free(l);
}

static void bad_group_files(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "event cycles = X\n", "g.txt:1: a line before the first '[group NAME]'" },
		{ "; fine\n\n[grup a]\n", "g.txt:3: a group begins with '[group NAME]'" },
		{ "[group A b]\n", "g.txt:1: 'A b' is no name for a group" },
		{ "[group a]\n[group a]\n", "g.txt:2: group 'a' is here already, in line 1" },
		{ "[group a]\nevent cycels = X\n", "g.txt:2: no quantity 'cycels'; did you mean 'cycles'?" },
		{ "[group a]\nevent cpu_time = X\n", "g.txt:2: no quantity 'cpu_time'" },
		{ "[group a]\nevent cycles = X | | Y\n", "g.txt:2: '' is no name of an event" },
		{ "[group a]\nevent cycles = X Y\n", "g.txt:2: 'X Y' is no name of an event" },
		{ "[group a]\nevent cycles = 1|2|3|4|5|6|7|8|9|10|11|12|13\n", "g.txt:2: more than 12 rungs" },
		{ "[group a]\nevent cycles = X\n[group b]\nevent cycles = Y\n", "g.txt:4: 'cycles' is in group 'a' already" },
		{ "[group a]\nevent cycles = X\nmetric ipc \"t\" = instructions / cycles\n", "g.txt:3: metric 'ipc': both quantities must be events" },
		{ "[group a]\nevent cycles = X\nmetric ipc t = cycles / cycles\n", "g.txt:3: a metric is: metric NAME" },
		{ "[group a]\nevent cycles = X\nmetric m \"t\" = cycles * cycles\n", "g.txt:3: a metric is one quantity over another" },
		{ "[group a]\nevent cycles = X\nmetric cycles \"t\" = cycles / cycles\n", "g.txt:3: 'cycles' is no name for a metric" },
		{ "[group a]\nnonsense\n", "g.txt:2: expected 'event', 'metric' or 'help'" },
		{ "[group a]\nother = 1\n", "g.txt:2: 'other': expected" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_groups *g = NULL;
		struct pb_error err = {0};

		assert_int_equal(pb_groups_new(&g, NULL), PB_OK);
		assert_int_equal(pb_groups_parse(g, "g.txt", rows[i].text, &err), PB_FORMAT);
		if (!strstr(err.text, rows[i].message))
			fail_msg("%s, expected %s", err.text, rows[i].message);
		pb_groups_free(g);
	}
}

static void group_files_join(void **state)
{
	struct pb_error err = {0};
	const struct pb_group *g = &fake_groups->groups[0];

	(void)state;
	assert_int_equal(pb_groups_parse(fake_groups, "more.txt", "[group base]\r\nevent cycles = OWN ; its own name\nhelp = more", &err), PB_OK);
	assert_int_equal(fake_groups->n, 2);
	assert_string_equal(g->title, "base");
	assert_string_equal(g->help, "more");
	assert_int_equal(g->events[1].n_rungs, 3);
	assert_string_equal(g->events[1].rungs[2], "OWN");
	assert_int_equal(pb_groups_read(fake_groups, "/nowhere", &err), PB_MISSING);
}

/* Below: the machine itself. */

#define PAGES 1024
static void touch(void *arg, size_t task, unsigned worker)
{
	volatile unsigned char *p;

	(void)arg;
	(void)task;
	/* The last worker, which is not the caller's thread. */
	if (worker != 1)
		return;
	p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return;
	madvise((void *)p, PAGES * 4096, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < PAGES; i++)
		p[i * 4096] = 1;
	munmap((void *)p, PAGES * 4096);
}

static void page_faults(void **state)
{
	struct pb_counters *c = NULL;
	struct pb_pool *pool;
	double value;

	(void)state;
	assert_int_equal(pb_pool_new(&pool, 2, NULL), PB_OK);
	/* The first region's code and stacks are fresh pages too. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pb_counters_begin(&c, pool, NULL), PB_OK);
		pb_pool_each(pool, touch, NULL);
		n_readings = pb_counters_end(c, readings);
	}
	pb_pool_free(pool);
	check_honest();
	assert_reading("page_faults_minor", PB_COUNTER_MEASURED, NULL);
	value = reading("page_faults_minor")->value;
	if (value < PAGES || value > PAGES + 4)
		fail_msg("%.0f faults by %s", value, reading("page_faults_minor")->source);
}

static void context_switches(void **state)
{
	struct pb_counters *c = NULL;

	(void)state;
	assert_int_equal(pb_counters_begin(&c, NULL, NULL), PB_OK);
	for (int i = 0; i < 20; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	n_readings = pb_counters_end(c, readings);
	check_honest();
	assert_reading("context_switches", PB_COUNTER_MEASURED, NULL);
	assert_true(reading("context_switches")->value >= 20);
}

static void cpu_time_agrees(void **state)
{
	struct pb_counters *c = NULL;
	struct pb_pool *pool;
	double seconds = 0.05, value;

	(void)state;
	assert_int_equal(pb_pool_new(&pool, 2, NULL), PB_OK);
	assert_int_equal(pb_counters_begin(&c, pool, NULL), PB_OK);
	pb_pool_each(pool, spin_task, &seconds);
	n_readings = pb_counters_end(c, readings);
	pb_pool_free(pool);
	assert_reading("cpu_time", PB_COUNTER_MEASURED, NULL);
	value = reading("cpu_time")->value;
	assert_true(value >= 0.099 && value < 0.12);
}

static void same_table_twice(void **state)
{
	struct pb_ladder *l[2] = {0};

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pb_ladder_probe(&l[i], PB_COUNTERS_AUTO, &pb_papi_provider, &pb_os_provider, NULL, NULL, NULL), PB_OK);
	assert_int_equal(l[0]->n_set, l[1]->n_set);
	assert_memory_equal(l[0]->set, l[1]->set, sizeof(l[0]->set));
	for (unsigned q = 0; q < pb_n_quantities; q++) {
		assert_int_equal(l[0]->steps[q].chosen, l[1]->steps[q].chosen);
		assert_int_equal(l[0]->steps[q].why.status, l[1]->steps[q].why.status);
		assert_string_equal(l[0]->steps[q].why.note, l[1]->steps[q].why.note);
		assert_int_equal(l[0]->steps[q].process.why.status, l[1]->steps[q].process.why.status);
	}
	pb_free(l[0]);
	pb_free(l[1]);
}

/* This program again, with PB_COUNTERS; the readings it prints. */
static json_t *run_child(const char *counters)
{
	char text[16384];
	size_t n = 0;
	ssize_t got;
	int pipe_ends[2], status;
	json_t *json = NULL;
	pid_t pid;

	assert_int_equal(pipe(pipe_ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(pipe_ends[1], 1);
		close(pipe_ends[0]);
		close(pipe_ends[1]);
		setenv("PB_COUNTERS", counters, 1);
		execl("/proc/self/exe", "test_counters", "child", (char *)NULL);
		_exit(127);
	}
	close(pipe_ends[1]);
	while (n < sizeof(text) - 1 && (got = read(pipe_ends[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(pipe_ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(pb_json_parse(&json, "child", text, n, NULL), PB_OK);
	return json;
}

static int child(void)
{
	struct pb_counters *c = NULL;
	json_t *json;
	char *text;

	if (pb_counters_begin(&c, NULL, NULL) != PB_OK)
		return 1;
	n_readings = pb_counters_end(c, readings);
	json = pb_readings_json(readings, n_readings);
	text = json ? pb_json_pretty(json) : NULL;
	fputs(text ? text : "", stdout);
	pb_free(text);
	json_decref(json);
	return 0;
}

/* A process that was started from a large one is small. */
static void child_memory(void **state)
{
	const size_t size = (size_t)200 << 20;
	volatile unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	json_t *json;
	json_int_t peak;

	(void)state;
	assert_true(p != MAP_FAILED);
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	json = run_child("os");
	munmap((void *)p, size);
	peak = json_integer_value(json_object_get(json_object_get(json, "peak_memory"), "value"));
	assert_true(peak > 500000);
#ifdef __SANITIZE_ADDRESS__
	assert_true(peak < (json_int_t)100 << 20);
#else
	assert_true(peak < (json_int_t)20 << 20);
#endif
	json_decref(json);
}

static void off_by_environment(void **state)
{
	json_t *json = run_child("off");
	const char *name;
	json_t *one;

	(void)state;
	assert_true(json_object_size(json) >= 12);
	json_object_foreach(json, name, one) {
		assert_string_equal(json_string_value(json_object_get(one, "status")), "off");
		assert_true(json_is_null(json_object_get(one, "value")));
	}
	json_decref(json);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_works, set_up, tear_down),
		cmocka_unit_test_setup_teardown(kernel_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(never_scheduled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(negative_in_the_proof, set_up, tear_down),
		cmocka_unit_test_setup_teardown(suspect_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(absent_thread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(errors_while_counting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(version_mismatch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(group_fits_singly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(switched_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(report_tells_reasons, set_up, tear_down),
		cmocka_unit_test(bad_group_files),
		cmocka_unit_test_setup_teardown(group_files_join, set_up, tear_down),
		cmocka_unit_test(page_faults),
		cmocka_unit_test(context_switches),
		cmocka_unit_test(cpu_time_agrees),
		cmocka_unit_test(same_table_twice),
		cmocka_unit_test(child_memory),
		cmocka_unit_test(off_by_environment),
	};

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
