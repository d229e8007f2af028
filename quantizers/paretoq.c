/* paretoq: quantization-aware training with one learned scale a row, and the grid that suits the width. With a the scale of
 * a row, at least 1e-5, and r = w / a, a weight w of the row runs as W^ = a v(r):
 *
 *   bits   grid                   v(r)                                          levels
 *   1      elastic binarization   sign(w)                                       -1, +1
 *   1.58   SEQ                    round(1.5 clip(r)) / 1.5                      -2/3, 0, +2/3
 *   2      SEQ                    (round(2 clip(r) - 1/2) + 1/2) / 2            -3/4, -1/4, +1/4, +3/4
 *   3, 4   LSQ                    clip(round(r), -2^(b-1), 2^(b-1) - 1)         whole numbers
 *
 * with clip(r) = clip(r, -0.99, 0.99), ties to even. Latent weights w and scales a are trained together with embedding, head and norms:
 *
 *   dL/dw = g inside of the range of r (1 bit: -1..1; SEQ: -0.99..0.99; LSQ: the levels' range), else 0
 *   dL/da = 1 / sqrt(rows cols Qp) * sum over the row of g d;   Qp = 1 to 2 bits, 3 (3 bits), 7 (4 bits)
 *           d = v (1 bit); else v - r inside, the least or the greatest level outside
 *
 * where g is the gradient of W^. Ternary: outside of the range the released code has d = -1, +1, which are no levels;
 * saturation=levels takes -2/3, +2/3. grid=seq and grid=lsq put SEQ at 3 and 4 bits (8 and 16 levels, with 4 and 8 for 2 in its
 * formula) and LSQ at 1.58 (-1..1) and 2 (-2..1), to compare them. First scales, init=paper: mean |w| (1 bit), max |w| (1.58, 2), max |w| / (2^(b-1) - 1)
 * (3, 4); init=mse: the least squared error of the row. The scale is rounded to scale_dtype before it is used, in training
 * too, so that what is trained is what is stored. train=no stores the weights as they are with the first scales.
 *
 * Stored per matrix: codes, rows padded to a byte (ternary: five a byte), and one scale a row. Levels are implied by name.
 *
 * Source: arXiv 2502.02631, facebookresearch/ParetoQ (utils_quant.py, train.py). Deviations: latent weights are f32, not bf16;
 * zero=plus runs a latent 0 as +a at 1 bit, as it is stored, where the code has 0; the recipe is scaled down by `tokens`
 * (there 30e9 and a rate of 2e-5 up to 2 bits, 10e9 and 1e-5 above; here the same at all widths); distillation is not part of the method. */
#include "quantizers/quantizer.h"

#include <math.h>
#include "core/base/memory.h"
#include "quantizers/budget.h"
#include "quantizers/shape.h"

#define LEAST_SCALE 1e-5f
#define CLIP 0.99f
#define SEARCH 80               /* scales that init=mse tries: i / 80 of the largest */
#define REFINEMENTS 20          /* at most, of the best of them: codes by the scale, the scale by the codes */

struct paretoq_options {
	struct pb_budget budget;
	int bits, grid, init, saturation, zero, scale_dtype;
	bool train;
};

enum { ELASTIC, SEQ, LSQ };
static const struct grid {
	int kind;
	double wbits;
	enum pb_width width;
	const char *levels;
	int n_levels;
	float steps, shift;     /* SEQ: levels to a unit of r, and what lies between their middle and a level */
	float low, high;        /* least and greatest level */
	float inside_low, inside_high;
	double qp;
} elastic = { ELASTIC, 1, PB_W1, "sign", 2, 0, 0, -1, 1, -1, 1, 1 }, seq[] = {
	{ SEQ, 1.58, PB_W_TRIT, "seq:3", 3, 1.5f, 0, -1 / 1.5f, 1 / 1.5f, -CLIP, CLIP, 1 },
	{ SEQ, 2, PB_W2, "seq:4", 4, 2, 0.5f, -0.75f, 0.75f, -CLIP, CLIP, 1 },
	{ SEQ, 3, PB_W3, "seq:8", 8, 4, 0.5f, -0.875f, 0.875f, -CLIP, CLIP, 3 },
	{ SEQ, 4, PB_W4, "seq:16", 16, 8, 0.5f, -0.9375f, 0.9375f, -CLIP, CLIP, 7 },
}, lsq[] = {
	{ LSQ, 1.58, PB_W_TRIT, "ternary", 3, 1, 0, -1, 1, -1, 1, 1 },
	{ LSQ, 2, PB_W2, "signed:2", 4, 1, 0, -2, 1, -2, 1, 1 },
	{ LSQ, 3, PB_W3, "signed:3", 8, 1, 0, -4, 3, -4, 3, 3 },
	{ LSQ, 4, PB_W4, "signed:4", 16, 1, 0, -8, 7, -8, 7, 7 },
};
enum { BITS_1, BITS_1_58, BITS_2, BITS_3, BITS_4 };
static const char *const bits_names[] = { "1", "1.58", "2", "3", "4", NULL };
static const char *const grid_names[] = { "auto", "seq", "lsq", NULL };
enum { GRID_AUTO, GRID_SEQ, GRID_LSQ };
static const char *const init_names[] = { "paper", "mse", NULL };
static const char *const saturation_names[] = { "code", "levels", NULL };
static const char *const zero_names[] = { "plus", "zero", NULL };
static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };
enum { INIT_PAPER, INIT_MSE };
enum { SATURATION_CODE, SATURATION_LEVELS };
enum { ZERO_PLUS, ZERO_ZERO };

static const struct pb_option paretoq_options[] = {
	PB_OPT_CHOICE(struct paretoq_options, bits, bits_names, "2", "width; the grid follows from it"),
	PB_BUDGET_OPTIONS(PB_BUDGET_TOKENS, PB_BUDGET_SEQUENCES, PB_BUDGET_RATE, 0),
	PB_OPT_CHOICE(struct paretoq_options, grid, grid_names, "auto", "from 1.58 bits up: that of the method, or one of the two"),
	PB_OPT_CHOICE(struct paretoq_options, init, init_names, "paper", "first scales: the paper's, or those of the least squared error"),
	PB_OPT_BOOL(struct paretoq_options, train, 1, "no: the weights as they are, with the first scales"),
	PB_OPT_CHOICE(struct paretoq_options, scale_dtype, dtype_names, "f16", "number format of the scales"),
	PB_OPT_CHOICE(struct paretoq_options, saturation, saturation_names, "code", "1.58 bits: gradient of the scale outside of the range, -1 and +1 as the code, or the levels"),
	PB_OPT_CHOICE(struct paretoq_options, zero, zero_names, "plus", "1 bit: a latent weight of 0 runs as +a, as it is stored, or as 0, as the code"),
	PB_BUDGET_DISTILL,
	PB_OPT_END
};

/* ---- the map of a weight ---- */

static const struct grid *grid_of(const struct paretoq_options *o)
{
	bool is_lsq = o->grid == GRID_AUTO ? o->bits >= BITS_3 : o->grid == GRID_LSQ;

	return o->bits == BITS_1 ? &elastic : is_lsq ? &lsq[o->bits - BITS_1_58] : &seq[o->bits - BITS_1_58];
}

/* The scale as it is used and stored. */
static float scale_of(const struct paretoq_options *o, float trained)
{
	float a = trained > LEAST_SCALE ? trained : LEAST_SCALE;

	switch (dtypes[o->scale_dtype]) {
	case PB_F16: return pb_f16_to_f32(pb_f32_to_f16(a));
	case PB_BF16: return pb_bf16_to_f32(pb_f32_to_bf16(a));
	default: return a;
	}
}

/* Number of the level, from 0. */
static int code_of(const struct grid *g, float w, float a)
{
	float r = w / a;

	if (g->kind == ELASTIC)
		return w >= 0;
	if (g->kind == LSQ)
		return (int)(fminf(fmaxf(rintf(r), g->low), g->high) - g->low);
	return (int)rintf(fminf(fmaxf(r, -CLIP), CLIP) * g->steps - g->shift) + g->n_levels / 2;
}

static float level_of(const struct grid *g, int code)
{
	if (g->kind == ELASTIC)
		return code ? 1.0f : -1.0f;
	if (g->kind == LSQ)
		return (float)code + g->low;
	return ((float)(code - g->n_levels / 2) + g->shift) / g->steps;
}

/* v(r) */
static float value_of(const struct paretoq_options *o, float w, float a)
{
	const struct grid *g = grid_of(o);

	return g->kind == ELASTIC && o->zero == ZERO_ZERO && w == 0 ? 0 : level_of(g, code_of(g, w, a));
}

/* ---- first scales ---- */

static float paper_scale(const struct grid *g, const float *w, uint32_t n)
{
	double sum = 0;
	float most = 0;

	for (uint32_t i = 0; i < n; i++) {
		sum += fabsf(w[i]);
		most = fmaxf(most, fabsf(w[i]));
	}
	return g->kind == ELASTIC ? (float)(sum / n) : g->kind == SEQ ? most : most / g->high;
}

/* Squared error of a row with that scale; *best: the scale of the least squared error for the same levels. */
static double squared_error(const struct grid *g, const float *w, uint32_t n, float a, float *best)
{
	double error = 0, along = 0, length = 0;

	for (uint32_t i = 0; i < n; i++) {
		double v = level_of(g, code_of(g, w[i], a)), d = w[i] - a * v;

		error += d * d;
		along += w[i] * v;
		length += v * v;
	}
	*best = length > 0 ? (float)(along / length) : a;
	return error;
}

/* The best of a row of scales, then better ones while there are. At 1 bit the paper's scale is the best. */
static float mse_scale(const struct grid *g, const float *w, uint32_t n)
{
	float most = paper_scale(g, w, n), best = most, better, next;
	double least, error;

	if (g->kind == ELASTIC || most <= LEAST_SCALE)
		return most;
	least = squared_error(g, w, n, most, &better);
	for (int i = 1; i < SEARCH; i++) {
		float a = most * (float)i / SEARCH;

		error = squared_error(g, w, n, a, &next);
		if (error < least) {
			least = error;
			best = a;
			better = next;
		}
	}
	for (int i = 0; i < REFINEMENTS && better > 0; i++) {
		error = squared_error(g, w, n, better, &next);
		if (!(error < least))
			break;
		least = error;
		best = better;
		better = next;
	}
	return best;
}

/* ---- training ---- */

static uint32_t paretoq_n_parameters(void *arg, uint32_t layer, enum pb_slot slot, uint32_t rows, uint32_t cols)
{
	(void)arg;
	(void)layer;
	(void)slot;
	(void)cols;
	return rows;
}

static void paretoq_start(void *arg, const struct pb_parameter *m, float *latent, float *scales)
{
	const struct paretoq_options *o = arg;

	for (uint32_t r = 0; r < m->rows; r++)
		scales[r] = (o->init == INIT_MSE ? mse_scale : paper_scale)(grid_of(o), latent + (size_t)r * m->cols, m->cols);
}

static void paretoq_forward(void *arg, const struct pb_parameter *m, const float *latent, const float *scales, float *used)
{
	const struct paretoq_options *o = arg;

	for (uint32_t r = 0; r < m->rows; r++) {
		const float *w = latent + (size_t)r * m->cols;
		float *out = used + (size_t)r * m->cols, a = scale_of(o, scales[r]);

		for (uint32_t c = 0; c < m->cols; c++)
			out[c] = value_of(o, w[c], a) * a;
	}
}

static void paretoq_backward(void *arg, const struct pb_parameter *m, const float *latent, const float *scales, const float *used, float *gradient,
	float *scale_gradient)
{
	const struct paretoq_options *o = arg;
	const struct grid *g = grid_of(o);
	bool quirk = g->kind == SEQ && o->bits == BITS_1_58 && o->saturation == SATURATION_CODE;
	double share = 1 / sqrt((double)m->rows * m->cols * g->qp), low = quirk ? -1 : g->low, high = quirk ? 1 : g->high;

	(void)used;
	for (uint32_t r = 0; r < m->rows; r++) {
		const float *w = latent + (size_t)r * m->cols;
		float *d = gradient + (size_t)r * m->cols, a = scale_of(o, scales[r]);
		double sum = 0;

		for (uint32_t c = 0; c < m->cols; c++) {
			float ratio = w[c] / a, v = value_of(o, w[c], a);
			bool below = ratio < g->inside_low, above = ratio > g->inside_high;

			sum += d[c] * (g->kind == ELASTIC ? v : below ? low : above ? high : (double)(v - ratio));
			if (below || above)
				d[c] = 0;
		}
		scale_gradient[r] = (float)(share * sum);
	}
}

/* ---- what is stored ---- */

static enum pb_status paretoq_fill(const struct paretoq_options *o, const float *latent, const float *scales, struct pb_encoded *m, float *rounded,
	uint8_t *codes, struct pb_error *err)
{
	const struct grid *g = grid_of(o);
	uint64_t zeros = 0;
	enum pb_status status;

	for (uint32_t r = 0; r < m->rows; r++) {
		const float *w = latent + (size_t)r * m->cols;

		rounded[r] = scale_of(o, scales[r]);
		for (uint32_t c = 0; c < m->cols; c++) {
			codes[(size_t)r * m->cols + c] = (uint8_t)code_of(g, w[c], rounded[r]);
			zeros += w[c] == 0;
		}
	}
	if (g->kind == ELASTIC && o->zero == ZERO_ZERO && zeros)
		return pb_fail(err, PB_NUMERIC, "%llu latent weights are 0, which one bit does not hold\nzero=plus trains them as they are stored", (unsigned long long)zeros);
	pb_encoded_set_groups(m, -1);
	status = pb_scale_set_float(m, &m->block_scale, rounded, m->rows, dtypes[o->scale_dtype], err);
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, g->levels, NULL, 0, PB_F32, err);
	return status ? status : pb_encoded_set_codes(m, g->width, codes, err);
}

static enum pb_status paretoq_encode(const void *options, const struct pb_parameter *matrix, const float *latent, const float *scales,
	struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, matrix->rows, matrix->cols, err);
	float *rounded = pb_alloc(matrix->rows, sizeof *rounded);
	uint8_t *codes = pb_alloc(matrix->n, 1);

	if (!status)
		status = rounded && codes ? paretoq_fill(options, latent, scales, m, rounded, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(rounded);
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static enum pb_status paretoq_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	const struct paretoq_options *o = options;

	(void)source_dtype;
	if (o->bits == BITS_1 && o->grid != GRID_AUTO)
		return pb_fail(err, PB_USAGE, "grid=%s: 1 bit has elastic binarization alone", grid_names[o->grid]);
	*bytes = rows * pb_packed_bytes(grid_of(o)->width, cols) + (uint64_t)rows * pb_dtype_bytes(dtypes[o->scale_dtype]);
	return PB_OK;
}

static double paretoq_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return grid_of(options)->wbits;
}

/* The axis of the paper's figures: 1.58 bits a ternary weight, embedding and head at 4 bits, no scales, no norms. */
static double paretoq_paper_bytes(const void *options, const struct pb_config *config)
{
	struct pb_shape s = pb_shape_of(config);

	return ((double)s.weights * grid_of(options)->wbits + (double)s.embeddings * 4) / 8;
}

static unsigned paretoq_needs(const void *options)
{
	return ((const struct paretoq_options *)options)->train ? PB_NEEDS_TRAINING : PB_NEEDS_NOTHING;
}

static const struct pb_qat paretoq_qat = {
	.transform = { .n_parameters = paretoq_n_parameters, .start = paretoq_start, .forward = paretoq_forward, .backward = paretoq_backward },
	.recipe = pb_budget_recipe,
	.teacher = pb_budget_teacher,
	.encode = paretoq_encode,
};

const struct pb_quantizer pb_quantizer_paretoq = {
	.name = "paretoq",
	.title = "ParetoQ",
	.source = "arXiv:2502.02631",
	.family = "ParetoQ",
	.help = "Trains the whole model with its matrices at 1, 1.58, 2, 3 or 4 bits, one learned scale a row. "
		"The budget is given in tokens; train=no shows what the grids do without training.",
	.abi = PB_QUANTIZER_ABI,
	.version = 2,
	.needs = paretoq_needs,
	.options = paretoq_options,
	.options_size = sizeof(struct paretoq_options),
	.wbits = paretoq_wbits,
	.plan = paretoq_plan,
	.qat = &paretoq_qat,
	.paper_bytes = paretoq_paper_bytes,
};
