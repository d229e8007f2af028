/* QEP, quantization error propagation (FujitsuResearch/qep @344329a): before a matrix is quantized it is moved so that on the
 * inputs x that it gets behind quantized layers it gives what it gave on its inputs x' in the full-precision model:
 *
 *   W += strength W D (H + damp mean(diag H) I)^-1,   D = mean of (x' - x) x^T, H = mean of x x^T */
#ifndef PB_QUANTIZERS_QEP_H
#define PB_QUANTIZERS_QEP_H

#include "core/base/status.h"
#include <stdint.h>

#define PB_QEP_DAMP 1.0         /* percdampqep, the reference's default */

/* w (rows, cols), cross D, second_moment H (cols, cols). Scratch: 8 cols (cols + 2 rows) bytes. PB_NUMERIC when it does not come out. */
enum pb_status pb_qep_correct(float *w, uint32_t rows, uint32_t cols, const float *cross, const float *second_moment, double strength,
	struct pb_error *err) PB_MUST_CHECK;

#endif
