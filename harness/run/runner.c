#include "harness/run/runner.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/version.h"
#include "core/counters/counters.h"
#include "harness/run/interrupt.h"
#include "harness/run/machine.h"
#include "harness/run/process.h"
#include "harness/run/wire.h"

#define TICK_MS 100
#define NO_CELL SIZE_MAX

struct slot {
	struct pb_process process;
	size_t cell;                /* index in the plan; NO_CELL: idle */
	double started;
	char stage[64];
	double done;
};

struct runner {
	const struct pb_sweep *sweep;
	const struct pb_plan *plan;
	const struct pb_run_options *options;
	struct pb_run_summary *summary;
	struct pb_store *store;
	struct pb_progress progress;
	struct slot *slots;
	char *cache, *trained;      /* folders of calibrations and of trained models, in that of the record */
	bool *pending;              /* [plan->n] */
	size_t next;                /* first cell that may be pending */
};

/* A JSON object as a fact; takes the reference. */
static enum pb_status write_object(struct pb_store *store, const char *key, json_t *object, struct pb_error *err)
{
	char *text = object ? pb_json_canonical(object) : NULL;
	enum pb_status st = text ? pb_store_set(store, key, text, err) : pb_out_of_memory(err, "the record");

	json_decref(object);
	pb_free(text);
	return st;
}

/* What this machine can count, and why not the rest. */
static enum pb_status write_counters(struct pb_store *store, struct pb_error *err)
{
	struct pb_text table = {0};
	enum pb_status st = pb_counters_report(true, &table, err);

	if (!st)
		st = pb_store_set(store, "counters", pb_text_c(&table), err);
	pb_text_free(&table);
	return st;
}

static enum pb_status write_facts(struct runner *r, struct pb_error *err)
{
	char created[32];
	struct pb_arena *arena = pb_arena_new();
	const char *before = "";
	const struct { const char *key, *value; } facts[] = {
		{ "name", r->sweep->name }, { "sweep", r->sweep->text }, { "command", r->options->command }, { "version", pb_version() }, { "expect", r->sweep->expect },
		{ "reference", r->sweep->reference },
	};
	enum pb_status st = arena ? pb_store_get(r->store, arena, "created_utc", &before, err) : pb_out_of_memory(err, "the record");

	pb_clock_utc(created);
	if (!st && !before[0])
		st = pb_store_set(r->store, "created_utc", created, err);
	for (size_t i = 0; !st && i < sizeof(facts) / sizeof(facts[0]); i++)
		st = pb_store_set(r->store, facts[i].key, facts[i].value, err);
	if (!st)
		st = write_object(r->store, "machine", pb_machine_json(), err);
	if (!st)
		st = write_object(r->store, "libraries", pb_libraries_json(), err);
	if (!st)
		st = write_counters(r->store, err);
	pb_arena_free(arena);
	return st;
}

/* The row to show of each task: its first metric, or its failure. */
static void format_cell(const struct runner *r, size_t index, const struct pb_rows *rows, double seconds, struct pb_text *t)
{
	const struct pb_cell *c = &r->plan->cells[index].cell;
	const char *task = "", *problem = NULL;
	char size[32] = "", duration[32], value[64];

	pb_text_printf(t, "%4zu  %-28s %-16s", index + 1, c->label, c->model_name);
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *row = &rows->rows[i];

		if (row->model_bytes != PB_ABSENT)
			pb_format_size(size, (double)row->model_bytes);
		if (row->status != PB_ROW_OK) {
			if (!problem)
				pb_text_printf(t, "  %s %s: %s", row->task, pb_row_status_name(row->status), row->reason);
			problem = row->reason;
		} else if (strcmp(row->task, task) != 0) {
			pb_format_value(value, row->value, row->stderr_value);
			pb_text_printf(t, "  %s %s %s", row->task, row->metric, value);
		}
		task = row->task;
	}
	pb_format_duration(duration, seconds);
	pb_text_printf(t, "  %s  %s", size[0] ? size : "-", duration);
	pb_progress_one_line(t, 0);
}

/* A problem of several cells is told once, at the end, and not for each of them. */
static size_t sharing(const struct pb_plan *plan, size_t index)
{
	size_t n = 0;

	for (size_t i = 0; plan->cells[index].problem && i < plan->n; i++)
		if (plan->cells[i].problem == plan->cells[index].problem && strcmp(plan->cells[i].why, plan->cells[index].why) == 0)
			n++;
	return n;
}

void pb_run_tell_problems(const struct pb_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct pb_planned_cell *c = &plan->cells[i];
		size_t n = sharing(plan, i);
		bool told = false;

		for (size_t k = 0; n > 1 && !told && k < i; k++)
			told = plan->cells[k].problem == c->problem && strcmp(plan->cells[k].why, c->why) == 0;
		if (n > 1 && !told)
			pb_log(PB_LOG_ERROR, "%zu of %zu cells %s: %s", n, plan->n, c->problem == PB_UNSUPPORTED ? "are skipped" : "cannot run", c->why);
	}
}

/* Keeps the rows of a cell that has come to an end, one way or the other. */
static enum pb_status finish_cell(struct runner *r, size_t index, const struct pb_rows *rows, const struct pb_stored_task *tasks, size_t n_tasks,
	double seconds, struct pb_error *err)
{
	const struct pb_cell *c = &r->plan->cells[index].cell;
	struct pb_text line = {0};
	bool failed = false, skipped = false;
	enum pb_status st = pb_store_put(r->store, c->key, index, rows->rows, rows->n, tasks, n_tasks, err);

	if (st)
		return st;
	for (size_t i = 0; i < rows->n; i++) {
		failed = failed || rows->rows[i].status == PB_ROW_FAILED;
		skipped = skipped || rows->rows[i].status == PB_ROW_SKIPPED;
	}
	r->progress.finished++;
	r->progress.cost_done += c->cost;
	if (failed) {
		r->summary->failed++;
		r->progress.failed++;
	} else if (skipped) {
		r->summary->skipped++;
		r->progress.skipped++;
	} else {
		r->summary->ok++;
		r->progress.cost_measured += c->cost;
		r->progress.seconds_measured += seconds;
	}
	format_cell(r, index, rows, seconds, &line);
	pb_log(PB_LOG_DEBUG, "cell %.12s finished: %s", c->key, pb_text_c(&line) + strspn(pb_text_c(&line), " "));
	if (sharing(r->plan, index) > 1) {
		pb_text_free(&line);
		return PB_OK;
	}
	pb_progress_cell(&r->progress, pb_text_c(&line), failed);
	if (failed && !r->progress.enabled)
		pb_log(PB_LOG_ERROR, "cell %s", pb_text_c(&line) + strspn(pb_text_c(&line), " "));
	pb_text_free(&line);
	return PB_OK;
}

static enum pb_status finish_badly(struct runner *r, size_t index, enum pb_row_status status, const char *reason, double seconds, struct pb_error *err)
{
	struct pb_rows rows;
	enum pb_status st;

	pb_rows_init(&rows);
	st = pb_cell_rows_failed(&r->plan->cells[index].cell, status, reason, &rows, err);
	if (!st)
		st = finish_cell(r, index, &rows, NULL, 0, seconds, err);
	pb_rows_free(&rows);
	return st;
}

static enum pb_status give_work(struct runner *r, struct slot *s, struct pb_error *err)
{
	struct pb_cell cell;
	enum pb_status st = PB_OK;

	while (r->next < r->plan->n && !r->pending[r->next])
		r->next++;
	if (r->next == r->plan->n)
		return PB_OK;
	if (s->process.pid == 0)
		st = pb_process_start(&s->process, r->options, r->sweep->limits.memory_bytes, err);
	if (st)
		return st;
	s->cell = r->next;
	pb_log(PB_LOG_DEBUG, "cell %.12s started: %s | %s | %s, worker %d", r->plan->cells[s->cell].cell.key, r->plan->cells[s->cell].cell.label,
		r->plan->cells[s->cell].cell.model_name, r->plan->cells[s->cell].cell.backend, (int)s->process.pid);
	r->pending[r->next] = false;
	s->started = pb_clock_seconds();
	snprintf(s->stage, sizeof(s->stage), "start");
	s->done = 0;
	cell = r->plan->cells[s->cell].cell;
	cell.cache = r->cache;
	cell.trained = r->trained;
	return pb_process_send(&s->process, pb_wire_cell(&cell), err);
}

/* The worker is gone in the middle of a cell (or was sent away, with `why`). */
static enum pb_status lose_worker(struct runner *r, struct slot *s, const char *why, struct pb_error *err)
{
	struct pb_text reason = {0};
	char limit[32], seen[32];
	uint64_t memory = r->sweep->limits.memory_bytes, held = s->process.memory_seen;
	size_t cell = s->cell;
	enum pb_status st = PB_OK;

	if (why)
		pb_text_string(&reason, why);
	pb_process_end(&s->process, why ? NULL : &reason);
	if (!why && memory) {
		pb_format_size(limit, (double)memory);
		pb_format_size(seen, (double)held);
		pb_text_printf(&reason, "; its memory limit is %s, it %s%s", limit, held ? "was last seen with " : "was not looked at before", held ? seen : "");
	}
	s->cell = NO_CELL;
	/* What stopped the run stopped its workers too: that is no failure of the cell. */
	if (cell != NO_CELL && (why || !pb_interrupted()))
		st = finish_badly(r, cell, PB_ROW_FAILED, pb_text_c(&reason), pb_clock_seconds() - s->started, err);
	pb_text_free(&reason);
	return st;
}

static enum pb_status read_message(struct runner *r, struct slot *s, const struct pb_text *line, struct pb_error *err)
{
	json_t *object = NULL;
	struct pb_cell_result result;
	struct pb_error why = {0};
	enum pb_status st;

	if (s->cell == NO_CELL)
		return PB_OK;
	if (pb_json_parse(&object, "worker", pb_text_c(line), line->length, &why))
		return lose_worker(r, s, "worker sent a line that is not JSON", err);
	if (json_object_get(object, "stage")) {
		snprintf(s->stage, sizeof(s->stage), "%s", json_string_value(json_object_get(object, "stage")));
		s->done = json_number_value(json_object_get(object, "done"));
		json_decref(object);
		return PB_OK;
	}
	st = pb_wire_read_result(object, &result, &why);
	json_decref(object);
	if (st)
		return lose_worker(r, s, why.text, err);
	st = finish_cell(r, s->cell, &result.rows, result.tasks, result.n_tasks, pb_clock_seconds() - s->started, err);
	pb_cell_result_free(&result);
	s->cell = NO_CELL;
	return st;
}

static enum pb_status listen_to(struct runner *r, struct slot *s, struct pb_error *err)
{
	struct pb_text line = {0};
	enum pb_status st = PB_OK;
	int got;

	pb_process_read_said(&s->process);
	while ((got = pb_process_read(&s->process)) > 0)
		;
	while (!st && s->process.pid && pb_process_next_line(&s->process, &line))
		st = read_message(r, s, &line, err);
	pb_text_free(&line);
	if (!st && got < 0 && s->process.pid)
		st = lose_worker(r, s, NULL, err);
	return st;
}

static enum pb_status check_limits(struct runner *r, struct slot *s, struct pb_error *err)
{
	char reason[192], limit[32], held[32];

	if (s->cell == NO_CELL)
		return PB_OK;
	if (r->sweep->limits.memory_bytes) {
		pb_process_watch_memory(&s->process);
		if (s->process.memory_seen > r->sweep->limits.memory_bytes) {
			pb_format_size(limit, (double)r->sweep->limits.memory_bytes);
			pb_format_size(held, (double)s->process.memory_seen);
			snprintf(reason, sizeof(reason), "over its memory limit of %s with %s, in stage %s", limit, held, s->stage);
			return lose_worker(r, s, reason, err);
		}
	}
	if (r->sweep->limits.seconds <= 0 || pb_clock_seconds() - s->started < r->sweep->limits.seconds)
		return PB_OK;
	pb_format_duration(limit, r->sweep->limits.seconds);
	snprintf(reason, sizeof(reason), "over its time limit of %s, in stage %s", limit, s->stage);
	return lose_worker(r, s, reason, err);
}

static void show_status(struct runner *r)
{
	struct pb_text what = {0};

	for (unsigned i = 0; i < r->options->jobs; i++) {
		const struct slot *s = &r->slots[i];

		if (s->cell == NO_CELL)
			continue;
		pb_text_printf(&what, "%s | %s | %s %.0f%%", r->plan->cells[s->cell].cell.label, r->plan->cells[s->cell].cell.model_name, s->stage, 100 * s->done);
		break;
	}
	pb_progress_status(&r->progress, pb_text_c(&what));
	pb_text_free(&what);
}

/* One round: work to the idle, then wait for news. *busy: workers with a cell. */
static enum pb_status run_round(struct runner *r, size_t *busy, struct pb_error *err)
{
	struct pollfd *fds = pb_alloc_zero(2 * (size_t)r->options->jobs, sizeof(*fds));
	enum pb_status st = fds ? PB_OK : pb_out_of_memory(err, "the runner");
	nfds_t n = 0;

	*busy = 0;
	for (unsigned i = 0; !st && i < r->options->jobs; i++) {
		struct slot *s = &r->slots[i];

		if (s->cell == NO_CELL)
			st = give_work(r, s, err);
		if (s->cell == NO_CELL)
			continue;
		(*busy)++;
		fds[n++] = (struct pollfd){ .fd = s->process.out, .events = POLLIN };
		if (s->process.err >= 0)
			fds[n++] = (struct pollfd){ .fd = s->process.err, .events = POLLIN };
	}
	if (!st && *busy && poll(fds, n, TICK_MS) < 0 && errno != EINTR)
		st = pb_fail(err, PB_IO, "poll: %s", strerror(errno));
	pb_free(fds);
	for (unsigned i = 0; !st && *busy && i < r->options->jobs; i++) {
		if (r->slots[i].cell != NO_CELL)
			st = listen_to(r, &r->slots[i], err);
		if (!st)
			st = check_limits(r, &r->slots[i], err);
	}
	show_status(r);
	return st;
}

/* Cells that cannot run and cells that are there already. */
static enum pb_status sort_out(struct runner *r, double *cost, struct pb_error *err)
{
	const struct pb_plan *plan = r->plan;
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < plan->n; i++) {
		enum pb_row_status status;

		st = pb_store_status(r->store, plan->cells[i].cell.key, &status, err);
		r->pending[i] = !(status == PB_ROW_OK || status == PB_ROW_SKIPPED) || plan->cells[i].problem;
		if (!r->pending[i] && status == PB_ROW_SKIPPED)
			r->summary->skipped++;
		else if (!r->pending[i])
			r->summary->kept++;
		else if (!plan->cells[i].problem)
			*cost += plan->cells[i].cell.cost;
	}
	return st;
}

static enum pb_status tell_problems(struct runner *r, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < r->plan->n; i++)
		if (r->plan->cells[i].problem) {
			r->pending[i] = false;
			st = finish_badly(r, i, r->plan->cells[i].problem == PB_UNSUPPORTED ? PB_ROW_SKIPPED : PB_ROW_FAILED, r->plan->cells[i].why, 0, err);
		}
	return st;
}

/* Of the record as it is: cells that the plan no longer has, and cells that it has again. */
static enum pb_status compare_record(struct runner *r, struct pb_error *err)
{
	const char **keys = pb_alloc(r->plan->n, sizeof(*keys));
	uint64_t marked = 0, revived = 0;
	enum pb_status st;

	if (!keys)
		return pb_out_of_memory(err, "the plan");
	for (size_t i = 0; i < r->plan->n; i++)
		keys[i] = r->plan->cells[i].cell.key;
	st = pb_store_revive(r->store, keys, r->plan->n, &revived, err);
	if (!st && !r->options->partial)
		st = pb_store_mark_stale(r->store, keys, r->plan->n, &marked, err);
	pb_free(keys);
	if (!st && revived)
		pb_log(PB_LOG_INFO, "%s: %llu stale cells are in this plan again", r->options->folder, (unsigned long long)revived);
	if (!st && marked)
		pb_log(PB_LOG_WARNING, "%s: %llu earlier cells are not in this plan and are marked stale", r->options->folder, (unsigned long long)marked);
	return st;
}

static enum pb_status run_all(struct runner *r, struct pb_error *err)
{
	double cost = 0;
	size_t busy = 1;
	enum pb_status st = sort_out(r, &cost, err);

	pb_progress_begin(&r->progress, r->plan->n, r->summary->kept + r->summary->skipped, cost, r->options->jobs, r->options->quiet ? PB_NEVER : r->options->progress, r->options->colour);
	if (!st)
		st = tell_problems(r, err);
	while (!st && busy && !pb_interrupted())
		st = run_round(r, &busy, err);
	pb_progress_clear(&r->progress);
	pb_log_before(NULL);
	return st;
}

enum pb_status pb_run_plan(const struct pb_sweep *sweep, const struct pb_plan *plan, const struct pb_run_options *options,
	struct pb_run_summary *summary, struct pb_error *err)
{
	struct runner r = { .sweep = sweep, .plan = plan, .options = options, .summary = summary };
	struct pb_interrupts signals;
	double begin = pb_clock_seconds();
	enum pb_status st;

	memset(summary, 0, sizeof(*summary));
	r.slots = pb_alloc_zero(options->jobs, sizeof(*r.slots));
	r.pending = pb_alloc_zero(plan->n, sizeof(*r.pending));
	r.cache = pb_path_join(options->folder, "calibration");
	r.trained = pb_path_join(options->folder, "trained");
	st = r.slots && r.pending && r.cache && r.trained ? pb_store_open(&r.store, options->folder, true, err) : pb_out_of_memory(err, "the runner");
	for (unsigned i = 0; r.slots && i < options->jobs; i++) {
		r.slots[i].cell = NO_CELL;
		r.slots[i].process.in = r.slots[i].process.out = r.slots[i].process.err = -1;
	}
	signal(SIGPIPE, SIG_IGN);
	pb_interrupts_begin(&signals);
	/* The record is locked: no other run's worker is writing there. */
	if (!st)
		pb_folder_drop_temporaries(r.cache);
	if (!st)
		st = write_facts(&r, err);
	if (!st)
		st = compare_record(&r, err);
	if (!st)
		st = run_all(&r, err);
	for (unsigned i = 0; r.slots && i < options->jobs; i++)
		pb_process_end(&r.slots[i].process, NULL);
	pb_interrupts_end(&signals);
	summary->interrupted = pb_interrupted();
	summary->seconds = pb_clock_seconds() - begin;
	pb_store_close(r.store);
	pb_free(r.slots);
	pb_free(r.pending);
	pb_free(r.cache);
	pb_free(r.trained);
	return st;
}
