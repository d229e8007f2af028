/* loglikelihood_rolling: the whole of a text, every token predicted once (wikitext). Windows do not overlap but for the last,
 * which is filled up to the left (lm-evaluation-harness get_rolling_token_windows with a context of one token). Perplexities
 * a word and a byte of the text as it is in the data, before detokenizing.
 *
 * lmeh-word: in front of the text stands the prefix token and, with a tokenizer that adds one, BOS again, which is
 * predicted like a token. lmeh-word-one-bos: the prefix token alone. */
#include <string.h>
#include "core/base/text.h"
#include "tasks/data.h"
#include "tasks/encode.h"
#include "tasks/estimate.h"
#include "tasks/whitespace.h"
#include "tasks/wikitext.h"

static enum pb_status rolling_check(const struct pb_definition *d, const struct pb_yaml *root, struct pb_error *err)
{
	return d->target ? PB_OK : pb_yaml_fail(root, err, "the key 'doc_to_target' is missing");
}

static enum pb_status rolling_read(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	return pb_data_read_texts(data, task, path, task->limit, err);
}

/* tokens: the prefix token and n tokens after it. */
static enum pb_status add_windows(struct pb_request_list *list, const int32_t *tokens, size_t n, size_t length, struct pb_error *err)
{
	size_t done = n < length ? n : length;
	enum pb_status st = n ? pb_request_add(list, tokens, done + 1, 1, (uint32_t)list->out->n_requests, false, err) : PB_OK;

	while (done < n && !st) {
		size_t m = n - done < length ? n - done : length, end = done + m;

		/* Input and last target are the length + 1 tokens before `end`, counted without the prefix. */
		st = pb_request_add(list, tokens + 1 + end - length - 1, length + 1, length + 1 - m, (uint32_t)list->out->n_requests, false, err);
		done = end;
	}
	return st;
}

static enum pb_status add_text(struct pb_request_list *list, const struct pb_task *task, const struct pb_text_item *item, const struct pb_tokenizer *tokenizer,
	struct pb_ids *ids, struct pb_text *clean, size_t length, struct pb_error *err)
{
	bool one_bos = strcmp(task->definition->protocol_id, "lmeh-word-one-bos") == 0;
	const char *s = item->text;
	size_t n = item->size;
	int32_t *tokens;
	enum pb_status st = PB_OK;

	if (task->definition->detokenize) {
		pb_text_clear(clean);
		st = pb_wikitext_detokenize(s, n, clean, err);
		s = pb_text_c(clean);
		n = clean->length;
	}
	ids->n = 0;
	/* An empty text has no tokens at all, not even the tokenizer's own. */
	if (!st && n)
		st = pb_tokenizer_encode(tokenizer, s, n, one_bos ? PB_SPECIAL_NONE : PB_SPECIAL_DEFAULT, ids, err);
	if (!st)
		st = pb_ids_keep(list->out->arena, ids, pb_prefix_token(tokenizer), &tokens, err);
	return st ? st : add_windows(list, tokens, ids->n, length, err);
}

static enum pb_status rolling_make(struct pb_task_requests *out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
{
	const struct pb_text_items *texts = data->items;
	struct pb_request_list list = { .out = out };
	struct pb_ids ids = {0};
	struct pb_text clean = {0};
	uint32_t length;
	enum pb_status st = pb_task_length(task, context, 0, &length, err);

	if (st)
		return st;
	if (!(out->first = pb_arena_alloc(out->arena, texts->n + 1, sizeof(*out->first))))
		return pb_out_of_memory(err, "requests");
	if (pb_prefix_token(tokenizer) < 0)
		return pb_fail(err, PB_UNSUPPORTED, "%s: the tokenizer has neither BOS nor EOS to stand in front of a text", task->name);
	for (size_t i = 0; i < texts->n && !st; i++) {
		out->first[i] = out->n_requests;
		st = add_text(&list, task, &texts->items[i], tokenizer, &ids, &clean, length, err);
		if (st)
			pb_fail_prefix(err, "%s: text %zu (line %u)", task->name, i, texts->items[i].line);
	}
	out->first[texts->n] = out->n_requests;
	out->n_units = texts->n;
	pb_text_free(&clean);
	pb_ids_free(&ids);
	out->protocol = pb_arena_printf(out->arena, "%s@%u", task->definition->protocol_id, length);
	return st || out->protocol ? st : pb_out_of_memory(err, "requests");
}

static enum pb_status rolling_score(struct pb_task_result *result, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_task_requests *requests, struct pb_error *err)
{
	const struct pb_text_items *texts = data->items;
	struct pb_text_units units;
	enum pb_status st = pb_text_units_make(&units, result->arena, texts->n, true, true, err);

	for (size_t i = 0; i < texts->n && !st; i++) {
		const struct pb_text_item *item = &texts->items[i];

		/* Pieces of a split at white space, where an end of the text that is white space makes one more, empty, piece. */
		units.words[i] = (double)(pb_space_runs(item->text, item->size) + 1);
		units.bytes[i] = (double)item->size;
		for (size_t j = requests->first[i]; j < requests->first[i + 1] && !st; j++) {
			double sum = 0;

			st = pb_request_sum(&requests->requests[j], &sum, err);
			if (st)
				pb_fail_prefix(err, "%s: text %zu (line %u), window %zu", task->name, i, item->line, j - requests->first[i]);
			units.nll[i] -= sum;
			units.tokens[i] += requests->requests[j].n - requests->requests[j].first;
		}
	}
	return st ? st : pb_text_units_score(result, task, &units, false, err);
}

static const char *const keys[] = { "doc_to_target", "detokenizer", NULL };
static const char *const protocols[] = { "lmeh-word", "lmeh-word-one-bos", NULL };
static const char *const metrics[] = { "nll", "ppl_word", "ppl_byte", "bits_per_byte", "ppl_token", NULL };

const struct pb_task_kind pb_task_kind_rolling = {
	.name = "loglikelihood_rolling",
	.help = "whole texts, each token predicted once; perplexities a word and a byte",
	.keys = keys,
	.protocols = protocols,
	.metrics = metrics,
	.default_metrics = 15,
	.check = rolling_check,
	.read = rolling_read,
	.make = rolling_make,
	.score = rolling_score,
};
