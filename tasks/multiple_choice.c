/* multiple_choice: the choice with the largest log-likelihood after the context (acc), after division by its length in
 * characters (acc_norm) or in UTF-8 bytes (acc_bytes). The first maximum wins. bits: how much of the right answers is known, the sum
 * over all items of log2(n choices) + log2(share of the right one in the choices' summed likelihood): 0 for guessing, 2 an item
 * of four choices at most, less than 0 for what is firmly believed and wrong.
 *
 * One context and a choice each, or, where doc_to_text gives a list, a context each and one continuation (winogrande's
 * partial scoring). Scored is target_delimiter + choice; lengths are those of the choice alone. With subtasks the value is the
 * plain mean of the subtasks' means. Encoding of pairs by protocol: lmeh, onebit-lmeh. Semantics:
 * lm-evaluation-harness lm_eval/api/task.py. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include "core/base/log.h"
#include "core/base/text.h"
#include "tasks/data.h"
#include "tasks/encode.h"
#include "tasks/estimate.h"

/* More choices than any set has. */
#define MAX_CHOICES 1024

struct item {
	const char *const *contexts; /* [n_contexts], description included */
	const char *const *choices;  /* [n_choices], without the delimiter */
	uint32_t n_contexts, n_choices; /* one of the two may be 1 */
	uint32_t n;                 /* the larger of the two */
	int32_t gold;
	const char *passage;        /* NULL: the task has none */
	uint32_t cluster;           /* 1 + place of the first item with this passage; 0: it is alone with it */
	uint32_t subtask, row;      /* place of the subtask in the definition; place in its file */
	unsigned line;
};

struct items {
	struct item *items;
	size_t n, capacity;
	const char **files;         /* [subtask] as found, NULL: not there */
	size_t n_subtasks;          /* at least 1 */
};

static enum pb_status choice_check(const struct pb_definition *d, const struct pb_yaml *root, struct pb_error *err)
{
	if (!d->text)
		return pb_yaml_fail(root, err, "the key 'doc_to_text' is missing");
	if (!d->choice && !d->choices)
		return pb_yaml_fail(root, err, "the key 'doc_to_choice' is missing");
	if (!d->target)
		return pb_yaml_fail(root, err, "the key 'doc_to_target' is missing");
	return PB_OK;
}

/* Strings that a template gives: a list where it is one reference to a list, else one. */
struct strings {
	const char **list;
	size_t n;
	bool is_list;
};

static enum pb_status render_list(struct pb_arena *arena, const struct pb_template *t, const json_t *list, const char *prefix, struct strings *out, struct pb_error *err)
{
	out->n = json_array_size(list);
	out->is_list = true;
	if (!out->n || out->n > MAX_CHOICES)
		return pb_fail(err, PB_FORMAT, "%s: a list of %zu entries", t->place, out->n);
	if (!(out->list = pb_arena_alloc(arena, out->n, sizeof(*out->list))))
		return pb_out_of_memory(err, "items");
	for (size_t i = 0; i < out->n; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (!s)
			return pb_fail(err, PB_FORMAT, "%s: entry %zu of the list is not a string", t->place, i + 1);
		if (!(out->list[i] = pb_arena_printf(arena, "%s%s", prefix, s)))
			return pb_out_of_memory(err, "items");
	}
	return PB_OK;
}

static enum pb_status render(struct pb_arena *arena, const struct pb_template *t, const json_t *row, const char *prefix, struct strings *out, struct pb_error *err)
{
	const json_t *value = NULL;
	enum pb_status st = pb_template_value(t, row, &value, err);

	if (st)
		return st;
	if (json_is_array(value))
		return render_list(arena, t, value, prefix, out, err);
	*out = (struct strings){ .list = pb_arena_alloc(arena, 1, sizeof(*out->list)), .n = 1 };
	return out->list ? pb_template_string(t, row, prefix, arena, &out->list[0], err) : pb_out_of_memory(err, "items");
}

static enum pb_status render_choices(struct pb_arena *arena, const struct pb_definition *d, const json_t *row, struct strings *out, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	if (d->choice)
		return render(arena, d->choice, row, "", out, err);
	*out = (struct strings){ .list = pb_arena_alloc(arena, d->n_choices, sizeof(*out->list)), .n = d->n_choices, .is_list = true };
	if (!out->list)
		return pb_out_of_memory(err, "items");
	for (size_t i = 0; i < out->n && !st; i++)
		st = pb_template_string(d->choices[i], row, "", arena, &out->list[i], err);
	return st;
}

/* The right choice: a number, or the text of a choice. */
static enum pb_status find_gold(const struct pb_definition *d, const json_t *row, const struct strings *choices, size_t n, int32_t *gold, struct pb_error *err)
{
	struct pb_text text = {0};
	int64_t number = -1;
	enum pb_status st = pb_template_render(d->target, row, &text, err);

	if (st)
		return st;
	if (!pb_parse_int64(pb_text_c(&text), &number))
		for (size_t i = choices->n; choices->is_list && i-- > 0;)
			if (strcmp(choices->list[i], pb_text_c(&text)) == 0)
				number = (int64_t)i;
	if (number < 0 || (uint64_t)number >= n)
		st = pb_fail(err, PB_FORMAT, "%s: '%.60s' is none of the %zu choices", d->target->place, pb_text_c(&text), n);
	pb_text_free(&text);
	*gold = (int32_t)number;
	return st;
}

static enum pb_status make_item(struct pb_arena *arena, const struct pb_definition *d, const json_t *row, struct item *item, struct pb_error *err)
{
	struct strings contexts = {0}, choices = {0};
	size_t n;
	enum pb_status st = render(arena, d->text, row, d->description, &contexts, err);

	if (!st)
		st = render_choices(arena, d, row, &choices, err);
	if (st)
		return st;
	n = contexts.n > choices.n ? contexts.n : choices.n;
	if (contexts.is_list && choices.is_list)
		return pb_fail(err, PB_FORMAT, "doc_to_text and doc_to_choice are both lists");
	if (n < 2)
		return pb_fail(err, PB_FORMAT, "there are fewer than two choices");
	for (size_t i = 0; i < choices.n; i++)
		if (!*choices.list[i])
			return pb_fail(err, PB_FORMAT, "choice %zu is empty", i);
	*item = (struct item){ .contexts = contexts.list, .choices = choices.list, .n_contexts = (uint32_t)contexts.n, .n_choices = (uint32_t)choices.n, .n = (uint32_t)n };
	if (d->passage && (st = pb_template_string(d->passage, row, "", arena, &item->passage, err)))
		return st;
	return find_gold(d, row, &choices, n, &item->gold, err);
}

static int by_passage(const void *a, const void *b)
{
	const struct item *x = *(const struct item *const *)a, *y = *(const struct item *const *)b;
	int c = strcmp(x->passage, y->passage);

	return c ? c : (x > y) - (x < y);
}

/* Which items share a passage. */
static enum pb_status find_clusters(struct items *items, struct pb_error *err)
{
	struct item **sorted = pb_alloc(items->n, sizeof(*sorted));

	if (!sorted)
		return pb_out_of_memory(err, "items");
	for (size_t i = 0; i < items->n; i++)
		sorted[i] = &items->items[i];
	qsort(sorted, items->n, sizeof(*sorted), by_passage);
	for (size_t i = 0, end; i < items->n; i = end) {
		for (end = i + 1; end < items->n && strcmp(sorted[i]->passage, sorted[end]->passage) == 0; end++)
			;
		for (size_t k = i; end - i > 1 && k < end; k++)
			sorted[k]->cluster = (uint32_t)(sorted[i] - items->items) + 1;
	}
	pb_free(sorted);
	return PB_OK;
}

static enum pb_status items_add(struct items *items, struct pb_arena *arena, const struct item *item, struct pb_error *err)
{
	if (items->n == items->capacity) {
		size_t capacity = items->capacity ? 2 * items->capacity : 256;
		struct item *grown = pb_arena_alloc(arena, capacity, sizeof(*grown));

		if (!grown)
			return pb_out_of_memory(err, "items");
		if (items->n)
			memcpy(grown, items->items, items->n * sizeof(*grown));
		items->items = grown;
		items->capacity = capacity;
	}
	items->items[items->n++] = *item;
	return PB_OK;
}

static const char *context_of(const struct item *item, uint32_t choice)
{
	return item->contexts[item->n_contexts == 1 ? 0 : choice];
}

static const char *choice_of(const struct item *item, uint32_t choice)
{
	return item->choices[item->n_choices == 1 ? 0 : choice];
}

/* What is asked and what is right, whatever file it came from. */
static void hash_item(struct pb_hash *h, const struct pb_definition *d, const struct item *item)
{
	char number[32];

	pb_hash_string(h, d->subtasks ? d->subtasks[item->subtask] : "");
	snprintf(number, sizeof(number), "%u %d", item->n, item->gold);
	pb_hash_string(h, number);
	for (uint32_t i = 0; i < item->n; i++) {
		pb_hash_string(h, context_of(item, i));
		pb_hash_string(h, d->delimiter);
		pb_hash_string(h, choice_of(item, i));
	}
}

static enum pb_status read_subtask(struct pb_task_data *data, struct items *items, const struct pb_task *task, size_t subtask, const struct pb_data_path *path, struct pb_error *err)
{
	const struct pb_definition *d = task->definition;
	struct pb_records records = {0};
	const struct pb_source *source;
	size_t n;
	enum pb_status st = pb_data_read(&records, &source, task, d->subtasks ? d->subtasks[subtask] : NULL, path, err);

	if (st)
		return st;
	items->files[subtask] = pb_arena_strdup(data->arena, records.file);
	if (!items->files[subtask])
		st = pb_out_of_memory(err, "items");
	n = task->limit && task->limit < records.n ? (size_t)task->limit : records.n;
	if (!st && d->subtasks && n > PB_SUBTASK_STRIDE)
		st = pb_fail(err, PB_LIMIT, "%s: %s: more than %u items", task->name, records.file, PB_SUBTASK_STRIDE);
	for (size_t i = 0; i < n && !st; i++) {
		struct item item;

		st = make_item(data->arena, d, records.rows[i].row, &item, err);
		if (st) {
			pb_fail_prefix(err, "%s: %s:%u", task->name, records.file, records.rows[i].line);
			break;
		}
		item.subtask = (uint32_t)subtask;
		item.row = (uint32_t)i;
		item.line = records.rows[i].line;
		st = items_add(items, data->arena, &item, err);
	}
	pb_records_free(&records);
	return st;
}

static enum pb_status read_subtasks(struct pb_task_data *data, struct items *items, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	const struct pb_definition *d = task->definition;
	struct pb_error last = {0};
	size_t found = 0;

	for (size_t i = 0; i < items->n_subtasks; i++) {
		enum pb_status st;

		if (d->only != SIZE_MAX && i != d->only)
			continue;
		st = read_subtask(data, items, task, i, path, &last);
		/* Of a set of many parts those are used that are there; which ones is in the data's hash. */
		if (st && (st != PB_MISSING || d->n_subtasks == 0 || d->only != SIZE_MAX))
			return pb_fail(err, st, "%s", last.text);
		found += !st;
	}
	if (!found)
		return pb_fail(err, PB_MISSING, "%s", last.text);
	if (found < d->n_subtasks && d->only == SIZE_MAX)
		pb_log(PB_LOG_WARNING, "%s: data of %zu of the %zu subtasks are there; the mean is over these", task->name, found, d->n_subtasks);
	return PB_OK;
}

static enum pb_status choice_read(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	struct items *items = pb_arena_alloc(data->arena, 1, sizeof(*items));
	struct pb_hash *h;
	enum pb_status st;

	if (!items)
		return pb_out_of_memory(err, "items");
	items->n_subtasks = task->definition->subtasks ? task->definition->n_subtasks : 1;
	if (!(items->files = pb_arena_alloc(data->arena, items->n_subtasks, sizeof(*items->files))))
		return pb_out_of_memory(err, "items");
	st = read_subtasks(data, items, task, path, err);
	if (!st && task->definition->passage)
		st = find_clusters(items, err);
	if (st)
		return st;
	if (!(h = pb_hash_new()))
		return pb_out_of_memory(err, "a hash");
	for (size_t i = 0; i < items->n; i++) {
		const struct item *item = &items->items[i];

		hash_item(h, task->definition, item);
		for (uint32_t c = 0; c < item->n; c++)
			data->n_chars += strlen(context_of(item, c)) + strlen(choice_of(item, c));
		data->n_sequences += item->n;
	}
	pb_hash_finish(h, data->hash);
	data->n_items = items->n;
	data->items = items;
	return PB_OK;
}

/* "hellaswag: FILE:LINE: choice 2" in front of the sentence. */
static enum pb_status at_choice(const struct pb_task *task, const struct items *items, const struct item *item, uint32_t choice, struct pb_error *err)
{
	return pb_fail_prefix(err, "%s: item %u (%s:%u): choice %u", task->name, item->row, items->files[item->subtask], item->line, choice);
}

static enum pb_status choice_make(struct pb_task_requests *out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
{
	const struct items *items = data->items;
	struct pb_request_list list = { .out = out };
	struct pb_pair_encoder encoder = { .tokenizer = tokenizer };
	struct pb_text continuation = {0};
	enum pb_status st = pb_task_length(task, context, 0, &encoder.length, err);

	if (strcmp(task->definition->protocol_id, "onebit-lmeh") == 0)
		encoder.encoding = PB_PAIR_SEPARATE;
	for (size_t i = 0; i < items->n && !st; i++)
		for (uint32_t c = 0; c < items->items[i].n && !st; c++) {
			pb_text_clear(&continuation);
			pb_text_string(&continuation, task->definition->delimiter);
			pb_text_string(&continuation, choice_of(&items->items[i], c));
			st = pb_text_check(&continuation, err);
			if (!st)
				st = pb_request_add_pair(&list, &encoder, context_of(&items->items[i], c), pb_text_c(&continuation), (uint32_t)i, false, err);
			if (st)
				at_choice(task, items, &items->items[i], c, err);
		}
	pb_text_free(&continuation);
	pb_pair_encoder_free(&encoder);
	out->protocol = task->protocol;
	return st;
}

static int32_t first_maximum(const double *values, uint32_t n)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < n; i++)
		if (values[i] > values[best])
			best = i;
	return (int32_t)best;
}

/* The choice by log-likelihood divided by length; bytes: UTF-8 length, else code points. */
static int32_t choose_normalized(const struct item *item, const double *values, bool bytes)
{
	double best = -INFINITY;
	int32_t chosen = 0;

	for (uint32_t i = 0; i < item->n; i++) {
		const char *s = choice_of(item, i);
		size_t length = bytes ? strlen(s) : pb_utf8_count(s, strlen(s));
		double value = values[i] / (double)length;

		if (value > best) {
			best = value;
			chosen = (int32_t)i;
		}
	}
	return chosen;
}

static double known_bits(const double *values, uint32_t n, int32_t gold)
{
	double top = values[first_maximum(values, n)], sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += exp(values[i] - top);
	return log2((double)n) + (values[gold] - top - log(sum)) / log(2);
}

/* Mean over the items, or plain mean of the subtasks' means with the error of such a mean of independent means. */
static struct pb_estimate accuracy(const struct items *items, const double *right)
{
	double sum = 0, squares = 0, n_parts = 0;
	struct pb_estimate e = {0};

	for (size_t i = 0; i < items->n;) {
		size_t n = 1;

		while (i + n < items->n && items->items[i + n].subtask == items->items[i].subtask)
			n++;
		e = pb_estimate_mean(right + i, n);
		sum += e.value;
		squares += e.stderr_value * e.stderr_value;
		n_parts++;
		i += n;
	}
	return n_parts > 1 ? (struct pb_estimate){ sum / n_parts, sqrt(squares) / n_parts } : e;
}

static enum pb_status score_items(struct pb_task_result *result, const struct pb_task *task, const struct items *items,
	const struct pb_task_requests *requests, double *right[4], struct pb_error *err)
{
	const struct pb_request *request = requests->requests;

	for (size_t i = 0; i < items->n; i++) {
		const struct item *item = &items->items[i];
		struct pb_item *kept = &result->items[i];
		double *values = pb_arena_alloc(result->arena, item->n, sizeof(*values));

		if (!values)
			return pb_out_of_memory(err, "a result");
		for (uint32_t c = 0; c < item->n; c++, request++) {
			enum pb_status st = pb_request_sum(request, &values[c], err);

			if (st) {
				at_choice(task, items, item, c, err);
				return st;
			}
		}
		*kept = (struct pb_item){ .index = item->subtask * PB_SUBTASK_STRIDE + item->row, .n_values = item->n, .values = values, .weight = 1,
			.gold = item->gold, .chosen = first_maximum(values, item->n), .chosen_norm = choose_normalized(item, values, false),
			.cluster = item->cluster };
		right[0][i] = kept->chosen == item->gold;
		right[1][i] = kept->chosen_norm == item->gold;
		right[2][i] = choose_normalized(item, values, true) == item->gold;
		right[3][i] = known_bits(values, item->n, item->gold);
	}
	return PB_OK;
}

static const char *const metrics[] = { "acc", "acc_norm", "acc_bytes", "bits", NULL };

static enum pb_status choice_score(struct pb_task_result *result, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_task_requests *requests, struct pb_error *err)
{
	const struct items *items = data->items;
	double *right[4];
	struct pb_estimate mean;
	enum pb_status st;

	result->items = pb_arena_alloc(result->arena, items->n, sizeof(*result->items));
	if (!result->items)
		return pb_out_of_memory(err, "a result");
	result->n_items = items->n;
	for (int i = 0; i < 4; i++)
		if (!(right[i] = pb_arena_alloc(result->arena, items->n, sizeof(double))))
			return pb_out_of_memory(err, "a result");
	st = score_items(result, task, items, requests, right, err);
	for (int i = 0; i < 3 && !st; i++)
		if (pb_task_wants(task, metrics[i]))
			pb_metric_add(result, metrics[i], accuracy(items, right[i]), items->n, true);
	if (!st && pb_task_wants(task, "bits")) {
		mean = pb_estimate_mean(right[3], items->n);
		pb_metric_add(result, "bits", (struct pb_estimate){ mean.value * (double)items->n, mean.stderr_value * (double)items->n }, items->n, true);
	}
	return st;
}

static const char *const keys[] = { "doc_to_text", "doc_to_choice", "doc_to_target", "doc_to_passage", "description", "target_delimiter", "num_fewshot", NULL };
static const char *const protocols[] = { "lmeh", "onebit-lmeh", NULL };

const struct pb_task_kind pb_task_kind_multiple_choice = {
	.name = "multiple_choice",
	.help = "the likeliest of some continuations; acc, acc_norm, acc_bytes, bits",
	.keys = keys,
	.protocols = protocols,
	.metrics = metrics,
	.default_metrics = 3,
	.takes_subtasks = true,
	.check = choice_check,
	.read = choice_read,
	.make = choice_make,
	.score = choice_score,
};
