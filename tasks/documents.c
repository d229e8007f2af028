/* documents: one text at a time. BOS (or, without one, EOS), then the text's tokens, cut at the length; no EOS; every token
 * after the first is predicted. nll is the mean over tokens. bits_per_byte counts the bytes of the tokens that were
 * predicted: of a text that was cut, the bytes that its kept tokens decode to. */
#include <string.h>
#include "core/base/text.h"
#include "tasks/data.h"
#include "tasks/encode.h"
#include "tasks/estimate.h"

struct plan {
	double *bytes;              /* of each text, as far as predicted; NULL: a cut text does not decode to its own beginning */
};

static enum pb_status document_check(const struct pb_definition *d, const struct pb_yaml *root, struct pb_error *err)
{
	return d->target ? PB_OK : pb_yaml_fail(root, err, "the key 'doc_to_target' is missing");
}

static enum pb_status document_read(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	const struct pb_text_items *texts;
	enum pb_status st = pb_data_read_texts(data, task, path, task->limit, err);

	if (st)
		return st;
	texts = data->items;
	for (size_t i = 0; i < texts->n; i++)
		if (!texts->items[i].size)
			return pb_fail(err, PB_FORMAT, "%s: text %zu (line %u) is empty", task->name, i, texts->items[i].line);
	return PB_OK;
}

/* How many bytes of the text the first n ids stand for; -1: they do not decode to its beginning. */
static enum pb_status bytes_of(const struct pb_tokenizer *tokenizer, const struct pb_text_item *item, const int32_t *ids, size_t n, struct pb_text *scratch,
	double *bytes, struct pb_error *err)
{
	const char *s;
	size_t length;
	enum pb_status st;

	pb_text_clear(scratch);
	st = pb_tokenizer_decode(tokenizer, ids, n, scratch, err);
	if (!st)
		st = pb_text_check(scratch, err);
	if (st)
		return st;
	s = pb_text_c(scratch);
	length = scratch->length;
	/* Tokenizers of this kind put a blank in front of a text, which decoding may or may not take away again. */
	if (length && s[0] == ' ' && item->text[0] != ' ') {
		s++;
		length--;
	}
	*bytes = length <= item->size && memcmp(s, item->text, length) == 0 ? (double)length : -1;
	return PB_OK;
}

static enum pb_status add_text(struct pb_request_list *list, struct plan *plan, size_t i, const struct pb_text_item *item, const struct pb_tokenizer *tokenizer,
	struct pb_ids *ids, struct pb_text *scratch, size_t length, struct pb_error *err)
{
	int32_t *tokens = NULL;
	size_t n;
	enum pb_status st;

	ids->n = 0;
	st = pb_tokenizer_encode(tokenizer, item->text, item->size, PB_SPECIAL_NONE, ids, err);
	if (!st && !ids->n)
		st = pb_fail(err, PB_FORMAT, "the text has no token");
	if (!st)
		st = pb_ids_keep(list->out->arena, ids, pb_prefix_token(tokenizer), &tokens, err);
	if (st)
		return st;
	n = ids->n + 1;
	if (plan->bytes)
		plan->bytes[i] = (double)item->size;
	if (n > length) {
		n = length;
		list->out->n_truncated++;
		if (plan->bytes && (st = bytes_of(tokenizer, item, tokens + 1, n - 1, scratch, &plan->bytes[i], err)))
			return st;
		if (plan->bytes && plan->bytes[i] < 0)
			plan->bytes = NULL;
	}
	return pb_request_add(list, tokens, n, 1, (uint32_t)i, false, err);
}

static enum pb_status document_make(struct pb_task_requests *out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
{
	const struct pb_text_items *texts = data->items;
	struct pb_request_list list = { .out = out };
	struct plan *plan = pb_arena_alloc(out->arena, 1, sizeof(*plan));
	struct pb_ids ids = {0};
	struct pb_text scratch = {0};
	uint32_t length;
	enum pb_status st = pb_task_length(task, context, 0, &length, err);

	if (st)
		return st;
	if (!plan || !(plan->bytes = pb_arena_alloc(out->arena, texts->n, sizeof(*plan->bytes))))
		return pb_out_of_memory(err, "requests");
	if (pb_prefix_token(tokenizer) < 0)
		return pb_fail(err, PB_UNSUPPORTED, "%s: the tokenizer has neither BOS nor EOS to stand in front of a text", task->name);
	for (size_t i = 0; i < texts->n && !st; i++) {
		st = add_text(&list, plan, i, &texts->items[i], tokenizer, &ids, &scratch, length, err);
		if (st)
			pb_fail_prefix(err, "%s: text %zu (line %u)", task->name, i, texts->items[i].line);
	}
	pb_text_free(&scratch);
	pb_ids_free(&ids);
	out->plan = plan;
	out->protocol = pb_arena_printf(out->arena, "%s@%u", task->definition->protocol_id, length);
	return st || out->protocol ? st : pb_out_of_memory(err, "requests");
}

static enum pb_status document_score(struct pb_task_result *result, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_task_requests *requests, struct pb_error *err)
{
	const struct pb_text_items *texts = data->items;
	const struct plan *plan = requests->plan;
	struct pb_text_units units;
	enum pb_status st = pb_text_units_make(&units, result->arena, texts->n, false, false, err);

	units.bytes = st ? NULL : plan->bytes;
	for (size_t i = 0; i < texts->n && !st; i++) {
		const struct pb_request *request = &requests->requests[i];
		double sum = 0;

		st = pb_request_sum(request, &sum, err);
		if (st)
			pb_fail_prefix(err, "%s: text %zu (line %u)", task->name, i, texts->items[i].line);
		units.nll[i] = -sum;
		units.tokens[i] = request->n - request->first;
	}
	return st ? st : pb_text_units_score(result, task, &units, false, err);
}

static const char *const keys[] = { "doc_to_target", NULL };
static const char *const protocols[] = { "documents", NULL };
static const char *const metrics[] = { "nll", "ppl_token", "bits_per_byte", NULL };

const struct pb_task_kind pb_task_kind_documents = {
	.name = "documents",
	.help = "texts one at a time, cut at the context; perplexity a token",
	.keys = keys,
	.protocols = protocols,
	.metrics = metrics,
	.default_metrics = 7,
	.check = document_check,
	.read = document_read,
	.make = document_make,
	.score = document_score,
};
