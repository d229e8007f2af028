/* awq: input columns that carry large activations are scaled up before rounding to uniform grids and down again after it, and
 * the range of each group is clipped. Which scales and which clips: those of a short list with the least error of the
 * outputs, which second moments H of the inputs give exactly, tr((W - W^) H (W - W^)^T), without going over samples.
 *
 *   scales   for r = 0, 1/steps, ..., (steps - 1)/steps:  s_c = max(a_c^r, 1e-4), a_c = mean |x_c|;  s /= sqrt(max s min s);
 *            W^ = Q(W diag(s)) diag(1/s);  the r with the least error, the smallest of equals.
 *            duo_scaling:  s_c = max(a_c^r / (w_c^(1-r) + 1e-4), 1e-4), w_c = mean over rows of |w| over its group's largest
 *   clip     for each row and group and i = 0 .. 9:  weights are clamped to (1 - i/20) of the group's largest before they are
 *            rounded; the i with the least error of this row's group alone, d H_gg d^T. Not for q_proj and k_proj, whose
 *            products would suffer more than the sum of their errors.
 *
 * Stored per matrix: codes, scales and zero points of quantizers/uniform.h, and one number a column, 1/s, in scale_dtype
 * (col_scale). Weights are coded with it as stored. The paper folds 1/s into the layer before, where it costs nothing but must
 * be shared by all matrices that read the same input, and by a whole product's loss; here each matrix has its own, and pays
 * for it: 16 bits a column, 16 / rows bits a weight.
 *
 * Scratch: 4 cols^2 + 5 rows cols bytes.
 *
 * Source: arXiv 2306.00978; llm-awq d6e797a (auto_scale.py, auto_clip.py), AutoAWQ 88e4c76 (duo_scaling). Deviations: scales a
 * matrix, as above; errors from H of all calibration tokens in place of a sample's; ranges always include 0 (uniform.h). */
#include "quantizers/quantizer.h"

#include <cblas.h>
#include <math.h>
#include <string.h>
#include "quantizers/hessian.h"
#include "quantizers/shape.h"
#include "quantizers/uniform.h"

#define SMALLEST_SCALE 1e-4     /* auto_scale.py */
#define CLIP_GRID 20            /* auto_clip.py: n_grid = 20, max_shrink = 0.5 */
#define CLIP_STEPS 10
#define ROWS 64                 /* of a tile of the clip search */

struct awq_options {
	struct pb_uniform grid;
	int64_t scale_steps;
	bool clip, duo_scaling;
};

static const struct pb_option awq_options[] = {
	PB_UNIFORM_OPTIONS,
	PB_OPT_INT(struct awq_options, scale_steps, 1, 100, 20, "exponents of the activations that are tried for the scales; 1: no scales but 1"),
	PB_OPT_BOOL(struct awq_options, clip, 1, "choose the range of each group by the error of its outputs"),
	PB_OPT_BOOL(struct awq_options, duo_scaling, 0, "scales by the size of the weights too, as AutoAWQ does"),
	PB_OPT_END
};

/* The work on one matrix. */
struct awq {
	const struct awq_options *o;
	const struct pb_quantize_job *job;
	bool clip;              /* for this matrix */
	uint32_t group;         /* columns of a full one */
	uint64_t row_grids;     /* groups of a row */
	double *weight_mean;    /* (cols) w_c of duo_scaling */
	double *scale;          /* (cols) s */
	float *factor, *best;   /* (cols) 1/s as stored, on trial and so far */
	float *scaled;          /* (cols) weights of a group times s */
	float *d;               /* (rows, cols) W - W^ */
	float *gram;            /* (cols, cols) D^T D, upper triangle */
	struct pb_grid *grids;  /* (rows, row_grids) */
	uint8_t *codes;         /* (rows, cols) */
};

static uint32_t awq_width(const struct awq *a, uint32_t first)
{
	return a->job->cols - first < a->group ? a->job->cols - first : a->group;
}

/* Rounds n weights of one group, divided by factor and clamped to limit; d = w - w^ as it will be decoded. */
static struct pb_grid awq_round(const struct awq *a, const float *w, const float *factor, uint32_t n, float limit, uint8_t *codes, float *d)
{
	for (uint32_t c = 0; c < n; c++)
		a->scaled[c] = fminf(fmaxf(w[c] / factor[c], -limit), limit);
	struct pb_grid grid = pb_uniform_fit(&a->o->grid, a->scaled, n);
	for (uint32_t c = 0; c < n; c++) {
		codes[c] = (uint8_t)pb_uniform_code(&a->o->grid, &grid, a->scaled[c]);
		d[c] = w[c] - pb_uniform_value(&a->o->grid, &grid, codes[c]) * factor[c];
	}
	return grid;
}

/* ---- scales ---- */

static void awq_measure_weights(struct awq *a)
{
	uint32_t rows = a->job->rows, cols = a->job->cols;
	for (uint32_t c = 0; c < cols; c++)
		a->weight_mean[c] = 0.0;
	for (uint64_t r = 0; r < rows; r++)
		for (uint32_t first = 0, n; first < cols; first += n) {
			const float *w = a->job->weights + r * cols + first;
			float largest = 0.0f;
			n = awq_width(a, first);
			for (uint32_t c = 0; c < n; c++)
				largest = fmaxf(largest, fabsf(w[c]));
			for (uint32_t c = 0; largest > 0.0f && c < n; c++)
				a->weight_mean[first + c] += fabs((double)w[c]) / largest / rows;
		}
}

/* The factors of exponent r as they will be stored; false when one is beyond the number format. */
static bool awq_make_factors(const struct awq *a, double r)
{
	uint32_t cols = a->job->cols;
	double most = 0.0, least = INFINITY;
	bool good = true;
	for (uint32_t c = 0; c < cols; c++) {
		double s = pow(a->job->mean_abs[c], r);
		if (a->o->duo_scaling)
			s /= pow(a->weight_mean[c], 1.0 - r) + SMALLEST_SCALE;
		a->scale[c] = fmax(s, SMALLEST_SCALE);
		most = fmax(most, a->scale[c]);
		least = fmin(least, a->scale[c]);
	}
	for (uint32_t c = 0; c < cols; c++) {
		a->factor[c] = pb_uniform_rounded(&a->o->grid, (float)(sqrt(most * least) / a->scale[c]));
		good = good && a->factor[c] > 0.0f && isfinite(a->factor[c]);
	}
	return good;
}

/* tr(D H D^T), as the sum over H times D^T D */
static double awq_error(const struct awq *a)
{
	uint32_t cols = a->job->cols;
	double error = 0.0;
	cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, (blasint)cols, (blasint)a->job->rows, 1, a->d, (blasint)cols, 0, a->gram, (blasint)cols);
	for (uint64_t i = 0; i < cols; i++) {
		const float *h = a->job->second_moment + i * cols, *gram = a->gram + i * cols;
		double sum = 0.0;
		for (uint64_t j = i + 1; j < cols; j++)
			sum += (double)h[j] * gram[j];
		error += (double)h[i] * gram[i] + 2.0 * sum;
	}
	return error;
}

static enum pb_status awq_search_scales(struct awq *a, struct pb_error *err)
{
	uint32_t rows = a->job->rows, cols = a->job->cols;
	double least = INFINITY;
	if (a->o->duo_scaling)
		awq_measure_weights(a);
	for (int64_t i = 0; i < a->o->scale_steps; i++) {
		if (!awq_make_factors(a, (double)i / (double)a->o->scale_steps))
			continue;
		for (uint64_t r = 0; r < rows; r++)
			for (uint32_t first = 0, n; first < cols; first += n) {
				uint64_t at = r * cols + first;
				n = awq_width(a, first);
				(void)awq_round(a, a->job->weights + at, a->factor + first, n, INFINITY, a->codes + at, a->d + at);
			}
		double error = awq_error(a);
		if (error < least) {
			least = error;
			memcpy(a->best, a->factor, cols * sizeof *a->best);
		}
	}
	return least < INFINITY ? PB_OK : pb_fail(err, PB_NUMERIC, "scales: no exponent gives errors that are finite");
}

/* ---- clip, codes ---- */

/* Grids and codes of columns [first, first + n), one group, for up to ROWS rows, with the best factors. Scratch: codes, d,
 * product (ROWS, n). */
static void awq_encode(struct awq *a, uint64_t row, uint32_t rows, uint32_t first, uint32_t n, uint8_t *codes, float *d, float *product)
{
	uint32_t cols = a->job->cols;
	const float *factor = a->best + first, *w = a->job->weights + row * cols + first;
	float largest[ROWS] = { 0 };
	double least[ROWS];
	for (uint32_t k = 0; k < rows; k++)
		for (uint32_t c = 0; c < n; c++)
			largest[k] = fmaxf(largest[k], fabsf(w[(size_t)k * cols + c] / factor[c]));
	for (int i = 0; i < (a->clip ? CLIP_STEPS : 1); i++) {
		struct pb_grid grids[ROWS];
		for (size_t k = 0; k < rows; k++)
			grids[k] = awq_round(a, w + k * cols, factor, n, (float)(1.0 - (double)i / CLIP_GRID) * largest[k], codes + k * n, d + k * n);
		if (a->clip)
			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows, (blasint)n, (blasint)n, 1, d, (blasint)n,
				a->job->second_moment + (size_t)first * cols + first, (blasint)cols, 0, product, (blasint)n);
		for (size_t k = 0; k < rows; k++) {
			double error = 0.0;
			for (size_t c = 0; a->clip && c < n; c++)
				error += (double)d[k * n + c] * product[k * n + c];
			if (i > 0 && !(error < least[k]))
				continue;
			least[k] = error;
			a->grids[(row + k) * a->row_grids + first / a->group] = grids[k];
			memcpy(a->codes + (row + k) * cols + first, codes + k * n, n);
		}
	}
}

static enum pb_status awq_encode_all(struct awq *a, struct pb_error *err)
{
	uint32_t rows = a->job->rows, cols = a->job->cols;
	uint8_t *codes = pb_alloc((size_t)ROWS * a->group, 1);
	float *d = pb_alloc((size_t)ROWS * a->group, sizeof *d), *product = pb_alloc((size_t)ROWS * a->group, sizeof *product);
	enum pb_status status = codes && d && product ? PB_OK : pb_out_of_memory(err, "codes");
	for (uint32_t first = 0; !status && first < cols; first += awq_width(a, first))
		for (uint64_t row = 0; row < rows; row += ROWS)
			awq_encode(a, row, rows - row < ROWS ? (uint32_t)(rows - row) : ROWS, first, awq_width(a, first), codes, d, product);
	pb_free(codes);
	pb_free(d);
	pb_free(product);
	return status;
}

static bool awq_is_query_or_key(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
	return !strcmp(last, "q_proj") || !strcmp(last, "k_proj");
}

static enum pb_status awq_fill(struct awq *a, struct pb_encoded *m, struct pb_error *err)
{
	size_t rows = a->job->rows, cols = a->job->cols;
	enum pb_status status = pb_hessian_check(a->job->second_moment, a->job->cols, err);

	if (status)
		return status;
	a->weight_mean = pb_alloc(cols, sizeof *a->weight_mean);
	a->scale = pb_alloc(cols, sizeof *a->scale);
	a->factor = pb_alloc(cols, sizeof *a->factor);
	a->best = pb_alloc(cols, sizeof *a->best);
	a->scaled = pb_alloc(cols, sizeof *a->scaled);
	a->d = pb_alloc(rows * cols, sizeof *a->d);
	a->gram = pb_alloc(cols * cols, sizeof *a->gram);
	a->grids = pb_alloc(rows * a->row_grids, sizeof *a->grids);
	a->codes = pb_alloc(rows * cols, 1);
	if (!a->weight_mean || !a->scale || !a->factor || !a->best || !a->scaled || !a->d || !a->gram || !a->grids || !a->codes)
		return pb_out_of_memory(err, "errors of the weights");
	status = awq_search_scales(a, err);
	if (!status)
		status = awq_encode_all(a, err);
	if (!status)
		status = pb_uniform_store(&a->o->grid, a->grids, a->codes, m, err);
	return status ? status : pb_encoded_set_col_scale(m, a->best, pb_uniform_dtype(&a->o->grid), err);
}

static void awq_free(struct awq *a)
{
	void *const parts[] = { a->weight_mean, a->scale, a->factor, a->best, a->scaled, a->d, a->gram, a->grids, a->codes };
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		pb_free(parts[i]);
}

/* ---- hooks ---- */

static unsigned awq_needs(const void *options)
{
	(void)options;
	return PB_NEEDS_ACTIVATIONS;
}

static double awq_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return (double)((const struct awq_options *)options)->grid.bits;
}

static enum pb_status awq_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	const struct awq_options *o = options;
	enum pb_status status;
	(void)source_dtype;
	if (o->grid.group_size == 0)
		return pb_fail(err, PB_UNSUPPORTED, "group_size=0: ranges are chosen for rows or groups\ntake -1 or a group's size");
	status = pb_uniform_plan(&o->grid, rows, cols, bytes, err);
	if (!status)
		*bytes += (uint64_t)cols * pb_dtype_bytes(pb_uniform_dtype(&o->grid));
	return status;
}

static enum pb_status awq_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct awq a = { .o = options, .job = job };
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);

	if (status)
		return status;
	pb_encoded_set_groups(m, a.o->grid.group_size);
	a.clip = a.o->clip && !awq_is_query_or_key(job->name);
	a.group = m->block_size < job->cols ? (uint32_t)m->block_size : job->cols;
	a.row_grids = pb_encoded_blocks(m) / job->rows;
	status = awq_fill(&a, m, err);
	awq_free(&a);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static double awq_paper_bits(const void *options, uint32_t rows, uint32_t cols)
{
	return pb_uniform_paper_bits(options, rows, cols); /* the paper folds its column scales into the layers before */
}

static double awq_paper_bytes(const void *options, const struct pb_config *config)
{
	return pb_paper_bytes(config, awq_paper_bits, options);
}

const struct pb_quantizer pb_quantizer_awq = {
	.name = "awq",
	.title = "AWQ",
	.source = "arXiv:2306.00978",
	.family = "other",
	.help = "Uniform integers of weights whose columns are scaled by the size of their inputs, with clipped ranges, both chosen by the error "
		"of the outputs. The scales are stored, one a column.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.needs = awq_needs,
	.options = awq_options,
	.options_size = sizeof(struct awq_options),
	.wbits = awq_wbits,
	.plan = awq_plan,
	.quantize = awq_quantize,
	.paper_bytes = awq_paper_bytes,
};
