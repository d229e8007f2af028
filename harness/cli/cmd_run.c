/* paretobench run: a sweep into the record of a run. */
#include <stdio.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/log.h"
#include "harness/cli/cli.h"
#include "harness/run/recipe_model.h"
#include "harness/run/runner.h"

#define MAX_FILTERS 32

struct run_state {
	const char *folder;
	uint64_t jobs;
	bool dry;
	struct pb_filter filters[MAX_FILTERS];
	size_t n_filters;
};

static const struct pb_flag flags[] = {
	{ "output", 'o', "DIR", "folder of the record (default: out/NAME of the sweep)" },
	{ "jobs", 'j', "N", "cells at the same time (default: processors / threads)" },
	{ "only", 0, "KEY=VALUE", "only cells whose model, quantizer, label, backend or seed is VALUE; may be repeated" },
	{ "dry-run", 'n', NULL, "print the cells, their sizes and the estimated cost; do nothing" },
	{ "resume", 0, NULL, "go on where DIR/results.db stops (this is what run always does)" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status run_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct run_state *s = state;

	if (strcmp(name, "output") == 0) {
		s->folder = value;
	} else if (strcmp(name, "jobs") == 0) {
		return pb_cli_count(name, value, 1, 1024, &s->jobs, err);
	} else if (strcmp(name, "dry-run") == 0) {
		s->dry = true;
	} else if (strcmp(name, "only") == 0) {
		const char *equals = strchr(value, '=');
		struct pb_filter *f = &s->filters[s->n_filters];

		if (!equals || s->n_filters == MAX_FILTERS)
			return pb_fail(err, PB_USAGE, equals ? "--only: more than 32 of them" : "--only %s: write KEY=VALUE", value);
		f->key = pb_arena_strndup(cli->arena, value, (size_t)(equals - value));
		f->value = equals + 1;
		if (!f->key)
			return pb_out_of_memory(err, "the command line");
		s->n_filters++;
	}
	return PB_OK;
}

/* One core does about so many multiply-adds a second on packed batches; only the dry run's guess rests on it. */
#define GUESSED_RATE 2e10

/* "<=49.8 MiB" where the plan is the most that can be stored. */
static void format_planned(char out[40], const struct pb_cell *cell, uint64_t bytes)
{
	char size[32];

	pb_format_size(size, (double)bytes);
	snprintf(out, 40, "%s%s", cell->bytes_are_bound ? "<=" : "", size);
}

static enum pb_status print_plan(const struct pb_plan *plan, unsigned jobs, struct pb_error *err)
{
	struct pb_text t = {0};
	double cost = 0;
	char weight[40], model[40], duration[32];
	enum pb_status st;

	pb_text_printf(&t, "%4s  %-32s %-16s %-10s %11s %11s %6s  %s\n", "cell", "quantizer", "model", "backend", "weights", "model", "cost", "");
	for (size_t i = 0; i < plan->n; i++) {
		const struct pb_planned_cell *c = &plan->cells[i];

		size_t line = t.length;

		if (c->problem) {
			pb_text_printf(&t, "%4zu  %-32s %-16s %-10s %s: %s", i + 1, c->cell.label, c->cell.model_name, c->cell.backend,
				c->cell.model->is_made ? "not known yet" : "cannot run", c->why);
			pb_progress_one_line(&t, line);
			pb_text_char(&t, '\n');
			continue;
		}
		format_planned(weight, &c->cell, c->cell.weight_bytes);
		format_planned(model, &c->cell, c->cell.model_bytes);
		pb_format_duration(duration, c->cell.cost / GUESSED_RATE);
		pb_text_printf(&t, "%4zu  %-32s %-16s %-10s %11s %11s %6s  %.12s", i + 1, c->cell.label, c->cell.model_name, c->cell.backend, weight, model, duration, c->cell.key);
		pb_progress_one_line(&t, line);
		pb_text_char(&t, '\n');
		cost += c->cell.cost;
	}
	pb_format_duration(duration, cost / GUESSED_RATE / jobs);
	pb_text_printf(&t, "%zu cells, about %s with %u jobs (a guess from parameters and text, at %.0f GFLOP/s a job)\n", plan->n, duration, jobs, 2 * GUESSED_RATE / 1e9);
	st = pb_print(&t, err);
	pb_text_free(&t);
	return st;
}

static void print_summary(const struct pb_cli *cli, const struct pb_run_summary *s, const char *folder)
{
	char duration[32];

	if (cli->quiet && !s->interrupted)
		return;
	pb_format_duration(duration, s->seconds);
	fprintf(stderr, "done      %zu cells\n", s->ok + s->kept);
	if (s->kept)
		fprintf(stderr, "          %zu of them from an earlier run\n", s->kept);
	fprintf(stderr, "failed    %zu\nskipped   %zu\ntime      %s\nrecord    %s/results.db\n", s->failed, s->skipped, duration, folder);
	if (s->interrupted)
		fprintf(stderr, "interrupted; what is finished is saved. To go on:\n  %s\n", cli->program);
	else
		fprintf(stderr, "report:   paretobench report %s\n", folder);
}

/* What is trained before there can be a plan. */
static enum pb_status make_models(const struct run_state *s, struct pb_cli *cli, const struct pb_sweep *sweep, bool *interrupted, struct pb_error *err)
{
	struct pb_recipe_models_options options = { .filters = s->filters, .n_filters = s->n_filters, .progress = cli->progress, .colour = cli->colour, .quiet = cli->quiet };
	enum pb_status st = pb_cli_pool(cli, &options.pool, err);

	if (!st)
		st = pb_recipe_models_make(sweep, &options, interrupted, err);
	pb_pool_free(options.pool);
	return st;
}

static enum pb_status run_plan(const struct run_state *s, struct pb_cli *cli, const struct pb_sweep *sweep, const char *folder, int *code, struct pb_error *err)
{
	struct pb_plan plan;
	struct pb_run_summary summary;
	unsigned processors = pb_cpu_count(), threads = cli->threads ? cli->threads : 1;
	struct pb_run_options options = { .folder = folder, .command = cli->program, .threads = threads, .plugins = cli->plugins, .n_plugins = cli->n_plugins,
		.data = &cli->data, .progress = cli->progress, .colour = cli->colour, .quiet = cli->quiet, .partial = s->n_filters > 0 };
	enum pb_status st = pb_plan_make(&plan, sweep, s->filters, s->n_filters, &cli->data, err);

	if (st)
		return st;
	options.jobs = s->jobs ? (unsigned)s->jobs : processors > threads ? processors / threads : 1;
	if (options.jobs > plan.n)
		options.jobs = (unsigned)plan.n;
	/* Few cells and many processors: the rest goes into threads. */
	if (!cli->threads && processors / options.jobs > 1)
		options.threads = processors / options.jobs;
	if (s->dry) {
		st = print_plan(&plan, options.jobs, err);
	} else {
		st = pb_run_plan(sweep, &plan, &options, &summary, err);
		if (!st) {
			print_summary(cli, &summary, options.folder);
			pb_run_tell_problems(&plan);
			*code = summary.interrupted ? 130 : summary.failed ? 1 : 0;
		}
	}
	pb_plan_free(&plan);
	return st;
}

static enum pb_status run_sweep(const struct run_state *s, struct pb_cli *cli, struct pb_sweep *sweep, int *code, struct pb_error *err)
{
	const char *folder = s->folder ? s->folder : pb_arena_printf(cli->arena, "out/%s", sweep->name);
	bool interrupted = false;
	enum pb_status st = folder ? pb_recipe_models_place(sweep, folder, err) : pb_out_of_memory(err, "a path");

	if (!st && !s->dry)
		st = make_models(s, cli, sweep, &interrupted, err);
	if (!st && interrupted) {
		fprintf(stderr, "interrupted while a model was trained; what is done is saved. To go on:\n  %s\n", cli->program);
		*code = 130;
		return PB_OK;
	}
	return st ? st : run_plan(s, cli, sweep, folder, code, err);
}

static enum pb_status run_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct pb_sweep *sweep = NULL;
	enum pb_status st = pb_sweep_read(&sweep, cli->args[0], &cli->data, err);

	if (st)
		return st;
	st = run_sweep(state, cli, sweep, code, err);
	pb_sweep_free(sweep);
	return st;
}

const struct pb_command pb_cmd_run = {
	.name = "run",
	.arguments = "SWEEP.yaml",
	.summary = "run or resume a sweep",
	.help = "Runs every cell of the sweep (model x quantizer setting x backend x seed) on its tasks, in worker\n"
		"processes, and keeps rows and per-item log-likelihoods in DIR/results.db, one transaction a cell.\n"
		"Cells that are there already are not run again; failed ones are tried again. Methods that need to know of the\n"
		"data get it from the sweep's key `calibration: {data: FILE, ...}`; what is measured is kept in DIR/calibration. Methods\n"
		"that are trained are by `training: {data: FILE, format}` (a text, or world_train); models are kept in DIR/trained. A model\n"
		"of the sweep is a name, a path, {path, tokenizer, name}, or {recipe, share, name}, which is trained first, on that share of the\n"
		"recipe's steps, into DIR/models; with `quantizers` and `seeds` it has some of its own. Orders of settings that papers lead one\n"
		"to expect go into `expect: [{better, worse, task, metric, source}]`; the report tests them. The corner of\n"
		"volumes is `reference: {size: 4MiB, acc: 0.25, nll: 6}`: costs and metrics by name; without it the report takes one by rule.",
	.keys = pb_calibration_options,
	.keys_title = "calibration: beside data (a text, world_calib, or ready tensors)",
	.flags = flags,
	.least = 1,
	.most = 1,
	.set = run_set,
	.state_size = sizeof(struct run_state),
	.run = run_run,
};
