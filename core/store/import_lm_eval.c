/* Result files of lm-evaluation-harness, older and newer form. */
#include <math.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/store/import.h"

struct file {
	struct pb_rows *rows;
	const char *name;
	const json_t *root, *config;
	const char *cell, *run, *model, *options, *version;     /* in the rows' arena */
	int64_t params, seed;
	struct pb_error *err;
};

static const char *string_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The value of `key=` among "a=1,b=2", with its length; NULL when it is not there. */
static const char *argument(const char *args, const char *key, size_t *n)
{
	size_t length = strlen(key);

	for (const char *p = args; p && *p;) {
		*n = strcspn(p, ",");
		if (*n > length && strncmp(p, key, length) == 0 && p[length] == '=') {
			*n -= length + 1;
			return p + length + 1;
		}
		p += *n + (p[*n] == ',');
	}
	return NULL;
}

/* "EleutherAI/pythia-1.4b": the part behind the last slash, with a revision when one was named. */
static enum pb_status find_model(struct file *f)
{
	const char *args = string_at(f->config, "model_args"), *name = NULL, *revision, *model;
	size_t n = 0, n_revision = 0;

	if (args)
		name = argument(args, "pretrained", &n);
	if (!name && (name = string_at(f->root, "model_name")))
		n = strlen(name);
	if (!name) {
		name = pb_path_name(f->name);
		n = strlen(name);
	}
	for (size_t i = n; i > 0; i--)
		if (name[i - 1] == '/') {
			name += i;
			n -= i;
			break;
		}
	revision = args ? argument(args, "revision", &n_revision) : NULL;
	if (n == 0)
		return pb_fail(f->err, PB_FORMAT, "%s: the model has no name", f->name);
	model = pb_arena_printf(f->rows->arena, revision ? "%.*s@%.*s" : "%.*s", (int)n, name, (int)n_revision, revision ? revision : "");
	f->model = model;
	return model ? PB_OK : pb_out_of_memory(f->err, "rows");
}

/* "1.4b", "410m" or "70M" as a part of the name between other characters; PB_ABSENT when there is none or more than one. */
static int64_t params_in_name(const char *name)
{
	int64_t found = PB_ABSENT;

	for (const char *p = name; *p;) {
		char number[24];
		size_t n = strspn(p, "0123456789.");
		double value, unit;

		if (n == 0 || n >= sizeof(number) || (p > name && !strchr("-_/@ ", p[-1]))) {
			p += n ? n : 1;
			continue;
		}
		memcpy(number, p, n);
		number[n] = '\0';
		p += n;
		unit = *p == 'b' || *p == 'B' ? 1e9 : *p == 'm' || *p == 'M' ? 1e6 : 0;
		if (unit == 0 || (p[1] && !strchr("-_/@ ", p[1])) || !pb_parse_double(number, &value) || !(value > 0 && value < 1e6))
			continue;
		if (found != PB_ABSENT)
			return PB_ABSENT;
		found = (int64_t)llround(value * unit);
	}
	return found;
}

static enum pb_status read_config(struct file *f)
{
	const json_t *params = json_object_get(f->config, "model_num_parameters"), *seed = json_object_get(f->config, "random_seed");
	const char *args = string_at(f->config, "model_args"), *version = string_at(f->root, "lm_eval_version");
	json_t *options = json_pack("{s:s*}", "model_args", args);
	char *text = options ? pb_json_canonical(options) : NULL;
	enum pb_status st;

	json_decref(options);
	f->options = text ? pb_rows_string(f->rows, text) : NULL;
	pb_free(text);
	f->version = pb_rows_string(f->rows, version);
	f->run = pb_rows_string(f->rows, pb_path_name(f->name));
	if (!f->options || !f->version || !f->run)
		return pb_out_of_memory(f->err, "rows");
	if ((st = find_model(f)))
		return st;
	f->seed = json_is_integer(seed) ? json_integer_value(seed) : PB_ABSENT;
	f->params = json_is_integer(params) && json_integer_value(params) > 0 ? json_integer_value(params) : params_in_name(f->model);
	return PB_OK;
}

/* "lm-eval version 1, 0-shot" */
static const char *protocol_of(struct file *f, const char *task)
{
	const json_t *shots = json_object_get(json_object_get(f->root, "n-shot"), task), *version = json_object_get(json_object_get(f->root, "versions"), task);
	char number[32] = "unknown";

	if (!json_is_integer(shots))
		shots = json_object_get(f->config, "num_fewshot");
	if (json_is_number(version))
		pb_format_short(number, json_number_value(version));
	return json_is_integer(shots) ? pb_arena_printf(f->rows->arena, "lm-eval version %s, %lld-shot", number, (long long)json_integer_value(shots))
		: pb_arena_printf(f->rows->arena, "lm-eval version %.20s", number);
}

/* A metric's name as it is here: without the filter "none", perplexities by our names. Other filters stay. */
static const char *metric_name(struct file *f, const char *key)
{
	static const struct { const char *theirs, *ours; } names[] = { { "perplexity", "ppl" }, { "word_perplexity", "ppl_word" }, { "byte_perplexity", "ppl_byte" } };
	size_t n = strcspn(key, ",");
	bool plain = !key[n] || strcmp(key + n, ",none") == 0;

	for (size_t i = 0; plain && i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].theirs) == n && strncmp(key, names[i].theirs, n) == 0)
			return names[i].ours;
	return pb_arena_strndup(f->rows->arena, key, plain ? n : strlen(key));
}

/* "acc" -> "acc_stderr", "acc,none" -> "acc_stderr,none": the standard error of a metric, NaN when there is none ("N/A"). */
static enum pb_status find_stderr(struct file *f, const json_t *metrics, const char *task, const char *key, double *out)
{
	size_t n = strcspn(key, ",");
	const char *name = pb_arena_printf(f->rows->arena, "%.*s_stderr%s", (int)n, key, key + n);
	const json_t *value = name ? json_object_get(metrics, name) : NULL;

	if (!name)
		return pb_out_of_memory(f->err, "rows");
	if (value && !json_is_number(value) && !json_is_string(value) && !json_is_null(value))
		return pb_fail(f->err, PB_FORMAT, "%s: %.80s: %.80s is not a number", f->name, task, name);
	*out = json_is_number(value) ? json_number_value(value) : NAN;
	return *out < 0 ? pb_fail(f->err, PB_FORMAT, "%s: %.80s: %.80s is below 0", f->name, task, name) : PB_OK;
}

static bool is_stderr(const char *key)
{
	size_t n = strcspn(key, ",");

	return n >= 7 && strncmp(key + n - 7, "_stderr", 7) == 0;
}

static enum pb_status add_metric(struct file *f, const char *task, const json_t *metrics, const char *key, const json_t *value)
{
	const json_t *higher = json_object_get(json_object_get(json_object_get(f->root, "higher_is_better"), task), key);
	const json_t *n = json_object_get(json_object_get(json_object_get(f->root, "n-samples"), task), "effective");
	struct pb_row *r;
	double error = NAN;
	enum pb_status st;

	if (json_is_string(value) || json_is_null(value) || is_stderr(key))
		return PB_OK;   /* an alias, an error, or nothing */
	if (!json_is_number(value))
		return pb_fail(f->err, PB_FORMAT, "%s: %.80s: %.80s is not a number", f->name, task, key);
	if ((st = find_stderr(f, metrics, task, key, &error)))
		return st;
	if (!(r = pb_rows_add(f->rows, f->err)))
		return PB_MEMORY;
	r->run = f->run;
	r->cell = f->cell;
	r->status = PB_ROW_OK;
	r->model = f->model;
	r->params = f->params;
	r->quantizer = r->label = r->backend = r->kernel = PB_IMPORTED;
	r->options = f->options;
	r->version = f->version;
	r->seed = f->seed;
	r->task = pb_rows_string(f->rows, task);
	r->protocol = protocol_of(f, task);
	r->metric = metric_name(f, key);
	r->value = json_number_value(value);
	r->stderr_value = error;
	r->n = json_is_integer(n) && json_integer_value(n) > 0 ? json_integer_value(n) : PB_ABSENT;
	if (!r->task || !r->protocol || !r->metric)
		return pb_out_of_memory(f->err, "rows");
	if (!*r->metric)
		return pb_fail(f->err, PB_FORMAT, "%s: %.80s: a metric has no name", f->name, task);
	r->higher_is_better = json_is_boolean(higher) ? json_is_true(higher) : pb_import_higher_is_better(r->metric);
	return PB_OK;
}

static enum pb_status read_results(struct file *f)
{
	const json_t *results = json_object_get(f->root, "results");
	const char *task, *key;
	json_t *metrics, *value;
	enum pb_status st;

	if (!json_is_object(results))
		return pb_fail(f->err, PB_FORMAT, "%s: no object `results`; not a result file of lm-evaluation-harness", f->name);
	json_object_foreach((json_t *)(uintptr_t)results, task, metrics) {
		if (!*task)
			return pb_fail(f->err, PB_FORMAT, "%s: a task has no name", f->name);
		if (!json_is_object(metrics))
			return pb_fail(f->err, PB_FORMAT, "%s: %.80s: its results are not an object", f->name, task);
		json_object_foreach(metrics, key, value) {
			if ((st = add_metric(f, task, metrics, key, value)))
				return st;
		}
	}
	return PB_OK;
}

enum pb_status pb_import_lm_eval(struct pb_rows *rows, const char *name, const char *hash, const char *data, size_t size, struct pb_error *err)
{
	struct file f = { .rows = rows, .name = name, .err = err };
	json_t *root = NULL;
	enum pb_status st = pb_json_parse(&root, name, data, size, err);

	if (st)
		return st;
	f.root = root;
	f.config = json_object_get(root, "config");
	f.cell = pb_rows_string(rows, hash);
	st = f.cell ? read_config(&f) : pb_out_of_memory(err, "rows");
	if (!st)
		st = read_results(&f);
	json_decref(root);
	return st;
}
