/* A quantizer whose weights show what it was told of the data:
 *
 *   W^_rc = W_rc M_cc / (M_cc + mean|x_c|)         with activations, M the second moment of the inputs
 *   W^_rc = 0 where the squared gradient is below its mean over the matrix         with gradients
 *
 * in f32. It is no method; it is there for tests of calibration. */
#include "quantizers/quantizer.h"

#include <string.h>
#include "core/base/memory.h"

struct watcher_options {
	bool activations, sequential, gradients;
};

static const struct pb_option options[] = {
	PB_OPT_BOOL(struct watcher_options, activations, true, "look at the inputs"),
	PB_OPT_BOOL(struct watcher_options, sequential, false, "inputs of layers behind quantized ones"),
	PB_OPT_BOOL(struct watcher_options, gradients, false, "look at squared gradients"),
	PB_OPT_END
};

static unsigned watcher_needs(const void *opts)
{
	const struct watcher_options *o = opts;

	return (o->activations ? PB_NEEDS_ACTIVATIONS : 0) | (o->sequential ? PB_NEEDS_SEQUENTIAL : 0) | (o->gradients ? PB_NEEDS_GRADIENTS : 0);
}

static double watcher_wbits(const void *opts, enum pb_dtype source_dtype)
{
	(void)opts, (void)source_dtype;
	return 32;
}

static enum pb_status watcher_plan(const void *opts, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)opts, (void)source_dtype, (void)err;
	*bytes = (uint64_t)rows * cols * sizeof(float);
	return PB_OK;
}

static void watch(const struct watcher_options *o, const struct pb_quantize_job *job, float *w)
{
	size_t n = (size_t)job->rows * job->cols;
	double mean = 0;

	for (size_t i = 0; o->activations && i < n; i++) {
		size_t c = i % job->cols;
		float m = job->second_moment[c * job->cols + c];

		w[i] = m > 0 ? w[i] * (m / (m + job->mean_abs[c])) : w[i];
	}
	for (size_t i = 0; o->gradients && i < n; i++)
		mean += job->gradient_sq[i] / (double)n;
	for (size_t i = 0; o->gradients && i < n; i++)
		if (job->gradient_sq[i] < mean)
			w[i] = 0;
}

static enum pb_status watcher_quantize(const void *opts, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	size_t n = (size_t)job->rows * job->cols;
	float *w = pb_alloc(n, sizeof(*w));
	struct pb_encoded *m = NULL;
	enum pb_status st = w ? pb_encoded_new(&m, job->rows, job->cols, err) : pb_out_of_memory(err, "weights");

	if (!st) {
		memcpy(w, job->weights, n * sizeof(*w));
		watch(opts, job, w);
		st = pb_encoded_set_dense(m, w, PB_F32, err);
	}
	pb_free(w);
	if (st)
		pb_encoded_free(m);
	else
		*out = m;
	return st;
}

const struct pb_quantizer pb_plugin = {
	.name = "watcher",
	.title = "Watcher",
	.source = "tests/plugins/watcher.c",
	.family = "other",
	.help = "Weights that show what calibration measured.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.needs = watcher_needs,
	.options = options,
	.options_size = sizeof(struct watcher_options),
	.wbits = watcher_wbits,
	.plan = watcher_plan,
	.quantize = watcher_quantize,
};
