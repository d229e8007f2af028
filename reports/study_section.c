/* The study of trained methods in a report: figures of its parts, a verdict on each finding, what one bit keeps. */
#include <math.h>
#include <string.h>

#include "reports/study.h"

#define MOST_MODELS 64
#define MOST_SERIES 16
#define SETTING const struct pb_study_setting

static const double widths[] = { 1, 1.58, 2, 3, 4 };
static const char *const width_names[] = { "1 bit", "1.58 bits", "2 bits", "3 bits", "4 bits" };
#define N_WIDTHS 5

static const struct pb_section_column finding_columns[] = {
	{ "Part", false, false }, { "What the paper found", false, true }, { "Verdict here", false, false }, { "For", true, false }, { "Against", true, false },
	{ "Open", true, false }, { "Least in favour", true, false }, { "Where", false, false },
};
static const struct pb_section_column one_bit_columns[] = {
	{ "Model", false, false }, { "Quantizer", false, true }, { "NLL", true, false }, { "Accuracy", true, false }, { "Chance", true, false }, { "Over chance", false, false },
	{ "Full", true, false }, { "Kept", true, false }, { "Kept over chance", true, false },
};

/* ---- a chart that is being made ---- */

struct draft {
	struct pb_section *section;
	const struct pb_study *study;
	struct pb_chart_series series[MOST_SERIES];
	double *x[MOST_SERIES], *y[MOST_SERIES], *low[MOST_SERIES], *high[MOST_SERIES];
	size_t n, room;
};

static struct draft draft_of(struct pb_section *section, const struct pb_study *study)
{
	return (struct draft){ .section = section, .study = study, .room = study->n + 1 };
}

/* The next line, in this colour and with this marker. */
static void line_in(struct draft *d, const char *name, enum pb_ink ink, enum pb_shape shape, enum pb_dash dash)
{
	double *numbers = d->n < MOST_SERIES ? pb_arena_alloc(d->section->arena, 4 * d->room, sizeof *numbers) : NULL;
	if (!numbers || !name) {
		d->section->failed = true;
		return;
	}
	d->x[d->n] = numbers;
	d->y[d->n] = numbers + d->room;
	d->low[d->n] = numbers + 2 * d->room;
	d->high[d->n] = numbers + 3 * d->room;
	d->series[d->n] = (struct pb_chart_series){ .name = name, .ink = ink, .shape = shape, .line = true, .marks = true, .dash = dash };
	d->n++;
}

/* place: in the fixed order of colours. */
static void line(struct draft *d, const char *name, size_t place)
{
	line_in(d, name, pb_chart_ink(place), pb_chart_shape(place), PB_SOLID);
}

static void point(struct draft *d, double x, double y, double half)
{
	struct pb_chart_series *s = &d->series[d->n - 1];
	if (d->section->failed)
		return;
	size_t at = s->n;
	while (at > 0 && d->x[d->n - 1][at - 1] > x)
		at--;
	double *const arrays[] = { d->x[d->n - 1], d->y[d->n - 1], d->low[d->n - 1], d->high[d->n - 1] };
	const double values[] = { x, y, half > 0 ? y - half : NAN, half > 0 ? y + half : NAN };
	for (size_t i = 0; i < 4; i++) {
		memmove(arrays[i] + at + 1, arrays[i] + at, (s->n - at) * sizeof *arrays[i]);
		arrays[i][at] = values[i];
	}
	s->n++;
}

static void loss_point(struct draft *d, double x, SETTING *s)
{
	if (s)
		point(d, x, s->nll.mean, 2 * s->nll_error);
}

static void add_chart(struct draft *d, const char *slug, const char *caption, const struct pb_chart *chart)
{
	struct pb_chart_series *series = pb_arena_alloc(d->section->arena, d->n + 1, sizeof *series);
	size_t n = 0;
	if (!series || d->section->failed) {
		d->section->failed = true;
		return;
	}
	for (size_t i = 0; i < d->n; i++) {
		if (!d->series[i].n)
			continue;
		series[n] = d->series[i];
		series[n].x = d->x[i];
		series[n].y = d->y[i];
		series[n].low = d->low[i];
		series[n++].high = d->high[i];
	}
	struct pb_section_chart out = { .slug = slug, .caption = caption, .note = "", .chart = *chart };
	out.chart.series = series;
	out.chart.n_series = n;
	out.chart.description = chart->title;
	if (n)
		pb_section_chart(d->section, &out);
}

/* ---- the figures ---- */

static void draw_widths(struct pb_section *out, const struct pb_study *study, const char *const *models, size_t n_models, bool by_bytes)
{
	struct draft d = draft_of(out, study);
	for (size_t b = 0; b < N_WIDTHS; b++) {
		line(&d, width_names[b], b);
		for (size_t m = 0; m < n_models; m++) {
			SETTING *s = pb_study_main(study, models[m], widths[b]);
			if (s)
				loss_point(&d, by_bytes ? s->weight_bytes : s->params, s);
		}
	}
	line_in(&d, "full precision", PB_INK_FULL, PB_SHAPE_CROSS, PB_DASHED);
	for (size_t m = 0; m < n_models; m++) {
		SETTING *s = pb_study_full(study, models[m]);
		if (s)
			loss_point(&d, by_bytes ? s->weight_bytes : s->params, s);
	}
	if (!by_bytes) {
		line_in(&d, "trained on", pb_chart_ink(N_WIDTHS), pb_chart_shape(N_WIDTHS), PB_DOTTED);
		for (size_t m = 0; m < n_models; m++) {
			SETTING *own = pb_study_main(study, models[m], 4);
			loss_point(&d, own ? own->params : NAN, own ? pb_study_at(study, models[m], "finetune", NAN, own->tokens) : NULL);
		}
	}
	if (by_bytes)
		add_chart(&d, "study-bytes", "The same losses against the bytes of the matrices alone: where one width's line lies below another's, it is the better use of them.",
			&(struct pb_chart){ .title = "Loss by bytes of the matrices, five widths", .x_title = "Bytes of the matrices, log scale", .y_title = "NLL a token, nats (lower is better)",
			.x_kind = PB_AXIS_BYTES });
	else
		add_chart(&d, "study-widths", "ParetoQ at five widths, the models as they are, and trained on in full precision with as many tokens, which is the fair reference.",
			&(struct pb_chart){ .title = "Loss by size of the model, five widths", .x_title = "Parameters, log scale", .y_title = "NLL a token, nats (lower is better)",
			.x_kind = PB_AXIS_COUNT });
}

static void draw_splits(struct pb_section *out, const struct pb_study *study)
{
	struct draft d = draft_of(out, study);
	const struct pb_study_setting *kinds[MOST_SERIES];
	size_t n_kinds = 0;
	for (size_t i = 0; i < study->n; i++) {
		SETTING *s = &study->settings[i];
		bool known = !s->recipe[0] || !s->nll.n || strcmp(s->quantizer, "paretoq") != 0;
		for (size_t k = 0; k < n_kinds && !known; k++)
			known = strcmp(kinds[k]->recipe, s->recipe) == 0 && kinds[k]->bits == s->bits;
		if (!known && n_kinds < MOST_SERIES)
			kinds[n_kinds++] = s;
	}
	for (size_t k = 0; k < n_kinds; k++) {
		line(&d, pb_arena_printf(out->arena, "%s, %g bits", kinds[k]->recipe, kinds[k]->bits), k);
		for (size_t i = 0; i < study->n; i++) {
			SETTING *s = &study->settings[i];
			if (strcmp(s->recipe, kinds[k]->recipe) == 0 && s->bits == kinds[k]->bits && s->nll.n && strcmp(s->quantizer, "paretoq") == 0)
				loss_point(&d, 100 * s->tokens_before / (s->tokens_before + s->tokens), s);
		}
	}
	add_chart(&d, "study-splits", "A budget of tokens, split between full precision and training with the grid; at 100 % the weights are rounded afterwards, each row at its least squared error.",
		&(struct pb_chart){ .title = "Loss by the share of the budget that is spent in full precision", .x_title = "Tokens in full precision, %", .y_title = "NLL a token, nats (lower is better)",
		.x_kind = PB_AXIS_LINEAR });
}

static void draw_movement(struct pb_section *out, const struct pb_study *study, const char *const *models, size_t n_models)
{
	struct draft d = draft_of(out, study);
	for (size_t m = 0; m < n_models && m + 1 < MOST_SERIES; m++) {
		line(&d, models[m], m);
		for (size_t b = 0; b < N_WIDTHS; b++) {
			SETTING *s = pb_study_main(study, models[m], widths[b]);
			if (s && s->movement.n)
				point(&d, widths[b], s->movement.mean, 2 * s->movement_error);
		}
	}
	line_in(&d, "rounding alone", PB_INK_FULL, PB_SHAPE_CROSS, PB_DASHED);
	for (size_t b = 0; b < N_WIDTHS; b++) {
		double sum = 0, n = 0;
		for (size_t m = 0; m < n_models; m++) {
			SETTING *s = pb_study_rounded(study, models[m], widths[b]);
			sum += s && s->movement.n ? s->movement.mean : 0;
			n += s && s->movement.n;
		}
		if (n > 0)
			point(&d, widths[b], sum / n, 0);
	}
	add_chart(&d, "study-movement", "Sum of |W^ - W| over sum of |W|, of the weights that run against those before training. Dashed: the same grids at each row\u2019s least squared error, "
		"untrained, the mean of all models; only what lies above it is movement.",
		&(struct pb_chart){ .title = "How far weights move, by width", .x_title = "Bits", .y_title = "Relative L1 distance", .x_kind = PB_AXIS_LINEAR, .has_y_floor = true });
}

/* Of the first model with several numbers of tokens. */
static void draw_tokens(struct pb_section *out, const struct pb_study *study, const char *const *models, size_t n_models)
{
	const char *model = NULL;
	for (size_t m = 0; m < n_models && !model; m++) {
		SETTING *most = pb_study_main(study, models[m], 2);
		for (size_t i = 0; most && i < study->n && !model; i++) {
			SETTING *s = &study->settings[i];
			if (s->tokens < most->tokens && pb_study_at(study, models[m], "paretoq", 2, s->tokens) == s)
				model = models[m];
		}
	}
	struct draft d = draft_of(out, study);
	for (size_t b = 0; model && b <= N_WIDTHS; b++) {
		const char *quantizer = b < N_WIDTHS ? "paretoq" : "finetune";
		line_in(&d, b < N_WIDTHS ? width_names[b] : "trained on", pb_chart_ink(b), pb_chart_shape(b), b < N_WIDTHS ? PB_SOLID : PB_DOTTED);
		for (size_t i = 0; i < study->n; i++) {
			SETTING *s = &study->settings[i];
			if (s->tokens > 0 && pb_study_at(study, model, quantizer, b < N_WIDTHS ? widths[b] : NAN, s->tokens) == s)
				loss_point(&d, s->tokens, s);
		}
	}
	if (model)
		add_chart(&d, "study-tokens", pb_arena_printf(out->arena, "%s, ParetoQ at five widths and full precision trained on, by tokens.", model),
			&(struct pb_chart){ .title = "Loss by tokens of training with the grid", .x_title = "Tokens, log scale", .y_title = "NLL a token, nats (lower is better)", .x_kind = PB_AXIS_COUNT });
}

static void draw_grids(struct pb_section *out, const struct pb_study *study)
{
	static const char *const names[] = { "SEQ", "LSQ", "min-max" };
	struct draft d = draft_of(out, study);
	const char *model = NULL;
	double tokens = 0;
	for (size_t i = 0; i < study->n && !model; i++) {
		SETTING *s = &study->settings[i];
		if (s->grid != PB_GRID_AUTO && s->init_mse && s->tokens > 0 && !s->recipe[0] && s->nll.n) {
			model = s->model;
			tokens = s->tokens;
		}
	}
	for (size_t g = 0; model && g < 3; g++) {
		line(&d, names[g], g);
		for (size_t i = 0; i < study->n; i++) {
			SETTING *s = &study->settings[i];
			bool same = strcmp(s->model, model) == 0 && s->tokens == tokens && s->nll.n;
			if (same && (g == 2 ? strcmp(s->quantizer, "llm_qat") == 0 : s->init_mse && s->grid == (g ? PB_GRID_LSQ : PB_GRID_SEQ)))
				loss_point(&d, s->bits, s);
		}
	}
	if (model)
		add_chart(&d, "study-grids", pb_arena_printf(out->arena, "%s, %.0f tokens: SEQ and LSQ with learned scales, from those of the least squared error; min-max as in LLM-QAT.", model, tokens),
			&(struct pb_chart){ .title = "Loss by width, three quantizers", .x_title = "Bits", .y_title = "NLL a token, nats (lower is better)", .x_kind = PB_AXIS_LINEAR });
}

/* ---- the tables ---- */

static void add_findings(struct pb_section *out, const struct pb_study *study)
{
	struct pb_study_finding findings[PB_STUDY_FINDINGS];
	size_t n = pb_study_findings(study, findings);
	pb_section_heading(out, "What the paper found, at this scale");
	pb_section_text(out, "Each finding is a set of comparisons between settings of these rows. A difference is clear when it is larger than two of its standard errors: those of a "
		"mean over seeds are the standard deviation over seeds, pooled over all settings that have several and as many tokens, or several at all, over the root of their number (%s); "
		"what is not trained has none. Seen: none "
		"is clearly against the finding and at least half are clearly for it. Not seen: at least one is clearly against it, and no fewer than are for it. Else unclear.",
		isnan(study->deviation) ? "here none has several seeds, so that nothing is clear" : pb_arena_printf(out->arena, "over all: %.2g nats", study->deviation));
	struct pb_section_table *table = pb_section_table(out, finding_columns, sizeof finding_columns / sizeof *finding_columns);
	for (size_t i = 0; i < n; i++) {
		const struct pb_study_finding *f = &findings[i];
		pb_table_text(table, "%s", f->part);
		pb_table_text(table, "%s", f->text);
		pb_table_text(table, "%s", pb_study_verdict_names[pb_study_judge(f)]);
		pb_table_number(table, (double)f->n_for, "%zu", f->n_for);
		pb_table_number(table, (double)f->n_against, "%zu", f->n_against);
		pb_table_number(table, (double)f->n_open, "%zu", f->n_open);
		pb_table_number(table, f->worst, "%+.4f%s%s", f->worst, *f->unit ? " " : "", f->unit);
		pb_table_text(table, "%s", f->where ? f->where : "");
	}
}

/* Trained at one bit on as many tokens as any such setting of the model. */
static bool is_one_bit(const struct pb_study *study, SETTING *s, const char *model)
{
	double most = 0;
	for (size_t i = 0; i < study->n; i++) {
		SETTING *other = &study->settings[i];
		if (strcmp(other->model, model) == 0 && other->bits == 1)
			most = fmax(most, other->tokens);
	}
	return strcmp(s->model, model) == 0 && s->bits == 1 && s->tokens > 0 && s->tokens == most && s->accuracy.n;
}

/* OneBit's own measure, the share of the full-precision mean accuracy, for it and for what else is trained at one bit. */
static void add_one_bit(struct pb_section *out, const struct pb_study *study, const char *const *models, size_t n_models)
{
	struct pb_section_table *table = NULL;
	for (size_t m = 0; m < n_models; m++) {
		SETTING *full = pb_study_full(study, models[m]);
		for (size_t i = 0; full && full->accuracy.n && i < study->n; i++) {
			SETTING *s = &study->settings[i];
			if (!is_one_bit(study, s, models[m]))
				continue;
			if (!table) {
				pb_section_heading(out, "One bit");
				pb_section_text(out, "Everything that is trained at one bit: mean accuracy over the tasks that have a level of chance, and how much of the full-precision model\u2019s is kept, "
					"as the OneBit paper reports it. Over chance: by more than two standard errors of the mean; where full precision is not, there is nothing to keep.");
				table = pb_section_table(out, one_bit_columns, sizeof one_bit_columns / sizeof *one_bit_columns);
			}
			double error = sqrt(s->accuracy_variance) / (double)s->accuracy.n, above = s->accuracy.mean - s->chance.mean;
			double full_error = sqrt(full->accuracy_variance) / (double)full->accuracy.n, full_above = full->accuracy.mean - full->chance.mean;
			pb_table_text(table, "%s", models[m]);
			pb_table_text(table, "%s", s->label);
			pb_table_number(table, s->nll.mean, "%.4f", s->nll.mean);
			pb_table_number(table, s->accuracy.mean, "%.1f \u00b1 %.1f %%", 100 * s->accuracy.mean, 100 * error);
			pb_table_number(table, s->chance.mean, "%.1f %%", 100 * s->chance.mean);
			pb_table_text(table, above > 2 * error ? "yes" : "no");
			pb_table_number(table, full->accuracy.mean, "%.1f %%", 100 * full->accuracy.mean);
			pb_table_number(table, s->accuracy.mean / full->accuracy.mean, "%.1f %%", 100 * s->accuracy.mean / full->accuracy.mean);
			if (full_above > 2 * full_error)
				pb_table_number(table, above / full_above, "%.0f %%", 100 * above / full_above);
			else
				pb_table_number(table, NAN, "n/a");
		}
	}
}

void pb_study_section(struct pb_section *out, const struct pb_study *study)
{
	const char *models[MOST_MODELS];
	size_t n_models = pb_study_models(study, models, MOST_MODELS);

	pb_section_init(out, study->arena, "study", "ParetoQ study");
	pb_section_text(out, "Losses are those of %s. Bars: two standard errors, from the spread over seeds that trained settings with as many tokens share; a seed changes the order of the training text.",
		study->task ? study->task : "no task");
	draw_widths(out, study, models, n_models, false);
	draw_widths(out, study, models, n_models, true);
	draw_splits(out, study);
	draw_movement(out, study, models, n_models);
	draw_tokens(out, study, models, n_models);
	draw_grids(out, study);
	add_findings(out, study);
	add_one_bit(out, study, models, n_models);
}
