/* Trainings in a report: loss against tokens, and a table of what came of each. */
#include <inttypes.h>
#include <math.h>

#include "reports/training.h"

#define LOSS_RANGE 1.2          /* losses above that many times the highest first one are arrows */
#define MARK_DISTANCE 20.0

static const struct pb_section_column columns[] = {
	{ "Name", false, false }, { "Parameters", true, false }, { "Tokens", true, false }, { "Tokens/s", true, false }, { "Training loss", true, false },
	{ "Validation loss", true, false }, { "Status", false, true },
};

void pb_trainings_count(const struct pb_trainings *trainings, struct pb_text *out)
{
	static const enum pb_training_status order[] = { PB_TRAINING_DONE, PB_TRAINING_DIVERGED, PB_TRAINING_RUNNING };
	const char *before = ": ";
	pb_text_printf(out, "%zu %s", trainings->n, trainings->n == 1 ? "training" : "trainings");
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		size_t n = 0;
		for (size_t k = 0; k < trainings->n; k++)
			n += trainings->runs[k].status == order[i];
		if (!n)
			continue;
		pb_text_printf(out, "%s%zu %s", before, n, pb_training_status_name(order[i]));
		before = ", ";
	}
	pb_text_char(out, '.');
}

/* --- the chart --- */

static bool line_has_place(const struct pb_training_line *line)
{
	return line->tokens > 0 && (isfinite(line->loss) || isfinite(line->validation_loss));
}

static const char *tooltip(struct pb_arena *arena, const struct pb_training *run, const struct pb_training_line *line)
{
	char tokens[32];
	struct pb_text t = { 0 };
	pb_format_count(tokens, (double)line->tokens, 3);
	pb_text_printf(&t, "%s\nstep %" PRId64 ", %" PRId64 " tokens (%s)\nvalidation loss %.4g", run->name, line->step, line->tokens, tokens, line->validation_loss);
	if (isfinite(line->loss))
		pb_text_printf(&t, "\ntraining loss %.4g", line->loss);
	const char *s = t.failed ? NULL : pb_arena_strdup(arena, pb_text_c(&t));
	pb_text_free(&t);
	return s;
}

/* The two lines of a training: of the loss it was trained on, thin, and of the validation's, with marks and the name. */
static bool fill_series(struct pb_chart_series pair[2], struct pb_arena *arena, const struct pb_training *run, size_t place)
{
	double *numbers = pb_arena_alloc(arena, 4 * run->n_lines, sizeof *numbers);
	const char **tooltips = pb_arena_alloc(arena, run->n_lines, sizeof *tooltips);
	const char *name = run->status == PB_TRAINING_DONE ? run->name : pb_arena_printf(arena, "%s (%s)", run->name, pb_training_status_name(run->status));
	if (!numbers || !tooltips || !name)
		return false;
	double *x[2] = { numbers, numbers + run->n_lines }, *y[2] = { numbers + 2 * run->n_lines, numbers + 3 * run->n_lines };
	size_t n[2] = { 0, 0 };
	for (size_t i = 0; i < run->n_lines; i++) {
		const struct pb_training_line *line = &run->lines[i];
		const double losses[2] = { line->loss, line->validation_loss };
		for (int k = 0; k < 2; k++) {
			if (line->tokens <= 0 || !isfinite(losses[k]))
				continue;
			if (k == 1 && !(tooltips[n[1]] = tooltip(arena, run, line)))
				return false;
			x[k][n[k]] = (double)line->tokens;
			y[k][n[k]++] = losses[k];
		}
	}
	const struct pb_chart_series shared = { .ink = pb_chart_ink(place), .shape = pb_chart_shape(place), .line = true };
	pair[0] = pair[1] = shared;
	for (int k = 0; k < 2; k++) {
		pair[k].n = n[k];
		pair[k].x = x[k];
		pair[k].y = y[k];
		pair[k].name = name;
		pair[k].no_name = (n[1] > 0) != (k == 1);
	}
	pair[0].width = 1.0;
	pair[1].width = 2.0;
	pair[1].marks = true;
	pair[1].tooltips = tooltips;
	pair[1].mark_gap = MARK_DISTANCE;
	return true;
}

static double highest_first_loss(const struct pb_trainings *trainings)
{
	double highest = -INFINITY;
	for (size_t i = 0; i < trainings->n; i++)
		for (size_t k = 0; k < trainings->runs[i].n_lines; k++) {
			const struct pb_training_line *line = &trainings->runs[i].lines[k];
			if (!line_has_place(line))
				continue;
			highest = fmax(highest, isfinite(line->loss) ? line->loss : line->validation_loss);
			break;
		}
	return highest;
}

static void add_chart(struct pb_section *section, const struct pb_trainings *trainings)
{
	struct pb_text note = { 0 };
	struct pb_chart_series *series = pb_arena_alloc(section->arena, 2 * trainings->n, sizeof *series);
	size_t n_without_place = 0;
	bool ok = series != NULL;
	for (size_t i = 0; ok && i < trainings->n; i++) {
		ok = fill_series(series + 2 * i, section->arena, &trainings->runs[i], i);
		for (size_t k = 0; k < trainings->runs[i].n_lines; k++)
			n_without_place += !line_has_place(&trainings->runs[i].lines[k]);
	}
	pb_trainings_count(trainings, &note);
	if (n_without_place)
		pb_text_printf(&note, " %zu of the logs\u2019 lines, at 0 tokens or without a loss, %s no place here.", n_without_place,
			n_without_place == 1 ? "has" : "have");
	const char *text = note.failed ? NULL : pb_arena_strdup(section->arena, pb_text_c(&note));
	const char *description = pb_arena_printf(section->arena, "loss by training tokens: %zu %s", trainings->n, trainings->n == 1 ? "training" : "trainings");
	pb_text_free(&note);
	if (!ok || !text || !description) {
		section->failed = true;
		return;
	}
	const double first = highest_first_loss(trainings);
	const struct pb_section_chart chart = { .slug = "training", .note = text,
		.caption = "Thin lines: training loss, the mean over the steps since the line of the log before. Marked lines: validation loss; "
			"marks that would cover others are left out. Lines that are cut by the plot are beyond its range.",
		.chart = { .title = "Loss by training tokens", .x_title = "Training tokens, log scale", .y_title = "Loss (lower is better)", .description = description,
			.x_kind = PB_AXIS_COUNT, .y_kind = PB_AXIS_LINEAR, .has_y_floor = true, .has_y_most = first > 0.0, .y_most = LOSS_RANGE * first,
			.series = series, .n_series = 2 * trainings->n } };
	pb_section_chart(section, &chart);
}

/* --- the table --- */

static void add_count(struct pb_section_table *table, double v)
{
	char buffer[32];
	pb_format_count(buffer, v, 3);
	pb_table_number(table, v, "%s", buffer);
}

static void add_loss(struct pb_section_table *table, double v)
{
	char buffer[64];
	pb_format_value(buffer, v, NAN);
	pb_table_number(table, v, "%s", buffer);
}

void pb_training_section(struct pb_section *out, const struct pb_trainings *trainings, struct pb_arena *arena)
{
	struct pb_text csv = { 0 };
	struct pb_error ignored = { 0 };
	pb_section_init(out, arena, "training", "Training");
	add_chart(out, trainings);
	struct pb_section_table *table = pb_section_table(out, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < trainings->n; i++) {
		const struct pb_training *run = &trainings->runs[i];
		pb_table_text(table, "%s", run->name);
		add_count(table, (double)run->parameters);
		add_count(table, (double)run->tokens);
		add_count(table, run->tokens_per_second);
		add_loss(table, run->final_loss);
		add_loss(table, run->validation_loss);
		pb_table_text(table, "%s%s%s", pb_training_status_name(run->status), *run->reason ? ": " : "", run->reason);
	}
	if (pb_trainings_csv(trainings, &csv, &ignored) != PB_OK)
		out->failed = true; /* memory is all that can be missing */
	pb_section_file(out, "training.csv", "All lines of the logs", &csv);
}
