/* identity: the weights as they are, W^ = W. The first row of every report: its score is the model's own, and its size
 * is the honest size of the numbers. Stored per matrix: rows x cols numbers of the chosen dtype, nothing else.
 * `dtype=source` keeps the dtype of the model's file, so that nothing is rounded; the others round to nearest even. */
#include "quantizers/quantizer.h"

#include "quantizers/shape.h"

enum { SOURCE, F32, F16, BF16 };
static const char *const dtype_names[] = { "source", "f32", "f16", "bf16", NULL };

struct identity_options {
	int dtype;
};

static const struct pb_option identity_options[] = {
	PB_OPT_CHOICE(struct identity_options, dtype, dtype_names, "source", "number format; source: that of the model's file"),
	PB_OPT_END
};

static enum pb_status identity_dtype(const struct identity_options *o, enum pb_dtype source, enum pb_dtype *out, struct pb_error *err)
{
	switch (o->dtype) {
	case F32: *out = PB_F32; break;
	case F16: *out = PB_F16; break;
	case BF16: *out = PB_BF16; break;
	default:
		if (source != PB_F32 && source != PB_F16 && source != PB_BF16)
			return pb_fail(err, PB_UNSUPPORTED, "weights of dtype %s are not stored as they are\nname one: dtype=f32",
				pb_dtype_name(source));
		*out = source;
	}
	return PB_OK;
}

static double identity_wbits(const void *options, enum pb_dtype source_dtype)
{
	enum pb_dtype dtype = PB_F32;

	return identity_dtype(options, source_dtype, &dtype, NULL) ? 8.0 * (double)pb_dtype_bytes(source_dtype) : 8.0 * (double)pb_dtype_bytes(dtype);
}

static enum pb_status identity_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	enum pb_dtype dtype = PB_F32;
	enum pb_status status = identity_dtype(options, source_dtype, &dtype, err);
	if (!status)
		*bytes = (uint64_t)rows * cols * pb_dtype_bytes(dtype);
	return status;
}

static enum pb_status identity_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out,
	struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_dtype dtype = PB_F32;
	enum pb_status status = identity_dtype(options, job->source_dtype, &dtype, err);
	if (!status)
		status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (!status)
		status = pb_encoded_set_dense(m, job->weights, dtype, err);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

/* The FP16 row of papers' tables. */
static double identity_paper_bits(const void *options, uint32_t rows, uint32_t cols)
{
	(void)options;
	return 16.0 * rows * cols;
}

static double identity_paper_bytes(const void *options, const struct pb_config *config)
{
	return pb_paper_bytes(config, identity_paper_bits, options);
}

const struct pb_quantizer pb_quantizer_identity = {
	.name = "identity",
	.title = "Full precision",
	.source = "paretobench",
	.family = "full precision",
	.help = "The weights as they are in the model's file, or rounded to another number format. "
		"It is the reference that every other row is compared with.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = identity_options,
	.options_size = sizeof(struct identity_options),
	.wbits = identity_wbits,
	.plan = identity_plan,
	.quantize = identity_quantize,
	.paper_bytes = identity_paper_bytes,
};
