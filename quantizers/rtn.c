/* rtn: uniform round to nearest, each block of weights to its own grid; quantizers/uniform.h has the formulas, what is
 * stored, and the deviations. Source: the RTN baseline of arXiv 2210.17323 (IST-DASLab/gptq, quant.py). */
#include "quantizers/quantizer.h"
#include "quantizers/shape.h"
#include "quantizers/uniform.h"

static const struct pb_option rtn_options[] = {
	PB_UNIFORM_OPTIONS,
	PB_UNIFORM_SEARCH_OPTIONS,
	PB_OPT_END
};

static double rtn_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return (double)((const struct pb_uniform *)options)->bits;
}

static enum pb_status rtn_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	(void)source_dtype;
	return pb_uniform_plan(options, rows, cols, bytes, err);
}

static enum pb_status rtn_fill(const struct pb_uniform *u, const float *w, struct pb_encoded *m, struct pb_grid *grids, uint8_t *codes,
	struct pb_error *err)
{
	uint64_t blocks = pb_encoded_blocks(m), first, n;
	for (uint64_t b = 0; b < blocks; b++) {
		pb_encoded_block(m, b, &first, &n);
		grids[b] = pb_uniform_fit(u, w + first, n);
		for (uint64_t i = first; i < first + n; i++)
			codes[i] = (uint8_t)pb_uniform_code(u, &grids[b], w[i]);
	}
	return pb_uniform_store(u, grids, codes, m, err);
}

static enum pb_status rtn_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	const struct pb_uniform *u = options;
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status)
		return status;
	pb_encoded_set_groups(m, u->group_size);
	struct pb_grid *grids = pb_alloc(pb_encoded_blocks(m), sizeof *grids);
	uint8_t *codes = pb_alloc((size_t)job->rows * job->cols, 1);
	status = grids && codes ? rtn_fill(u, job->weights, m, grids, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(grids);
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static double rtn_paper_bits(const void *options, uint32_t rows, uint32_t cols)
{
	return pb_uniform_paper_bits(options, rows, cols);
}

static double rtn_paper_bytes(const void *options, const struct pb_config *config)
{
	return pb_paper_bytes(config, rtn_paper_bits, options);
}

const struct pb_quantizer pb_quantizer_rtn = {
	.name = "rtn",
	.title = "Round to nearest",
	.source = "arXiv:2210.17323",
	.family = "other",
	.help = "Uniform integers with a scale, and for asymmetric ranges a zero point or an offset, for each group, row or matrix. "
		"It needs no data and is the baseline of most papers; search=true shrinks each range to the least squared error.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = rtn_options,
	.options_size = sizeof(struct pb_uniform),
	.wbits = rtn_wbits,
	.plan = rtn_plan,
	.quantize = rtn_quantize,
	.paper_bytes = rtn_paper_bytes,
};
