/* A folder written by us as one input: paretobench.json, a NUL byte, model.safetensors. What is accepted is decoded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/model_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct pb_model *model)
{
	struct pb_error err;
	enum pb_status status = pb_model_check_finite(model, &err);
	if (status != PB_OK && status != PB_NUMERIC)
		abort();
	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *x = &model->matrices[i];
		float *row = pb_alloc(x->cols, sizeof *row);
		for (uint32_t r = 0; row && r < x->rows; r++)
			pb_encoded_decode(x->encoded, r, 1, row);
		pb_free(row);
	}
	if (pb_model_make_hash(model, &err) == PB_OK && strlen(model->hash) != PB_HASH_HEX - 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	struct pb_safetensors *st = NULL;
	struct pb_model *model = NULL;
	struct pb_error err;
	if (!end)
		return 0;
	size_t text = (size_t)(end - data), rest = size - text - 1;
	uint8_t *weights = malloc(rest ? rest : 1);
	if (!weights)
		return 0;
	memcpy(weights, end + 1, rest);
	if (!pb_safetensors_parse(&st, "weights", weights, rest, &err)) {
		if (pb_model_new(&model, "fuzz", "paretobench", &err))
			pb_safetensors_close(st);
		else if (!pb_model_add_shard(model, st, "weights", &err) &&
			 !pb_encoded_model_parse(model, "fuzz", (const char *)data, text, &err))
			use(model);
		pb_model_close(model);
	}
	free(weights);
	return 0;
}
