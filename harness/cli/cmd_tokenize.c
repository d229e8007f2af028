/* paretobench tokenize: text to ids and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/file.h"
#include "harness/cli/cli.h"

struct tokenize_state {
	const char *tokenizer;
	bool decode, no_bos, whole;
};

static const struct pb_flag flags[] = {
	{ "tokenizer", 0, "FILE", "default: beside the model" },
	{ "decode", 'd', NULL, "ids in, text out" },
	{ "no-bos", 0, NULL, "do not put BOS in front" },
	{ "whole", 'w', NULL, "all of stdin is one text (default: each line is one)" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status tokenize_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct tokenize_state *s = state;

	(void)cli;
	(void)err;
	if (strcmp(name, "tokenizer") == 0)
		s->tokenizer = value;
	else if (strcmp(name, "decode") == 0)
		s->decode = true;
	else if (strcmp(name, "no-bos") == 0)
		s->no_bos = true;
	else
		s->whole = true;
	return PB_OK;
}

static enum pb_status encode_text(const struct tokenize_state *s, const struct pb_tokenizer *t, const char *text, size_t n, struct pb_text *out, struct pb_error *err)
{
	struct pb_ids ids = {0};
	enum pb_status st = pb_tokenizer_encode(t, text, n, s->no_bos ? PB_SPECIAL_NONE : PB_SPECIAL_DEFAULT, &ids, err);

	for (size_t i = 0; !st && i < ids.n; i++)
		pb_text_printf(out, i ? " %d" : "%d", ids.data[i]);
	if (!st)
		pb_text_char(out, '\n');
	pb_ids_free(&ids);
	return st;
}

static enum pb_status decode_line(const struct tokenize_state *s, const struct pb_tokenizer *t, const char *line, size_t n, struct pb_text *out, struct pb_error *err)
{
	int32_t *ids = pb_alloc(n / 2 + 1, sizeof(*ids));
	char word[32];
	size_t count = 0;
	int64_t id;
	enum pb_status st = ids ? PB_OK : pb_out_of_memory(err, "ids");

	(void)s;
	for (size_t i = 0; !st && i < n;) {
		size_t length = 0;

		while (i < n && strchr(" \t\r\n", line[i]))
			i++;
		while (i + length < n && !strchr(" \t\r\n", line[i + length]))
			length++;
		if (length == 0)
			break;
		snprintf(word, sizeof(word), "%.*s", (int)(length < sizeof(word) ? length : sizeof(word) - 1), line + i);
		if (!pb_parse_int64(word, &id) || id < 0 || id >= pb_tokenizer_size(t))
			st = pb_fail(err, PB_USAGE, "tokenize: '%s' is not an id from 0 to %u", word, pb_tokenizer_size(t) - 1);
		else
			ids[count++] = (int32_t)id;
		i += length;
	}
	if (!st)
		st = pb_tokenizer_decode(t, ids, count, out, err);
	if (!st)
		pb_text_char(out, '\n');
	pb_free(ids);
	return st;
}

static enum pb_status convert(const struct tokenize_state *s, const struct pb_tokenizer *t, const char *text, size_t n, struct pb_error *err)
{
	struct pb_text out = {0};
	enum pb_status st = s->decode ? decode_line(s, t, text, n, &out, err) : encode_text(s, t, text, n, &out, err);

	if (!st)
		st = pb_print(&out, err);
	pb_text_free(&out);
	return st;
}

static enum pb_status check_stdin(struct pb_error *err)
{
	return ferror(stdin) ? pb_fail(err, PB_IO, "stdin: cannot read: %s", strerror(errno)) : PB_OK;
}

static enum pb_status convert_stdin(const struct tokenize_state *s, const struct pb_tokenizer *t, struct pb_error *err)
{
	struct pb_text whole = {0};
	char *line = NULL, buffer[65536];
	size_t capacity = 0, got;
	ssize_t n;
	enum pb_status st = PB_OK;

	if (s->whole) {
		while ((got = fread(buffer, 1, sizeof(buffer), stdin)) > 0)
			pb_text_bytes(&whole, buffer, got);
		st = pb_text_check(&whole, err);
		if (!st)
			st = check_stdin(err);
		if (!st)
			st = convert(s, t, pb_text_c(&whole), whole.length, err);
		pb_text_free(&whole);
		return st;
	}
	while (!st && (n = getline(&line, &capacity, stdin)) >= 0)
		st = convert(s, t, line, (size_t)n - (n > 0 && line[n - 1] == '\n'), err);
	free(line);
	return st ? st : check_stdin(err);
}

/* MODEL is a tokenizer file or a model. */
static enum pb_status open_tokenizer(const struct tokenize_state *s, struct pb_cli *cli, struct pb_tokenizer **t, struct pb_error *err)
{
	struct pb_sweep_model spec;
	struct pb_model *model = NULL;
	char *path = NULL;
	enum pb_status st = pb_cli_model(cli, cli->args[0], s->tokenizer, &spec, err);
	struct pb_error why = {0};

	if (st)
		return st;
	if (spec.tokenizer)
		return pb_tokenizer_open(t, spec.tokenizer, 0, err);
	if (!pb_folder_exists(spec.path) && pb_tokenizer_open(t, spec.path, 0, &why) == PB_OK)
		return PB_OK;
	st = pb_model_open(&model, spec.path, err);
	if (st)
		return pb_fail(err, st, "%s: neither a tokenizer (%s) nor a model (%s)", spec.path, why.text, err ? err->text : "");
	st = pb_model_find_tokenizer(model, &path, err);
	if (!st)
		st = pb_tokenizer_open(t, path, model->config.n_vocab, err);
	pb_free(path);
	pb_model_close(model);
	return st;
}

static enum pb_status tokenize_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct pb_tokenizer *t = NULL;
	enum pb_status st = open_tokenizer(state, cli, &t, err);

	(void)code;
	if (!st)
		st = convert_stdin(state, t, err);
	pb_tokenizer_free(t);
	return st;
}

const struct pb_command pb_cmd_tokenize = {
	.name = "tokenize",
	.arguments = "MODEL",
	.summary = "text to token ids, and back",
	.help = "Reads texts from stdin, one a line, and prints their ids separated by blanks, one line a text; with\n"
		"--decode the other way. MODEL is a model or a tokenizer file.",
	.flags = flags,
	.least = 1,
	.most = 1,
	.set = tokenize_set,
	.state_size = sizeof(struct tokenize_state),
	.run = tokenize_run,
};
