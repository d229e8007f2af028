/* What the ParetoQ paper found, each as comparisons of settings that are there. */
#include <math.h>
#include <string.h>

#include "reports/study.h"

#define MOST_MODELS 64
#define SAME_SHARE 0.01         /* two numbers of tokens are the same up to that */

static const double widths[] = { 1, 1.58, 2, 3, 4 };
#define N_WIDTHS 5
#define SETTING const struct pb_study_setting

struct findings {
	const struct pb_study *study;
	const char *models[MOST_MODELS];
	size_t n_models;
	struct pb_study_finding *out;
	size_t n;
};

enum pb_study_verdict pb_study_judge(const struct pb_study_finding *f)
{
	if (f->n_against && f->n_against >= f->n_for)
		return PB_STUDY_NOT_SEEN;
	return f->n_for && !f->n_against && f->n_for >= f->n_open ? PB_STUDY_SEEN : PB_STUDY_UNCLEAR;
}

/* A difference in favour, and two of its standard errors (NaN: not known). */
static void weigh(struct findings *s, double gain, double chance, const char *format, const char *model, double bits)
{
	struct pb_study_finding *f = &s->out[s->n];
	if (!isfinite(gain))
		return;
	if (gain > chance)
		f->n_for++;
	else if (gain < -chance)
		f->n_against++;
	else
		f->n_open++;
	if (!(gain >= f->worst)) {
		f->worst = gain;
		f->where = pb_arena_printf(s->study->arena, format, model, bits);
	}
}

static double square(double x)
{
	return x * x;
}

/* One is expected to have the lower loss. NULL: it is not there. */
static void expect(struct findings *s, SETTING *better, SETTING *worse)
{
	if (better && worse)
		weigh(s, worse->nll.mean - better->nll.mean, 2 * hypot(better->nll_error, worse->nll_error), "%s, %g bits", better->model, better->bits);
}

static void begin(struct findings *s, const char *part, const char *text, const char *unit)
{
	s->out[s->n] = (struct pb_study_finding){ .part = part, .text = text, .unit = unit, .worst = NAN, .where = "" };
}

static void end(struct findings *s)
{
	const struct pb_study_finding *f = &s->out[s->n];
	s->n += f->n_for + f->n_against + f->n_open > 0;
}

/* ---- (a) widths and sizes ---- */

static bool is_training_free(SETTING *s)
{
	static const char *const names[] = { "rtn", "gptq", "ternary" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(s->quantizer, names[i]) == 0)
			return s->per_row && !s->recipe[0] && s->nll.n;
	return false;
}

static void find_widths(struct findings *s)
{
	begin(s, "a", "At a given model, loss falls with every step from 1 to 1.58, 2, 3 and 4 bits", "nats");
	for (size_t m = 0; m < s->n_models; m++)
		for (size_t b = 1; b < N_WIDTHS; b++)
			expect(s, pb_study_main(s->study, s->models[m], widths[b]), pb_study_main(s->study, s->models[m], widths[b - 1]));
	end(s);
	begin(s, "a", "At 1.58, 2 and 3 bits ParetoQ is better than methods without training (rtn, gptq, ternary; one scale a row or matrix)", "nats");
	for (size_t i = 0; i < s->study->n; i++) {
		SETTING *other = &s->study->settings[i];
		if (is_training_free(other) && other->bits < 4)
			expect(s, pb_study_main(s->study, other->model, other->bits), other);
	}
	end(s);
	begin(s, "a", "At 1.58 and 2 bits it is better than LLM-QAT's min-max, whose three levels are the same at both", "nats");
	for (size_t m = 0; m < s->n_models; m++)
		for (size_t b = 1; b < 3; b++) {
			SETTING *own = pb_study_main(s->study, s->models[m], widths[b]), *other = own ? pb_study_at(s->study, s->models[m], "llm_qat", widths[b], own->tokens) : NULL;
			expect(s, own, own && !other ? pb_study_at(s->study, s->models[m], "llm_qat", 2, own->tokens) : other);
		}
	end(s);
}

static void find_full_precision(struct findings *s)
{
	begin(s, "a", "At 4 bits it is better than the full-precision model that it started from", "nats");
	for (size_t m = 0; m < s->n_models; m++)
		expect(s, pb_study_main(s->study, s->models[m], 4), pb_study_full(s->study, s->models[m]));
	end(s);
	begin(s, "a", "At 4 bits it is better than full precision trained on with as many tokens (the fair reference; the paper has none)", "nats");
	for (size_t m = 0; m < s->n_models; m++) {
		SETTING *own = pb_study_main(s->study, s->models[m], 4);
		expect(s, own, own ? pb_study_at(s->study, s->models[m], "finetune", NAN, own->tokens) : NULL);
	}
	end(s);
}

/* Of two neighbours on the curve of a width, the loss between them at that many bytes, linear in their logarithm. */
static double between(SETTING *a, SETTING *b, double bytes)
{
	double share = log(bytes / a->weight_bytes) / log(b->weight_bytes / a->weight_bytes);
	return a->nll.mean + share * (b->nll.mean - a->nll.mean);
}

static void find_equal_bytes(struct findings *s)
{
	begin(s, "a", "At equal bytes of the matrices, more weights at 2 bits are better than fewer at 4 (between two sizes: linear in log bytes)", "nats");
	for (size_t m = 0; m < s->n_models; m++) {
		SETTING *four = pb_study_main(s->study, s->models[m], 4), *before = NULL;
		for (size_t k = 0; four && k < s->n_models; k++) {
			SETTING *two = pb_study_main(s->study, s->models[k], 2);
			if (two && before && before->weight_bytes <= four->weight_bytes && four->weight_bytes < two->weight_bytes)
				weigh(s, four->nll.mean - between(before, two, four->weight_bytes),
					2 * hypot(four->nll_error, fmax(before->nll_error, two->nll_error)), "%s, %g bits", four->model, 4);
			before = two ? two : before;
		}
	}
	end(s);
}

/* ---- (b) splits of a budget ---- */

static bool is_split(SETTING *s, double *share)
{
	*share = s->tokens_before / (s->tokens_before + s->tokens);
	return s->recipe[0] && s->nll.n && isfinite(s->tokens_before) && s->tokens_before + s->tokens > 0;
}

static bool same_budget(SETTING *a, SETTING *b)
{
	double all = a->tokens_before + a->tokens;
	return strcmp(a->recipe, b->recipe) == 0 && a->bits == b->bits && fabs(all - (b->tokens_before + b->tokens)) <= SAME_SHARE * all;
}

static void compare_splits(struct findings *s, const char *text, double low, double high)
{
	begin(s, "b", text, "nats");
	for (size_t i = 0; i < s->study->n; i++) {
		SETTING *tenth = &s->study->settings[i];
		double share;
		if (!is_split(tenth, &share) || fabs(share - 0.9) > SAME_SHARE)
			continue;
		for (size_t k = 0; k < s->study->n; k++) {
			SETTING *other = &s->study->settings[k];
			if (is_split(other, &share) && same_budget(tenth, other) && share >= low && share <= high)
				expect(s, tenth, other);
		}
	}
	end(s);
}

static void find_splits(struct findings *s)
{
	compare_splits(s, "Nine tenths of a budget in full precision and one with the grid are better than all in full precision, rounded afterwards", 1, 1);
	compare_splits(s, "Nine to one is better than the whole budget with the grid, from scratch", 0, 0);
	compare_splits(s, "Nine to one is better than more of the budget with the grid (a quarter, a half)", 0.2, 0.85);
}

/* ---- (c) movement ---- */

static void find_movement(struct findings *s)
{
	begin(s, "c", "Beyond what rounding alone does, weights move further at 2 bits than at 3 (relative L1)", "");
	for (size_t m = 0; m < s->n_models; m++) {
		SETTING *a = pb_study_main(s->study, s->models[m], 2), *b = pb_study_main(s->study, s->models[m], 3);
		SETTING *floor_a = pb_study_rounded(s->study, s->models[m], 2), *floor_b = pb_study_rounded(s->study, s->models[m], 3);
		if (a && b && floor_a && floor_b && a->movement.n && b->movement.n && floor_a->movement.n && floor_b->movement.n)
			weigh(s, a->movement.mean - floor_a->movement.mean - (b->movement.mean - floor_b->movement.mean),
				2 * hypot(a->movement_error, b->movement_error), "%s, %g bits", a->model, a->bits);
	}
	end(s);
}

/* ---- (d) saturation ---- */

/* The setting with the most tokens below those of the main one. */
static SETTING *fewer(const struct findings *s, SETTING *own)
{
	SETTING *best = NULL;
	for (size_t i = 0; own && i < s->study->n; i++) {
		SETTING *x = &s->study->settings[i];
		if (x->tokens < own->tokens && (!best || x->tokens > best->tokens) && pb_study_at(s->study, own->model, "paretoq", own->bits, x->tokens) == x)
			best = x;
	}
	return best;
}

static void find_saturation(struct findings *s)
{
	begin(s, "d", "The last fourfold of tokens gives 1, 1.58 and 2 bits more than 3 and 4", "nats");
	for (size_t m = 0; m < s->n_models; m++)
		for (size_t few = 0; few < 3; few++)
			for (size_t many = 3; many < N_WIDTHS; many++) {
				SETTING *a = pb_study_main(s->study, s->models[m], widths[few]), *b = pb_study_main(s->study, s->models[m], widths[many]);
				SETTING *less_a = fewer(s, a), *less_b = fewer(s, b);
				if (less_a && less_b && less_a->tokens == less_b->tokens)
					weigh(s, less_a->nll.mean - a->nll.mean - (less_b->nll.mean - b->nll.mean),
						2 * sqrt(square(a->nll_error) + square(b->nll_error) + square(less_a->nll_error) + square(less_b->nll_error)), "%s, %g bits",
						a->model, a->bits);
			}
	end(s);
}

/* ---- (e) grids ---- */

static SETTING *with_grid(const struct findings *s, SETTING *like, enum pb_study_grid grid)
{
	for (size_t i = 0; i < s->study->n; i++) {
		SETTING *x = &s->study->settings[i];
		if (x->grid == grid && x->init_mse && x->tokens == like->tokens && x->nll.n && !x->recipe[0] && x->bits == like->bits && strcmp(x->model, like->model) == 0)
			return x;
	}
	return NULL;
}

static void compare_grids(struct findings *s, const char *text, enum pb_study_grid better, bool against_min_max, double low, double high)
{
	begin(s, "e", text, "nats");
	for (size_t i = 0; i < s->study->n; i++) {
		SETTING *x = &s->study->settings[i];
		if (x->grid == better && x->bits >= low && x->bits <= high && with_grid(s, x, better) == x)
			expect(s, x, against_min_max ? pb_study_at(s->study, x->model, "llm_qat", x->bits, x->tokens) : with_grid(s, x, better == PB_GRID_SEQ ? PB_GRID_LSQ : PB_GRID_SEQ));
	}
	end(s);
}

static void find_grids(struct findings *s)
{
	compare_grids(s, "At 1.58 and 2 bits SEQ is better than LSQ", PB_GRID_SEQ, false, 1.58, 2);
	compare_grids(s, "At 1.58 and 2 bits SEQ is better than min-max", PB_GRID_SEQ, true, 1.58, 2);
	compare_grids(s, "At 3 and 4 bits LSQ is better than SEQ", PB_GRID_LSQ, false, 3, 4);
	compare_grids(s, "At 3 and 4 bits LSQ is better than min-max", PB_GRID_LSQ, true, 3, 4);
}

size_t pb_study_findings(const struct pb_study *study, struct pb_study_finding out[PB_STUDY_FINDINGS])
{
	struct findings s = { .study = study, .out = out };
	s.n_models = pb_study_models(study, s.models, MOST_MODELS);
	find_widths(&s);
	find_full_precision(&s);
	find_equal_bytes(&s);
	find_splits(&s);
	find_movement(&s);
	find_saturation(&s);
	find_grids(&s);
	return s.n;
}
