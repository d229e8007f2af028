/* The ladder: which source each quantity has on this machine, proved by counting something known. */
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/counters/provider.h"

/* The unit of RAPL's energy event is 2^-32 J. */
#define RAPL_JOULE (1.0 / 4294967296.0)

const struct pb_quantity pb_quantities[] = {
	{ "instructions", "1", PB_KIND_INSTRUCTIONS, true, 1, { NULL }, { NULL }, NULL },
	{ "cycles", "1", PB_KIND_CYCLES, true, 1, { NULL }, { NULL }, NULL },
	{ "reference_cycles", "1", PB_KIND_CYCLES, false, 1, { NULL }, { NULL }, NULL },
	{ "branches", "1", PB_KIND_BRANCHES, true, 1, { NULL }, { NULL }, NULL },
	{ "branch_misses", "1", PB_KIND_EVENTS, true, 1, { NULL }, { NULL }, NULL },
	{ "last_level_misses", "1", PB_KIND_EVENTS, true, 1, { NULL }, { NULL }, NULL },
	{ "l1_data_misses", "1", PB_KIND_EVENTS, false, 1, { NULL }, { NULL }, NULL },
	{ "l2_misses", "1", PB_KIND_EVENTS, false, 1, { NULL }, { NULL }, NULL },
	{ "tlb_misses", "1", PB_KIND_EVENTS, false, 1, { NULL }, { NULL }, NULL },
	{ "flops", "1", PB_KIND_EVENTS, false, 1, { NULL }, { NULL }, NULL },
	{ "cpu_time", "s", PB_KIND_CPU_TIME, true, 1e-9, { "perf::TASK-CLOCK" }, { "CLOCK_PROCESS_CPUTIME_ID" }, "CLOCK_PROCESS_CPUTIME_ID" },
	{ "page_faults_minor", "1", PB_KIND_MINOR_FAULTS, true, 1, { "perf::MINOR-FAULTS" }, { "ru_minflt" }, "getrusage ru_minflt" },
	{ "page_faults_major", "1", PB_KIND_MAJOR_FAULTS, true, 1, { "perf::MAJOR-FAULTS" }, { "ru_majflt" }, "getrusage ru_majflt" },
	{ "context_switches", "1", PB_KIND_SWITCHES, true, 1, { "perf::CONTEXT-SWITCHES" }, { "ru_nvcsw", "ru_nivcsw" }, "getrusage ru_nvcsw + ru_nivcsw" },
	{ "peak_memory", "bytes", PB_KIND_PEAK_MEMORY, true, 1, { NULL }, { "VmHWM" }, "VmHWM of /proc/self/status" },
	{ "wall_time", "s", PB_KIND_WALL_TIME, true, 1, { NULL }, { "CLOCK_MONOTONIC_RAW" }, "CLOCK_MONOTONIC_RAW" },
	{ "energy", "J", PB_KIND_ENERGY, true, RAPL_JOULE, { "rapl::RAPL_ENERGY_PKG", "amd64_rapl::RAPL_ENERGY_PKG" }, { "energy_uj" }, "powercap energy_uj" },
};
const unsigned pb_n_quantities = sizeof(pb_quantities) / sizeof(pb_quantities[0]);

const char *pb_counter_status_name(enum pb_counter_status status)
{
	static const char *const names[] = { "measured", "unavailable", "denied", "unsuitable", "failed", "suspect", "off" };

	return (unsigned)status < sizeof(names) / sizeof(names[0]) ? names[status] : "failed";
}

bool pb_because(struct pb_why *why, enum pb_counter_status status, const char *format, ...)
{
	char note[PB_COUNTER_NOTE];
	va_list args;

	/* The note may quote the one that it replaces. */
	va_start(args, format);
	vsnprintf(note, sizeof(note), format, args);
	va_end(args);
	why->status = status;
	strcpy(why->note, note);
	return false;
}

int pb_quantity_find(const char *name)
{
	for (unsigned i = 0; i < pb_n_quantities; i++)
		if (strcmp(pb_quantities[i].name, name) == 0)
			return (int)i;
	return -1;
}

bool pb_quantity_is_hardware(const struct pb_quantity *q)
{
	return q->kind <= PB_KIND_EVENTS;
}

/* Known work. A dependent addition and a branch an iteration. */
static void loop(uint64_t n)
{
	uint64_t x = 1;

	for (uint64_t i = 0; i < n; i++)
		__asm__ volatile("" : "+r"(x));
}

#define PROOF_PAGES 64
#define PROOF_NAPS 3

/* Fresh pages, so that each first touch is one minor fault. */
static bool touch_pages(unsigned n)
{
	volatile unsigned char *p;
	size_t page = 4096;

	p = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	madvise((void *)p, n * page, MADV_NOHUGEPAGE);
	for (unsigned i = 0; i < n; i++)
		p[i * page] = 1;
	munmap((void *)p, n * page);
	return true;
}

static void nap(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static double thread_seconds(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void work(enum pb_counter_kind kind, unsigned times)
{
	switch (kind) {
	case PB_KIND_MINOR_FAULTS:
		touch_pages(times * PROOF_PAGES);
		break;
	case PB_KIND_SWITCHES:
		nap(times * PROOF_NAPS);
		break;
	case PB_KIND_MAJOR_FAULTS:
	case PB_KIND_PEAK_MEMORY:
	case PB_KIND_WALL_TIME:
		break;
	default:
		loop((uint64_t)times * PB_PROOF_LOOPS);
	}
}

static bool agrees(double a, double b)
{
	return fabs(a - b) <= 0.02 * fabs(b) + 1e-3;
}

/* Whether two values, of work once and twice, are what a working counter gives. seconds: this thread's CPU time in both. */
static bool accept(enum pb_counter_kind kind, bool process, const double v[2], const double seconds[2], struct pb_why *why)
{
	const double ratio = v[1] / v[0], n = PB_PROOF_LOOPS;

	if (!isfinite(v[0]) || !isfinite(v[1]))
		return pb_because(why, PB_COUNTER_UNAVAILABLE, "cannot be read");
	if (v[0] < 0 || v[1] < 0)
		return pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: negative count %.0f", v[0] < 0 ? v[0] : v[1]);
	switch (kind) {
	case PB_KIND_INSTRUCTIONS:
	case PB_KIND_CYCLES:
	case PB_KIND_BRANCHES:
		if (v[0] == 0 || v[1] == 0)
			return pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: counted 0: the event was not scheduled, or the counter stands still");
		if (!(ratio >= 1.9 && ratio <= 2.1))
			return pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: twice the work counted %.3g times as much", ratio);
		if (kind != PB_KIND_CYCLES && v[0] < n)
			return pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: %.0f in %d iterations", v[0], PB_PROOF_LOOPS);
		if (kind == PB_KIND_CYCLES && !(v[0] / seconds[0] >= 0.1e9 && v[0] / seconds[0] <= 8e9))
			return pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: %.3g GHz", 1e-9 * v[0] / seconds[0]);
		return true;
	case PB_KIND_EVENTS:
		/* At most eight instructions an iteration, at most four of these events an instruction. */
		if (v[0] > 32 * n)
			return pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: %.0f events in %d iterations", v[0], PB_PROOF_LOOPS);
		return true;
	case PB_KIND_CPU_TIME:
		if (process ? v[0] + 1e-3 >= seconds[0] && v[0] > 0 : agrees(v[0], seconds[0]) && v[0] > 0)
			return true;
		return pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: %.3g s where the thread's clock says %.3g s", v[0], seconds[0]);
	case PB_KIND_MINOR_FAULTS:
		if (v[0] >= PROOF_PAGES && (process || v[0] <= PROOF_PAGES + 8))
			return true;
		return pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: %.0f faults for %d fresh pages", v[0], PROOF_PAGES);
	case PB_KIND_MAJOR_FAULTS:
		/* Nothing provokes one at will, so PAPI's event stays unproved; the kernel's account of the process is taken as it is. */
		if (process) {
			strcpy(why->note, "no major fault was provoked: the kernel's account is taken as it is");
			return true;
		}
		return pb_because(why, PB_COUNTER_UNAVAILABLE, "no major fault can be provoked, so the event cannot be proved");
	case PB_KIND_SWITCHES:
		if (v[0] >= 1)
			return true;
		return pb_because(why, PB_COUNTER_UNSUITABLE, "proof run: 0 switches in %d naps%s", PROOF_NAPS, process ? "" : ": the kernel domain is not granted");
	default:
		return v[0] > 0 || pb_because(why, PB_COUNTER_UNAVAILABLE, "proof run: counted 0");
	}
}

/* Counts work once and twice with one set of events. values: n of the first, then n of the second run. */
static bool count_twice(const struct pb_provider *p, const char *const *events, unsigned n, enum pb_counter_kind kind, double *values, double seconds[2], struct pb_why *why)
{
	void *set = NULL;
	bool good = p->open(&set, events, n, why);

	if (!good)
		return false;
	for (unsigned k = 0; good && k < 2; k++) {
		double begin = thread_seconds();

		good = p->start(set, why);
		if (good) {
			work(kind, k + 1);
			good = p->stop(set, values + k * n, why);
		}
		seconds[k] = thread_seconds() - begin;
	}
	p->close(set);
	return good;
}

/* A busy machine can disturb one run; three times is no accident. */
#define PROOF_ATTEMPTS 3

static void prove(const struct pb_provider *p, bool process, const struct pb_quantity *q, struct pb_rung *rung)
{
	const char *const *events = process ? q->process_events : &rung->event;
	unsigned n = process && q->process_events[1] ? 2 : 1;
	double scale = process ? 1 : q->scale, seconds[2];
	bool good = false;

	rung->proof[0] = rung->proof[1] = NAN;
	for (int attempt = 0; !good && attempt < PROOF_ATTEMPTS; attempt++) {
		double values[4] = {0};

		rung->why = (struct pb_why){0};
		if (!count_twice(p, events, n, q->kind, values, seconds, &rung->why))
			return;
		for (unsigned k = 0; k < 2; k++)
			rung->proof[k] = scale * (n == 2 ? values[2 * k] + values[2 * k + 1] : values[k]);
		good = accept(q->kind, process, rung->proof, seconds, &rung->why);
	}
	if (good)
		rung->why.status = PB_COUNTER_MEASURED;
}

static void fill_rungs(struct pb_ladder *l)
{
	for (unsigned q = 0; q < pb_n_quantities; q++) {
		struct pb_ladder_step *s = &l->steps[q];

		s->chosen = s->group = -1;
		for (unsigned i = 0; i < 2 && pb_quantities[q].thread_events[i]; i++)
			s->rungs[s->n_rungs++].event = pb_quantities[q].thread_events[i];
		s->process.event = pb_quantities[q].process_source;
	}
	for (unsigned g = 0; l->groups && g < l->groups->n; g++)
		for (unsigned i = 0; i < l->groups->groups[g].n_events; i++) {
			const struct pb_group_event *e = &l->groups->groups[g].events[i];
			struct pb_ladder_step *s = &l->steps[e->quantity];

			s->group = (int)g;
			for (unsigned k = 0; k < e->n_rungs && s->n_rungs < PB_MAX_RUNGS; k++)
				s->rungs[s->n_rungs++].event = e->rungs[k];
		}
	for (unsigned q = 0; q < pb_n_quantities; q++)
		for (unsigned i = 0; i < PB_MAX_RUNGS; i++)
			l->steps[q].rungs[i].proof[0] = l->steps[q].rungs[i].proof[1] = NAN;
}

/* The events of a group beside those that are in the set already. */
static bool prove_together(const struct pb_ladder *l, const int *set, unsigned n, struct pb_why *why)
{
	const char *events[PB_MAX_QUANTITIES];
	double values[2 * PB_MAX_QUANTITIES] = {0}, seconds[2];
	bool good = false;

	for (unsigned i = 0; i < n; i++)
		events[i] = l->steps[set[i]].rungs[l->steps[set[i]].chosen].event;
	for (int attempt = 0; !good && attempt < PROOF_ATTEMPTS; attempt++) {
		*why = (struct pb_why){0};
		if (!count_twice(l->thread, events, n, PB_KIND_EVENTS, values, seconds, why))
			return false;
		good = true;
		for (unsigned i = 0; good && i < n; i++) {
			const struct pb_quantity *q = &pb_quantities[set[i]];
			double v[2] = { q->scale * values[i], q->scale * values[n + i] };

			if (pb_quantity_is_hardware(q) || q->kind == PB_KIND_CPU_TIME)
				good = accept(q->kind, false, v, seconds, why);
		}
	}
	return good;
}

/* Takes a group (-1: software events) into the set that every thread counts, when all of it fits. */
static void add_group(struct pb_ladder *l, int group)
{
	int set[PB_MAX_QUANTITIES];
	unsigned n = l->n_set;
	struct pb_why why = {0};

	memcpy(set, l->set, sizeof(set));
	for (unsigned q = 0; q < pb_n_quantities; q++)
		if (l->steps[q].chosen >= 0 && l->steps[q].group == group && pb_quantities[q].kind != PB_KIND_ENERGY)
			set[n++] = (int)q;
	if (n == l->n_set)
		return;
	if (n == 1 || prove_together(l, set, n, &why)) {
		memcpy(l->set, set, sizeof(set));
		l->n_set = n;
		return;
	}
	for (unsigned i = l->n_set; i < n; i++) {
		struct pb_ladder_step *s = &l->steps[set[i]];

		pb_because(&s->rungs[s->chosen].why, PB_COUNTER_UNAVAILABLE, "proved alone, but not together with the other events: %s", why.note);
		s->chosen = -1;
	}
}

/* Of several reasons the one that somebody can act on: a permission, then an error, then the first. */
static struct pb_why main_reason(const struct pb_ladder *l, const struct pb_quantity *q, const struct pb_ladder_step *s)
{
	struct pb_why why = {0};

	if (pb_quantity_is_hardware(q) && l->mode == PB_COUNTERS_OS)
		return l->thread_why;
	if (pb_quantity_is_hardware(q) && l->groups_why.status)
		return l->groups_why;
	if (!s->n_rungs && !s->process.event) {
		pb_because(&why, PB_COUNTER_UNAVAILABLE, "no group file names an event");
		return why;
	}
	if (l->thread_why.status && !s->process.event)
		return l->thread_why;
	why = l->thread_why.status || !s->n_rungs ? s->process.why : s->rungs[0].why;
	for (unsigned i = 0; i < s->n_rungs; i++) {
		const struct pb_why *w = &s->rungs[i].why;

		if ((w->status == PB_COUNTER_DENIED && why.status != PB_COUNTER_DENIED) || (w->status == PB_COUNTER_FAILED && why.status == PB_COUNTER_UNAVAILABLE))
			why = *w;
	}
	if (s->process.event && s->process.why.status == PB_COUNTER_DENIED)
		why = s->process.why;
	return why;
}

static void probe_threads(struct pb_ladder *l)
{
	if (l->mode == PB_COUNTERS_OS) {
		pb_because(&l->thread_why, PB_COUNTER_OFF, "PB_COUNTERS=os");
		return;
	}
	if (!l->thread->probe(&l->facts, &l->thread_why))
		return;
	for (unsigned q = 0; q < pb_n_quantities; q++) {
		struct pb_ladder_step *s = &l->steps[q];

		for (unsigned i = 0; i < s->n_rungs && s->chosen < 0; i++) {
			prove(l->thread, false, &pb_quantities[q], &s->rungs[i]);
			if (s->rungs[i].why.status == PB_COUNTER_MEASURED)
				s->chosen = (int)i;
		}
	}
	add_group(l, -1);
	for (unsigned g = 0; l->groups && g < l->groups->n; g++)
		add_group(l, (int)g);
}

static void probe_process(struct pb_ladder *l)
{
	struct pb_why why = {0};
	bool good = l->process->probe(&l->facts, &why);

	for (unsigned q = 0; q < pb_n_quantities; q++) {
		struct pb_rung *r = &l->steps[q].process;

		if (r->event && good)
			prove(l->process, true, &pb_quantities[q], r);
		else if (r->event)
			r->why = why;
	}
}

enum pb_status pb_ladder_probe(struct pb_ladder **out, enum pb_counter_mode mode, const struct pb_provider *thread, const struct pb_provider *process,
	const struct pb_groups *groups, const struct pb_why *groups_why, struct pb_error *err)
{
	struct pb_ladder *l = pb_alloc_zero(1, sizeof(*l));

	if (!l)
		return pb_out_of_memory(err, "the table of counters");
	l->mode = mode;
	l->thread = thread;
	l->process = process;
	l->groups = groups;
	if (groups_why)
		l->groups_why = *groups_why;
	pb_counter_facts_read(&l->facts);
	fill_rungs(l);
	if (mode != PB_COUNTERS_OFF) {
		probe_process(l);
		probe_threads(l);
	}
	for (unsigned q = 0; q < pb_n_quantities; q++) {
		struct pb_ladder_step *s = &l->steps[q];

		if (mode == PB_COUNTERS_OFF)
			pb_because(&s->why, PB_COUNTER_OFF, "PB_COUNTERS=off");
		else if (s->chosen < 0 && !(s->process.event && s->process.why.status == PB_COUNTER_MEASURED))
			s->why = main_reason(l, &pb_quantities[q], s);
	}
	*out = l;
	return PB_OK;
}

/* The one of the process. Both live until it ends. */
static struct pb_ladder *process_ladder;
static struct pb_groups *process_groups;
static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;

static enum pb_status read_groups(struct pb_why *why, struct pb_error *err)
{
	struct pb_error trouble = {0};
	char *folder = pb_home() ? pb_path_join(pb_home(), "configs/counters") : NULL;
	enum pb_status st;

	if (!pb_home()) {
		pb_because(why, PB_COUNTER_UNAVAILABLE, "no group files: no folder with configs/counters is known (PB_HOME)");
		return PB_OK;
	}
	if (!folder)
		return pb_out_of_memory(err, "a path");
	st = pb_groups_new(&process_groups, err);
	if (!st && (st = pb_groups_read(process_groups, folder, &trouble))) {
		pb_groups_free(process_groups);
		process_groups = NULL;
		if (st == PB_MEMORY)
			pb_fail(err, st, "%s", trouble.text);
		else
			pb_because(why, st == PB_MISSING ? PB_COUNTER_UNAVAILABLE : PB_COUNTER_FAILED, "%.200s", trouble.text);
	}
	pb_free(folder);
	return st == PB_MEMORY ? st : PB_OK;
}

static enum pb_status mode_from_environment(enum pb_counter_mode *mode, struct pb_error *err)
{
	static const char *const names[] = { "auto", "os", "off" };
	const char *value = getenv("PB_COUNTERS");

	*mode = PB_COUNTERS_AUTO;
	if (!value || !*value)
		return PB_OK;
	for (int i = 0; i < 3; i++)
		if (strcmp(value, names[i]) == 0) {
			*mode = (enum pb_counter_mode)i;
			return PB_OK;
		}
	return pb_fail(err, PB_USAGE, "PB_COUNTERS=%s: choose one of auto, os, off", value);
}

enum pb_status pb_ladder_get(const struct pb_ladder **out, struct pb_error *err)
{
	enum pb_counter_mode mode;
	struct pb_why why = {0};
	enum pb_status st = PB_OK;

	pthread_mutex_lock(&process_lock);
	if (!process_ladder) {
		st = mode_from_environment(&mode, err);
		if (!st && mode == PB_COUNTERS_AUTO && !process_groups)
			st = read_groups(&why, err);
		if (!st)
			st = pb_ladder_probe(&process_ladder, mode, &pb_papi_provider, &pb_os_provider, process_groups, &why, err);
	}
	if (!st)
		*out = process_ladder;
	pthread_mutex_unlock(&process_lock);
	return st;
}
