/* paretobench quantize: a quantized model as a folder that eval, run and inspect read. */
#include <stdio.h>
#include <string.h>
#include "core/base/file.h"
#include "harness/cli/cli.h"

struct quantize_state {
	const char *quantizer, *folder, *tokenizer;
	uint64_t seed;
	struct pb_cli_method_data method_data;
};

static const struct pb_flag flags[] = {
	{ "quantizer", 'q', "NAME[:opt=value,...]", "the method; 'paretobench list quantizers' shows them" },
	{ "output", 'o', "DIR", "folder to write" },
	{ "tokenizer", 0, "FILE", "copied into DIR (default: the one beside the model, when there is one)" },
	{ "seed", 0, "N", "for methods that draw random numbers (default: 0)" },
	PB_METHOD_DATA_FLAGS,
	{ NULL, 0, NULL, NULL },
};

static enum pb_status quantize_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct quantize_state *s = state;

	(void)cli;
	if (pb_cli_method_data_set(&s->method_data, name, value))
		return PB_OK;
	if (strcmp(name, "quantizer") == 0)
		s->quantizer = value;
	else if (strcmp(name, "output") == 0)
		s->folder = value;
	else if (strcmp(name, "tokenizer") == 0)
		s->tokenizer = value;
	else if (strcmp(name, "seed") == 0)
		return pb_cli_count(name, value, 0, INT64_MAX, &s->seed, err);
	return PB_OK;
}

/* tokenizer.json, tokenizer.model or tokenizer.bin, by what the file is, so that it is found beside the model. */
static enum pb_status copy_tokenizer(const struct pb_model *model, const char *given, const char *folder, struct pb_error *err)
{
	struct pb_tokenizer *t = NULL;
	char *from = NULL, *to = NULL, *bytes = NULL;
	size_t size = 0;
	enum pb_status st = PB_OK;

	if (!given && pb_model_find_tokenizer(model, &from, NULL))
		return PB_OK;
	if (given)
		from = pb_strdup(given);
	if (!from)
		return pb_out_of_memory(err, "a path");
	st = pb_tokenizer_open(&t, from, model->config.n_vocab, err);
	if (!st && !(to = pb_path_join(folder, pb_tokenizer_file_name(t))))
		st = pb_out_of_memory(err, "a path");
	if (!st)
		st = pb_file_read(from, 1u << 30, &bytes, &size, err);
	if (!st)
		st = pb_file_write(to, bytes, size, err);
	pb_tokenizer_free(t);
	pb_free(bytes);
	pb_free(from);
	pb_free(to);
	return st;
}

/* A model that was trained has a description of its own. */
static enum pb_status write_model(const struct quantize_state *s, const struct pb_opened *opened, const struct pb_quantizer_use *use, struct pb_error *err)
{
	json_t *calibration = NULL, *about;
	enum pb_status st;

	if (opened->trained)
		return pb_model_write(opened->trained, s->folder, opened->trained->quantization, err);
	st = pb_workspace_calibration_json(opened->workspace, opened->model, use, s->method_data.calibration_spec, &calibration, err);
	if (st)
		return st;
	about = pb_quantization_json(use, (int64_t)s->seed, calibration, NULL);
	st = about ? pb_model_write(opened->model, s->folder, about, err) : pb_out_of_memory(err, "a description");
	json_decref(about);
	return st;
}

static enum pb_status print_size(const struct pb_model *model, const char *folder, struct pb_error *err)
{
	struct pb_size size = pb_model_size(model);
	char weight[32], whole[32];
	struct pb_text t = {0};
	enum pb_status st;

	pb_format_size(weight, (double)size.weight_bytes);
	pb_format_size(whole, (double)size.model_bytes);
	pb_text_printf(&t, "%s: weights %s (%llu bytes, %.4f effective bits), model %s (%llu bytes)%s\n", folder, weight, (unsigned long long)size.weight_bytes,
		size.effective_bits, whole, (unsigned long long)size.model_bytes, size.is_claimed ? ", as claimed by the program" : "");
	st = pb_print(&t, err);
	pb_text_free(&t);
	return st;
}

static enum pb_status quantize_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct quantize_state *s = state;
	struct pb_quantizer_use use = {0};
	struct pb_opened opened = {0};
	enum pb_status st;

	(void)code;
	if (!s->quantizer || !s->folder)
		return pb_fail(err, PB_USAGE, "quantize: %s is missing", s->quantizer ? "-o DIR" : "-q NAME");
	st = pb_quantizer_use_parse(&use, s->quantizer, err);
	if (!st)
		st = pb_cli_method_data_find(cli, &s->method_data, err);
	if (!st)
		st = pb_cli_open(cli, s->tokenizer, &opened, err);
	if (!st && opened.model->quantization)
		st = pb_fail(err, PB_UNSUPPORTED, "%s: is quantized already", opened.spec.path);
	if (!st)
		st = pb_quantize_check(opened.model, &use, s->method_data.calibration_spec, s->method_data.training_spec, err);
	/* The folder before the work: hours of it must not end in "cannot write". */
	if (!st)
		st = pb_folder_make(s->folder, err);
	if (!st)
		st = pb_cli_quantize(cli, &opened, &use, (int64_t)s->seed, &s->method_data, err);
	if (!st)
		st = write_model(s, &opened, &use, err);
	if (!st)
		st = copy_tokenizer(opened.model, opened.spec.tokenizer, s->folder, err);
	if (!st)
		st = print_size(opened.trained ? opened.trained : opened.model, s->folder, err);
	pb_cli_close(&opened);
	pb_quantizer_use_free(&use);
	return st;
}

const struct pb_command pb_cmd_quantize = {
	.name = "quantize",
	.arguments = "MODEL",
	.summary = "write a quantized model",
	.help = "Quantizes every linear weight of MODEL and writes DIR/model.safetensors, DIR/paretobench.json and the\n"
		"tokenizer. What `inspect --ledger` lists is what the file holds, byte for byte.",
	.flags = flags,
	.least = 1,
	.most = 1,
	.set = quantize_set,
	.state_size = sizeof(struct quantize_state),
	.run = quantize_run,
};
