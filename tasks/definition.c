/* Reading definitions. Keys are lm-evaluation-harness's where it has them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "tasks/definition.h"
#include "tasks/process.h"

#define MAX_KEYS 40

/* Keys of every definition; the four of the data set's origin only inform. */
static const char *const common_keys[] = { "task", "title", "source", "dataset_path", "dataset_name", "validation_split", "test_split",
	"output_type", "protocol", "data_files", "metric_list", "metadata" };
static const size_t n_common_keys = sizeof(common_keys) / sizeof(*common_keys);

struct reader {
	struct pb_arena *arena;
	const struct pb_yaml *root;
	struct pb_definition *d;
	struct pb_error *err;
};

/* An arena copy of a scalar; `missing` is taken when the key is not there, NULL makes the key necessary. */
static enum pb_status read_string(struct reader *r, const struct pb_yaml *map, const char *key, const char *missing, const char **out)
{
	const struct pb_yaml *node = pb_yaml_get(map, key);
	const char *s = missing;
	enum pb_status st = PB_OK;

	if (node)
		st = pb_yaml_string(node, &s, r->err);
	else if (!missing)
		st = pb_yaml_fail(map, r->err, "the key '%s' is missing", key);
	if (st)
		return st;
	*out = pb_arena_strdup(r->arena, s);
	return *out ? PB_OK : pb_out_of_memory(r->err, "a definition");
}

/* A scalar or a list of scalars, at least one. */
static enum pb_status read_strings(struct reader *r, const struct pb_yaml *node, const char *const **out, size_t *n)
{
	size_t count = node->kind == PB_YAML_LIST ? node->n : 1;
	const char **list = pb_arena_alloc(r->arena, count ? count : 1, sizeof(*list));

	if (!list)
		return pb_out_of_memory(r->err, "a definition");
	if (!count)
		return pb_yaml_fail(node, r->err, "the list is empty");
	for (size_t i = 0; i < count; i++) {
		const struct pb_yaml *entry = node->kind == PB_YAML_LIST ? node->values[i] : node;
		const char *s;
		enum pb_status st = pb_yaml_string(entry, &s, r->err);

		if (st)
			return st;
		if (!*s)
			return pb_yaml_fail(entry, r->err, "the name is empty");
		if (!(list[i] = pb_arena_strdup(r->arena, s)))
			return pb_out_of_memory(r->err, "a definition");
	}
	*out = list;
	*n = count;
	return PB_OK;
}

static enum pb_status unknown_name(const struct pb_yaml *at, const char *what, const char *name, const char *const *names, size_t n, struct pb_error *err)
{
	const char *near = pb_nearest(name, names, n);

	if (near)
		return pb_yaml_fail(at, err, "unknown %s '%s'; did you mean '%s'?", what, name, near);
	return pb_yaml_fail(at, err, "unknown %s '%s'", what, name);
}

static enum pb_status read_kind(struct reader *r, const struct pb_task_kind **out)
{
	const struct pb_yaml *node = pb_yaml_get(r->root, "output_type");
	const char *names[16], *name;
	enum pb_status st;

	if (!node)
		return pb_yaml_fail(r->root, r->err, "the key 'output_type' is missing");
	if ((st = pb_yaml_string(node, &name, r->err)))
		return st;
	*out = pb_task_kind_find(name);
	if (*out)
		return PB_OK;
	for (size_t i = 0; i < pb_n_task_kinds && i < 16; i++)
		names[i] = pb_task_kinds[i]->name;
	return unknown_name(node, "output_type", name, names, pb_n_task_kinds, r->err);
}

static enum pb_status check_keys(struct reader *r, const struct pb_task_kind *kind)
{
	const char *allowed[MAX_KEYS];
	size_t n = 0;

	for (size_t i = 0; i < n_common_keys; i++)
		allowed[n++] = common_keys[i];
	for (size_t i = 0; kind->keys[i] && n + 2 < MAX_KEYS; i++)
		allowed[n++] = kind->keys[i];
	if (kind->takes_subtasks)
		allowed[n++] = "subtasks";
	allowed[n] = NULL;
	return pb_yaml_check_keys(r->root, allowed, r->err);
}

static enum pb_status read_format(struct reader *r, const struct pb_yaml *node, enum pb_data_format *out)
{
	static const char *const names[] = { "jsonl", "json", "csv", "lines", "text", "hellaswag" };
	const char *name;
	enum pb_status st = pb_yaml_string(node, &name, r->err);

	if (st)
		return st;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], name) == 0) {
			*out = (enum pb_data_format)i;
			return PB_OK;
		}
	return unknown_name(node, "format", name, names, sizeof(names) / sizeof(*names), r->err);
}

static enum pb_status read_processes(struct reader *r, const struct pb_yaml *node, struct pb_source *source)
{
	const char *const *names = NULL, *known[32];
	const struct pb_process **list;
	size_t n = 0, n_known = 0;
	enum pb_status st = read_strings(r, node, &names, &n);

	if (st)
		return st;
	if (!(list = pb_arena_alloc(r->arena, n, sizeof(*list))))
		return pb_out_of_memory(r->err, "a definition");
	while (n_known < pb_n_processes && n_known < 32) {
		known[n_known] = pb_processes[n_known].name;
		n_known++;
	}
	for (size_t i = 0; i < n; i++)
		if (!(list[i] = pb_process_find(names[i])))
			return unknown_name(node->kind == PB_YAML_LIST ? node->values[i] : node, "process", names[i], known, n_known, r->err);
	source->processes = list;
	source->n_processes = n;
	return PB_OK;
}

static enum pb_status read_source(struct reader *r, const struct pb_yaml *node, struct pb_source *source)
{
	static const char *const keys[] = { "file", "labels", "format", "columns", "process", "expected_items", NULL };
	const struct pb_yaml *value;
	int64_t n = 0;
	enum pb_status st;

	if (node->kind != PB_YAML_MAP)
		return pb_yaml_fail(node, r->err, "an entry of data_files is a map {file, format, ...}");
	if ((st = pb_yaml_check_keys(node, keys, r->err)))
		return st;
	if (!(value = pb_yaml_get(node, "file")))
		return pb_yaml_fail(node, r->err, "the key 'file' is missing");
	st = read_strings(r, value, &source->files, &source->n_files);
	if (!st && (value = pb_yaml_get(node, "labels")))
		st = read_string(r, node, "labels", NULL, &source->labels);
	if (!st && (value = pb_yaml_get(node, "format")))
		st = read_format(r, value, &source->format);
	if (!st && (value = pb_yaml_get(node, "columns")))
		st = source->format == PB_DATA_CSV ? read_strings(r, value, &source->columns, &source->n_columns)
			: pb_yaml_fail(value, r->err, "columns belong to format csv");
	if (!st && (value = pb_yaml_get(node, "process")))
		st = read_processes(r, value, source);
	if (!st && (value = pb_yaml_get(node, "expected_items")))
		st = pb_yaml_int(value, 1, INT32_MAX, &n, r->err);
	source->expected_items = (uint64_t)n;
	return st;
}

static enum pb_status read_sources(struct reader *r)
{
	const struct pb_yaml *node = pb_yaml_get(r->root, "data_files");
	struct pb_source *sources;

	if (!node || node->kind != PB_YAML_LIST || !node->n)
		return pb_yaml_fail(node ? node : r->root, r->err, "data_files must be a list of at least one {file, format, ...}");
	if (!(sources = pb_arena_alloc(r->arena, node->n, sizeof(*sources))))
		return pb_out_of_memory(r->err, "a definition");
	for (size_t i = 0; i < node->n; i++) {
		enum pb_status st = read_source(r, node->values[i], &sources[i]);

		if (st)
			return st;
	}
	r->d->sources = sources;
	r->d->n_sources = node->n;
	return PB_OK;
}

/* An entry is a name, or lm-evaluation-harness's {metric, aggregation, higher_is_better}, where only the name says something. */
static enum pb_status read_metrics(struct reader *r, const struct pb_task_kind *kind)
{
	static const char *const keys[] = { "metric", "aggregation", "higher_is_better", NULL };
	const struct pb_yaml *node = pb_yaml_get(r->root, "metric_list");

	r->d->metrics = kind->default_metrics;
	if (!node)
		return PB_OK;
	if (node->kind != PB_YAML_LIST || !node->n)
		return pb_yaml_fail(node, r->err, "metric_list must be a list of metrics");
	r->d->metrics = 0;
	for (size_t i = 0; i < node->n; i++) {
		const struct pb_yaml *entry = node->values[i];
		const char *name;
		size_t bit = 0;
		enum pb_status st;

		if (entry->kind == PB_YAML_MAP) {
			if ((st = pb_yaml_check_keys(entry, keys, r->err)))
				return st;
			if (!pb_yaml_get(entry, "metric"))
				return pb_yaml_fail(entry, r->err, "the key 'metric' is missing");
			entry = pb_yaml_get(entry, "metric");
		}
		if ((st = pb_yaml_string(entry, &name, r->err)))
			return st;
		while (kind->metrics[bit] && strcmp(kind->metrics[bit], name) != 0)
			bit++;
		if (!kind->metrics[bit])
			return unknown_name(entry, "metric", name, kind->metrics, bit, r->err);
		r->d->metrics |= (uint32_t)1 << bit;
	}
	return PB_OK;
}

static enum pb_status read_choices(struct reader *r)
{
	const struct pb_yaml *node = pb_yaml_get(r->root, "doc_to_choice");
	struct pb_template **list;

	if (!node)
		return PB_OK;
	if (node->kind != PB_YAML_LIST)
		return pb_template_parse(&r->d->choice, r->arena, node, "doc_to_choice", false, r->err);
	if (!node->n)
		return pb_yaml_fail(node, r->err, "doc_to_choice is an empty list");
	if (!(list = pb_arena_alloc(r->arena, node->n, sizeof(*list))))
		return pb_out_of_memory(r->err, "a definition");
	for (size_t i = 0; i < node->n; i++) {
		enum pb_status st = pb_template_parse(&list[i], r->arena, node->values[i], "doc_to_choice", false, r->err);

		if (st)
			return st;
	}
	r->d->choices = list;
	r->d->n_choices = node->n;
	return PB_OK;
}

static enum pb_status read_prompt(struct reader *r)
{
	static const char *const detokenizers[] = { "none", "wikitext" };
	const struct pb_yaml *node;
	const char *name = "none";
	int64_t shots;
	enum pb_status st = PB_OK;

	if ((node = pb_yaml_get(r->root, "doc_to_text")))
		st = pb_template_parse(&r->d->text, r->arena, node, "doc_to_text", true, r->err);
	if (!st && (node = pb_yaml_get(r->root, "doc_to_target")))
		st = pb_template_parse(&r->d->target, r->arena, node, "doc_to_target", true, r->err);
	if (!st && (node = pb_yaml_get(r->root, "doc_to_passage")))
		st = pb_template_parse(&r->d->passage, r->arena, node, "doc_to_passage", true, r->err);
	if (!st)
		st = read_choices(r);
	if (!st)
		st = read_string(r, r->root, "description", "", &r->d->description);
	if (!st)
		st = read_string(r, r->root, "target_delimiter", " ", &r->d->delimiter);
	if (!st && (node = pb_yaml_get(r->root, "num_fewshot")))
		st = pb_yaml_int(node, 0, 0, &shots, r->err);
	if (!st && (node = pb_yaml_get(r->root, "detokenizer")) && !(st = pb_yaml_string(node, &name, r->err))
		&& strcmp(name, "none") != 0 && strcmp(name, "wikitext") != 0)
		st = unknown_name(node, "detokenizer", name, detokenizers, 2, r->err);
	if (!st)
		r->d->detokenize = strcmp(name, "wikitext") == 0;
	return st;
}

static bool mentions_subtask(const struct pb_definition *d)
{
	for (size_t i = 0; i < d->n_sources; i++)
		for (size_t j = 0; j < d->sources[i].n_files; j++)
			if (!strstr(d->sources[i].files[j], "{{subtask}}"))
				return false;
	return true;
}

static enum pb_status read_subtasks(struct reader *r, const char *subtask)
{
	const struct pb_yaml *node = pb_yaml_get(r->root, "subtasks");
	struct pb_definition *d = r->d;
	enum pb_status st;

	d->only = SIZE_MAX;
	if (!node)
		return subtask ? pb_yaml_fail(r->root, r->err, "the task has no subtasks; '%s' was asked for", subtask) : PB_OK;
	if ((st = read_strings(r, node, &d->subtasks, &d->n_subtasks)))
		return st;
	if (!mentions_subtask(d))
		return pb_yaml_fail(node, r->err, "with subtasks, every file of data_files must hold {{subtask}}");
	if (d->n_subtasks > UINT32_MAX / PB_SUBTASK_STRIDE)
		return pb_yaml_fail(node, r->err, "more than %u subtasks", UINT32_MAX / PB_SUBTASK_STRIDE);
	for (size_t i = 0; i < d->n_subtasks; i++) {
		if (subtask && strcmp(subtask, d->subtasks[i]) == 0)
			d->only = i;
		for (size_t j = 0; j < i; j++)
			if (strcmp(d->subtasks[i], d->subtasks[j]) == 0)
				return pb_yaml_fail(node, r->err, "the subtask '%s' is listed twice", d->subtasks[i]);
	}
	return subtask && d->only == SIZE_MAX ? unknown_name(node, "subtask", subtask, d->subtasks, d->n_subtasks, r->err) : PB_OK;
}

/* "ID" or "ID@LENGTH"; where: "FILE:LINE:COLUMN" of the definition, or "protocol" for one that was asked for. */
static enum pb_status read_protocol(struct reader *r, struct pb_task *task, const char *where, const char *text)
{
	const char *at = strchr(text, '@'), *known[32], *near;
	const struct pb_task_kind *kind = task->kind;
	struct pb_text list = {0};
	int64_t length = 0;
	enum pb_status st;

	r->d->protocol_id = at ? pb_arena_strndup(r->arena, text, (size_t)(at - text)) : pb_arena_strdup(r->arena, text);
	task->protocol = pb_arena_strdup(r->arena, text);
	if (!r->d->protocol_id || !task->protocol)
		return pb_out_of_memory(r->err, "a definition");
	if (at && (!pb_parse_int64(at + 1, &length) || length < 2 || length > INT32_MAX))
		return pb_fail(r->err, PB_USAGE, "%s: '%s': a length in tokens of at least 2 is expected after '@'", where, text);
	r->d->length = (uint32_t)length;
	for (size_t i = 0; kind->protocols[i]; i++)
		if (strcmp(kind->protocols[i], r->d->protocol_id) == 0)
			return PB_OK;
	for (size_t i = 0; i < pb_n_protocols; i++)
		if (strcmp(pb_protocols[i].id, r->d->protocol_id) == 0) {
			for (size_t j = 0; kind->protocols[j]; j++)
				pb_text_printf(&list, "%s%s", j ? ", " : "", kind->protocols[j]);
			st = pb_fail(r->err, PB_USAGE, "%s: protocol '%s' is not for tasks of kind %s; these take %s", where, r->d->protocol_id, kind->name, pb_text_c(&list));
			pb_text_free(&list);
			return st;
		}
	for (size_t i = 0; i < pb_n_protocols && i < 32; i++)
		known[i] = pb_protocols[i].id;
	near = pb_nearest(r->d->protocol_id, known, pb_n_protocols);
	return pb_fail(r->err, PB_USAGE, "%s: unknown protocol '%s'%s%s%s", where, r->d->protocol_id, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static enum pb_status choose_protocol(struct reader *r, struct pb_task *task, const char *protocol)
{
	const struct pb_yaml *node = pb_yaml_get(r->root, "protocol");
	const char *text = task->kind->protocols[0];
	char where[256] = "protocol";
	enum pb_status st;

	if (node) {
		if ((st = pb_yaml_string(node, &text, r->err)))
			return st;
		snprintf(where, sizeof(where), "%.200s:%u:%u", node->file, node->line, node->column);
		/* The definition's own must be right also when another one is asked for. */
		if ((st = read_protocol(r, task, where, text)))
			return st;
	}
	if (protocol)
		snprintf(where, sizeof(where), "%.200s", task->name);
	return read_protocol(r, task, where, protocol ? protocol : text);
}

static int by_key(const void *a, const void *b)
{
	const char *const *ka = *(const char *const *const *)a, *const *kb = *(const char *const *const *)b;

	return strcmp(*ka, *kb);
}

/* What is said and not how: the order of keys, comments and quotes do not count. Titles and places of files do not
 * change a number; what was in the files is in the data's own hash. */
static enum pb_status hash_tree(struct pb_hash *h, const struct pb_yaml *node, bool top, struct pb_error *err)
{
	static const char *const skipped[] = { "title", "source", "dataset_path", "dataset_name", "validation_split", "test_split", "protocol", "data_files",
		"doc_to_passage" };
	const char **order_storage[MAX_KEYS], ***order = order_storage;
	enum pb_status st = PB_OK;

	if (node->kind == PB_YAML_SCALAR) {
		pb_hash_string(h, "scalar");
		pb_hash_string(h, node->text);
		return PB_OK;
	}
	if (node->kind == PB_YAML_LIST) {
		pb_hash_string(h, "list");
		for (size_t i = 0; i < node->n && !st; i++)
			st = hash_tree(h, node->values[i], false, err);
		pb_hash_string(h, "end");
		return st;
	}
	if (node->n > MAX_KEYS && !(order = pb_alloc(node->n, sizeof(*order))))
		return pb_out_of_memory(err, "a hash");
	pb_hash_string(h, "map");
	for (size_t i = 0; i < node->n; i++)
		order[i] = &node->keys[i];
	qsort(order, node->n, sizeof(*order), by_key);
	for (size_t i = 0; i < node->n && !st; i++) {
		bool skip = false;

		for (size_t j = 0; top && j < sizeof(skipped) / sizeof(*skipped); j++)
			skip = skip || strcmp(*order[i], skipped[j]) == 0;
		if (skip)
			continue;
		pb_hash_string(h, *order[i]);
		st = hash_tree(h, node->values[order[i] - node->keys], false, err);
	}
	pb_hash_string(h, "end");
	if (order != order_storage)
		pb_free(order);
	return st;
}

static enum pb_status hash_definition(struct pb_task *task, const struct pb_yaml *root, const char *subtask, struct pb_error *err)
{
	struct pb_hash *h = pb_hash_new();
	char limit[32];
	enum pb_status st;

	if (!h)
		return pb_out_of_memory(err, "a hash");
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)task->limit);
	pb_hash_string(h, "paretobench task 1");
	pb_hash_string(h, task->protocol);
	pb_hash_string(h, subtask ? subtask : "");
	pb_hash_string(h, limit);
	st = hash_tree(h, root, true, err);
	pb_hash_finish(h, task->hash);
	return st;
}

enum pb_status pb_definition_read(struct pb_task *task, const struct pb_yaml *root, const char *subtask, const char *protocol, struct pb_error *err)
{
	struct pb_definition *d = pb_arena_alloc(task->arena, 1, sizeof(*d));
	struct reader r = { .arena = task->arena, .root = root, .d = d, .err = err };
	enum pb_status st;

	if (!d)
		return pb_out_of_memory(err, "a definition");
	if (root->kind != PB_YAML_MAP)
		return pb_yaml_fail(root, err, "a definition is a map of keys");
	if ((st = read_kind(&r, &task->kind)) || (st = check_keys(&r, task->kind)))
		return st;
	if ((st = read_string(&r, root, "task", NULL, &task->name)) || (st = read_string(&r, root, "title", task->name, &task->title))
		|| (st = read_string(&r, root, "source", "", &task->source)))
		return st;
	if (!*task->name)
		return pb_yaml_fail(pb_yaml_get(root, "task"), err, "the task's name is empty");
	if ((!task->kind->has_no_data && (st = read_sources(&r))) || (st = read_metrics(&r, task->kind)) || (st = read_prompt(&r)) || (st = read_subtasks(&r, subtask))
		|| (st = task->kind->check(d, root, err)) || (st = choose_protocol(&r, task, protocol)))
		return st;
	task->definition = d;
	return hash_definition(task, root, subtask, err);
}
