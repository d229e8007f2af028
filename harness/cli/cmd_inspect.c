/* paretobench inspect: what a model is made of, and where its bytes go. */
#include <stdio.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/cli/cli.h"

struct inspect_state {
	bool ledger, json;
	const char *tokenizer;
};

static const struct pb_flag flags[] = {
	{ "ledger", 'l', NULL, "every part of every matrix with its bytes" },
	{ "tokenizer", 0, "FILE", "describe it too (default: the one beside the model, when there is one)" },
	{ "format", 'f', "FORMAT", "text or json (default: text)" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status inspect_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct inspect_state *s = state;

	(void)cli;
	if (strcmp(name, "ledger") == 0)
		s->ledger = true;
	else if (strcmp(name, "tokenizer") == 0)
		s->tokenizer = value;
	else if (strcmp(value, "json") == 0)
		s->json = true;
	else if (strcmp(value, "text") != 0)
		return pb_fail(err, PB_USAGE, "--format %s: choose one of text, json", value);
	return PB_OK;
}

static json_t *shape_json(const struct pb_tensor *t)
{
	json_t *shape = json_array();

	for (unsigned i = 0; i < t->n_dims; i++)
		json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
	return shape;
}

static void add_part(json_t *ledger, const char *name, const char *part, const struct pb_tensor *t)
{
	json_array_append_new(ledger, json_pack("{s:s, s:s, s:s, s:o, s:I}", "tensor", name, "part", part, "dtype", pb_dtype_name(t->dtype),
		"shape", shape_json(t), "bytes", (json_int_t)t->bytes));
}

static void add_matrix(json_t *ledger, const struct pb_matrix *m)
{
	struct pb_part parts[PB_MAX_PARTS];
	unsigned n;

	if (!m->encoded) {
		add_part(ledger, m->name, "dense", &m->source);
		return;
	}
	n = pb_encoded_parts(m->encoded, parts);
	for (unsigned i = 0; i < n; i++)
		add_part(ledger, m->name, parts[i].name, &parts[i].tensor);
}

/* Every part with bytes: the quantizable matrices, then what is kept. */
static json_t *make_ledger(const struct pb_model *model)
{
	json_t *ledger = json_array();
	char name[96];

	for (uint32_t i = 0; i < model->n_matrices; i++)
		add_matrix(ledger, &model->matrices[i]);
	add_part(ledger, "model.embed_tokens", "kept", &model->embedding);
	for (uint32_t i = 0; i < model->config.n_layers; i++) {
		snprintf(name, sizeof(name), "model.layers.%u.input_layernorm", i);
		add_part(ledger, name, "kept", &model->attention_norm[i]);
		snprintf(name, sizeof(name), "model.layers.%u.post_attention_layernorm", i);
		add_part(ledger, name, "kept", &model->ffn_norm[i]);
	}
	add_part(ledger, "model.norm", "kept", &model->final_norm);
	if (!model->config.tied_head)
		add_part(ledger, "lm_head", "kept", &model->head);
	return ledger;
}

static json_t *describe_tokenizer(const struct inspect_state *s, const struct pb_model *model)
{
	struct pb_tokenizer *t = NULL;
	struct pb_error why = {0};
	char *path = NULL;
	json_t *about;

	if (s->tokenizer)
		path = pb_strdup(s->tokenizer);
	else if (pb_model_find_tokenizer(model, &path, NULL))
		return json_null();
	if (!path || pb_tokenizer_open(&t, path, model->config.n_vocab, &why))
		about = json_pack("{s:s, s:s}", "path", path ? path : "", "problem", why.text);
	else
		about = json_pack("{s:s, s:s, s:i, s:i, s:i, s:s}", "path", path, "format", pb_tokenizer_format(t), "pieces", (int)pb_tokenizer_size(t),
			"bos", (int)pb_tokenizer_bos(t), "eos", (int)pb_tokenizer_eos(t), "sha256", pb_tokenizer_hash(t));
	pb_tokenizer_free(t);
	pb_free(path);
	return about;
}

/* Size by the rule of the paper of the model's quantizer, with its options; null when there is none, or they are not known here. */
static json_t *paper_bytes(const struct pb_model *model)
{
	const char *name = json_string_value(json_object_get(model->quantization, "quantizer")), *key;
	const struct pb_quantizer *q = name ? pb_quantizer_find(name, NULL) : NULL;
	struct pb_quantizer_use use = {0};
	struct pb_text text = {0};
	json_t *bytes = json_null(), *value;

	if (!q || !q->paper_bytes)
		return bytes;
	pb_text_string(&text, name);
	json_object_foreach(json_object_get(model->quantization, "options"), key, value) {
		char *number = json_is_string(value) ? pb_strdup(json_string_value(value)) : pb_json_canonical(value);

		pb_text_printf(&text, "%c%s=%s", text.length == strlen(name) ? ':' : ',', key, number ? number : "");
		pb_free(number);
	}
	if (!text.failed && !pb_quantizer_use_parse(&use, pb_text_c(&text), NULL))
		bytes = json_real(q->paper_bytes(use.options, &model->config));
	pb_quantizer_use_free(&use);
	pb_text_free(&text);
	return bytes;
}

static json_t *describe(const struct inspect_state *s, const struct pb_model *model)
{
	const struct pb_config *c = &model->config;
	struct pb_size size = pb_model_size(model);
	json_t *config = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:s, s:b}", "architecture", c->architecture, "vocab_size", (json_int_t)c->n_vocab,
		"hidden_size", (json_int_t)c->dim, "intermediate_size", (json_int_t)c->hidden, "num_hidden_layers", (json_int_t)c->n_layers,
		"num_attention_heads", (json_int_t)c->n_heads, "num_key_value_heads", (json_int_t)c->n_kv_heads, "head_dim", (json_int_t)c->head_dim,
		"max_position_embeddings", (json_int_t)c->context, "rms_norm_eps", (double)c->norm_eps, "rope_theta", c->rope_base,
		"rope_layout", c->rope_interleaved ? "interleaved" : "half-split", "tied_head", (int)c->tied_head);
	json_t *about = json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "path", model->path, "name", model->name, "format", model->format,
		"model_hash", model->hash, "config", config, "parameters", (json_int_t)model->parameters, "matrix_parameters", (json_int_t)model->matrix_parameters,
		"weight_bytes", (json_int_t)size.weight_bytes, "kept_bytes", (json_int_t)size.kept_bytes, "model_bytes", (json_int_t)size.model_bytes,
		"effective_bits", size.effective_bits, "tokenizer", describe_tokenizer(s, model));

	if (size.is_claimed)
		json_object_set_new(about, "stored_bytes", json_integer((json_int_t)size.stored_bytes));
	if (model->quantization) {
		json_object_set(about, "quantization", model->quantization);
		json_object_set_new(about, "paper_bytes", paper_bytes(model));
	}
	if (s->ledger)
		json_object_set_new(about, "ledger", make_ledger(model));
	return about;
}

static void format_ledger(const json_t *ledger, struct pb_text *t)
{
	json_int_t total = 0;
	size_t i;
	json_t *line;

	pb_text_printf(t, "\n%-44s %-20s %-5s %-16s %12s\n", "tensor", "part", "dtype", "shape", "bytes");
	json_array_foreach(ledger, i, line) {
		const json_t *shape = json_object_get(line, "shape");
		struct pb_text dims = {0};

		for (size_t k = 0; k < json_array_size(shape); k++)
			pb_text_printf(&dims, k ? "x%lld" : "%lld", (long long)json_integer_value(json_array_get(shape, k)));
		pb_text_printf(t, "%-44s %-20s %-5s %-16s %12lld\n", json_string_value(json_object_get(line, "tensor")), json_string_value(json_object_get(line, "part")),
			json_string_value(json_object_get(line, "dtype")), pb_text_c(&dims), (long long)json_integer_value(json_object_get(line, "bytes")));
		total += json_integer_value(json_object_get(line, "bytes"));
		pb_text_free(&dims);
	}
	pb_text_printf(t, "%-44s %-20s %-5s %-16s %12lld\n", "sum", "", "", "", (long long)total);
}

static void format_text(const json_t *about, const struct pb_model *model, struct pb_text *t)
{
	const struct pb_config *c = &model->config;
	struct pb_size size = pb_model_size(model);
	const json_t *tokenizer = json_object_get(about, "tokenizer"), *ledger = json_object_get(about, "ledger");
	char weight[32], kept[32], whole[32];

	pb_format_size(weight, (double)size.weight_bytes);
	pb_format_size(kept, (double)size.kept_bytes);
	pb_format_size(whole, (double)size.model_bytes);
	pb_text_printf(t, "model        %s (%s)\n", model->path, model->format);
	pb_text_printf(t, "architecture %s: %u layers, dim %u, feed-forward %u, %u heads (%u KV) of %u, vocabulary %u, context %u, head %s\n", c->architecture, c->n_layers,
		c->dim, c->hidden, c->n_heads, c->n_kv_heads, c->head_dim, c->n_vocab, c->context, c->tied_head ? "tied" : "untied");
	pb_text_printf(t, "parameters   %llu, of these %llu in %u quantizable matrices\n", (unsigned long long)model->parameters, (unsigned long long)model->matrix_parameters, model->n_matrices);
	pb_text_printf(t, "weights      %s (%llu bytes, %.4f effective bits)\n", weight, (unsigned long long)size.weight_bytes, size.effective_bits);
	pb_text_printf(t, "kept         %s (%llu bytes: embedding, norms%s)\n", kept, (unsigned long long)size.kept_bytes, c->tied_head ? "" : ", head");
	pb_text_printf(t, "model        %s (%llu bytes)\n", whole, (unsigned long long)size.model_bytes);
	if (size.is_claimed) {
		pb_format_size(whole, (double)size.stored_bytes);
		pb_text_printf(t, "stored       %s (%llu bytes): the sizes above are claimed by the program that quantized\n", whole, (unsigned long long)size.stored_bytes);
	}
	if (json_is_real(json_object_get(about, "paper_bytes"))) {
		pb_format_size(whole, json_real_value(json_object_get(about, "paper_bytes")));
		pb_text_printf(t, "paper's rule %s (%.0f bytes)\n", whole, json_real_value(json_object_get(about, "paper_bytes")));
	}
	pb_text_printf(t, "hash         %s\n", model->hash);
	if (json_is_null(tokenizer))
		pb_text_string(t, "tokenizer    none beside the model\n");
	else if (json_object_get(tokenizer, "problem"))
		pb_text_printf(t, "tokenizer    %s\n", json_string_value(json_object_get(tokenizer, "problem")));
	else
		pb_text_printf(t, "tokenizer    %s (%s, %lld pieces)\n", json_string_value(json_object_get(tokenizer, "path")), json_string_value(json_object_get(tokenizer, "format")),
			(long long)json_integer_value(json_object_get(tokenizer, "pieces")));
	if (model->quantization) {
		char *text = pb_json_canonical(model->quantization);

		pb_text_printf(t, "quantized    %s\n", text ? text : "");
		pb_free(text);
	}
	if (ledger)
		format_ledger(ledger, t);
}

static enum pb_status inspect_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct inspect_state *s = state;
	struct pb_sweep_model spec;
	struct pb_model *model = NULL;
	struct pb_text t = {0};
	json_t *about = NULL;
	char *json = NULL;
	enum pb_status st = pb_cli_model(cli, cli->args[0], s->tokenizer, &spec, err);

	(void)code;
	s->tokenizer = spec.tokenizer;
	if (!st)
		st = pb_model_open(&model, spec.path, err);
	if (!st && !(about = describe(s, model)))
		st = pb_out_of_memory(err, "a description");
	if (!st && s->json) {
		json = pb_json_pretty(about);
		pb_text_string(&t, json ? json : "");
		st = json ? PB_OK : pb_out_of_memory(err, "a description");
	} else if (!st) {
		format_text(about, model, &t);
	}
	if (!st)
		st = pb_print(&t, err);
	pb_free(json);
	json_decref(about);
	pb_text_free(&t);
	pb_model_close(model);
	return st;
}

const struct pb_command pb_cmd_inspect = {
	.name = "inspect",
	.arguments = "PATH",
	.summary = "format, architecture and size ledger of a model",
	.help = "Says what a model is: format, architecture, parameters, bytes. With --ledger, every part of every matrix and\n"
		"every kept tensor with dtype, shape and bytes; their sum is the size of the file less its header.",
	.flags = flags,
	.least = 1,
	.most = 1,
	.set = inspect_set,
	.state_size = sizeof(struct inspect_state),
	.run = inspect_run,
};
