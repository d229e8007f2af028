/* Quantizers that are programs of the user's own. For each matrix one process:
 *
 *   PROGRAM IN OUT [ARG]
 *
 *   IN    safetensors: weight (rows, cols) f32; by what the quantizer needs, second_moment (cols, cols), mean_abs (cols),
 *         gradient_sq (rows, cols), f32. Metadata: matrix (its name), layer, n_layers, seed (a number of the matrix's own)
 *   OUT   to be written by the program, safetensors: weight (rows, cols) in f32, f16 or bf16, what its encoding decodes to.
 *         Metadata: bytes, how many its encoding would take, at most 4 a weight. That is a claim, and marked as one
 *         or, for a size that is counted: the parts of an encoded matrix by their names, and in the metadata, as `encoding`,
 *         how they hang together, both as `quantize` writes them: in paretobench.json under tensors, and in
 *         model.safetensors as MATRIX.PART (core/model/encoded.h)
 *
 * It runs in the caller's folder, with nothing on its standard input, and its standard output goes nowhere. A last line on
 * standard error is told when it fails. It may take so long, and write files so large, and no more. What it has started in its
 * process group dies with it; all of it, with a worker that ends before it does (at a limit of its cell). When the command that the
 * user typed is killed, the program dies, and what it has started may live on. */
#ifndef PB_HARNESS_RUN_EXTERNAL_H
#define PB_HARNESS_RUN_EXTERNAL_H

#include <sys/types.h>
#include "quantizers/quantizer.h"

/* Before any work: the program is there and may be run. */
enum pb_status pb_external_check(const struct pb_quantizer_use *use, struct pb_error *err) PB_MUST_CHECK;
/* pb_quantizer_run for a quantizer with the hook `program`; called in parallel. */
enum pb_status pb_external_run(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err) PB_MUST_CHECK;
/* Removes the files that such runs of a process have left, which was killed and waited for. */
void pb_external_clean(pid_t process);

#endif
