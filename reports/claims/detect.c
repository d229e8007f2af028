#include "reports/claims/detect.h"

#include <math.h>
#include <string.h>
#include "reports/claims/interval.h"
#include "reports/claims/sizes.h"

/* Rows that stand together in a file for one model and method: a row or a column of the printed table. */
struct block {
	const struct pb_number *rows;
	size_t n;
};
struct detector {
	const struct pb_numbers *numbers;
	const struct pb_model_shapes *shapes;
	struct pb_arena *arena;
	struct pb_findings *out;
	struct pb_error *err;
	struct block *blocks;
	size_t n_blocks;
};

const char *pb_finding_name(enum pb_finding_kind kind)
{
	static const char *const names[PB_FINDING_KINDS] = { "mean", "copy", "constant", "two values", "bits", "disagree" };

	return names[kind];
}

const char *pb_finding_title(enum pb_finding_kind kind)
{
	static const char *const titles[PB_FINDING_KINDS] = {
		"averages that are not the mean of their tasks", "numbers of one row printed for another", "BoolQ answered with one constant",
		"one checkpoint and metric, two values", "effective bits that do not follow from the parts", "perplexity rises where accuracy rises",
	};

	return titles[kind];
}

static bool same(const struct pb_number *a, const struct pb_number *b, enum pb_number_column c)
{
	return strcmp(a->text[c], b->text[c]) == 0;
}

static bool same_columns(const struct pb_number *a, const struct pb_number *b, const enum pb_number_column *columns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!same(a, b, columns[i]))
			return false;
	return true;
}

static const enum pb_number_column what_of[] = { PB_NUMBER_SOURCE, PB_NUMBER_TABLE, PB_NUMBER_MODEL, PB_NUMBER_METHOD, PB_NUMBER_WBITS, PB_NUMBER_BITS, PB_NUMBER_GROUP };
static const enum pb_number_column cell_of[] = { PB_NUMBER_TASK, PB_NUMBER_METRIC, PB_NUMBER_CTX, PB_NUMBER_SHOTS };
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct pb_interval value_of(const struct pb_number *r)
{
	return pb_around(r->value, r->half);
}

static enum pb_status add(struct detector *d, enum pb_finding_kind kind, const struct pb_number *first, const struct pb_number *second, const char *what)
{
	struct pb_findings *f = d->out;

	if (f->n == f->capacity) {
		size_t larger = f->capacity ? 2 * f->capacity : 64;
		struct pb_finding *grown = pb_arena_alloc(d->arena, larger, sizeof(*grown));

		if (!grown)
			return pb_out_of_memory(d->err, "the findings");
		if (f->n)
			memcpy(grown, f->findings, f->n * sizeof(*grown));
		f->findings = grown;
		f->capacity = larger;
	}
	if (!what)
		return pb_out_of_memory(d->err, "the findings");
	f->findings[f->n++] = (struct pb_finding){ kind, first, second, what };
	return PB_OK;
}

/* A block ends where the model or the method changes, or where a cell comes again. */
static enum pb_status find_blocks(struct detector *d)
{
	const struct pb_numbers *numbers = d->numbers;

	if (!(d->blocks = pb_arena_alloc(d->arena, numbers->n + 1, sizeof(*d->blocks))))
		return pb_out_of_memory(d->err, "the findings");
	for (size_t i = 0; i < numbers->n; i++) {
		const struct pb_number *r = &numbers->rows[i];
		struct block *b = d->n_blocks ? &d->blocks[d->n_blocks - 1] : NULL;
		bool joins = b && same_columns(b->rows, r, what_of, COUNT(what_of));

		for (size_t k = 0; joins && k < b->n; k++)
			joins = !same_columns(&b->rows[k], r, cell_of, COUNT(cell_of));
		if (joins)
			b->n++;
		else
			d->blocks[d->n_blocks++] = (struct block){ r, 1 };
	}
	return PB_OK;
}

/* ---- means ---- */

/* How many tasks a mean is over, by its name; 0: it is no mean. */
static size_t tasks_of_mean(const struct pb_number *r)
{
	static const struct { const char *task; size_t n; } means[] = {
		{ "avg8", 8 }, { "avg6", 6 }, { "avg5", 5 }, { "avgqa5", 5 }, { "average6", 6 }, { "average7", 7 },
	};

	for (size_t i = 0; i < COUNT(means); i++)
		if (strcmp(r->text[PB_NUMBER_TASK], means[i].task) == 0 && strcmp(r->text[PB_NUMBER_UNIT], "%") == 0)
			return means[i].n;
	return 0;
}

static bool is_task(const struct pb_number *r)
{
	return strcmp(r->text[PB_NUMBER_METRIC], "accuracy") == 0 && tasks_of_mean(r) == 0 && !isnan(r->value);
}

static struct pb_interval mean_of(const struct block *b, bool without_siqa_and_obqa, size_t *n)
{
	struct pb_interval sum = pb_exact(0);

	*n = 0;
	for (size_t i = 0; i < b->n; i++) {
		const char *task = b->rows[i].text[PB_NUMBER_TASK];

		if (!is_task(&b->rows[i]) || (without_siqa_and_obqa && (strcmp(task, "social_iqa") == 0 || strcmp(task, "openbookqa") == 0)))
			continue;
		sum = pb_interval_add(sum, value_of(&b->rows[i]));
		(*n)++;
	}
	return *n ? pb_interval_multiply(sum, pb_exact(1.0 / (double)*n)) : sum;
}

/* The tasks of an average may stand in another table of the source. */
static const struct block *tasks_for(const struct detector *d, const struct block *own, size_t wanted)
{
	static const enum pb_number_column keys[] = { PB_NUMBER_SOURCE, PB_NUMBER_MODEL, PB_NUMBER_METHOD, PB_NUMBER_WBITS, PB_NUMBER_BITS };
	size_t n;

	mean_of(own, false, &n);
	if (n >= wanted)
		return own;
	for (size_t i = 0; n == 0 && i < d->n_blocks; i++) {
		size_t there;

		if (!same_columns(d->blocks[i].rows, own->rows, keys, COUNT(keys)))
			continue;
		mean_of(&d->blocks[i], false, &there);
		if (there == wanted)
			return &d->blocks[i];
	}
	return NULL;
}

static enum pb_status check_mean(struct detector *d, const struct block *own, const struct pb_number *average, size_t wanted)
{
	const struct block *tasks = tasks_for(d, own, wanted);
	struct pb_interval mean, six;
	size_t n;

	if (!tasks)
		return PB_OK;
	mean = mean_of(tasks, false, &n);
	if (n != wanted || pb_interval_agree(mean, value_of(average)) == PB_TRUE)
		return PB_OK;
	six = mean_of(tasks, true, &n);
	if (n && n != wanted && pb_interval_agree(six, value_of(average)) == PB_TRUE)
		return add(d, PB_FINDING_MEAN, average, NULL, pb_arena_printf(d->arena, "%s printed; its %zu tasks give %.2f, those without SIQA and OBQA %.2f", average->text[PB_NUMBER_VALUE],
			wanted, mean.middle, six.middle));
	return add(d, PB_FINDING_MEAN, average, NULL, pb_arena_printf(d->arena, "%s printed; its %zu tasks give %.2f", average->text[PB_NUMBER_VALUE], wanted, mean.middle));
}

static enum pb_status find_means(struct detector *d)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < d->n_blocks; i++)
		for (size_t k = 0; !st && k < d->blocks[i].n; k++) {
			const struct pb_number *r = &d->blocks[i].rows[k];
			size_t n = tasks_of_mean(r);

			if (n && strcmp(r->text[PB_NUMBER_KIND], "digitised") != 0)
				st = check_mean(d, &d->blocks[i], r, n);
		}
	return st;
}

/* ---- copies ---- */

static bool is_score(const struct pb_number *r)
{
	return !isnan(r->value) && (strcmp(r->text[PB_NUMBER_METRIC], "perplexity") == 0 || is_task(r));
}

/* Scores of the same cells: how many there are, and whether all are equal as printed. */
static bool all_equal(const struct block *a, const struct block *b, size_t *shared)
{
	*shared = 0;
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; is_score(&a->rows[i]) && k < b->n; k++)
			if (is_score(&b->rows[k]) && same_columns(&a->rows[i], &b->rows[k], cell_of, COUNT(cell_of))) {
				if (!same(&a->rows[i], &b->rows[k], PB_NUMBER_VALUE))
					return false;
				(*shared)++;
			}
	return *shared > 0;
}

static enum pb_status find_copies(struct detector *d)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < d->n_blocks; i++)
		for (size_t k = i + 1; !st && k < d->n_blocks && same(d->blocks[i].rows, d->blocks[k].rows, PB_NUMBER_SOURCE); k++) {
			const struct pb_number *a = d->blocks[i].rows, *b = d->blocks[k].rows;
			bool model = same(a, b, PB_NUMBER_MODEL), method = same(a, b, PB_NUMBER_METHOD) && same(a, b, PB_NUMBER_WBITS);
			size_t shared;

			if (!same(a, b, PB_NUMBER_TABLE) || model == method || !all_equal(&d->blocks[i], &d->blocks[k], &shared) || shared < 2)
				continue;
			st = add(d, PB_FINDING_COPY, a, b, model
				? pb_arena_printf(d->arena, "%s and %s have the same %zu scores on %s", a->text[PB_NUMBER_METHOD], b->text[PB_NUMBER_METHOD], shared, a->text[PB_NUMBER_MODEL])
				: pb_arena_printf(d->arena, "%s and %s have the same %zu scores with %s", a->text[PB_NUMBER_MODEL], b->text[PB_NUMBER_MODEL], shared, a->text[PB_NUMBER_METHOD]));
		}
	return st;
}

/* ---- constant answers ---- */

static enum pb_status find_constants(struct detector *d)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < d->numbers->n; i++) {
		const struct pb_number *r = &d->numbers->rows[i];

		if (strcmp(r->text[PB_NUMBER_TASK], "boolq") != 0 || !is_task(r))
			continue;
		/* 2,033 of 3,270 answers of the validation set are yes. */
		if (fabs(r->value - 62.17) <= r->half + 0.005 || fabs(r->value - 37.83) <= r->half + 0.005)
			st = add(d, PB_FINDING_CONSTANT, r, NULL, pb_arena_printf(d->arena, "%s with %s: %s is what '%s' always gives", r->text[PB_NUMBER_MODEL], r->text[PB_NUMBER_METHOD],
				r->text[PB_NUMBER_VALUE], r->value > 50 ? "yes" : "no"));
	}
	return st;
}

/* ---- two values ---- */

static const enum pb_number_column checkpoint_of[] = { PB_NUMBER_SOURCE, PB_NUMBER_MODEL, PB_NUMBER_METHOD, PB_NUMBER_WBITS, PB_NUMBER_GROUP, PB_NUMBER_TASK, PB_NUMBER_CTX,
	PB_NUMBER_SHOTS, PB_NUMBER_METRIC, PB_NUMBER_UNIT };

/* One table may print several variants under one name: only when none of them agrees with one of the other table. */
static enum pb_status find_two_values(struct detector *d)
{
	const struct pb_numbers *numbers = d->numbers;
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < numbers->n; i++) {
		const struct pb_number *a = &numbers->rows[i], *other = NULL;
		bool agrees = false, first = true;

		if (!is_score(a) && strcmp(a->text[PB_NUMBER_METRIC], "latency") != 0)
			continue;
		for (size_t k = 0; k < numbers->n && first && !agrees; k++) {
			const struct pb_number *b = &numbers->rows[k];

			if (k == i || isnan(b->value) || !same(a, b, PB_NUMBER_MODEL) || !same_columns(a, b, checkpoint_of, COUNT(checkpoint_of)))
				continue;
			if (same(a, b, PB_NUMBER_TABLE)) {
				first = k > i;
				continue;
			}
			agrees = pb_interval_agree(value_of(a), value_of(b)) == PB_TRUE;
			if (!other && k > i)
				other = b;
		}
		if (other && first && !agrees)
			st = add(d, PB_FINDING_TWO_VALUES, a, other, pb_arena_printf(d->arena, "%s with %s, %s %s: %s in %s, %s in %s", a->text[PB_NUMBER_MODEL], a->text[PB_NUMBER_METHOD],
				a->text[PB_NUMBER_TASK], a->text[PB_NUMBER_METRIC], a->text[PB_NUMBER_VALUE], a->text[PB_NUMBER_TABLE], other->text[PB_NUMBER_VALUE], other->text[PB_NUMBER_TABLE]));
	}
	return st;
}

/* ---- bits ---- */

static enum pb_status find_bits(struct detector *d)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < d->n_blocks; i++) {
		const struct pb_number *r = d->blocks[i].rows;
		const struct pb_model_shape *shape = pb_shape_find(d->shapes, r->text[PB_NUMBER_MODEL]);
		double bits, printed = r->column[PB_NUMBER_BITS];

		if (!shape || isnan(printed) || strcmp(r->text[PB_NUMBER_KIND], "prediction") == 0 || !pb_size_of_row(r, shape, &bits))
			continue;
		/* Some tables cut digits off instead of rounding. */
		if (fabs(bits - printed) > 2 * r->bits_half + 1e-9)
			st = add(d, PB_FINDING_BITS, r, NULL, pb_arena_printf(d->arena, "%s with %s %s: %s printed, its parts give %.3f", r->text[PB_NUMBER_MODEL], r->text[PB_NUMBER_METHOD],
				r->text[PB_NUMBER_GROUP], r->text[PB_NUMBER_BITS], bits));
	}
	return st;
}

/* ---- perplexity and accuracy ---- */

static const struct pb_number *row_with(const struct block *b, bool perplexity)
{
	for (size_t i = 0; i < b->n; i++)
		if (perplexity ? strcmp(b->rows[i].text[PB_NUMBER_METRIC], "perplexity") == 0 && strcmp(b->rows[i].text[PB_NUMBER_TASK], "wikitext2") == 0 : tasks_of_mean(&b->rows[i]) > 0)
			if (!isnan(b->rows[i].value))
				return &b->rows[i];
	return NULL;
}

static enum pb_status find_disagreements(struct detector *d)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < d->n_blocks; i++)
		for (size_t k = 0; !st && k < d->n_blocks; k++) {
			const struct pb_number *a = d->blocks[i].rows, *b = d->blocks[k].rows, *ppl[2], *average[2];

			/* Sizes of one method, or variants of one model. */
			if (!same(a, b, PB_NUMBER_SOURCE) || !same(a, b, PB_NUMBER_TABLE) || !same(a, b, PB_NUMBER_METHOD) || !same(a, b, PB_NUMBER_WBITS)
				|| (a->column[PB_NUMBER_PARAMS] >= b->column[PB_NUMBER_PARAMS] && !(same(a, b, PB_NUMBER_MODEL) && i != k)))
				continue;
			ppl[0] = row_with(&d->blocks[i], true);
			ppl[1] = row_with(&d->blocks[k], true);
			average[0] = row_with(&d->blocks[i], false);
			average[1] = row_with(&d->blocks[k], false);
			if (!ppl[0] || !ppl[1] || !average[0] || !average[1] || ppl[1]->value < 1.015 * ppl[0]->value || average[1]->value < average[0]->value + 0.5)
				continue;
			st = add(d, PB_FINDING_DISAGREE, ppl[0], ppl[1], pb_arena_printf(d->arena, "%s: perplexity %s to %s, average accuracy %s to %s (%s to %s)", a->text[PB_NUMBER_METHOD],
				ppl[0]->text[PB_NUMBER_VALUE], ppl[1]->text[PB_NUMBER_VALUE], average[0]->text[PB_NUMBER_VALUE], average[1]->text[PB_NUMBER_VALUE], a->text[PB_NUMBER_MODEL],
				b->text[PB_NUMBER_MODEL]));
		}
	return st;
}

enum pb_status pb_detect(struct pb_findings *out, const struct pb_numbers *numbers, const struct pb_model_shapes *shapes, struct pb_arena *arena, struct pb_error *err)
{
	static enum pb_status (*const steps[])(struct detector *) = { find_blocks, find_means, find_copies, find_constants, find_two_values, find_bits, find_disagreements };
	struct pb_findings made = {0};
	struct detector d = { .numbers = numbers, .shapes = shapes, .arena = arena, .out = &made, .err = err };
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < COUNT(steps); i++)
		st = steps[i](&d);
	if (!st)
		*out = made;
	return st;
}
