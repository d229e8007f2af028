/* Counting around a region: a set in every thread of the pool, and the process as a whole. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/counters/provider.h"

/* One thread's part. It took part when nothing is wrong with it. */
struct thread_part {
	void *set;
	bool entered, started;
	struct pb_why why;
	double values[PB_MAX_QUANTITIES];   /* in the order of the ladder's set */
};

/* One source that counts the process or the machine: a set of its own. */
struct process_part {
	void *set;
	const struct pb_provider *provider;
	bool started;
	struct pb_why why;
	double values[2];
};

struct pb_counters {
	const struct pb_ladder *ladder;
	struct pb_pool *pool;
	unsigned n_threads;
	struct thread_part *threads;
	struct process_part process[PB_MAX_QUANTITIES];
	struct process_part package;        /* PAPI's energy event, in the caller's thread */
	struct timespec begin;
};

static void open_thread(void *arg, size_t task, unsigned worker)
{
	struct pb_counters *c = arg;
	const struct pb_ladder *l = c->ladder;
	struct thread_part *t = &c->threads[worker];
	const char *events[PB_MAX_QUANTITIES];

	(void)task;
	t->entered = l->thread->enter(&t->why);
	if (!t->entered)
		return;
	for (unsigned i = 0; i < l->n_set; i++)
		events[i] = l->steps[l->set[i]].rungs[l->steps[l->set[i]].chosen].event;
	l->thread->open(&t->set, events, l->n_set, &t->why);
}

static void start_thread(void *arg, size_t task, unsigned worker)
{
	struct pb_counters *c = arg;
	struct thread_part *t = &c->threads[worker];

	(void)task;
	if (t->set)
		t->started = c->ladder->thread->start(t->set, &t->why);
}

static void stop_thread(void *arg, size_t task, unsigned worker)
{
	struct pb_counters *c = arg;
	struct thread_part *t = &c->threads[worker];

	(void)task;
	if (t->started && !c->ladder->thread->stop(t->set, t->values, &t->why))
		t->started = false;
}

/* The caller's own thread stays registered: the library registered it when it was initialised there. */
static void close_thread(void *arg, size_t task, unsigned worker)
{
	struct pb_counters *c = arg;
	struct thread_part *t = &c->threads[worker];

	(void)task;
	if (t->set)
		c->ladder->thread->close(t->set);
	if (t->entered && worker > 0)
		c->ladder->thread->leave();
}

static void open_part(struct process_part *p, const struct pb_provider *provider, const char *const *events, unsigned n)
{
	p->provider = provider;
	if (!provider->open(&p->set, events, n, &p->why))
		p->set = NULL;
}

static void start_part(struct process_part *p)
{
	if (p->set)
		p->started = p->provider->start(p->set, &p->why);
}

static void stop_part(struct process_part *p)
{
	if (p->started && !p->provider->stop(p->set, p->values, &p->why))
		p->started = false;
}

static bool has_process(const struct pb_ladder_step *s)
{
	return s->process.event && s->process.why.status == PB_COUNTER_MEASURED;
}

/* Energy is the machine's, so no thread counts it. */
static const struct pb_ladder_step *package_step(const struct pb_ladder *l)
{
	const struct pb_ladder_step *s = &l->steps[pb_quantity_find("energy")];

	return s->chosen >= 0 ? s : NULL;
}

enum pb_status pb_region_begin(struct pb_counters **out, const struct pb_ladder *l, struct pb_pool *pool, struct pb_error *err)
{
	struct pb_counters *c = pb_alloc_zero(1, sizeof(*c));
	unsigned n = pb_pool_threads(pool);

	if (c)
		c->threads = pb_alloc_zero(n, sizeof(*c->threads));
	if (!c || !c->threads) {
		pb_free(c);
		return pb_out_of_memory(err, "counters");
	}
	c->ladder = l;
	c->pool = pool;
	c->n_threads = n;
	if (l->mode != PB_COUNTERS_OFF) {
		for (unsigned q = 0; q < pb_n_quantities; q++)
			if (has_process(&l->steps[q]))
				open_part(&c->process[q], l->process, pb_quantities[q].process_events, pb_quantities[q].process_events[1] ? 2 : 1);
		if (package_step(l))
			open_part(&c->package, l->thread, &package_step(l)->rungs[package_step(l)->chosen].event, 1);
		if (l->n_set)
			pb_pool_each(pool, open_thread, c);
		clock_gettime(CLOCK_MONOTONIC_RAW, &c->begin);
		for (unsigned q = 0; q < pb_n_quantities; q++)
			start_part(&c->process[q]);
		start_part(&c->package);
		if (l->n_set)
			pb_pool_each(pool, start_thread, c);
	}
	*out = c;
	return PB_OK;
}

enum pb_status pb_counters_probe(struct pb_error *err)
{
	const struct pb_ladder *l = NULL;

	return pb_ladder_get(&l, err);
}

enum pb_status pb_counters_begin(struct pb_counters **c, struct pb_pool *pool, struct pb_error *err)
{
	const struct pb_ladder *l = NULL;
	enum pb_status st = pb_ladder_get(&l, err);

	return st ? st : pb_region_begin(c, l, pool, err);
}

/* What all threads counted together. */
struct thread_sums {
	unsigned k;                                 /* threads that took part */
	struct pb_why why;                          /* of the first that did not */
	bool present[PB_MAX_QUANTITIES];
	double sum[PB_MAX_QUANTITIES];              /* in the quantity's unit */
	bool negative[PB_MAX_QUANTITIES];
};

static void add_threads(const struct pb_counters *c, struct thread_sums *s)
{
	const struct pb_ladder *l = c->ladder;

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < l->n_set; i++)
		s->present[l->set[i]] = true;
	for (unsigned t = 0; t < c->n_threads; t++) {
		const struct thread_part *part = &c->threads[t];

		if (!part->started) {
			if (!s->why.status)
				s->why = part->why;
			continue;
		}
		s->k++;
		for (unsigned i = 0; i < l->n_set; i++) {
			s->sum[l->set[i]] += part->values[i] * pb_quantities[l->set[i]].scale;
			s->negative[l->set[i]] |= part->values[i] < 0;
		}
	}
}

/* Sanity rules that one pass allows; the note of the first that fires for a group (-1: software), else empty. */
static void check_group(const struct pb_counters *c, const struct thread_sums *s, int group, char note[PB_COUNTER_NOTE])
{
	static const char *const standing[] = { "instructions", "cycles", "branches" };
	const struct pb_ladder *l = c->ladder;
	int cpu = pb_quantity_find("cpu_time"), cycles = pb_quantity_find("cycles");
	int branches = pb_quantity_find("branches"), misses = pb_quantity_find("branch_misses");
	bool has_clock = c->process[cpu].started;
	double seconds = has_clock ? c->process[cpu].values[0] : s->sum[cpu];

	note[0] = '\0';
	for (unsigned i = 0; i < l->n_set; i++)
		if (l->steps[l->set[i]].group == group && s->negative[l->set[i]]) {
			snprintf(note, PB_COUNTER_NOTE, "negative count of %s", pb_quantities[l->set[i]].name);
			return;
		}
	/* The process's clock counts a thread that runs on another processor up to its last tick only: 10 ms at the least HZ. */
	if (s->present[cpu] && has_clock && fabs(s->sum[cpu] - seconds) > 0.02 * seconds + (c->n_threads > 1 ? 1e-2 * c->n_threads : 1e-3)) {
		snprintf(note, PB_COUNTER_NOTE, "the threads' CPU time is %.6g s, the process's %.6g s", s->sum[cpu], seconds);
		return;
	}
	for (size_t i = 0; i < sizeof(standing) / sizeof(standing[0]) && seconds > 1e-3; i++) {
		int q = pb_quantity_find(standing[i]);

		if (s->present[q] && l->steps[q].group == group && s->sum[q] == 0) {
			snprintf(note, PB_COUNTER_NOTE, "0 %s in %.3g s of CPU time", standing[i], seconds);
			return;
		}
	}
	if (s->present[cycles] && l->steps[cycles].group == group && seconds > 1e-3 && !(s->sum[cycles] / seconds >= 0.1e9 && s->sum[cycles] / seconds <= 8e9))
		snprintf(note, PB_COUNTER_NOTE, "%.3g GHz of cycles", 1e-9 * s->sum[cycles] / seconds);
	else if (s->present[branches] && s->present[misses] && l->steps[misses].group == group && s->sum[misses] > s->sum[branches])
		snprintf(note, PB_COUNTER_NOTE, "more branch misses (%.0f) than branches (%.0f)", s->sum[misses], s->sum[branches]);
}

static void set_status(struct pb_reading *r, enum pb_counter_status status, const char *note)
{
	r->status = status;
	r->value = NAN;
	snprintf(r->note, sizeof(r->note), "%s", note);
}

static void read_process(const struct pb_counters *c, unsigned q, struct pb_reading *r)
{
	const struct pb_quantity *quantity = &pb_quantities[q];
	const struct process_part *p = &c->process[q];
	double value = p->values[0] + (quantity->process_events[1] ? p->values[1] : 0);

	snprintf(r->source, sizeof(r->source), "%s:%s", c->ladder->process->name, quantity->process_source);
	snprintf(r->scope, sizeof(r->scope), quantity->kind == PB_KIND_ENERGY ? "package, all processes" : "process");
	r->domain = "user+kernel";
	r->passes = 1;
	if (!p->started) {
		set_status(r, p->why.status ? p->why.status : PB_COUNTER_FAILED, p->why.note);
	} else if (!isfinite(value)) {
		set_status(r, PB_COUNTER_FAILED, "cannot be read");
	} else if (value < 0) {
		snprintf(r->note, sizeof(r->note), "negative count %.0f", value);
		r->status = PB_COUNTER_SUSPECT;
	} else {
		r->status = PB_COUNTER_MEASURED;
		r->value = value;
		if (quantity->kind == PB_KIND_SWITCHES)
			snprintf(r->note, sizeof(r->note), "voluntary %.0f, involuntary %.0f", p->values[0], p->values[1]);
		else if (quantity->kind == PB_KIND_PEAK_MEMORY)
			snprintf(r->note, sizeof(r->note), "high-water mark of the process since its last reset, not of this window alone");
	}
}

static void read_threads(const struct pb_counters *c, const struct thread_sums *s, unsigned q, struct pb_reading *r)
{
	const struct pb_ladder_step *step = &c->ladder->steps[q];
	char rule[PB_COUNTER_NOTE];

	snprintf(r->source, sizeof(r->source), "%s:%s", c->ladder->thread->name, step->rungs[step->chosen].event);
	snprintf(r->scope, sizeof(r->scope), "threads:%u/%u", s->k, c->n_threads);
	r->domain = "user";
	r->passes = 1;
	if (s->k < c->n_threads) {
		/* No thread at all: its reason is the reading's; some: the sum does not cover the work. */
		if (s->k == 0)
			set_status(r, s->why.status ? s->why.status : PB_COUNTER_FAILED, s->why.note);
		else
			snprintf(r->note, sizeof(r->note), "%u of %u threads counted: %.200s", s->k, c->n_threads, s->why.note);
		if (s->k)
			r->status = PB_COUNTER_UNSUITABLE;
		return;
	}
	check_group(c, s, step->group, rule);
	if (rule[0]) {
		r->status = PB_COUNTER_SUSPECT;
		snprintf(r->note, sizeof(r->note), "%.190s; counted %.9g", rule, s->sum[q]);
		return;
	}
	r->status = PB_COUNTER_MEASURED;
	r->value = s->sum[q];
}

static void read_package(const struct pb_counters *c, unsigned q, struct pb_reading *r)
{
	const struct pb_ladder_step *step = &c->ladder->steps[q];

	snprintf(r->source, sizeof(r->source), "%s:%s", c->ladder->thread->name, step->rungs[step->chosen].event);
	snprintf(r->scope, sizeof(r->scope), "package, all processes");
	r->domain = "user+kernel";
	r->passes = 1;
	if (!c->package.started)
		set_status(r, c->package.why.status ? c->package.why.status : PB_COUNTER_FAILED, c->package.why.note);
	else if (c->package.values[0] < 0)
		set_status(r, PB_COUNTER_SUSPECT, "negative count");
	else
		r->value = c->package.values[0] * pb_quantities[q].scale;
}

static void read_quantity(const struct pb_counters *c, const struct thread_sums *s, unsigned q, struct pb_reading *r)
{
	const struct pb_ladder_step *step = &c->ladder->steps[q];

	if (step->why.status) {
		set_status(r, step->why.status, step->why.note);
		return;
	}
	if (pb_quantities[q].kind == PB_KIND_ENERGY && step->chosen >= 0) {
		read_package(c, q, r);
	} else if (!s->present[q]) {
		read_process(c, q, r);
	} else {
		read_threads(c, s, q, r);
		if (r->status != PB_COUNTER_MEASURED && r->status != PB_COUNTER_SUSPECT && has_process(step)) {
			char note[PB_COUNTER_NOTE];

			snprintf(note, sizeof(note), "%.60s: %.180s", step->rungs[step->chosen].event, r->note);
			r->note[0] = '\0';
			read_process(c, q, r);
			if (!r->note[0])
				strcpy(r->note, note);
		}
	}
	if (r->status == PB_COUNTER_MEASURED && pb_quantities[q].kind == PB_KIND_ENERGY)
		strcpy(r->note, "the whole package with all its users; no idle baseline was taken");
}

/* Ratios of events that were counted in the same pass. */
static unsigned add_metrics(const struct pb_counters *c, const struct pb_reading *of[], uint64_t window, struct pb_reading *readings, unsigned n)
{
	const struct pb_groups *g = c->ladder->groups;

	for (unsigned i = 0; g && i < g->n_metrics; i++) {
		const struct pb_group_metric *m = &g->metrics[i];
		const struct pb_reading *above = of[m->above], *below = of[m->below];
		struct pb_reading *r = &readings[n];

		if (c->ladder->steps[m->above].why.status || c->ladder->steps[m->below].why.status || n == PB_MAX_READINGS)
			continue;
		*r = *above;
		r->unit = "ratio";
		r->window_ns = window;
		snprintf(r->name, sizeof(r->name), "%s", m->name);
		snprintf(r->source, sizeof(r->source), "%s / %s", above->name, below->name);
		if (above->status == PB_COUNTER_MEASURED && below->status != PB_COUNTER_MEASURED)
			set_status(r, below->status, below->note);
		else if (above->status == PB_COUNTER_MEASURED && !(below->value > 0))
			set_status(r, PB_COUNTER_FAILED, "nothing to divide by was counted");
		else if (above->status == PB_COUNTER_MEASURED)
			r->value = above->value / below->value;
		n++;
	}
	return n;
}

unsigned pb_counters_end(struct pb_counters *c, struct pb_reading readings[PB_MAX_READINGS])
{
	const struct pb_reading *of[PB_MAX_QUANTITIES] = {0};
	const struct pb_ladder *l;
	struct thread_sums sums;
	struct timespec end;
	uint64_t window = 0;
	unsigned n = 0;

	if (!c)
		return 0;
	l = c->ladder;
	if (l->mode != PB_COUNTERS_OFF) {
		if (l->n_set)
			pb_pool_each(c->pool, stop_thread, c);
		stop_part(&c->package);
		for (unsigned q = 0; q < pb_n_quantities; q++)
			stop_part(&c->process[q]);
		clock_gettime(CLOCK_MONOTONIC_RAW, &end);
		window = (uint64_t)((end.tv_sec - c->begin.tv_sec) * 1000000000LL + (end.tv_nsec - c->begin.tv_nsec));
		if (l->n_set)
			pb_pool_each(c->pool, close_thread, c);
		if (c->package.set)
			l->thread->close(c->package.set);
		for (unsigned q = 0; q < pb_n_quantities; q++)
			if (c->process[q].set)
				l->process->close(c->process[q].set);
	}
	add_threads(c, &sums);
	for (unsigned q = 0; q < pb_n_quantities; q++) {
		struct pb_reading *r = &readings[n];

		if (!pb_quantities[q].always && !l->steps[q].n_rungs)
			continue;
		*r = (struct pb_reading){ .value = NAN, .unit = pb_quantities[q].unit, .domain = "", .window_ns = window };
		snprintf(r->name, sizeof(r->name), "%s", pb_quantities[q].name);
		read_quantity(c, &sums, q, r);
		of[q] = r;
		n++;
	}
	n = add_metrics(c, of, window, readings, n);
	pb_free(c->threads);
	pb_free(c);
	return n;
}

static json_t *text_or_null(const char *s)
{
	return s && *s ? json_string(s) : json_null();
}

/* Counts are whole: they keep their digits. */
static json_t *value_json(const struct pb_reading *r)
{
	if (r->status != PB_COUNTER_MEASURED || !isfinite(r->value))
		return json_null();
	if ((strcmp(r->unit, "1") == 0 || strcmp(r->unit, "bytes") == 0) && fabs(r->value) < 9e15)
		return json_integer((json_int_t)r->value);
	return json_real(r->value);
}

json_t *pb_readings_json(const struct pb_reading *readings, unsigned n)
{
	json_t *all = json_object();

	for (unsigned i = 0; all && i < n; i++) {
		const struct pb_reading *r = &readings[i];
		json_t *one = json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:I, s:i, s:o}", "value", value_json(r), "unit", r->unit, "status", pb_counter_status_name(r->status),
			"source", text_or_null(r->source), "scope", text_or_null(r->scope), "domain", text_or_null(r->domain), "window_ns", (json_int_t)r->window_ns,
			"passes", (int)r->passes, "note", text_or_null(r->note));

		if (!one || json_object_set_new(all, r->name, one) != 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}
