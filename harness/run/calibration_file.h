/* Calibration as a safetensors file, all f32: what calibration keeps of a model and a text, and what a user may bring.
 *
 *   M.second_moment (cols, cols), M.mean_abs (cols)     of the inputs of matrix M; k_proj and v_proj have q_proj's, up_proj
 *                                                       has gate_proj's, and are not stored
 *   M.gradient_sq (rows, cols)                          of the weights of matrix M
 *
 * M: "model.layers.0.self_attn.q_proj". Metadata may say `model`, the hash of the model that the numbers belong to. */
#ifndef PB_HARNESS_RUN_CALIBRATION_FILE_H
#define PB_HARNESS_RUN_CALIBRATION_FILE_H

#include "backends/calibrate.h"
#include "core/model/safetensors.h"
#include "quantizers/quantizer.h"

/* Everything that `needs` asks for of this model is there, in f32 and of the right shape. path: for messages. */
enum pb_status pb_calibration_file_check(const struct pb_safetensors *file, const char *path, const struct pb_model *model, unsigned needs,
	struct pb_error *err) PB_MUST_CHECK;
/* Of a file that passed: all numbers are finite, and those that cannot be negative are not. */
enum pb_status pb_calibration_file_check_numbers(const struct pb_safetensors *file, const char *path, const struct pb_model *model, unsigned needs,
	struct pb_error *err) PB_MUST_CHECK;
/* Numbers of a matrix, of a file that passed the first check; they point into its mapping. */
void pb_calibration_file_fill_inputs(const struct pb_safetensors *file, const struct pb_model *model, const struct pb_matrix *m, struct pb_quantize_job *job);
void pb_calibration_file_fill_gradients(const struct pb_safetensors *file, const struct pb_model *model, const struct pb_matrix *m, struct pb_quantize_job *job);

/* Writing, under another name until the file is whole. c: as it was opened. metadata: as for pb_safetensors_write. */
enum pb_status pb_calibration_write_inputs(const char *path, struct pb_calibrator *c, const struct pb_model *model, const char *const *metadata,
	struct pb_error *err) PB_MUST_CHECK;
/* gradients: of each matrix (n_matrices) of the model, (rows, cols). */
enum pb_status pb_calibration_write_gradients(const char *path, const float *const *gradients, const struct pb_model *model, const char *const *metadata,
	struct pb_error *err) PB_MUST_CHECK;

#endif
