#include "reports/study.h"

#include <math.h>
#include <string.h>

#include "core/base/json.h"

const char *const pb_study_verdict_names[] = { "seen", "not seen", "unclear" };

/* ---- from rows to settings ---- */

static void add(struct pb_study_number *to, double value)
{
	double d = value - to->mean;
	to->n++;
	to->mean += d / (double)to->n;
	to->squares += d * (value - to->mean);
}

static double member_number(const json_t *object, const char *key, double none)
{
	const json_t *value = json_object_get(object, key);
	return json_is_number(value) ? json_number_value(value) : none;
}

static bool member_is(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value && strcmp(value, text) == 0;
}

static json_t *parse(const char *text)
{
	json_t *object = NULL;
	return text[0] && pb_json_parse(&object, "a row", text, strlen(text), NULL) == PB_OK ? object : NULL;
}

static bool describe(struct pb_study_setting *s, const struct pb_row *row, struct pb_arena *arena)
{
	json_t *options = parse(row->options), *data = parse(row->calibration);
	const json_t *training = json_object_get(data, "training"), *made = json_object_get(data, "model");
	const char *recipe = json_string_value(json_object_get(made, "recipe"));
	*s = (struct pb_study_setting){ .model = row->model, .label = row->label, .backend = row->backend, .quantizer = row->quantizer, .params = (double)row->params,
		.bits = row->wbits, .weight_bytes = (double)row->weight_bytes, .tokens = member_number(training, "tokens", 0),
		.tokens_before = member_number(made, "tokens", NAN), .trains = !json_is_false(json_object_get(options, "train")),
		.grid = member_is(options, "grid", "seq") ? PB_GRID_SEQ : member_is(options, "grid", "lsq") ? PB_GRID_LSQ : PB_GRID_AUTO,
		.init_mse = member_is(options, "init", "mse"), .per_row = member_number(options, "group_size", -1) <= 0,
		.recipe = recipe ? pb_arena_strdup(arena, recipe) : "" };
	json_decref(options);
	json_decref(data);
	return s->recipe != NULL;
}

static struct pb_study_setting *find(struct pb_study *study, const struct pb_row *row)
{
	for (size_t i = study->n; i-- > 0;) {
		struct pb_study_setting *s = &study->settings[i];
		if (strcmp(s->model, row->model) == 0 && strcmp(s->label, row->label) == 0 && strcmp(s->backend, row->backend) == 0)
			return s;
	}
	return NULL;
}

static void take(struct pb_study *study, struct pb_study_setting *s, const struct pb_row *row)
{
	if (strcmp(row->metric, "nll") == 0 && study->task && strcmp(row->task, study->task) == 0)
		add(&s->nll, row->value);
	else if (strcmp(row->metric, "relative_l1") == 0)
		add(&s->movement, row->value);
	else if (strcmp(row->metric, "acc") == 0 && isfinite(row->chance)) {
		add(&s->accuracy, row->value);
		add(&s->chance, row->chance);
		s->accuracy_variance += row->stderr_value * row->stderr_value;
	}
}

static const struct pb_study_number *number_at(const struct pb_study_setting *s, size_t offset)
{
	return (const struct pb_study_number *)(const void *)((const char *)s + offset);
}

/* Pooled over trained settings with several seeds; tokens: those with so many, NaN: all. */
static double pooled(const struct pb_study *study, size_t offset, double tokens)
{
	double squares = 0, freedom = 0;
	for (size_t i = 0; i < study->n; i++) {
		const struct pb_study_setting *s = &study->settings[i];
		const struct pb_study_number *x = number_at(s, offset);
		if (s->tokens <= 0 || x->n < 2 || (!isnan(tokens) && s->tokens != tokens))
			continue;
		squares += x->squares;
		freedom += (double)x->n - 1;
	}
	return freedom > 0 ? sqrt(squares / freedom) : NAN;
}

static double error_of(const struct pb_study *study, const struct pb_study_setting *s, size_t offset)
{
	double deviation = pooled(study, offset, s->tokens);
	if (s->tokens <= 0)
		return 0;
	return (isnan(deviation) ? pooled(study, offset, NAN) : deviation) / sqrt((double)number_at(s, offset)->n);
}

enum pb_status pb_study_read(struct pb_study *out, const struct pb_rows *rows, struct pb_arena *arena, struct pb_error *err)
{
	*out = (struct pb_study){ .arena = arena, .settings = pb_arena_alloc(arena, rows->n + 1, sizeof *out->settings) };
	if (!out->settings)
		return pb_out_of_memory(err, "the study");
	for (size_t i = 0; i < rows->n && !out->task; i++)
		if (rows->rows[i].status == PB_ROW_OK && strcmp(rows->rows[i].metric, "nll") == 0)
			out->task = rows->rows[i].task;
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *row = &rows->rows[i];
		struct pb_study_setting *s;
		if (row->status != PB_ROW_OK || !isfinite(row->value))
			continue;
		if (!(s = find(out, row)) && !describe(s = &out->settings[out->n++], row, arena))
			return pb_out_of_memory(err, "the study");
		take(out, s, row);
	}
	out->deviation = pooled(out, offsetof(struct pb_study_setting, nll), NAN);
	for (size_t i = 0; i < out->n; i++) {
		struct pb_study_setting *s = &out->settings[i];
		s->nll_error = error_of(out, s, offsetof(struct pb_study_setting, nll));
		s->movement_error = error_of(out, s, offsetof(struct pb_study_setting, movement));
	}
	return PB_OK;
}

bool pb_study_is_there(const struct pb_study *study)
{
	static const double widths[] = { 1, 1.58, 2, 3, 4 };
	for (size_t i = 0; i < study->n; i++) {
		size_t n = 0;
		for (size_t b = 0; b < sizeof widths / sizeof *widths; b++)
			n += pb_study_main(study, study->settings[i].model, widths[b]) != NULL;
		if (n >= 3)
			return true;
	}
	return false;
}

/* ---- what is looked up ---- */

static bool is_of(const struct pb_study_setting *s, const char *model, const char *quantizer, double bits)
{
	return s->nll.n && !s->recipe[0] && strcmp(s->model, model) == 0 && strcmp(s->quantizer, quantizer) == 0 && (s->bits == bits || isnan(bits));
}

static bool is_as_published(const struct pb_study_setting *s)
{
	return s->grid == PB_GRID_AUTO && !s->init_mse && s->tokens > 0;
}

const struct pb_study_setting *pb_study_main(const struct pb_study *study, const char *model, double bits)
{
	const struct pb_study_setting *best = NULL;
	for (size_t i = 0; i < study->n; i++) {
		const struct pb_study_setting *s = &study->settings[i];
		if (is_of(s, model, "paretoq", bits) && is_as_published(s) && (!best || s->tokens > best->tokens))
			best = s;
	}
	return best;
}

const struct pb_study_setting *pb_study_at(const struct pb_study *study, const char *model, const char *quantizer, double bits, double tokens)
{
	for (size_t i = 0; i < study->n; i++) {
		const struct pb_study_setting *s = &study->settings[i];
		if (is_of(s, model, quantizer, bits) && is_as_published(s) && s->tokens == tokens)
			return s;
	}
	return NULL;
}

const struct pb_study_setting *pb_study_rounded(const struct pb_study *study, const char *model, double bits)
{
	for (size_t i = 0; i < study->n; i++) {
		const struct pb_study_setting *s = &study->settings[i];
		if (is_of(s, model, "paretoq", bits) && !s->trains && s->init_mse && s->grid == PB_GRID_AUTO)
			return s;
	}
	return NULL;
}

const struct pb_study_setting *pb_study_full(const struct pb_study *study, const char *model)
{
	for (size_t i = 0; i < study->n; i++)
		if (is_of(&study->settings[i], model, "identity", NAN))
			return &study->settings[i];
	return NULL;
}

size_t pb_study_models(const struct pb_study *study, const char **names, size_t most)
{
	double sizes[64];
	size_t n = 0;
	for (size_t i = 0; i < study->n; i++) {
		const struct pb_study_setting *s = &study->settings[i];
		size_t at = 0;
		bool known = s->recipe[0] != '\0';
		for (size_t k = 0; k < n && !known; k++)
			known = strcmp(names[k], s->model) == 0;
		if (known || n == most || n == sizeof sizes / sizeof *sizes)
			continue;
		while (at < n && sizes[at] <= s->params)
			at++;
		memmove(names + at + 1, names + at, (n - at) * sizeof *names);
		memmove(sizes + at + 1, sizes + at, (n - at) * sizeof *sizes);
		names[at] = s->model;
		sizes[at] = s->params;
		n++;
	}
	return n;
}
