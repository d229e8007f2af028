/* loglikelihood: one continuation after one context (LAMBADA). acc: every token of the continuation is the arg-max;
 * ppl: exp(-mean over items of the summed log-likelihood), a perplexity a word and not a token. doc_to_target is scored as it
 * is, no delimiter is put in front. The error of ppl is by the delta method, where lm-evaluation-harness bootstraps. */
#include <string.h>
#include "tasks/data.h"
#include "tasks/encode.h"
#include "tasks/estimate.h"

struct item {
	const char *context, *target;
	unsigned line;
};

struct items {
	struct item *items;
	size_t n;
	const char *file;
};

static enum pb_status pair_check(const struct pb_definition *d, const struct pb_yaml *root, struct pb_error *err)
{
	if (!d->text)
		return pb_yaml_fail(root, err, "the key 'doc_to_text' is missing");
	if (!d->target)
		return pb_yaml_fail(root, err, "the key 'doc_to_target' is missing");
	return PB_OK;
}

static enum pb_status make_items(struct pb_task_data *data, struct items *items, const struct pb_task *task, const struct pb_records *records, struct pb_hash *h, struct pb_error *err)
{
	const struct pb_definition *d = task->definition;

	for (size_t i = 0; i < items->n; i++) {
		struct item *item = &items->items[i];
		enum pb_status st = pb_template_string(d->text, records->rows[i].row, d->description, data->arena, &item->context, err);

		if (!st)
			st = pb_template_string(d->target, records->rows[i].row, "", data->arena, &item->target, err);
		if (!st && !*item->target)
			st = pb_fail(err, PB_FORMAT, "the target is empty");
		if (st) {
			pb_fail_prefix(err, "%s: %s:%u", task->name, records->file, records->rows[i].line);
			return st;
		}
		item->line = records->rows[i].line;
		pb_hash_string(h, item->context);
		pb_hash_string(h, item->target);
		data->n_chars += strlen(item->context) + strlen(item->target);
	}
	return PB_OK;
}

static enum pb_status pair_read(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	struct items *items = pb_arena_alloc(data->arena, 1, sizeof(*items));
	struct pb_records records = {0};
	const struct pb_source *source;
	struct pb_hash *h;
	enum pb_status st = items ? pb_data_read(&records, &source, task, NULL, path, err) : pb_out_of_memory(err, "items");

	if (st)
		return st;
	items->n = task->limit && task->limit < records.n ? (size_t)task->limit : records.n;
	items->items = pb_arena_alloc(data->arena, items->n, sizeof(*items->items));
	items->file = pb_arena_strdup(data->arena, records.file);
	h = pb_hash_new();
	if (!items->items || !items->file || !h)
		st = pb_out_of_memory(err, "items");
	else
		st = make_items(data, items, task, &records, h, err);
	if (h)
		pb_hash_finish(h, data->hash);
	pb_records_free(&records);
	data->n_items = data->n_sequences = items->n;
	data->items = items;
	return st;
}

static enum pb_status pair_make(struct pb_task_requests *out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
{
	const struct items *items = data->items;
	struct pb_request_list list = { .out = out };
	struct pb_pair_encoder encoder = { .tokenizer = tokenizer };
	enum pb_status st = pb_task_length(task, context, 0, &encoder.length, err);

	if (strcmp(task->definition->protocol_id, "onebit-lmeh") == 0)
		encoder.encoding = PB_PAIR_SEPARATE;
	for (size_t i = 0; i < items->n && !st; i++) {
		st = pb_request_add_pair(&list, &encoder, items->items[i].context, items->items[i].target, (uint32_t)i, true, err);
		if (st)
			pb_fail_prefix(err, "%s: item %zu (%s:%u)", task->name, i, items->file, items->items[i].line);
	}
	pb_pair_encoder_free(&encoder);
	out->protocol = task->protocol;
	return st;
}

static enum pb_status pair_score(struct pb_task_result *result, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_task_requests *requests, struct pb_error *err)
{
	const struct items *items = data->items;
	double *values = pb_arena_alloc(result->arena, items->n, sizeof(*values)), *right = pb_arena_alloc(result->arena, items->n, sizeof(*right));
	struct pb_estimate mean;

	result->items = pb_arena_alloc(result->arena, items->n, sizeof(*result->items));
	if (!values || !right || !result->items)
		return pb_out_of_memory(err, "a result");
	result->n_items = items->n;
	for (size_t i = 0; i < items->n; i++) {
		enum pb_status st = pb_request_sum(&requests->requests[i], &values[i], err);

		if (st) {
			pb_fail_prefix(err, "%s: item %zu (%s:%u)", task->name, i, items->file, items->items[i].line);
			return st;
		}
		right[i] = pb_request_greedy(&requests->requests[i]);
		result->items[i] = (struct pb_item){ .index = (uint32_t)i, .n_values = 1, .values = &values[i], .weight = 1,
			.gold = 0, .chosen = right[i] != 0 ? 0 : -1, .chosen_norm = -1 };
	}
	if (pb_task_wants(task, "acc"))
		pb_metric_add(result, "acc", pb_estimate_mean(right, items->n), items->n, true);
	mean = pb_estimate_mean(values, items->n);
	mean.value = -mean.value;
	if (pb_task_wants(task, "ppl"))
		pb_metric_add(result, "ppl", pb_estimate_exp(mean), items->n, false);
	return PB_OK;
}

static const char *const keys[] = { "doc_to_text", "doc_to_target", "description", "num_fewshot", NULL };
static const char *const protocols[] = { "lmeh", "onebit-lmeh", NULL };
static const char *const metrics[] = { "acc", "ppl", NULL };

const struct pb_task_kind pb_task_kind_loglikelihood = {
	.name = "loglikelihood",
	.help = "one continuation; acc: greedy decoding gives it, ppl: exp of its mean negative log-likelihood",
	.keys = keys,
	.protocols = protocols,
	.metrics = metrics,
	.default_metrics = 3,
	.check = pair_check,
	.read = pair_read,
	.make = pair_make,
	.score = pair_score,
};
