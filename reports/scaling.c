#include "reports/scaling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/csv.h"
#include "core/base/rng.h"

#define HUBER_SIGMAS 1.345      /* threshold of the likelihoods that are compared, as in the fits */

/* --- families --- */

static bool is_size(const char *word, size_t n)
{
	static const char *const names[] = { "xxs", "xs", "s", "m", "l", "xl", "xxl", "tiny", "mini", "small", "base", "medium", "large" };
	size_t digits = 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == n && strncmp(word, names[i], n) == 0)
			return true;
	while (digits < n && ((word[digits] >= '0' && word[digits] <= '9') || (digits > 0 && word[digits] == '.')))
		digits++;
	return digits > 0 && digits + 1 == n && strchr("kKmMbB", word[digits]);
}

/* Length of the word without a size at its end, "stories260K": 7. */
static size_t without_size(const char *word, size_t n)
{
	size_t start = n;
	if (n < 2 || !strchr("kKmMbB", word[n - 1]))
		return n;
	start--;
	while (start > 0 && ((word[start - 1] >= '0' && word[start - 1] <= '9') || word[start - 1] == '.'))
		start--;
	return start > 0 && start < n - 1 ? start : n;
}

void pb_model_family(const char *model, struct pb_text *out)
{
	const size_t before = out->length;
	for (const char *s = model; *s;) {
		size_t n = strcspn(s, "-_ ");
		if (n && !is_size(s, n)) {
			if (out->length > before)
				pb_text_char(out, '-');
			pb_text_bytes(out, s, without_size(s, n));
		}
		s += n + (s[n] != '\0');
	}
	if (out->length == before)
		pb_text_string(out, model);
}

/* --- what belongs together --- */

struct item {
	const struct pb_point *point;
	const char *family, *group;     /* group: label, or method without width */
	double reference;               /* loss of the model in full precision; NaN */
};

static int compare_items(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;
	int c = strcmp(a->family, b->family);
	if (!c)
		c = strcmp(a->group, b->group);
	if (!c)
		c = (a->point->row->params > b->point->row->params) - (a->point->row->params < b->point->row->params);
	if (!c)
		c = (a->point->value > b->point->value) - (a->point->value < b->point->value);
	return c ? c : (a->point > b->point) - (a->point < b->point);
}

/* "rtn group_size=32": the method with the options that are not its width, as far as its label tells. */
static const char *method_of(struct pb_arena *arena, const struct pb_row *row)
{
	struct pb_text t = { 0 };
	for (const char *s = row->label; *s;) {
		size_t n = strcspn(s, " ");
		bool width = n > 1 && s[0] == 'w' && strspn(s + 1, "0123456789.") == n - 1;
		if (n && !width) {
			if (t.length)
				pb_text_char(&t, ' ');
			pb_text_bytes(&t, s, n);
		}
		s += n + (s[n] != '\0');
	}
	const char *copy = t.failed ? NULL : pb_arena_strdup(arena, pb_text_c(&t));
	pb_text_free(&t);
	return copy;
}

static bool is_full_precision(const struct pb_row *row)
{
	return strcmp(row->family, "full precision") == 0;
}

/* The items of a front, sorted; *n of them. */
static enum pb_status gather(struct item **out, const struct pb_front *front, bool by_method, struct pb_arena *arena, struct pb_error *err)
{
	struct item *items = pb_arena_alloc(arena, front->n_points, sizeof *items);
	struct pb_text t = { 0 };
	bool ok = items != NULL;
	for (size_t i = 0; ok && i < front->n_points; i++) {
		const struct pb_point *p = &front->points[i];
		pb_text_clear(&t);
		pb_model_family(p->row->model, &t);
		items[i] = (struct item){ p, t.failed ? NULL : pb_arena_strdup(arena, pb_text_c(&t)), by_method ? method_of(arena, p->row) : p->row->label, NAN };
		ok = items[i].family && items[i].group;
		for (size_t k = 0; by_method && k < front->n_points; k++)
			if (is_full_precision(front->points[k].row) && strcmp(front->points[k].row->model, p->row->model) == 0)
				items[i].reference = front->points[k].value;
	}
	pb_text_free(&t);
	if (!ok)
		return pb_out_of_memory(err, "scaling laws");
	if (front->n_points > 1)
		qsort(items, front->n_points, sizeof *items, compare_items);
	*out = items;
	return PB_OK;
}

/* --- one fit --- */

/* An accuracy whose chance is not known has a floor to fit. */
static const char *form_name(enum pb_law law, double chance)
{
	static const char *const names[] = { "power", "saturating", "degradation_bits", "degradation_bits_exp" };
	return law == PB_LAW_ACCURACY && !isfinite(chance) ? "saturating_free" : names[law];
}

/* Variables and value of an item; false when it has none. */
static bool take(enum pb_law law, const struct item *item, double chance, double *x, double *y)
{
	const struct pb_point *p = item->point;
	if (p->row->params == PB_ABSENT || p->row->params <= 0)
		return false;
	x[0] = law == PB_LAW_ACCURACY ? 8.0 * p->bytes : (double)p->row->params;
	x[1] = law == PB_LAW_ACCURACY ? chance : p->bits;
	*y = p->value;
	if (law == PB_LAW_DEGRADATION || law == PB_LAW_DEGRADATION_EXP) {
		*y = p->value - item->reference;
		return *y > 0.0 && p->bits > 0.0;
	}
	return law != PB_LAW_LOSS || *y > 0.0;
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
			seen = f->points[k]->row->wbits == f->points[i]->row->wbits;
		different += !seen;
	}
	return different;
}

static enum pb_status take_points(struct pb_law_fit *f, const struct item *items, size_t n, struct pb_arena *arena, struct pb_error *err)
{
	unsigned n_variables = f->form->n_variables;
	f->points = pb_arena_alloc(arena, n, sizeof *f->points);
	f->x = pb_arena_alloc(arena, n, n_variables * sizeof *f->x);
	f->y = pb_arena_alloc(arena, n, sizeof *f->y);
	f->errors = pb_arena_alloc(arena, n, sizeof *f->errors);
	if (!f->points || !f->x || !f->y || !f->errors)
		return pb_out_of_memory(err, "scaling laws");
	for (size_t i = 0; i < n; i++) {
		double x[2];
		if (!take(f->law, &items[i], f->front->chance, x, &f->y[f->n])) {
			f->n_left_out++;
			continue;
		}
		memcpy(f->x + f->n * n_variables, x, n_variables * sizeof *x);
		f->errors[f->n] = items[i].point->stderr_value;
		f->points[f->n++] = items[i].point;
		f->n_on_front += items[i].point->on_front;
	}
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

static enum pb_status compare_with_line(struct pb_law_fit *f, const struct pb_fit_points *points, struct pb_error *err)
{
	const struct pb_form *straight = pb_form_find("straight");
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

static enum pb_status fit_law(struct pb_law_fit *f, bool many, struct pb_arena *arena, struct pb_error *err)
{
	const struct pb_fit_points points = { f->n, f->x, f->y };
	bool degradation = f->law == PB_LAW_DEGRADATION || f->law == PB_LAW_DEGRADATION_EXP;
	struct pb_fit_likelihood likelihood;
	f->aicc = f->aicc_straight = f->effective_params = f->effective_per_bit = NAN;
	for (unsigned k = 0; k < PB_FORM_PARAMETERS; k++)
		f->boot_low[k] = f->boot_high[k] = NAN;
	if (f->n_sizes < PB_SCALING_SIZES) {
		f->reason = pb_arena_printf(arena, "%zu %s; a fit needs %d", f->n_sizes, f->n_sizes == 1 ? "size" : "sizes", PB_SCALING_SIZES);
		return f->reason ? PB_OK : pb_out_of_memory(err, "scaling laws");
	}
	if (many && !f->n_on_front) {
		f->reason = "one of many settings, and no point of it is on the front of sizes";
		return PB_OK;
	}
	if (degradation && count_widths(f) < 3) {
		f->reason = "fewer than 3 widths";
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
	if (st == PB_OK && f->law == PB_LAW_LOSS)
		st = unless_memory(compare_with_line(f, &points, err));
	return st;
}

/* --- all fits of a front --- */

static bool same_group(const struct item *a, const struct item *b)
{
	return strcmp(a->family, b->family) == 0 && strcmp(a->group, b->group) == 0;
}

static enum pb_status add_law(struct pb_scaling *out, const struct pb_front *front, enum pb_law law, struct pb_error *err)
{
	bool by_method = law == PB_LAW_DEGRADATION || law == PB_LAW_DEGRADATION_EXP;
	struct item *items = NULL;
	enum pb_status st = gather(&items, front, by_method, out->arena, err);
	size_t n_groups = st == PB_OK && front->n_points > 0;
	for (size_t i = 1; i < front->n_points && st == PB_OK; i++)
		n_groups += !same_group(&items[i - 1], &items[i]);
	for (size_t i = 0, n; i < front->n_points && st == PB_OK; i += n) {
		for (n = 1; i + n < front->n_points && same_group(&items[i + n], &items[i]); n++)
			;
		if (by_method && (isnan(items[i].reference) || is_full_precision(items[i].point->row)))
			continue;
		struct pb_law_fit *f = &out->fits[out->n++];
		*f = (struct pb_law_fit){ .law = law, .front = front, .family = items[i].family, .label = items[i].group, .form = pb_form_find(form_name(law, front->chance)) };
		st = take_points(f, items + i, n, out->arena, err);
		if (st == PB_OK)
			st = fit_law(f, n_groups > PB_SCALING_MANY, out->arena, err);
	}
	return st;
}

/* Which models of full precision have the losses of the quantized ones. first: the fits of one front, `n` of them. */
static void add_effective(struct pb_law_fit *first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct pb_law_fit *full = NULL;
		double logs = 0.0, per_bit = 0.0;
		for (size_t k = 0; k < n && !full; k++)
			if (strcmp(first[k].family, first[i].family) == 0 && first[k].n && is_full_precision(first[k].points[0]->row) && !first[k].reason)
				full = &first[k];
		for (size_t k = 0; full && k < first[i].n; k++) {
			const struct pb_point *p = first[i].points[k];
			double share = pb_effective_parameters(full->fit.theta, (double)p->row->params, p->value);
			logs += log(share) / (double)first[i].n;
			per_bit += log(share * 16.0 / p->bits) / (double)first[i].n;
		}
		if (full && first[i].n && isfinite(logs)) {
			first[i].effective_params = exp(logs);
			first[i].effective_per_bit = exp(per_bit);
		}
	}
}

static bool same_thing(const struct pb_front *a, const struct pb_front *b)
{
	return strcmp(a->task, b->task) == 0 && strcmp(a->protocol, b->protocol) == 0 && strcmp(a->backend, b->backend) == 0;
}

/* Losses: nll, and perplexities of tasks that have no nll when nothing has one. Accuracies: the mean, or all when there is none. */
static bool is_wanted(const struct pb_fronts *fronts, const struct pb_front *front, enum pb_law *law)
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
	for (size_t i = 0; i < fronts->n; i++)
		most += 3 * fronts->fronts[i].n_points;
	scaling.fits = pb_arena_alloc(arena, most, sizeof *scaling.fits);
	if (!scaling.fits)
		return pb_out_of_memory(err, "scaling laws");
	for (size_t i = 0; i < fronts->n && st == PB_OK; i++) {
		const struct pb_front *front = &fronts->fronts[i];
		enum pb_law law;
		size_t first = scaling.n;
		if (!is_wanted(fronts, front, &law))
			continue;
		st = add_law(&scaling, front, law, err);
		if (st == PB_OK && law == PB_LAW_LOSS) {
			add_effective(scaling.fits + first, scaling.n - first);
			st = add_law(&scaling, front, PB_LAW_DEGRADATION, err);
			if (st == PB_OK)
				st = add_law(&scaling, front, PB_LAW_DEGRADATION_EXP, err);
		}
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

/* --- fits.csv --- */

static void csv_identity(struct pb_text *out, const struct pb_law_fit *f)
{
	const char *const texts[] = { f->front->task, f->front->metric, f->front->protocol, f->front->backend, f->family, f->label, f->form->name, f->form->formula };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		pb_csv_text(out, *texts[i] ? texts[i] : NULL);
	pb_csv_integer(out, (long long)f->n);
	pb_csv_integer(out, (long long)f->n_sizes);
	pb_csv_integer(out, (long long)f->n_left_out);
}

static void csv_parameter(struct pb_text *out, const struct pb_law_fit *f, unsigned k)
{
	const struct pb_fit *fit = &f->fit;
	struct pb_text warnings = { 0 };
	const double numbers[] = { fit->theta[k], fit->low[k], fit->high[k], f->boot_low[k], f->boot_high[k] };
	csv_identity(out, f);
	pb_csv_text(out, f->form->parameters[k].name);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		pb_csv_number(out, pb_form_shown(f->form, k, numbers[i]));
	pb_csv_number(out, fit->objective);
	pb_csv_number(out, fit->huber);
	pb_csv_number(out, fit->deviation);
	pb_csv_integer(out, (long long)fit->n_starts);
	pb_csv_integer(out, (long long)fit->n_reached);
	pb_csv_number(out, f->aicc);
	pb_csv_number(out, f->aicc_straight);
	pb_csv_number(out, f->held.n ? f->held.largest : NAN);
	pb_csv_number(out, f->held.n ? f->held.error : NAN);
	pb_csv_number(out, f->held_straight.n ? f->held_straight.error : NAN);
	pb_csv_number(out, f->effective_params);
	pb_csv_number(out, f->effective_per_bit);
	for (unsigned bit = 0; bit < PB_FIT_WARNINGS; bit++)
		if (fit->warnings & 1u << bit)
			pb_text_printf(&warnings, "%s%s", warnings.length ? "; " : "", pb_fit_warning_text(bit));
	pb_csv_text(out, warnings.length ? pb_text_c(&warnings) : NULL);
	pb_csv_text(out, NULL);
	pb_csv_end(out);
	out->failed = out->failed || warnings.failed;
	pb_text_free(&warnings);
}

enum pb_status pb_scaling_csv(const struct pb_scaling *scaling, struct pb_text *out, struct pb_error *err)
{
	static const char *const names[] = { "task", "metric", "protocol", "backend", "model_family", "label", "form", "formula", "points", "sizes", "left_out",
		"parameter", "estimate", "low95", "high95", "bootstrap_low95", "bootstrap_high95", "objective", "huber", "deviation", "starts", "reached", "aicc", "aicc_straight",
		"held_out", "held_out_error", "held_out_error_straight", "effective_params", "effective_params_per_16_bits", "warnings", "reason" };
	const size_t n = sizeof names / sizeof *names;
	for (size_t i = 0; i < n; i++)
		pb_csv_text(out, names[i]);
	pb_csv_end(out);
	for (size_t i = 0; i < scaling->n; i++) {
		const struct pb_law_fit *f = &scaling->fits[i];
		for (unsigned k = 0; !f->reason && k < f->form->n_parameters; k++)
			csv_parameter(out, f, k);
		if (!f->reason)
			continue;
		csv_identity(out, f);
		for (size_t k = 11; k + 1 < n; k++)
			pb_csv_text(out, NULL);
		pb_csv_text(out, f->reason);
		pb_csv_end(out);
	}
	return pb_text_check(out, err);
}
