/* Ready tensors of calibration from hostile bytes, for a model of one layer. What is accepted is read to its end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/run/calibration_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DIM 2u
#define HIDDEN 3u

static void make_model(struct pb_model *model, struct pb_matrix matrices[PB_SLOTS])
{
	static const char *const names[PB_SLOTS] = { "q", "k", "v", "o", "gate", "up", "down" };
	static char model_name[] = "tiny";

	*model = (struct pb_model){ .name = model_name, .config = { .n_layers = 1, .dim = DIM, .hidden = HIDDEN }, .n_matrices = PB_SLOTS, .matrices = matrices, .hash = "ff" };
	for (int slot = 0; slot < PB_SLOTS; slot++) {
		struct pb_matrix *m = &matrices[slot];

		*m = (struct pb_matrix){ .slot = (enum pb_slot)slot, .rows = slot == PB_GATE || slot == PB_UP ? HIDDEN : DIM, .cols = slot == PB_DOWN ? HIDDEN : DIM };
		snprintf(m->name, sizeof(m->name), "%s", names[slot]);
	}
}

static void use(const struct pb_safetensors *file, const struct pb_model *model)
{
	double sum = 0;

	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];
		struct pb_quantize_job job = {0};

		pb_calibration_file_fill_inputs(file, model, m, &job);
		pb_calibration_file_fill_gradients(file, model, m, &job);
		for (uint32_t k = 0; k < m->cols * m->cols; k++)
			sum += job.second_moment[k];
		for (uint32_t k = 0; k < m->cols; k++)
			sum += job.mean_abs[k];
		for (uint32_t k = 0; k < m->rows * m->cols; k++)
			sum += job.gradient_sq[k];
	}
	if (!(sum - sum == 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned all = PB_NEEDS_ACTIVATIONS | PB_NEEDS_GRADIENTS;
	struct pb_matrix matrices[PB_SLOTS];
	struct pb_model model;
	struct pb_safetensors *file = NULL;
	struct pb_error err;
	/* malloc'd, so that its first byte is aligned and its end is watched. */
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	make_model(&model, matrices);
	if (!pb_safetensors_parse(&file, "tensors", copy, size, &err)) {
		if (!pb_calibration_file_check(file, "tensors", &model, all, &err) && !pb_calibration_file_check_numbers(file, "tensors", &model, all, &err))
			use(file, &model);
		pb_safetensors_close(file);
	}
	free(copy);
	return 0;
}
