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
 * gptq-c4    256 windows: a text drawn at random until it has enough tokens, each alone with the default special tokens, and a
 *            window at a random place in it; CPython's generator with seed 0. onebit-c4 wants one token more; vptq-c4 takes 128.
 * gptq-c4-new  the first 1,100 texts joined with blanks, encoded once, the first 256 windows.
 * gptq-ptb, gptq-ptb-new  sentences joined with two line feeds, or with blanks.
 * squeezellm, onebit, vptq, mobilellm  the scripts of these papers on WikiText-2: the rule of gptq-wt2 under their own names.
 *
 * Rows of a raw file: a line with its line feed, or nothing when it is blank. A limit counts windows. */
#include <string.h>
#include "core/base/text.h"
#include "tasks/data.h"
#include "tasks/encode.h"
#include "tasks/estimate.h"
#include "tasks/python_random.h"
#include "tasks/wikitext.h"

enum assembly { JOINED, ALONE, RAW, DRAWN };
struct rule {
	const char *id;
	enum assembly assembly;
	uint32_t length;            /* of a window */
	const char *separator;      /* JOINED: between texts */
	size_t n_texts, n_windows;  /* the first so many; 0: all. DRAWN: so many are drawn */
	size_t longer;              /* DRAWN: tokens that a text has beyond a window, at least */
};
static const struct rule rules[] = {
	{ .id = "gptq-c4", .assembly = DRAWN, .length = 2048, .n_windows = 256 },
	{ .id = "gptq-c4-new", .assembly = JOINED, .length = 2048, .separator = " ", .n_texts = 1100, .n_windows = 256 },
	{ .id = "gptq-ptb", .assembly = JOINED, .length = 2048, .separator = "\n\n" },
	{ .id = "gptq-ptb-new", .assembly = JOINED, .length = 2048, .separator = " " },
	{ .id = "gptq-wt2", .assembly = JOINED, .length = 2048, .separator = "\n\n" },
	{ .id = "llamacpp", .assembly = RAW, .length = 512 },
	{ .id = "mobilellm", .assembly = JOINED, .length = 2048, .separator = "\n\n" },
	{ .id = "onebit", .assembly = JOINED, .length = 2048, .separator = "\n\n" },
	{ .id = "onebit-c4", .assembly = DRAWN, .length = 2048, .n_windows = 256, .longer = 1 },
	{ .id = "paretoq", .assembly = ALONE, .length = 1024 },
	{ .id = "squeezellm", .assembly = JOINED, .length = 2048, .separator = "\n\n" },
	{ .id = "vptq", .assembly = JOINED, .length = 2048, .separator = "\n\n" },
	{ .id = "vptq-c4", .assembly = DRAWN, .length = 2048, .n_windows = 128 },
};

struct rows {
	struct pb_text_item *rows;  /* slices of the raw text, or texts of records */
	size_t n, capacity;
	const struct pb_text_item *raw; /* the whole file; NULL: the data were records */
	struct pb_arena *arena;
};

static const struct rule *rule_of(const struct pb_task *task)
{
	size_t i = 0;

	while (strcmp(rules[i].id, task->definition->protocol_id) != 0)
		i++;
	return &rules[i];
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
	uint64_t length = task->definition->length ? task->definition->length : rule_of(task)->length;
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

static enum pb_status encode_joined(const struct rows *rows, const struct rule *rule, const struct pb_tokenizer *tokenizer, struct pb_ids *ids, struct pb_error *err)
{
	struct pb_text joined = {0};
	enum pb_status st;

	for (size_t i = 0; i < rows->n && !(rule->n_texts && i == rule->n_texts); i++) {
		if (i)
			pb_text_string(&joined, rule->separator);
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

/* Draws that find no text of the length are given up after so many: a data set of short texts would be drawn from for ever. */
#define MAX_DRAWS 1000000

/* One window: a text that is long enough, then a place in it. */
static enum pb_status draw_window(const struct pb_task *task, const struct rows *rows, const struct rule *rule, struct pb_python_random *random,
	const struct pb_tokenizer *tokenizer, size_t length, struct pb_ids *ids, struct pb_error *err)
{
	struct pb_ids text = {0};
	enum pb_status st = PB_OK;

	for (size_t tries = 0; !st; tries++) {
		const struct pb_text_item *row = &rows->rows[pb_python_random_below(random, (uint32_t)rows->n)];

		text.n = 0;
		st = pb_tokenizer_encode(tokenizer, row->text, row->size, PB_SPECIAL_DEFAULT, &text, err);
		if (st || text.n >= length + rule->longer)
			break;
		if (tries == MAX_DRAWS)
			st = pb_fail(err, PB_FORMAT, "%s: no text of %zu tokens in %d draws", task->name, length + rule->longer, MAX_DRAWS);
	}
	/* randint(0, n - length - 1), which has nothing to draw from when the text is one window. */
	if (!st && text.n == length)
		st = pb_fail(err, PB_FORMAT, "%s: protocol %s: a text of exactly %zu tokens was drawn, where the rule has no window", task->name, rule->id, length);
	if (!st) {
		size_t at = pb_python_random_below(random, (uint32_t)(text.n - length));

		for (size_t i = 0; !st && i < length; i++)
			st = pb_ids_add(ids, text.data[at + i], err);
	}
	pb_ids_free(&text);
	return st;
}

static enum pb_status encode_drawn(const struct pb_task *task, const struct rows *rows, const struct rule *rule, const struct pb_tokenizer *tokenizer, size_t length,
	struct pb_ids *ids, struct pb_error *err)
{
	size_t n_windows = task->limit && task->limit < rule->n_windows ? (size_t)task->limit : rule->n_windows;
	struct pb_python_random random;
	enum pb_status st = PB_OK;

	if (rows->n == 0 || rows->n > UINT32_MAX)
		return pb_fail(err, PB_FORMAT, "%s: %zu texts to draw from", task->name, rows->n);
	pb_python_random_seed(&random, 0);
	for (size_t i = 0; i < n_windows && !st; i++)
		st = draw_window(task, rows, rule, &random, tokenizer, length, ids, err);
	return st;
}

static enum pb_status encode(const struct pb_task *task, const struct rows *rows, const struct rule *rule, const struct pb_tokenizer *tokenizer, size_t length,
	struct pb_ids *ids, struct pb_error *err)
{
	if (rule->assembly == JOINED)
		return encode_joined(rows, rule, tokenizer, ids, err);
	if (rule->assembly == ALONE)
		return encode_rows(rows, tokenizer, ids, err);
	if (rule->assembly == DRAWN)
		return encode_drawn(task, rows, rule, tokenizer, length, ids, err);
	if (!rows->raw)
		return pb_fail(err, PB_UNSUPPORTED, "%s: protocol %s needs the raw text file; the data are records", task->name, rule->id);
	return pb_tokenizer_encode(tokenizer, rows->raw->text, rows->raw->size, PB_SPECIAL_DEFAULT, ids, err);
}

static enum pb_status add_windows(struct pb_request_list *list, const struct pb_task *task, const struct rule *rule, const struct pb_tokenizer *tokenizer,
	int32_t *tokens, size_t n, size_t length, struct pb_error *err)
{
	size_t needed = rule->assembly == RAW ? 2 * length : rule->assembly == ALONE ? 2 : length;
	size_t first = rule->assembly == RAW ? length / 2 + 1 : 1, n_windows = n / length;
	bool put_bos = rule->assembly == RAW && pb_tokenizer_adds_bos(tokenizer) && pb_tokenizer_bos(tokenizer) >= 0;
	enum pb_status st = PB_OK;

	if (n < needed)
		return pb_fail(err, PB_FORMAT, "%s: the text has %zu tokens; protocol %s@%zu needs at least %zu", task->name, n, rule->id, length, needed);
	if (first >= length)
		return pb_fail(err, PB_USAGE, "%s: protocol %s@%zu: no token of a window is left to score", task->name, rule->id, length);
	if (!n_windows)
		return pb_request_add(list, tokens, n, 1, 0, false, err);
	if (rule->n_windows && rule->n_windows < n_windows)
		n_windows = rule->n_windows;
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
	const struct rule *rule = rule_of(task);
	struct pb_request_list list = { .out = out };
	struct pb_ids ids = {0};
	int32_t *tokens;
	uint32_t length;
	enum pb_status st = pb_task_length(task, context, rule->length, &length, err);

	if (st)
		return st;
	st = encode(task, data->items, rule, tokenizer, length, &ids, err);
	if (!st)
		st = pb_ids_keep(out->arena, &ids, -1, &tokens, err);
	if (!st)
		st = add_windows(&list, task, rule, tokenizer, tokens, ids.n, length, err);
	pb_ids_free(&ids);
	out->protocol = pb_arena_printf(out->arena, "%s@%u", rule->id, length);
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
	return st ? st : pb_text_units_score(result, task, &units, rule_of(task)->assembly != RAW, err);
}

static const char *const keys[] = { "doc_to_target", NULL };
static const char *const protocols[] = { "gptq-wt2", "gptq-c4", "gptq-c4-new", "gptq-ptb", "gptq-ptb-new", "llamacpp", "mobilellm", "onebit", "onebit-c4", "paretoq",
	"squeezellm", "vptq", "vptq-c4", NULL };
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
