#include "reports/scaling_items.h"

#include <math.h>
#include <string.h>

#include "core/base/json.h"

/* --- families --- */

#define SEPARATORS "-_ @"

/* A size, or a number format: nothing that tells families apart. */
static bool is_size(const char *word, size_t n)
{
	static const char *const names[] = { "xxs", "xs", "s", "m", "l", "xl", "xxl", "tiny", "mini", "small", "base", "medium", "large", "bf16", "fp16", "f16", "fp32", "f32" };
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
		size_t n = strcspn(s, SEPARATORS);
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

/* --- items --- */

static const char *keep(struct pb_arena *arena, struct pb_text *t)
{
	const char *copy = t->failed ? NULL : pb_arena_strdup(arena, pb_text_c(t));
	pb_text_free(t);
	return copy;
}

static const char *family_by_name(struct pb_arena *arena, const struct pb_row *row)
{
	struct pb_text t = { 0 };
	pb_model_family(row->model, &t);
	return keep(arena, &t);
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
	return keep(arena, &t);
}

/* Tokens that the method has trained on, by the row's record of its data. */
static double trained_on(const struct pb_row *row)
{
	json_t *data = NULL;
	double tokens = 0.0;
	if (*row->calibration && pb_json_parse(&data, "a row", row->calibration, strlen(row->calibration), NULL) == PB_OK)
		tokens = json_number_value(json_object_get(json_object_get(data, "training"), "tokens"));
	json_decref(data);
	return tokens;
}

bool pb_scaling_is_reference(const struct pb_scaling_item *full, const struct pb_scaling_item *item)
{
	return full->is_full && full->trained == item->trained && strcmp(full->point->row->model, item->point->row->model) == 0;
}

static bool take(struct pb_scaling_item *item, const struct pb_point *p, bool is_perplexity, struct pb_arena *arena)
{
	*item = (struct pb_scaling_item){ .point = p, .series = family_by_name(arena, p->row), .tokens = p->row->train_tokens == PB_ABSENT ? NAN : (double)p->row->train_tokens, .method = method_of(arena, p->row),
		.is_full = strcmp(p->row->family, "full precision") == 0, .trained = trained_on(p->row), .y = is_perplexity ? log(p->value) : p->value,
		.error = is_perplexity ? p->stderr_value / p->value : p->stderr_value, .reference = NAN };
	item->family = *p->row->model_family ? p->row->model_family : item->series;
	return item->series && item->method;
}

/* The mean over seeds. */
static void find_references(struct pb_scaling_item *items, size_t n, const size_t *full, size_t n_full)
{
	for (size_t i = 0; i < n; i++) {
		double sum = 0.0, count = 0.0;
		for (size_t k = 0; k < n_full; k++)
			if (pb_scaling_is_reference(&items[full[k]], &items[i])) {
				sum += items[full[k]].y;
				count++;
			}
		items[i].reference = count > 0.0 ? sum / count : NAN;
	}
}

/* Of each model its first item: n of them. */
static size_t find_models(const struct pb_scaling_item *items, size_t n, size_t *models)
{
	size_t n_models = 0;
	for (size_t i = 0; i < n; i++) {
		bool seen = false;
		for (size_t k = 0; k < n_models && !seen; k++)
			seen = strcmp(items[models[k]].point->row->model, items[i].point->row->model) == 0;
		if (!seen)
			models[n_models++] = i;
	}
	return n_models;
}

/* Whether the item's family has two models of one size; with other_tokens: trained on different numbers of tokens. */
static bool has_twins(const struct pb_scaling_item *items, const size_t *models, size_t n_models, const struct pb_scaling_item *item, bool other_tokens)
{
	for (size_t i = 0; i < n_models; i++)
		for (size_t k = 0; k < i; k++) {
			const struct pb_scaling_item *a = &items[models[i]], *b = &items[models[k]];
			if (a->point->row->params == b->point->row->params && strcmp(a->family, item->family) == 0 && strcmp(b->family, item->family) == 0 &&
			    (!other_tokens || (a->tokens > 0.0 && b->tokens > 0.0 && a->tokens != b->tokens)))
				return true;
		}
	return false;
}

/* The answer is one for a family: it is sought once for each model, and taken over by its items. */
static void find_series(struct pb_scaling_item *items, size_t n, const size_t *models, size_t n_models)
{
	for (size_t m = 0; m < n_models; m++) {
		const struct pb_scaling_item *first = &items[models[m]];
		const bool twins = has_twins(items, models, n_models, first, false), budgets = has_twins(items, models, n_models, first, true);
		for (size_t i = 0; i < n; i++) {
			if (strcmp(items[i].point->row->model, first->point->row->model) != 0)
				continue;
			items[i].has_budgets = budgets;
			if (!twins)
				items[i].series = items[i].family;
		}
	}
}

enum pb_status pb_scaling_items(struct pb_scaling_item **out, size_t *n, const struct pb_front *front, struct pb_arena *arena, struct pb_error *err)
{
	const size_t n_all = front->n_points + front->n_no_size;
	const bool is_perplexity = strncmp(front->metric, "ppl", 3) == 0;
	struct pb_scaling_item *items = pb_arena_alloc(arena, n_all, sizeof *items);
	size_t *full = pb_arena_alloc(arena, n_all, sizeof *full), n_full = 0, *models = pb_arena_alloc(arena, n_all, sizeof *models);
	if (!items || !full || !models)
		return pb_out_of_memory(err, "scaling laws");
	*n = 0;
	for (size_t i = 0; i < n_all; i++) {
		const struct pb_point *p = i < front->n_points ? &front->points[i] : &front->unsized[i - front->n_points];
		if (!take(&items[*n], p, is_perplexity, arena))
			return pb_out_of_memory(err, "scaling laws");
		if (items[*n].is_full)
			full[n_full++] = *n;
		++*n;
	}
	find_references(items, *n, full, n_full);
	find_series(items, *n, models, find_models(items, *n, models));
	*out = items;
	return PB_OK;
}
