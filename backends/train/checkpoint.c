/* Checkpoints of a training run. */
#include "backends/train/trainer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/model/safetensors.h"

#define FORMAT "paretobench training checkpoint 1"

/* The whole config as text: what the other format has, and the order of rotary pairs. */
static char *config_text(const struct pb_config *c)
{
	json_t *object = pb_config_huggingface(c, PB_F32);
	char *text = NULL;

	if (object && !json_object_set_new(object, "rope_interleaved", json_boolean(c->rope_interleaved)))
		text = pb_json_canonical(object);
	json_decref(object);
	return text;
}

/* What may differ between the runs of one training is left out. */
static char *recipe_text(const struct pb_recipe *r)
{
	json_t *object = pb_options_json(pb_recipe_options, r);
	char *text = NULL;

	json_object_del(object, "recompute");
	if (object)
		text = pb_json_canonical(object);
	json_decref(object);
	return text;
}

static unsigned list_arrays(struct pb_trainer *t, struct pb_optimizer_array *arrays)
{
	unsigned n = pb_optimizer_arrays(t->optimizer, arrays);

	arrays[n] = (struct pb_optimizer_array){ "parameters", PB_F32, t->net->parameters, t->net->layout.total };
	return n + 1;
}

enum pb_status pb_trainer_save(struct pb_trainer *t, const char *path, const char *note, struct pb_error *err)
{
	struct pb_optimizer_array arrays[PB_OPTIMIZER_ARRAYS + 1];
	struct pb_named_tensor tensors[PB_OPTIMIZER_ARRAYS + 1];
	unsigned n = list_arrays(t, arrays);
	char step[24], position[24], *config = config_text(&t->net->config), *recipe = recipe_text(&t->recipe);
	const char *const metadata[] = { "format", FORMAT, "config", config, "recipe", recipe, "step", step, "position", position, "note", note ? note : "", NULL };
	enum pb_status st;

	snprintf(step, sizeof step, "%" PRIu64, t->step);
	snprintf(position, sizeof position, "%" PRIu64, t->step * (uint64_t)(t->recipe.micro_batches * t->recipe.sequences));
	for (unsigned i = 0; i < n; i++)
		tensors[i] = (struct pb_named_tensor){ arrays[i].name, { .dtype = arrays[i].dtype, .n_dims = 1, .shape = { arrays[i].n }, .data = arrays[i].data,
			.bytes = arrays[i].n * pb_dtype_bytes(arrays[i].dtype) } };
	if (!config || !recipe)
		st = pb_out_of_memory(err, "checkpoint");
	else
		st = pb_safetensors_write(path, tensors, n, metadata, err);
	pb_free(config);
	pb_free(recipe);
	return st;
}

static enum pb_status check_text(const struct pb_safetensors *st, const char *path, const char *key, const char *here, struct pb_error *err)
{
	const char *there = pb_safetensors_metadata(st, key);

	if (!here)
		return pb_out_of_memory(err, "checkpoint");
	if (!there || strcmp(there, here))
		return pb_fail(err, PB_USAGE, "%s: not resumed: the %s of the checkpoint is not the one given\nit is %.600s", path, key, there ? there : "missing");
	return PB_OK;
}

static enum pb_status read_checkpoint(struct pb_trainer *t, const struct pb_safetensors *file, const char *path, char **note, struct pb_error *err)
{
	struct pb_optimizer_array arrays[PB_OPTIMIZER_ARRAYS + 1];
	const struct pb_tensor *found[PB_OPTIMIZER_ARRAYS + 1];
	unsigned n = list_arrays(t, arrays);
	const char *format = pb_safetensors_metadata(file, "format"), *step = pb_safetensors_metadata(file, "step");
	int64_t steps;

	if (!format || strcmp(format, FORMAT) || !step || !pb_parse_int64(step, &steps) || steps < 0)
		return pb_fail(err, PB_FORMAT, "%s: not a checkpoint of a training run", path);

	char *config = config_text(&t->net->config), *recipe = recipe_text(&t->recipe);
	enum pb_status st = check_text(file, path, "config", config, err);

	if (!st)
		st = check_text(file, path, "recipe", recipe, err);
	pb_free(config);
	pb_free(recipe);
	for (unsigned i = 0; !st && i < n; i++) {
		found[i] = pb_safetensors_find(file, arrays[i].name);
		if (!found[i] || found[i]->dtype != arrays[i].dtype || found[i]->bytes != arrays[i].n * pb_dtype_bytes(arrays[i].dtype))
			st = pb_fail(err, PB_FORMAT, "%s: %s: missing, or not of the size of this training", path, arrays[i].name);
	}
	if (!st && note) {
		const char *text = pb_safetensors_metadata(file, "note");

		*note = pb_strdup(text ? text : "");
		if (!*note)
			st = pb_out_of_memory(err, "checkpoint");
	}
	if (st)
		return st;
	for (unsigned i = 0; i < n; i++)
		memcpy(arrays[i].data, found[i]->data, found[i]->bytes);
	t->step = (uint64_t)steps;
	return PB_OK;
}

enum pb_status pb_trainer_resume(struct pb_trainer *t, const char *path, char **note, struct pb_error *err)
{
	struct pb_safetensors *file;
	enum pb_status st = pb_safetensors_open(&file, path, err);

	if (st)
		return st;
	st = read_checkpoint(t, file, path, note, err);
	pb_safetensors_close(file);
	return st;
}
