/* A comparison in words: a table for a terminal, Markdown that pastes into a discussion, JSON for programs. */
#include <math.h>
#include <string.h>
#include "core/base/json.h"
#include "core/base/markup.h"
#include "reports/compare.h"
#include "reports/items.h"

/* Lists of what is alike for all of a kind, in this order. */
static const enum pb_change listed[] = { PB_CHANGE_WORSE, PB_CHANGE_FAILED, PB_CHANGE_BETTER, PB_CHANGE_REFUSED, PB_CHANGE_UNTESTED, PB_CHANGE_NOISE };

static const struct pb_row *any_row(const struct pb_compared *e)
{
	return e->base ? e->base : e->now;
}

static void put_text(struct pb_text *t, const char *s, bool markdown)
{
	if (markdown)
		pb_markdown_escape(t, s);
	else
		pb_terminal_escape(t, s);
}

static void put_value(struct pb_text *t, const char *metric, double value)
{
	if (isnan(value))
		pb_text_string(t, "n/a");
	else if (pb_metric_is_percent(metric))
		pb_text_printf(t, "%.2f %%", 100 * value);
	else
		pb_text_printf(t, fabs(value) >= 0.1 && fabs(value) < 1e4 ? "%.4f" : "%.3g", value);
}

/* The columns of one entry, as texts. */
enum { SETTING, MODEL, TASK, BASE, NEW, DIFFERENCE, Q, NOTE, COLUMNS };
static const char *const headings[2][COLUMNS] = { { "setting", "model", "task", "base", "new", "difference (95 %)", "q", "" },
	{ "Setting", "Model", "Task", "Base", "New", "Difference (95 %)", "q", "" } }; /* in Markdown */

static void put_note(struct pb_text *t, const struct pb_compared *e, bool markdown)
{
	const struct pb_flips *f = &e->pair.flips;

	if (e->why[0])
		put_text(t, e->why, markdown);
	else if (e->tested && f->n)
		pb_text_printf(t, "lost %llu, won %llu, %.1f %% of choices changed", (unsigned long long)f->lost, (unsigned long long)f->won,
			100.0 * (double)f->changed / (double)f->n);
	if (e->tested && e->pair.difference.value == 0 && e->pair.difference.stderr_value == 0)
		pb_text_printf(t, "%sthe same", t->length ? "; " : "");
	else if (e->tested && e->change == PB_CHANGE_NOISE && !isnan(pb_compare_margin(e->pair.scale)))
		pb_text_printf(t, "%s%s", t->length ? "; " : "", e->equivalent ? "equivalent" : "not shown to be equivalent");
	if (e->by_seed)
		pb_text_printf(t, "%sother seeds (%lld, %lld), whose spread is not known", t->length ? "; " : "", (long long)e->base->seed, (long long)e->now->seed);
	if (e->base && e->now && strcmp(e->base->model_hash, e->now->model_hash) != 0)
		pb_text_printf(t, "%sother weights of the model", t->length ? "; " : "");
	if (e->base && e->now && strcmp(e->base->options, e->now->options) != 0)
		pb_text_printf(t, "%sother defaults of the quantizer", t->length ? "; " : "");
}

static void put_column(struct pb_text *t, const struct pb_compared *e, int column, bool markdown)
{
	const struct pb_row *r = any_row(e);
	char text[96];

	switch (column) {
	case SETTING:
		put_text(t, r->label, markdown);
		break;
	case MODEL:
		put_text(t, r->model, markdown);
		break;
	case TASK:
		put_text(t, r->task, markdown);
		pb_text_char(t, ' ');
		put_text(t, r->metric, markdown);
		break;
	case BASE:
		put_value(t, r->metric, e->base_value);
		break;
	case NEW:
		put_value(t, r->metric, e->now_value);
		break;
	case DIFFERENCE:
		if (e->tested) {
			pb_pair_format(text, &e->pair);
			pb_text_string(t, text);
		} else {
			pb_text_string(t, "n/a");
		}
		break;
	case Q:
		pb_format_p(text, e->q);
		pb_text_string(t, text);
		break;
	case NOTE:
		put_note(t, e, markdown);
		break;
	}
}

/* What has no test and is the same number in both needs none, and no line. */
static bool is_shown(const struct pb_compared *e, enum pb_change change)
{
	return e->change == change && !(change == PB_CHANGE_UNTESTED && e->base_value == e->now_value);
}

/* Entries of one kind as a table; widths for a terminal come from a first pass. */
static void put_list(struct pb_text *out, const struct pb_comparison *c, enum pb_change change, bool markdown)
{
	size_t widths[COLUMNS];
	struct pb_text field = {0};
	size_t n_shown = 0;

	for (size_t i = 0; i < c->n; i++)
		n_shown += is_shown(&c->list[i], change);
	for (int k = 0; k < COLUMNS; k++)
		widths[k] = strlen(headings[0][k]);
	for (size_t i = 0; !markdown && i < c->n; i++)
		for (int k = 0; is_shown(&c->list[i], change) && k < NOTE; k++) {
			size_t n;

			pb_text_clear(&field);
			put_column(&field, &c->list[i], k, false);
			n = pb_utf8_count(pb_text_c(&field), field.length);
			widths[k] = n > widths[k] ? n : widths[k];
		}
	pb_text_printf(out, markdown ? "\n**%s: %zu**\n\n" : "\n%s: %zu\n", pb_change_name(change), c->n_changes[change]);
	for (int k = 0; markdown && n_shown && k < COLUMNS; k++)
		pb_text_printf(out, "| %s%s", headings[1][k], k == NOTE ? " |\n| --- | --- | --- | ---: | ---: | ---: | ---: | --- |\n" : " ");
	for (size_t i = 0; i < c->n; i++) {
		if (!is_shown(&c->list[i], change))
			continue;
		for (int k = 0; k < COLUMNS; k++) {
			pb_text_clear(&field);
			put_column(&field, &c->list[i], k, markdown);
			if (markdown)
				pb_text_printf(out, "| %s ", pb_text_c(&field));
			else
				pb_text_printf(out, "  %s%*s", pb_text_c(&field), k == NOTE ? 0 : (int)(widths[k] - pb_utf8_count(pb_text_c(&field), field.length)), "");
		}
		while (!markdown && out->length && out->data[out->length - 1] == ' ')
			out->data[--out->length] = '\0';
		pb_text_string(out, markdown ? "|\n" : "\n");
	}
	if (n_shown < c->n_changes[change])
		pb_text_printf(out, "%s%zu the same in both\n", !markdown ? "  " : n_shown ? "\n" : "", c->n_changes[change] - n_shown);
	out->failed = out->failed || field.failed;
	pb_text_free(&field);
}

/* Each task and metric once: how many of its cells changed. */
static void put_tasks(struct pb_text *out, const struct pb_comparison *c, bool markdown)
{
	pb_text_string(out, markdown ? "\n| Task | Compared | Worse | Better | Within noise | Mean difference |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
		: "\ntask                           compared   worse  better  within noise  mean difference\n");
	for (size_t i = 0; i < c->n; i++) {
		const struct pb_compared *first = &c->list[i];
		size_t counts[PB_CHANGES] = {0}, n = 0;
		double sum = 0;
		bool is_first = first->tested;
		struct pb_text name = {0};

		for (size_t k = 0; is_first && k < i; k++)
			is_first = !(c->list[k].tested && strcmp(c->list[k].base->task, first->base->task) == 0 && strcmp(c->list[k].base->metric, first->base->metric) == 0);
		if (!is_first)
			continue;
		for (size_t k = i; k < c->n; k++) {
			const struct pb_compared *e = &c->list[k];

			if (!e->tested || strcmp(e->base->task, first->base->task) != 0 || strcmp(e->base->metric, first->base->metric) != 0)
				continue;
			counts[e->change]++;
			sum += e->pair.difference.value;
			n++;
		}
		put_text(&name, first->base->task, markdown);
		pb_text_char(&name, ' ');
		put_text(&name, first->base->metric, markdown);
		pb_text_printf(out, markdown ? "| %s | %zu | %zu | %zu | %zu | " : "%-30s %8zu %7zu %7zu %13zu  ", pb_text_c(&name), n, counts[PB_CHANGE_WORSE],
			counts[PB_CHANGE_BETTER], counts[PB_CHANGE_NOISE]);
		if (pb_metric_is_percent(first->pair.scale))
			pb_text_printf(out, "%+.2f pp%s", 100 * sum / (double)n, markdown ? " |\n" : "\n");
		else
			pb_text_printf(out, "%+.4f%s%s%s", sum / (double)n, *pb_metric_unit(first->pair.scale) ? " " : "", pb_metric_unit(first->pair.scale), markdown ? " |\n" : "\n");
		out->failed = out->failed || name.failed;
		pb_text_free(&name);
	}
}

/* Mean accuracies of settings: of all together, and those that changed. */
static void put_means(struct pb_text *out, const struct pb_comparison *c, bool all, bool markdown)
{
	size_t counts[PB_CHANGES] = {0};
	double sum = 0;

	for (size_t i = 0; i < c->n_means; i++) {
		counts[c->means[i].change]++;
		sum += c->means[i].difference.value;
	}
	if (c->n_means)
		pb_text_printf(out, "\nmean accuracy over the tasks of a setting: %zu compared: %zu worse, %zu better, %zu within noise, on average %+.2f pp\n%s", c->n_means,
			counts[PB_CHANGE_WORSE], counts[PB_CHANGE_BETTER], counts[PB_CHANGE_NOISE], 100 * sum / (double)c->n_means, markdown ? "\n" : "");
	for (size_t i = 0; i < c->n_means; i++) {
		const struct pb_compared_mean *m = &c->means[i];
		char difference[96], q[32];

		if (m->change == PB_CHANGE_NOISE && !all)
			continue;
		pb_pair_format(difference, &(struct pb_pair){ .scale = "acc", .difference = m->difference, .test = m->test });
		pb_format_p(q, m->q);
		pb_text_string(out, markdown ? "- " : "  ");
		put_text(out, m->base->label, markdown);
		pb_text_string(out, " on ");
		put_text(out, m->base->model, markdown);
		pb_text_printf(out, " over %zu tasks: %s, %s (q %s)\n", m->n_tasks, difference, pb_change_name(m->change), q);
	}
}

static void put_run(struct pb_text *out, const char *what, const char *name, const struct pb_row *row, bool markdown)
{
	pb_text_string(out, what);
	put_text(out, name, markdown);
	if (row && row->version[0]) {
		pb_text_string(out, ", version ");
		put_text(out, row->version, markdown);
	}
	if (row && row->started_utc[0]) {
		pb_text_string(out, ", ");
		put_text(out, row->started_utc, markdown);
	}
	pb_text_string(out, markdown ? "  \n" : "\n");
}

static void put_words(struct pb_text *out, const struct pb_comparison *c, const struct pb_compare_names *names, bool markdown)
{
	size_t tests = c->n_changes[PB_CHANGE_WORSE] + c->n_changes[PB_CHANGE_BETTER] + c->n_changes[PB_CHANGE_NOISE], alike = 0, by_seed = 0;
	const struct pb_compared *first = NULL;

	for (size_t i = 0; i < c->n; i++) {
		by_seed += c->list[i].by_seed;
		alike += c->list[i].change == PB_CHANGE_NOISE && c->list[i].equivalent;
		if (!first && c->list[i].base && c->list[i].now)
			first = &c->list[i];
	}
	put_run(out, markdown ? "base: " : "base   ", names->base, first ? first->base : NULL, markdown);
	put_run(out, markdown ? "new: " : "new    ", names->now, first ? first->now : NULL, markdown);
	pb_text_printf(out, "%s%zu compared: %zu worse, %zu better, %zu within noise (%zu of them equivalent: within 1 pp or 0.01 nats)\n", markdown ? "\n" : "", tests,
		c->n_changes[PB_CHANGE_WORSE], c->n_changes[PB_CHANGE_BETTER], c->n_changes[PB_CHANGE_NOISE], alike);
	if (by_seed)
		pb_text_printf(out, "%zu of those within noise differ by more than their items do, but their seeds differ, whose spread is not known: compare runs of the same seeds, or of several\n", by_seed);
	if (c->n_changes[PB_CHANGE_ONLY_BASE] + c->n_changes[PB_CHANGE_ONLY_NEW])
		pb_text_printf(out, "only in base: %zu, only in new: %zu\n", c->n_changes[PB_CHANGE_ONLY_BASE], c->n_changes[PB_CHANGE_ONLY_NEW]);
	if (tests)
		put_tasks(out, c, markdown);
	for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
		if (c->n_changes[listed[i]] && (listed[i] != PB_CHANGE_NOISE || names->all))
			put_list(out, c, listed[i], markdown);
	put_means(out, c, names->all, markdown);
	pb_text_printf(out, "\nbetter, worse: q < %g after Benjamini and Hochberg over %zu tests, and beyond %g standard errors of the paired difference\n", PB_COMPARE_LEVEL,
		tests + c->n_means, PB_COMPARE_ERRORS);
}

/* --- JSON --- */

static json_t *entry_json(const struct pb_compared *e)
{
	const struct pb_row *r = any_row(e);
	json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:b, s:o*}", "model", pb_json_text(r->model), "quantizer", pb_json_text(r->quantizer), "label",
		pb_json_text(r->label), "backend", pb_json_text(r->backend), "task", pb_json_text(r->task), "metric", pb_json_text(r->metric), "change", pb_change_name(e->change), "base", pb_json_number(e->base_value), "new", pb_json_number(e->now_value), "by_seed", e->by_seed,
		"why", e->why[0] ? pb_json_text(e->why) : NULL);
	const struct pb_pair *p = &e->pair;
	json_t *test;

	if (!o || !e->tested)
		return o;
	test = json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:b, s:o}", "scale", p->scale, "difference", pb_json_number(p->difference.value), "stderr",
		pb_json_number(p->difference.stderr_value), "low95", pb_json_number(p->test.low), "high95", pb_json_number(p->test.high), "test", p->how, "p", pb_json_number(p->test.p), "q",
		pb_json_number(e->q), "n", (json_int_t)p->difference.n, "equivalent", e->equivalent, "smallest_detectable",
		pb_json_number(pb_smallest_detectable(p->deviation, (double)p->difference.n)));
	if (test && p->flips.n)
		json_object_set_new(test, "flips", json_pack("{s:I, s:I, s:I}", "lost", (json_int_t)p->flips.lost, "won", (json_int_t)p->flips.won, "changed", (json_int_t)p->flips.changed));
	if (!test || json_object_set_new(o, "test", test)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *mean_json(const struct pb_compared_mean *m)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:s}", "model", pb_json_text(m->base->model), "quantizer", pb_json_text(m->base->quantizer), "label",
		pb_json_text(m->base->label), "backend", pb_json_text(m->base->backend),
		"tasks", (json_int_t)m->n_tasks, "difference", pb_json_number(m->difference.value), "stderr", pb_json_number(m->difference.stderr_value), "p",
		pb_json_number(m->test.p), "q", pb_json_number(m->q), "change", pb_change_name(m->change));
}

static enum pb_status put_json(struct pb_text *out, const struct pb_comparison *c, const struct pb_compare_names *names, struct pb_error *err)
{
	json_t *entries = json_array(), *means = json_array(), *counts = json_object(), *all;
	bool failed = !entries || !means || !counts;
	char *text;

	for (int i = 0; !failed && i < PB_CHANGES; i++)
		failed = json_object_set_new(counts, pb_change_name((enum pb_change)i), json_integer((json_int_t)c->n_changes[i])) != 0;
	for (size_t i = 0; !failed && i < c->n; i++)
		failed = json_array_append_new(entries, entry_json(&c->list[i])) != 0;
	for (size_t i = 0; !failed && i < c->n_means; i++)
		failed = json_array_append_new(means, mean_json(&c->means[i])) != 0;
	all = json_pack("{s:o, s:o, s:b, s:o, s:o, s:o}", "base", pb_json_text(names->base), "new", pb_json_text(names->now), "regression", pb_compare_is_regression(c), "counts", counts, "compared", entries,
		"means", means);
	text = all && !failed ? pb_json_pretty(all) : NULL;
	json_decref(all);
	if (!text)
		return pb_out_of_memory(err, "a comparison");
	pb_text_string(out, text);
	pb_free(text);
	return PB_OK;
}

enum pb_status pb_compare_print(const struct pb_comparison *c, const struct pb_compare_names *names, enum pb_compare_format format, struct pb_text *out, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	if (format == PB_COMPARE_JSON)
		st = put_json(out, c, names, err);
	else
		put_words(out, c, names, format == PB_COMPARE_MARKDOWN);
	return st ? st : pb_text_check(out, err);
}
