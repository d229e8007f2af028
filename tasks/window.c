/* window: perplexity over fixed windows of one token stream, as in the papers on quantization. The remainder that fills no
 * window is dropped. The protocols:
 *
 * gptq-wt2   rows joined with two line feeds, encoded once with the default special tokens, windows of 2048, 2047 predictions
 *            each, none across windows; mean of the windows' means (IST-DASLab/gptq datautils.py, llama.py).
 * paretoq    each row encoded alone without special tokens, put together with nothing between, blocks of 1024; fewer tokens
 *            than one block are one short block (facebookresearch/ParetoQ utils/datautils.py). Mean of the blocks' means.
 * llamacpp   the raw file encoded once, chunks of 512 whose first token is replaced by BOS where the tokenizer adds BOS; the
 *            second half is scored: 255 predictions (llama.cpp examples/perplexity). At least two chunks.
 *
 * Rows of a raw file: a line with its line feed, or nothing when it is blank. A limit counts windows. */
#include <string.h>
#include "core/base/text.h"
#include "tasks/data.h"
#include "tasks/encode.h"
#include "tasks/estimate.h"
#include "tasks/wikitext.h"

enum rule { GPTQ, LLAMACPP, PARETOQ };
static const struct {
	const char *id;
	uint32_t length;
} rules[] = { [GPTQ] = { "gptq-wt2", 2048 }, [LLAMACPP] = { "llamacpp", 512 }, [PARETOQ] = { "paretoq", 1024 } };

struct rows {
	struct pb_text_item *rows;  /* slices of the raw text, or texts of records */
	size_t n, capacity;
	const struct pb_text_item *raw; /* the whole file; NULL: the data were records */
	struct pb_arena *arena;
};

static enum rule rule_of(const struct pb_task *task)
{
	enum rule r = GPTQ;

	while (strcmp(rules[r].id, task->definition->protocol_id) != 0 && r < PARETOQ)
		r++;
	return r;
}

static enum pb_status window_check(const struct pb_definition *d, const struct pb_yaml *root, struct pb_error *err)
{
	return d->target ? PB_OK : pb_yaml_fail(root, err, "the key 'doc_to_target' is missing");
}

static enum pb_status add_row(void *arg, const char *s, size_t n, unsigned line, struct pb_error *err)
{
	struct rows *rows = arg;

	if (rows->n == rows->capacity) {
		size_t capacity = rows->capacity ? 2 * rows->capacity : 1024;
		struct pb_text_item *grown = pb_arena_alloc(rows->arena, capacity, sizeof(*grown));

		if (!grown)
			return pb_out_of_memory(err, "rows");
		if (rows->n)
			memcpy(grown, rows->rows, rows->n * sizeof(*grown));
		rows->rows = grown;
		rows->capacity = capacity;
	}
	rows->rows[rows->n++] = (struct pb_text_item){ .text = s, .size = n, .line = line };
	return PB_OK;
}

static enum pb_status window_read(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	struct rows *rows = pb_arena_alloc(data->arena, 1, sizeof(*rows));
	const struct pb_text_items *texts;
	uint64_t length = task->definition->length ? task->definition->length : rules[rule_of(task)].length;
	enum pb_status st = rows ? pb_data_read_texts(data, task, path, 0, err) : pb_out_of_memory(err, "rows");

	if (st)
		return st;
	texts = data->items;
	rows->arena = data->arena;
	if (texts->whole) {
		rows->raw = &texts->items[0];
		st = pb_wikitext_rows(rows->raw->text, rows->raw->size, add_row, rows, err);
	} else {
		rows->rows = texts->items;
		rows->n = texts->n;
	}
	/* For estimates of cost: about four bytes a token. */
	if (task->limit && data->n_chars / 4 / length > task->limit)
		data->n_chars = task->limit * length * 4;
	data->n_sequences = data->n_chars / 4 / length + 1;
	data->n_items = rows->n;
	data->items = rows;
	return st;
}

static enum pb_status encode_joined(const struct rows *rows, const struct pb_tokenizer *tokenizer, struct pb_ids *ids, struct pb_error *err)
{
	struct pb_text joined = {0};
	enum pb_status st;

	for (size_t i = 0; i < rows->n; i++) {
		if (i)
			pb_text_string(&joined, "\n\n");
		pb_text_bytes(&joined, rows->rows[i].text, rows->rows[i].size);
	}
	st = pb_text_check(&joined, err);
	if (!st)
		st = pb_tokenizer_encode(tokenizer, pb_text_c(&joined), joined.length, PB_SPECIAL_DEFAULT, ids, err);
	pb_text_free(&joined);
	return st;
}

static enum pb_status encode_rows(const struct rows *rows, const struct pb_tokenizer *tokenizer, struct pb_ids *ids, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; i < rows->n && !st; i++)
		if (rows->rows[i].size)
			st = pb_tokenizer_encode(tokenizer, rows->rows[i].text, rows->rows[i].size, PB_SPECIAL_NONE, ids, err);
	return st;
}

static enum pb_status encode(const struct pb_task *task, const struct rows *rows, enum rule rule, const struct pb_tokenizer *tokenizer, struct pb_ids *ids, struct pb_error *err)
{
	if (rule == GPTQ)
		return encode_joined(rows, tokenizer, ids, err);
	if (rule == PARETOQ)
		return encode_rows(rows, tokenizer, ids, err);
	if (!rows->raw)
		return pb_fail(err, PB_UNSUPPORTED, "%s: protocol llamacpp needs the raw text file; the data are records", task->name);
	return pb_tokenizer_encode(tokenizer, rows->raw->text, rows->raw->size, PB_SPECIAL_DEFAULT, ids, err);
}

static enum pb_status add_windows(struct pb_request_list *list, const struct pb_task *task, enum rule rule, const struct pb_tokenizer *tokenizer,
	int32_t *tokens, size_t n, size_t length, struct pb_error *err)
{
	size_t needed = rule == LLAMACPP ? 2 * length : rule == PARETOQ ? 2 : length;
	size_t first = rule == LLAMACPP ? length / 2 + 1 : 1, n_windows = n / length;
	bool put_bos = rule == LLAMACPP && pb_tokenizer_adds_bos(tokenizer) && pb_tokenizer_bos(tokenizer) >= 0;
	enum pb_status st = PB_OK;

	if (n < needed)
		return pb_fail(err, PB_FORMAT, "%s: the text has %zu tokens; protocol %s@%zu needs at least %zu", task->name, n, rules[rule].id, length, needed);
	if (first >= length)
		return pb_fail(err, PB_USAGE, "%s: protocol %s@%zu: no token of a window is left to score", task->name, rules[rule].id, length);
	if (!n_windows)
		return pb_request_add(list, tokens, n, 1, 0, false, err);
	if (task->limit && task->limit < n_windows)
		n_windows = (size_t)task->limit;
	for (size_t i = 0; i < n_windows && !st; i++) {
		if (put_bos)
			tokens[i * length] = pb_tokenizer_bos(tokenizer);
		st = pb_request_add(list, tokens + i * length, length, first, (uint32_t)i, false, err);
	}
	return st;
}

static enum pb_status window_make(struct pb_task_requests *out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
{
	enum rule rule = rule_of(task);
	struct pb_request_list list = { .out = out };
	struct pb_ids ids = {0};
	int32_t *tokens;
	uint32_t length;
	enum pb_status st = pb_task_length(task, context, rules[rule].length, &length, err);

	if (st)
		return st;
	st = encode(task, data->items, rule, tokenizer, &ids, err);
	if (!st)
		st = pb_ids_keep(out->arena, &ids, -1, &tokens, err);
	if (!st)
		st = add_windows(&list, task, rule, tokenizer, tokens, ids.n, length, err);
	pb_ids_free(&ids);
	out->protocol = pb_arena_printf(out->arena, "%s@%u", rules[rule].id, length);
	return st || out->protocol ? st : pb_out_of_memory(err, "requests");
}

static enum pb_status window_score(struct pb_task_result *result, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_task_requests *requests, struct pb_error *err)
{
	struct pb_text_units units;
	enum pb_status st = pb_text_units_make(&units, result->arena, requests->n_requests, false, false, err);

	(void)data;
	for (size_t i = 0; i < requests->n_requests && !st; i++) {
		const struct pb_request *request = &requests->requests[i];
		double sum = 0;

		st = pb_request_sum(request, &sum, err);
		if (st)
			pb_fail_prefix(err, "%s: window %zu", task->name, i);
		units.nll[i] = -sum;
		units.tokens[i] = request->n - request->first;
	}
	return st ? st : pb_text_units_score(result, task, &units, rule_of(task) != LLAMACPP, err);
}

static const char *const keys[] = { "doc_to_target", NULL };
static const char *const protocols[] = { "gptq-wt2", "llamacpp", "paretoq", NULL };
static const char *const metrics[] = { "nll", "ppl_token", NULL };

const struct pb_task_kind pb_task_kind_window = {
	.name = "window",
	.help = "one token stream in windows of fixed length; perplexity a token",
	.keys = keys,
	.protocols = protocols,
	.metrics = metrics,
	.default_metrics = 3,
	.check = window_check,
	.read = window_read,
	.make = window_make,
	.score = window_score,
};
