#include "harness/run/samples.h"

#include <string.h>
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "harness/run/sweep.h"
#include "tasks/encode.h"

#define MOST_TEXT ((size_t)4 << 30)
#define MOST_TOKENS (1u << 30)          /* of all samples */
#define DEFAULT_LENGTH 2048u

static const char *const formats[] = { "auto", "lines", "text", "documents", NULL };

const struct pb_option pb_calibration_options[] = {
	PB_OPT_INT(struct pb_calibration_spec, n_samples, 1, 1 << 20, 128, "samples that are drawn"),
	PB_OPT_INT(struct pb_calibration_spec, seq_len, 0, 1 << 20, 0, "tokens of a sample; 0: 2048, or the model's context when that is less"),
	PB_OPT_INT(struct pb_calibration_spec, seed, 0, 9007199254740991, 0, "of the draw"),
	PB_OPT_CHOICE(struct pb_calibration_spec, format, formats, "auto", "lines: a document a line; text: one text; documents: JSON Lines {text}; auto: by the file's name"),
	PB_OPT_END
};

const struct pb_option pb_training_options[] = {
	PB_OPT_CHOICE(struct pb_training_spec, format, formats, "auto", "lines: a document a line; text: one text; documents: JSON Lines {text}; auto: by the file's name"),
	PB_OPT_END
};

enum pb_status pb_text_find(struct pb_arena *arena, const char *name, const char *folder, const struct pb_data_path *data, const char **path,
	struct pb_error *err)
{
	const char *ours = strcmp(name, "world_calib") == 0 ? "world/calibration.txt" : strcmp(name, "world_train") == 0 ? "world/train.txt" : NULL;
	enum pb_status st = pb_find_file(arena, ours ? ours : name, folder, data, path, err);

	if (st == PB_MISSING && ours)
		return pb_fail(err, st, "%s: there is no %s in the data folders\n`paretobench world -o DIR` writes it; name DIR with --data", name, ours);
	return st;
}

bool pb_calibration_is_ready(const struct pb_calibration_spec *spec)
{
	return pb_path_has_suffix(spec->data, ".safetensors");
}

enum pb_calibration_format pb_text_format(const char *path, int format)
{
	static const char *const documents[] = { ".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.bz2", ".json.bz2" };

	if (format != PB_CALIBRATION_AUTO)
		return (enum pb_calibration_format)format;
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
		if (pb_path_has_suffix(path, documents[i]))
			return PB_CALIBRATION_DOCUMENTS;
	return PB_CALIBRATION_LINES;
}

const char *pb_text_format_name(enum pb_calibration_format format)
{
	return formats[format];
}

enum pb_status pb_calibration_length(const struct pb_calibration_spec *spec, uint32_t context, uint32_t *length, struct pb_error *err)
{
	uint64_t n = spec->seq_len ? (uint64_t)spec->seq_len : context < DEFAULT_LENGTH ? context : DEFAULT_LENGTH;

	if (n > context)
		return pb_fail(err, PB_USAGE, "calibration: seq_len: samples of %llu tokens do not fit the model's context of %u", (unsigned long long)n, context);
	if (n < 2)
		return pb_fail(err, PB_USAGE, "calibration: seq_len: samples of 1 token predict nothing");
	if (n * (uint64_t)spec->n_samples > MOST_TOKENS)
		return pb_fail(err, PB_USAGE, "calibration: %lld samples of %llu tokens are more than 2^30 tokens", (long long)spec->n_samples, (unsigned long long)n);
	*length = (uint32_t)n;
	return PB_OK;
}

struct source {
	const struct pb_calibration_spec *spec;
	const char *name, *text;
	size_t size;
	const struct pb_tokenizer *tokenizer;
	uint32_t length;
	struct pb_rng rng;
};

/* Takes the next line that is not blank off *at; false at the end. *number counts lines. */
static bool next_line(const struct source *s, size_t *at, unsigned *number, const char **line, size_t *n)
{
	while (*at < s->size) {
		const char *begin = s->text + *at, *feed = memchr(begin, '\n', s->size - *at);

		*n = feed ? (size_t)(feed - begin) : s->size - *at;
		*at += *n + (feed != NULL);
		(*number)++;
		while (*n && (begin[*n - 1] == ' ' || begin[*n - 1] == '\t' || begin[*n - 1] == '\r'))
			(*n)--;
		*line = begin;
		if (*n)
			return true;
	}
	return false;
}

/* ---- one run of tokens ---- */

static enum pb_status encode_lines(const struct source *s, struct pb_ids *ids, struct pb_error *err)
{
	int32_t front = pb_prefix_token(s->tokenizer);
	const char *line;
	size_t at = 0, n;
	unsigned number = 0;
	enum pb_status st = PB_OK;

	while (!st && next_line(s, &at, &number, &line, &n)) {
		if (front >= 0)
			st = pb_ids_add(ids, front, err);
		if (!st)
			st = pb_tokenizer_encode(s->tokenizer, line, n, PB_SPECIAL_NONE, ids, err);
		if (st)
			pb_fail_prefix(err, "%s:%u", s->name, number);
	}
	return st;
}

static enum pb_status encode_text(const struct source *s, struct pb_ids *ids, struct pb_error *err)
{
	return pb_tokenizer_encode(s->tokenizer, s->text, s->size, PB_SPECIAL_DEFAULT, ids, err) ? pb_fail_prefix(err, "%s", s->name) : PB_OK;
}

static enum pb_status draw_windows(struct source *s, int32_t *tokens, struct pb_error *err)
{
	struct pb_ids ids = {0};
	bool lines = pb_text_format(s->spec->data, s->spec->format) == PB_CALIBRATION_LINES;
	enum pb_status st = lines ? encode_lines(s, &ids, err) : encode_text(s, &ids, err);

	if (!st && ids.n < s->length)
		st = pb_fail(err, PB_USAGE, "%s: %zu tokens are too few for calibration samples of %u", s->name, ids.n, s->length);
	for (int64_t i = 0; !st && i < s->spec->n_samples; i++)
		memcpy(tokens + (size_t)i * s->length, ids.data + pb_rng_below(&s->rng, ids.n - s->length + 1), s->length * sizeof(*tokens));
	pb_ids_free(&ids);
	return st;
}

/* ---- documents ---- */

struct document {
	const char *line;
	size_t n;
	unsigned number;                /* of the line */
	bool is_short;                  /* seen to have too few tokens */
};

static enum pb_status list_documents(const struct source *s, struct document **out, size_t *n_out, struct pb_error *err)
{
	struct document *list = NULL, d = {0};
	size_t n = 0, capacity = 0, at = 0;

	while (next_line(s, &at, &d.number, &d.line, &d.n)) {
		if (n == capacity) {
			struct document *longer = pb_realloc(list, capacity = capacity ? 2 * capacity : 256, sizeof(*list));

			if (!longer) {
				pb_free(list);
				return pb_out_of_memory(err, "the documents for calibration");
			}
			list = longer;
		}
		list[n++] = d;
	}
	*out = list;
	*n_out = n;
	return n ? PB_OK : pb_fail(err, PB_USAGE, "%s: no document is in it", s->name);
}

static enum pb_status encode_document(const struct source *s, const struct document *d, enum pb_special special, struct pb_ids *ids, struct pb_error *err)
{
	json_t *object = NULL;
	const json_t *text;
	enum pb_status st = pb_json_parse(&object, "document", d->line, d->n, err);

	if (st && st != PB_FORMAT)
		return st;
	text = json_object_get(object, "text");
	if (json_is_string(text))
		st = pb_tokenizer_encode(s->tokenizer, json_string_value(text), json_string_length(text), special, ids, err);
	else
		st = pb_fail(err, PB_FORMAT, "not a JSON object with a string 'text'");
	json_decref(object);
	return st ? pb_fail_prefix(err, "%s:%u", s->name, d->number) : PB_OK;
}

/* Draws until a document is long enough; each is encoded again only when it was. */
static enum pb_status draw_document(struct source *s, struct document *list, size_t n, size_t *n_short, struct pb_ids *ids, struct pb_error *err)
{
	while (*n_short < n) {
		struct document *d = &list[pb_rng_below(&s->rng, n)];
		enum pb_status st;

		if (d->is_short)
			continue;
		ids->n = 0;
		if ((st = encode_document(s, d, PB_SPECIAL_DEFAULT, ids, err)) || ids->n >= s->length)
			return st;
		d->is_short = true;
		(*n_short)++;
	}
	return pb_fail(err, PB_USAGE, "%s: none of %zu documents has the %u tokens of a calibration sample", s->name, n, s->length);
}

static enum pb_status draw_documents(struct source *s, int32_t *tokens, struct pb_error *err)
{
	struct document *list = NULL;
	struct pb_ids ids = {0};
	size_t n = 0, n_short = 0;
	enum pb_status st = list_documents(s, &list, &n, err);

	for (int64_t i = 0; !st && i < s->spec->n_samples; i++) {
		st = draw_document(s, list, n, &n_short, &ids, err);
		if (!st)
			memcpy(tokens + (size_t)i * s->length, ids.data + pb_rng_below(&s->rng, ids.n - s->length + 1), s->length * sizeof(*tokens));
	}
	pb_ids_free(&ids);
	pb_free(list);
	return st;
}

enum pb_status pb_samples_draw_from(const struct pb_calibration_spec *spec, const char *name, const char *text, size_t size,
	const struct pb_tokenizer *tokenizer, uint32_t length, int32_t **tokens, struct pb_error *err)
{
	struct source source = { .spec = spec, .name = name, .text = text, .size = size, .tokenizer = tokenizer, .length = length,
		.rng = pb_rng_make((uint64_t)spec->seed, pb_rng_stream("calibration samples")) };
	int32_t *drawn = pb_alloc((size_t)spec->n_samples * length, sizeof(*drawn));
	enum pb_status st;

	if (!drawn)
		return pb_out_of_memory(err, "calibration samples");
	st = pb_text_format(spec->data, spec->format) == PB_CALIBRATION_DOCUMENTS ? draw_documents(&source, drawn, err) : draw_windows(&source, drawn, err);
	if (st)
		pb_free(drawn);
	else
		*tokens = drawn;
	return st;
}

enum pb_status pb_samples_draw(const struct pb_calibration_spec *spec, const struct pb_tokenizer *tokenizer, uint32_t length, int32_t **tokens,
	struct pb_error *err)
{
	char *text = NULL;
	size_t size = 0;
	enum pb_status st = pb_file_read_data(spec->data, MOST_TEXT, &text, &size, err);

	if (!st)
		st = pb_samples_draw_from(spec, spec->data, text, size, tokenizer, length, tokens, err);
	pb_free(text);
	return st;
}

/* ---- all tokens ---- */

static enum pb_status encode_documents(const struct source *s, struct pb_ids *ids, struct pb_error *err)
{
	int32_t front = pb_prefix_token(s->tokenizer);
	struct document d = {0};
	size_t at = 0;
	enum pb_status st = PB_OK;

	while (!st && next_line(s, &at, &d.number, &d.line, &d.n)) {
		if (front >= 0)
			st = pb_ids_add(ids, front, err);
		if (!st)
			st = encode_document(s, &d, PB_SPECIAL_NONE, ids, err);
	}
	return st;
}

enum pb_status pb_training_tokens(const struct pb_training_spec *spec, const struct pb_tokenizer *tokenizer, struct pb_ids *ids, struct pb_error *err)
{
	char *text = NULL;
	struct source s = { .name = spec->data, .tokenizer = tokenizer };
	enum pb_status st = pb_file_read_data(spec->data, MOST_TEXT, &text, &s.size, err);

	s.text = text;
	if (st)
		return st;
	switch (pb_text_format(spec->data, spec->format)) {
	case PB_CALIBRATION_DOCUMENTS:
		st = encode_documents(&s, ids, err);
		break;
	case PB_CALIBRATION_LINES:
		st = encode_lines(&s, ids, err);
		break;
	default:
		st = encode_text(&s, ids, err);
	}
	pb_free(text);
	return st;
}
