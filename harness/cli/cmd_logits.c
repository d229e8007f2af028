/* paretobench logits: what the model says after some tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/cli/cli.h"

struct logits_state {
	const char *ids, *quantizer, *backend, *tokenizer;
	bool last;
	struct pb_cli_method_data method_data;
};

static const struct pb_flag flags[] = {
	{ "ids", 'i', "1,2,3", "token ids, BOS included" },
	{ "last", 0, NULL, "only after the last token" },
	{ "quantizer", 'q', "NAME[:opt=value,...]", "quantize first (default: identity)" },
	{ "backend", 'b', "NAME[:opt=value,...]", "default: reference" },
	{ "tokenizer", 0, "FILE", "checked against the model's vocabulary" },
	PB_METHOD_DATA_FLAGS,
	{ NULL, 0, NULL, NULL },
};

static enum pb_status logits_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct logits_state *s = state;

	(void)cli;
	(void)err;
	if (pb_cli_method_data_set(&s->method_data, name, value))
		return PB_OK;
	if (strcmp(name, "ids") == 0)
		s->ids = value;
	else if (strcmp(name, "last") == 0)
		s->last = true;
	else if (strcmp(name, "quantizer") == 0)
		s->quantizer = value;
	else if (strcmp(name, "backend") == 0)
		s->backend = value;
	else
		s->tokenizer = value;
	return PB_OK;
}

static enum pb_status parse_ids(struct pb_cli *cli, const char *text, const struct pb_model *model, int32_t **ids, uint32_t *n, struct pb_error *err)
{
	int32_t *list = pb_arena_alloc(cli->arena, strlen(text) / 2 + 1, sizeof(*list));
	char word[32];
	int64_t id;

	if (!list)
		return pb_out_of_memory(err, "ids");
	*n = 0;
	for (const char *p = text; *p;) {
		size_t length = strcspn(p, ",");

		snprintf(word, sizeof(word), "%.*s", (int)(length < sizeof(word) ? length : sizeof(word) - 1), p);
		if (!pb_parse_int64(word, &id) || id < 0 || id >= model->config.n_vocab)
			return pb_fail(err, PB_USAGE, "--ids: '%s' is not an id from 0 to %u", word, model->config.n_vocab - 1);
		list[(*n)++] = (int32_t)id;
		p += length + (p[length] == ',');
	}
	if (*n == 0 || *n > model->config.context)
		return pb_fail(err, PB_USAGE, "--ids: from 1 to %u ids", model->config.context);
	*ids = list;
	return PB_OK;
}

static void format_logits(struct pb_text *t, const int32_t *ids, uint32_t n, bool last, const float *logits, uint32_t n_vocab)
{
	pb_text_string(t, "{\"ids\": [");
	for (uint32_t i = 0; i < n; i++)
		pb_text_printf(t, i ? ", %d" : "%d", ids[i]);
	pb_text_string(t, last ? "], \"logits\": [" : "], \"logits\": [\n");
	for (uint32_t i = 0; i < (last ? 1 : n); i++) {
		if (!last)
			pb_text_string(t, i ? ",\n[" : "[");
		for (uint32_t k = 0; k < n_vocab; k++)
			pb_text_printf(t, k ? ", %.9g" : "%.9g", (double)logits[(size_t)i * n_vocab + k]);
		if (!last)
			pb_text_string(t, "]");
	}
	pb_text_string(t, "]}\n");
}

static enum pb_status compute(struct logits_state *s, struct pb_cli *cli, const struct pb_opened *opened, const struct pb_backend_use *use, struct pb_error *err)
{
	const struct pb_model *model = opened->trained ? opened->trained : opened->model;
	struct pb_session *session = NULL;
	struct pb_text t = {0};
	int32_t *ids = NULL;
	uint32_t n = 0;
	float *logits;
	size_t n_logits;
	enum pb_status st = parse_ids(cli, s->ids, model, &ids, &n, err);

	if (st)
		return st;
	n_logits = (size_t)(s->last ? 1 : n) * model->config.n_vocab;
	logits = pb_arena_alloc(cli->arena, n_logits, sizeof(float));
	if (!logits)
		return pb_out_of_memory(err, "logits");
	st = use->backend->open(&session, model, use->options, opened->pool, err);
	if (st)
		return st;
	st = use->backend->logits(session, ids, n, !s->last, logits, err);
	use->backend->close(session);
	if (!st && pb_count_not_finite(logits, n_logits))
		st = pb_fail(err, PB_NUMERIC, "%s: logits are not finite", model->name);
	if (!st) {
		format_logits(&t, ids, n, s->last, logits, model->config.n_vocab);
		st = pb_print(&t, err);
	}
	pb_text_free(&t);
	return st;
}

static enum pb_status logits_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct logits_state *s = state;
	struct pb_quantizer_use quantizer = {0};
	struct pb_backend_use backend = {0};
	struct pb_opened opened = {0};
	struct pb_tokenizer *tokenizer = NULL;
	enum pb_status st;

	(void)code;
	if (!s->ids)
		return pb_fail(err, PB_USAGE, "logits: --ids is missing");
	st = pb_backend_use_parse(&backend, s->backend ? s->backend : "reference", err);
	if (!st)
		st = pb_quantizer_use_parse(&quantizer, s->quantizer ? s->quantizer : "identity", err);
	if (!st)
		st = pb_cli_method_data_find(cli, &s->method_data, err);
	if (!st)
		st = pb_cli_open(cli, s->tokenizer, &opened, err);
	if (!st && s->tokenizer)
		st = pb_workspace_tokenizer(opened.workspace, &opened.spec, &tokenizer, err);
	if (!st && s->quantizer)
		st = pb_cli_quantize(cli, &opened, &quantizer, 0, &s->method_data, err);
	if (!st)
		st = compute(s, cli, &opened, &backend, err);
	pb_cli_close(&opened);
	pb_quantizer_use_free(&quantizer);
	pb_backend_use_free(&backend);
	return st;
}

const struct pb_command pb_cmd_logits = {
	.name = "logits",
	.arguments = "MODEL",
	.summary = "logits after given tokens, as JSON",
	.help = "Prints the logits after each token of --ids (or after the last) as JSON, nine significant digits.",
	.flags = flags,
	.least = 1,
	.most = 1,
	.set = logits_set,
	.state_size = sizeof(struct logits_state),
	.run = logits_run,
};
