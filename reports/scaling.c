#include "reports/scaling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"

#define HUBER_SIGMAS 1.345      /* threshold of the likelihoods that are compared, as in the fits */

bool pb_law_is_of_precision(enum pb_law law)
{
	return law == PB_LAW_PRECISION || law == PB_LAW_PRECISION_DATA;
}

static bool is_degradation(enum pb_law law)
{
	return law == PB_LAW_DEGRADATION || law == PB_LAW_DEGRADATION_EXP || law == PB_LAW_DEGRADATION_DATA || law == PB_LAW_DEGRADATION_DATA_EXP;
}

bool pb_law_is_of_method(enum pb_law law)
{
	return pb_law_is_of_precision(law) || is_degradation(law);
}

bool pb_law_is_of_data(enum pb_law law)
{
	return law >= PB_LAW_DATA;
}

/* --- what belongs together --- */

struct member {
	const struct pb_scaling_item *item;
	const char *family, *group;     /* what its fit is called by */
};

static int compare_members(const void *pa, const void *pb)
{
	const struct member *a = pa, *b = pb;
	const struct pb_row *row_a = a->item->point->row, *row_b = b->item->point->row;
	int c = strcmp(a->family, b->family);
	if (!c)
		c = strcmp(a->group, b->group);
	if (!c)
		c = (row_a->params > row_b->params) - (row_a->params < row_b->params);
	if (!c)
		c = (a->item->y > b->item->y) - (a->item->y < b->item->y);
	return c ? c : (a->item > b->item) - (a->item < b->item);
}

/* The items of one front, sorted so that those of one fit follow one another. */
struct list {
	const struct pb_front *front;
	const struct pb_scaling_item *items;
	struct member *members;
	size_t n;
};

static bool same_group(const struct list *list, size_t i, size_t k)
{
	const struct member *a = &list->members[i], *b = &list->members[k];
	return strcmp(a->family, b->family) == 0 && strcmp(a->group, b->group) == 0;
}

static void sort_for(struct list *list, enum pb_law law)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct pb_scaling_item *item = &list->items[i];
		list->members[i] = (struct member){ item, pb_law_is_of_data(law) ? item->family : item->series, pb_law_is_of_method(law) ? item->method : item->point->row->label };
	}
	if (list->n > 1)
		qsort(list->members, list->n, sizeof *list->members, compare_members);
}

/* --- one fit --- */

/* Without a size a curve is one of parameters; an accuracy whose chance is not known has a floor to fit. */
static const char *form_name(enum pb_law law, double chance, bool is_unsized)
{
	static const char *const names[PB_LAWS] = { "power", "saturating", "precision", "degradation_bits", "degradation_bits_exp", "chinchilla", "precision_data", "degradation", "degradation_exp" };
	if (law == PB_LAW_ACCURACY && is_unsized)
		return "saturating_params";
	return law == PB_LAW_ACCURACY && !isfinite(chance) ? "saturating_free" : names[law];
}

static double variable_of(const struct pb_law_fit *f, const struct pb_scaling_item *item, const char *name)
{
	if (strcmp(name, "params") == 0)
		return item->point->row->params == PB_ABSENT ? NAN : (double)item->point->row->params;
	if (strcmp(name, "tokens") == 0)
		return item->tokens;
	if (strcmp(name, "total_bits") == 0)
		return 8.0 * item->point->bytes;
	return strcmp(name, "chance") == 0 ? f->front->chance : item->point->bits;
}

/* Variables and value of an item; false when it has none. */
static bool take(const struct pb_law_fit *f, const struct pb_scaling_item *item, double *x, double *y)
{
	for (unsigned k = 0; k < f->form->n_variables; k++) {
		x[k] = variable_of(f, item, f->form->variables[k].name);
		if (isnan(pb_form_transform(f->form->variables[k].transform, x[k])))
			return false;
	}
	*y = is_degradation(f->law) ? item->y - item->reference : item->y;
	return !f->form->is_log || *y > 0.0;
}

static size_t count_different(const double *x, size_t n, size_t stride)
{
	size_t different = 0;
	for (size_t i = 0; i < n; i++) {
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = x[k * stride] == x[i * stride];
		different += !seen;
	}
	return different;
}

static size_t count_widths(const struct pb_law_fit *f)
{
	size_t different = 0;
	for (size_t i = 0; i < f->n; i++) {
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = f->items[k]->point->row->wbits == f->items[i]->point->row->wbits;
		different += !seen;
	}
	return different;
}

static void take_item(struct pb_law_fit *f, const struct pb_scaling_item *item)
{
	unsigned n_variables = f->form->n_variables;
	double x[PB_FORM_VARIABLES];
	if (!take(f, item, x, &f->y[f->n])) {
		f->n_left_out++;
		return;
	}
	memcpy(f->x + f->n * n_variables, x, n_variables * sizeof *x);
	f->errors[f->n] = item->error;
	f->items[f->n++] = item;
	f->n_on_front += item->point->on_front;
}

/* Full precision is a width of every method: its points on the same models join a law of precision. */
static void take_full(struct pb_law_fit *f, const struct list *list, size_t first, size_t n)
{
	for (size_t i = 0; i < list->n; i++) {
		bool joins = false;
		for (size_t k = first; k < first + n && !joins; k++)
			joins = pb_scaling_is_reference(list->members[i].item, list->members[k].item);
		if (!joins)
			continue;
		size_t before = f->n;
		take_item(f, list->members[i].item);
		f->n_full += f->n - before;
	}
}

static enum pb_status take_items(struct pb_law_fit *f, const struct list *list, size_t first, size_t n, struct pb_arena *arena, struct pb_error *err)
{
	unsigned n_variables = f->form->n_variables;
	size_t most = pb_law_is_of_precision(f->law) ? list->n : n;
	f->items = pb_arena_alloc(arena, most, sizeof *f->items);
	f->x = pb_arena_alloc(arena, most, n_variables * sizeof *f->x);
	f->y = pb_arena_alloc(arena, most, sizeof *f->y);
	f->errors = pb_arena_alloc(arena, most, sizeof *f->errors);
	if (!f->items || !f->x || !f->y || !f->errors)
		return pb_out_of_memory(err, "scaling laws");
	for (size_t i = first; i < first + n; i++)
		take_item(f, list->members[i].item);
	if (pb_law_is_of_precision(f->law))
		take_full(f, list, first, n);
	f->n_sizes = count_different(f->x, f->n, n_variables);
	return PB_OK;
}

/* A fit that fails for its numbers has that as its reason. */
static enum pb_status give_reason(struct pb_law_fit *f, enum pb_status st, struct pb_arena *arena, struct pb_error *err)
{
	if (st == PB_OK || st == PB_MEMORY)
		return st;
	f->reason = pb_arena_strdup(arena, err->text);
	return f->reason ? PB_OK : pb_out_of_memory(err, "scaling laws");
}

/* The law without a floor: a line in the logarithms, or a plane, which is the form of a degradation. */
static enum pb_status compare_with_straight(struct pb_law_fit *f, const struct pb_fit_points *points, struct pb_error *err)
{
	static const char *const names[PB_LAWS] = { [PB_LAW_LOSS] = "straight", [PB_LAW_PRECISION] = "degradation_bits", [PB_LAW_DATA] = "straight_data", [PB_LAW_PRECISION_DATA] = "degradation" };
	const struct pb_form *straight = pb_form_find(names[f->law]);
	struct pb_fit line;
	struct pb_fit_likelihood likelihood;
	enum pb_status st = pb_fit_make(&line, straight, points, 0.0, NULL, err);
	if (st != PB_OK)
		return st;
	st = pb_fit_maximise(&line, HUBER_SIGMAS, &likelihood, err);
	if (st == PB_OK)
		f->aicc_straight = likelihood.aicc;
	pb_fit_free(&line);
	if (st == PB_OK || st == PB_NUMERIC)
		st = pb_fit_hold_out(straight, points, 0, 0.0, NULL, &f->held_straight, err);
	return st;
}

/* What does not stop a fit: a comparison that cannot be made is left out. */
static enum pb_status unless_memory(enum pb_status st)
{
	return st == PB_MEMORY ? st : PB_OK;
}

static enum pb_status add_resamples(struct pb_law_fit *f, struct pb_arena *arena, struct pb_error *err)
{
	unsigned n_parameters = f->form->n_parameters;
	double scratch[PB_SCALING_RESAMPLES];
	f->thetas = pb_arena_alloc(arena, PB_SCALING_RESAMPLES, n_parameters * sizeof *f->thetas);
	if (!f->thetas)
		return pb_out_of_memory(err, "scaling laws");
	enum pb_status st = pb_fit_bootstrap(&f->fit, PB_SCALING_RESAMPLES, pb_rng_stream("scaling"), NULL, f->thetas, &f->n_boot_failed, err);
	for (unsigned k = 0; k < n_parameters && st == PB_OK; k++)
		pb_fit_percentiles(f->thetas + k, PB_SCALING_RESAMPLES, n_parameters, scratch, &f->boot_low[k], &f->boot_high[k]);
	return st;
}

/* Why a fit is not even tried, or NULL. */
static const char *refusal(const struct pb_law_fit *f, bool many, struct pb_arena *arena)
{
	if (f->n_sizes < PB_SCALING_SIZES)
		return pb_arena_printf(arena, "%zu %s; a fit needs %d", f->n_sizes, f->n_sizes == 1 ? "size" : "sizes", PB_SCALING_SIZES);
	if (many && !f->n_on_front)
		return "one of many settings, and no point of it is on the front of sizes";
	if (is_degradation(f->law) && count_widths(f) < 3)
		return "fewer than 3 widths";
	if (pb_law_is_of_precision(f->law) && count_widths(f) < 3)
		return "fewer than 3 widths, full precision counted";
	return "";
}

static enum pb_status fit_law(struct pb_law_fit *f, bool many, struct pb_arena *arena, struct pb_error *err)
{
	const struct pb_fit_points points = { f->n, f->x, f->y };
	struct pb_fit_likelihood likelihood;
	const char *why = refusal(f, many, arena);
	f->aicc = f->aicc_straight = NAN;
	f->effective = (struct pb_multiplier){ NAN, NAN, NAN, NAN, NAN, NAN, NAN };
	for (unsigned k = 0; k < PB_FORM_PARAMETERS; k++)
		f->boot_low[k] = f->boot_high[k] = NAN;
	if (!why)
		return pb_out_of_memory(err, "scaling laws");
	if (*why) {
		f->reason = why;
		return PB_OK;
	}
	enum pb_status st = pb_fit_make(&f->fit, f->form, &points, 0.0, NULL, err);
	if (st != PB_OK)
		return give_reason(f, st, arena, err);
	st = pb_fit_profile(&f->fit, err);
	if (st == PB_OK)
		st = add_resamples(f, arena, err);
	if (st == PB_OK)
		st = unless_memory(pb_fit_hold_out(f->form, &points, 0, 0.0, NULL, &f->held, err));
	if (st == PB_OK) {
		st = pb_fit_maximise(&f->fit, HUBER_SIGMAS, &likelihood, err);
		if (st == PB_OK)
			f->aicc = likelihood.aicc;
		st = unless_memory(st);
	}
	if (st == PB_OK && f->law != PB_LAW_ACCURACY && !is_degradation(f->law))
		st = unless_memory(compare_with_straight(f, &points, err));
	return st;
}

/* --- all fits of a front --- */

/* Whether all of a group lack a size. */
static bool are_unsized(const struct list *list, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		if (isfinite(list->members[i].item->point->bytes))
			return false;
	return true;
}

/* A law of data is of full precision that no method has trained, or of methods. Degradations need a reference, laws of precision bits; neither is of full precision. */
static bool is_of_law(enum pb_law law, const struct pb_scaling_item *first)
{
	if (pb_law_is_of_data(law) && !first->has_budgets)
		return false;
	if (law == PB_LAW_DATA)
		return first->is_full && first->trained == 0.0;
	if (!pb_law_is_of_method(law))
		return true;
	return !first->is_full && first->point->bits > 0.0 && (!is_degradation(law) || !isnan(first->reference));
}

static enum pb_status add_law(struct pb_scaling *out, struct list *list, enum pb_law law, struct pb_error *err)
{
	enum pb_status st = PB_OK;
	sort_for(list, law);
	size_t n_groups = list->n > 0;
	for (size_t i = 1; i < list->n; i++)
		n_groups += !same_group(list, i - 1, i);
	for (size_t i = 0, n; i < list->n && st == PB_OK; i += n) {
		const struct pb_scaling_item *first = list->members[i].item;
		for (n = 1; i + n < list->n && same_group(list, i + n, i); n++)
			;
		if (!is_of_law(law, first))
			continue;
		struct pb_law_fit *f = &out->fits[out->n++];
		*f = (struct pb_law_fit){ .law = law, .front = list->front, .family = list->members[i].family, .label = list->members[i].group, .is_full = first->is_full,
			.form = pb_form_find(form_name(law, list->front->chance, are_unsized(list, i, n))) };
		st = take_items(f, list, i, n, out->arena, err);
		if (st == PB_OK)
			st = fit_law(f, n_groups > PB_SCALING_MANY, out->arena, err);
	}
	return st;
}

static enum pb_status add_front(struct pb_scaling *out, const struct pb_front *front, enum pb_law law, struct pb_error *err)
{
	struct list list = { .front = front };
	struct pb_scaling_item *items = NULL;
	const size_t first = out->n;
	enum pb_status st = pb_scaling_items(&items, &list.n, front, out->arena, err);
	if (st != PB_OK)
		return st;
	list.items = items;
	list.members = pb_arena_alloc(out->arena, list.n, sizeof *list.members);
	if (!list.members)
		return pb_out_of_memory(err, "scaling laws");
	st = add_law(out, &list, law, err);
	if (st != PB_OK || law != PB_LAW_LOSS)
		return st;
	pb_scaling_multipliers(out->fits + first, out->n - first);
	for (enum pb_law next = PB_LAW_PRECISION; next < PB_LAWS && st == PB_OK; next++)
		st = add_law(out, &list, next, err);
	return st;
}

static bool same_thing(const struct pb_front *a, const struct pb_front *b)
{
	return strcmp(a->task, b->task) == 0 && strcmp(a->protocol, b->protocol) == 0 && strcmp(a->backend, b->backend) == 0;
}

bool pb_scaling_is_wanted(const struct pb_fronts *fronts, const struct pb_front *front, enum pb_law *law)
{
	bool any_nll = false, any_mean = false;
	for (size_t i = 0; i < fronts->n; i++) {
		any_nll = any_nll || strcmp(fronts->fronts[i].metric, "nll") == 0;
		any_mean = any_mean || fronts->fronts[i].is_mean;
		if (&fronts->fronts[i] < front && same_thing(&fronts->fronts[i], front) && strncmp(fronts->fronts[i].metric, "ppl", 3) == 0 && strncmp(front->metric, "ppl", 3) == 0)
			return false; /* one perplexity a task */
	}
	*law = PB_LAW_LOSS;
	if (!front->higher_is_better)
		return any_nll ? strcmp(front->metric, "nll") == 0 : strncmp(front->metric, "ppl", 3) == 0;
	*law = PB_LAW_ACCURACY;
	return any_mean ? front->is_mean : strcmp(front->metric, "acc") == 0;
}

enum pb_status pb_scaling_make(struct pb_scaling *out, const struct pb_fronts *fronts, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_scaling scaling = { .arena = arena };
	enum pb_status st = PB_OK;
	size_t most = 0;
	enum pb_law law;
	for (size_t i = 0; i < fronts->n; i++)
		most += !pb_scaling_is_wanted(fronts, &fronts->fronts[i], &law) ? 0 : PB_LAWS * (fronts->fronts[i].n_points + fronts->fronts[i].n_no_size);
	scaling.fits = pb_arena_alloc(arena, most, sizeof *scaling.fits);
	if (!scaling.fits)
		return pb_out_of_memory(err, "scaling laws");
	for (size_t i = 0; i < fronts->n && st == PB_OK; i++) {
		const struct pb_front *front = &fronts->fronts[i];
		if (pb_scaling_is_wanted(fronts, front, &law))
			st = add_front(&scaling, front, law, err);
	}
	if (st != PB_OK)
		pb_scaling_free(&scaling);
	else
		*out = scaling;
	return st;
}

void pb_scaling_free(struct pb_scaling *scaling)
{
	for (size_t i = 0; i < scaling->n; i++)
		pb_fit_free(&scaling->fits[i].fit);
	scaling->n = 0;
}
