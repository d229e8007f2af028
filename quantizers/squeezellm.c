/* squeezellm: levels of each row's own by weighted k-means, and a sparse part for what matters most.
 *
 * With sensitivities F >= 0 of the weights, 2^bits levels of each row r make
 *
 *   sum_c F[r][c] (W[r][c] - level[r][code[r][c]])^2
 *
 * small over the weights that are neither 0 nor in the sparse part (over all with F = 1 when these F are 0). F is the squared
 * gradient of the loss, or the second moment of the input column, or 1. Every other weight gets its nearest level too. The
 * sparse part holds W - level[code] where a weight was taken out; its code is that of the level nearest to 0.
 *
 * Taken out are, of each matrix, first the `sensitive` percent of the largest F, n of them, then the `outliers` percent of
 * outlying W, m of the rest:
 *
 *   rule=paper   n and m exactly; outliers are the two tails of the distribution, m / 2 (rounded down) at the lower end;
 *                among equals the first in row-major order
 *   rule=code    F above the n-th largest one, so fewer than n. |W| >= T, T the least that leaves at most m; with
 *                `range` r > 0 T is at least max(|q1 - r (q3 - q1)|, |q3 + r (q3 - q1)|) of the quartiles q1, q3 of W.
 *                Zeros, and corrections that round to 0, are not stored
 *
 * Stored per matrix: codes, `bits` each, each row padded to a byte; 2^bits levels a row, ascending, in level_dtype; with a
 * sparse part rows + 1 starts and a column (u32 both) and a value (sparse_dtype) for each weight taken out.
 *
 * Source: arXiv 2306.07629; SqueezeAILab/SqueezeLLM, commit a5fd71f (quantization/nuq.py, squeezellm/outliers.py, quantization/
 * generate_outlier_config.py). Deviations: weights are coded with levels as they are stored; solver=exact finds the optimum
 * that k-means looks for; solver=lloyd has other random numbers than scikit-learn; sensitivities are f32, not bfloat16 sums;
 * without `range` T is found for each matrix, where the authors tune r by hand over the whole model. The index arrays of the
 * authors' kernels (startrows, full_rows) are not made. */
#include "quantizers/quantizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include "core/base/memory.h"
#include "quantizers/kmeans1d.h"
#include "quantizers/order.h"
#include "quantizers/shape.h"

#define LLOYD_TOLERANCE 1e-4    /* scikit-learn's default */
#define DIGITS 65536            /* order statistics count 16 bits of the keys at a time */
#define STRIP 64u               /* rows of a task */

enum { GRADIENTS, ACTIVATIONS, NONE };
enum { RULE_PAPER, RULE_CODE };
enum { SOLVER_EXACT, SOLVER_LLOYD };
static const char *const sensitivity_names[] = { "gradients", "activations", "none", NULL };
static const char *const rule_names[] = { "paper", "code", NULL };
static const char *const solver_names[] = { "exact", "lloyd", NULL };
static const char *const dtype_names[] = { "f16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_F32 };

struct squeezellm_options {
	int64_t bits, iterations;
	int sensitivity, rule, solver, level_dtype, sparse_dtype;
	double sensitive, outliers, range;
};

static const struct pb_option squeezellm_options[] = {
	PB_OPT_INT(struct squeezellm_options, bits, 2, 4, 3, "bits a code"),
	PB_OPT_CHOICE(struct squeezellm_options, sensitivity, sensitivity_names, "gradients",
		"what a weight's squared error counts by: its squared gradient, the second moment of its input, or 1"),
	PB_OPT_REAL(struct squeezellm_options, sensitive, 0, 100, 0, "percent of the weights to take out for their sensitivity"),
	PB_OPT_REAL(struct squeezellm_options, outliers, 0, 100, 0, "percent of the weights to take out as outliers; at most, with rule=code"),
	PB_OPT_CHOICE(struct squeezellm_options, rule, rule_names, "paper", "take out just so many, or by thresholds as the authors' code does"),
	PB_OPT_REAL(struct squeezellm_options, range, 0, 1000, 0,
		"rule=code: outliers lie so many interquartile ranges beyond the quartiles; 0: where `outliers` are left"),
	PB_OPT_CHOICE(struct squeezellm_options, solver, solver_names, "exact", "k-means of a row: its optimum, or k-means++ and Lloyd's iterations"),
	PB_OPT_INT(struct squeezellm_options, iterations, 1, 10000, 50, "lloyd: at most so many"),
	PB_OPT_CHOICE(struct squeezellm_options, level_dtype, dtype_names, "f16", "number format of the levels"),
	PB_OPT_CHOICE(struct squeezellm_options, sparse_dtype, dtype_names, "f16", "number format of the sparse values"),
	PB_OPT_END
};

/* ---- sizes ---- */

struct counts {
	uint64_t sensitive, outliers;   /* to take out */
	uint64_t stored;                /* at most */
};

static enum pb_status squeezellm_count(const struct squeezellm_options *o, uint32_t rows, uint32_t cols, struct counts *out, struct pb_error *err)
{
	if (o->sensitivity == NONE && o->sensitive > 0.0)
		return pb_fail(err, PB_USAGE, "sensitive=%g: with sensitivity=none no weight is more sensitive than another", o->sensitive);
	if (o->range > 0.0 && o->rule != RULE_CODE)
		return pb_fail(err, PB_USAGE, "range=%g: it belongs to rule=code", o->range);
	if (o->range > 0.0 && o->outliers == 0.0)
		return pb_fail(err, PB_USAGE, "range=%g: outliers=0 allows no outlier\nsay the most to allow, such as outliers=2", o->range);
	uint64_t all = (uint64_t)rows * cols;
	struct counts n = { (uint64_t)floor((double)all * o->sensitive / 100.0), (uint64_t)floor((double)all * o->outliers / 100.0), 0 };
	uint64_t first = o->rule == RULE_CODE && n.sensitive ? n.sensitive - 1 : n.sensitive;
	if (n.outliers > all - first)
		n.outliers = all - first;
	n.stored = first + n.outliers;
	if (n.stored > UINT32_MAX)
		return pb_fail(err, PB_UNSUPPORTED, "a sparse part of %" PRIu64 " values; the most is %" PRIu32, n.stored, UINT32_MAX);
	*out = n;
	return PB_OK;
}

static enum pb_width squeezellm_width(const struct squeezellm_options *o)
{
	return o->bits == 2 ? PB_W2 : o->bits == 3 ? PB_W3 : PB_W4;
}

static enum pb_status squeezellm_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	const struct squeezellm_options *o = options;
	struct counts n;
	enum pb_status status = squeezellm_count(o, rows, cols, &n, err);
	(void)source_dtype;
	if (status)
		return status;
	*bytes = rows * (pb_packed_bytes(squeezellm_width(o), cols) + (1u << o->bits) * pb_dtype_bytes(dtypes[o->level_dtype]));
	if (n.stored)
		*bytes += (rows + 1ull) * sizeof(uint32_t) + n.stored * (sizeof(uint32_t) + pb_dtype_bytes(dtypes[o->sparse_dtype]));
	return PB_OK;
}

/* The rule behind the averages that the paper prints: bits, 16 a level of each row, and 48 a value that is taken out; no starts of
 * rows. */
static double squeezellm_paper_bits(const void *options, uint32_t rows, uint32_t cols)
{
	const struct squeezellm_options *o = options;
	double weights = (double)rows * cols;
	return weights * (double)o->bits + 16.0 * (1u << o->bits) * rows + 48 * weights * fmin(o->sensitive + o->outliers, 100) / 100;
}

static double squeezellm_paper_bytes(const void *options, const struct pb_config *config)
{
	return pb_paper_bytes(config, squeezellm_paper_bits, options);
}

static bool squeezellm_plan_is_bound(const void *options)
{
	return ((const struct squeezellm_options *)options)->rule == RULE_CODE;
}

static double squeezellm_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return (double)((const struct squeezellm_options *)options)->bits;
}

static unsigned squeezellm_needs(const void *options)
{
	static const unsigned needs[] = { PB_NEEDS_GRADIENTS, PB_NEEDS_ACTIVATIONS, PB_NEEDS_NOTHING };
	return needs[((const struct squeezellm_options *)options)->sensitivity];
}

/* ---- what is taken out ---- */

/* A matrix (rows, cols); stride 0: one row that stands for all. */
struct view {
	const float *x;
	size_t stride;
};

enum direction { HIGHEST, LOWEST, FARTHEST /* from 0 */ };
enum ties { TIES_FIRST, TIES_NONE, TIES_ALL /* when there is room for all of them, else none */ };

struct work {
	const struct squeezellm_options *o;
	const struct pb_quantize_job *job;
	struct view sensitivity;        /* x: NULL for 1 everywhere */
	float *moments;                 /* (cols) the diagonal of the second moments, or NULL */
	uint8_t *taken;                 /* (rows, cols) 1: in the sparse part; NULL: there is none */
	uint64_t *histogram;            /* [DIGITS] */
	struct pb_rng rng;
	atomic_bool no_memory;
	float *row;                     /* (cols) */
	float *levels;                  /* (rows, 2^bits) */
	uint8_t *codes;                 /* (rows, cols) */
	uint32_t *start, *column;       /* CSR */
	float *value;
};

/* Greater for what is to be taken first. */
static inline uint32_t squeezellm_key(float x, enum direction direction)
{
	uint32_t key = pb_order_key(direction == FARTHEST ? fabsf(x) : x);
	return direction == LOWEST ? ~key : key;
}

/* The n-th greatest key of the weights that are not taken, how many are greater and how many equal it. n is at least 1
 * and not more than there are. */
static uint32_t squeezellm_nth_key(struct work *k, struct view v, enum direction direction, uint64_t n, uint64_t *greater, uint64_t *equal)
{
	uint32_t key = 0;
	*greater = 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned d = 0; d < DIGITS; d++)
			k->histogram[d] = 0;
		for (uint64_t r = 0; r < k->job->rows; r++) {
			const float *x = v.x + r * v.stride;
			const uint8_t *taken = k->taken + r * k->job->cols;
			for (uint32_t c = 0; c < k->job->cols; c++) {
				uint32_t here = squeezellm_key(x[c], direction);
				if (pass == 0)
					k->histogram[here >> 16] += !taken[c];
				else if (here >> 16 == key >> 16)
					k->histogram[here & 0xffff] += !taken[c];
			}
		}
		unsigned digit = DIGITS - 1;
		for (; *greater + k->histogram[digit] < n; digit--)
			*greater += k->histogram[digit];
		key |= digit << (pass ? 0 : 16);
		*equal = k->histogram[digit];
	}
	return key;
}

/* Takes n of the weights that are not taken, by the numbers of v, as far as these have a key of at least `least`. */
static void squeezellm_take(struct work *k, struct view v, enum direction direction, uint64_t n, uint32_t least, enum ties ties)
{
	uint64_t greater, equal, room;
	if (n == 0)
		return;
	uint32_t floor_key = squeezellm_nth_key(k, v, direction, n, &greater, &equal);
	room = ties == TIES_FIRST || (ties == TIES_ALL && equal <= n - greater) ? n - greater : 0;
	if (floor_key < least) {
		floor_key = least;
		room = UINT64_MAX;
	}
	for (uint64_t r = 0; r < k->job->rows; r++) {
		const float *x = v.x + r * v.stride;
		uint8_t *taken = k->taken + r * k->job->cols;
		for (uint32_t c = 0; c < k->job->cols; c++) {
			uint32_t here = squeezellm_key(x[c], direction);
			if (here < floor_key || taken[c] || (here == floor_key && room == 0))
				continue;
			room -= here == floor_key;
			taken[c] = 1;
		}
	}
}

/* Quantile p of all weights, linear between order statistics; before any are taken. */
static double squeezellm_quantile(struct work *k, struct view w, double p)
{
	uint64_t n = (uint64_t)k->job->rows * k->job->cols, greater, equal;
	double place = p * (double)(n - 1);
	uint64_t below = (uint64_t)place;
	double low = pb_order_unkey(squeezellm_nth_key(k, w, HIGHEST, n - below, &greater, &equal)), high = low;
	if (below + 1 < n)
		high = pb_order_unkey(squeezellm_nth_key(k, w, HIGHEST, n - below - 1, &greater, &equal));
	return low + (place - (double)below) * (high - low);
}

/* The key of the least magnitude that counts as an outlier by `range`. */
static uint32_t squeezellm_range_key(struct work *k, struct view w)
{
	if (k->o->range == 0.0)
		return 0;
	double q1 = squeezellm_quantile(k, w, 0.25), q3 = squeezellm_quantile(k, w, 0.75);
	double threshold = fmax(fabs(q1 - k->o->range * (q3 - q1)), fabs(q3 + k->o->range * (q3 - q1)));
	float least = (float)threshold;
	return pb_order_key(least < threshold ? nextafterf(least, HUGE_VALF) : least);
}

static void squeezellm_take_out(struct work *k, const struct counts *n)
{
	struct view w = { k->job->weights, k->job->cols };
	if (k->o->rule == RULE_PAPER) {
		squeezellm_take(k, k->sensitivity, HIGHEST, n->sensitive, 0, TIES_FIRST);
		squeezellm_take(k, w, LOWEST, n->outliers / 2, 0, TIES_FIRST);
		squeezellm_take(k, w, HIGHEST, n->outliers - n->outliers / 2, 0, TIES_FIRST);
	} else {
		uint32_t least = squeezellm_range_key(k, w);
		squeezellm_take(k, k->sensitivity, HIGHEST, n->sensitive, 0, TIES_NONE);
		squeezellm_take(k, w, FARTHEST, n->outliers, least, TIES_ALL);
	}
}

/* ---- levels, codes, corrections ---- */

/* The row as the dense part sees it. */
static void squeezellm_dense_row(const struct work *k, uint64_t r, float *row)
{
	uint32_t cols = k->job->cols;
	const float *w = k->job->weights + r * cols;
	const uint8_t *taken = k->taken ? k->taken + r * cols : NULL;
	for (uint32_t c = 0; c < cols; c++)
		row[c] = taken && taken[c] ? 0.0f : w[c];
}

static void squeezellm_fit_row(struct work *k, uint64_t r, struct pb_kmeans1d *kmeans, float *row, float *weights)
{
	double centers[1 << 4];
	uint32_t cols = k->job->cols;
	unsigned n = 1u << k->o->bits;
	const float *f = k->sensitivity.x ? k->sensitivity.x + r * k->sensitivity.stride : NULL;
	squeezellm_dense_row(k, r, row);
	for (uint32_t c = 0; c < cols; c++)
		weights[c] = row[c] == 0.0f ? 0.0f : f ? f[c] : 1.0f;
	pb_kmeans1d_load(kmeans, row, weights, cols);
	if (k->o->solver == SOLVER_EXACT)
		pb_kmeans1d_exact(kmeans, n, centers);
	else
		pb_kmeans1d_lloyd(kmeans, n, (unsigned)k->o->iterations, LLOYD_TOLERANCE, &k->rng, centers);
	for (unsigned j = 0; j < n; j++)
		k->levels[r * n + j] = (float)centers[j];
}

static void squeezellm_fit_task(void *arg, size_t task, unsigned worker)
{
	struct work *k = arg;
	uint32_t cols = k->job->cols;
	uint64_t first = task * STRIP, end = k->job->rows - first < STRIP ? k->job->rows : first + STRIP;
	float *row = pb_alloc(cols, sizeof *row), *weights = pb_alloc(cols, sizeof *weights);
	struct pb_kmeans1d *kmeans = NULL;

	(void)worker;
	if (!row || !weights || pb_kmeans1d_new(&kmeans, cols, 1u << k->o->bits, NULL))
		atomic_store(&k->no_memory, true);
	for (uint64_t r = first; kmeans && r < end; r++)
		squeezellm_fit_row(k, r, kmeans, row, weights);
	pb_kmeans1d_free(kmeans);
	pb_free(row);
	pb_free(weights);
}

/* Codes of a row by its stored levels, and what has to be added where weights were taken out. */
static void squeezellm_code_row(struct work *k, const struct pb_encoded *m, uint64_t r, uint32_t *n_sparse)
{
	uint32_t cols = k->job->cols;
	const float *w = k->job->weights + r * cols;
	uint8_t *codes = k->codes + r * cols;
	float levels[1 << 4];
	struct pb_level_search search;
	pb_float_read(m->levels_dtype, m->levels, r * m->n_levels, m->n_levels, levels);
	pb_level_search_make(&search, levels, m->n_levels);
	for (uint32_t c = 0; c < cols; c++)
		codes[c] = (uint8_t)pb_level_nearest(&search, k->row[c]);
	for (uint32_t c = 0; k->taken && c < cols; c++) {
		if (!k->taken[r * cols + c])
			continue;
		float correction = w[c] - levels[codes[c]], stored = correction;
		pb_float_write(dtypes[k->o->sparse_dtype], &correction, 1, &stored);
		if (k->o->rule == RULE_CODE && (w[c] == 0.0f || pb_float_at(dtypes[k->o->sparse_dtype], &stored, 0) == 0.0f))
			continue;
		k->column[*n_sparse] = c;
		k->value[*n_sparse] = correction;
		++*n_sparse;
	}
}

static enum pb_status squeezellm_fill(struct work *k, struct pb_encoded *m, struct pb_error *err)
{
	uint32_t n_sparse = 0;
	/* Lloyd's random numbers go from row to row. */
	pb_pool_run(k->o->solver == SOLVER_EXACT ? k->job->pool : NULL, (m->rows + STRIP - 1) / STRIP, squeezellm_fit_task, k);
	if (k->no_memory)
		return pb_out_of_memory(err, "k-means");
	enum pb_status status = pb_encoded_set_levels(m, PB_LEVELS_ROW, NULL, k->levels, 1u << k->o->bits, dtypes[k->o->level_dtype], err);
	if (status)
		return status;
	for (uint64_t r = 0; r < m->rows; r++) {
		squeezellm_dense_row(k, r, k->row);
		squeezellm_code_row(k, m, r, &n_sparse);
		if (k->taken)
			k->start[r + 1] = n_sparse;
	}
	status = pb_encoded_set_codes(m, squeezellm_width(k->o), k->codes, err);
	return status || !n_sparse ? status : pb_encoded_set_sparse(m, k->start, k->column, k->value, dtypes[k->o->sparse_dtype], err);
}

/* ---- hooks ---- */

static enum pb_status squeezellm_check_sensitivity(const struct work *k, struct pb_error *err)
{
	uint64_t n = k->sensitivity.stride ? (uint64_t)k->job->rows * k->job->cols : k->job->cols, bad = 0;
	for (uint64_t i = 0; k->sensitivity.x && i < n; i++)
		bad += !isfinite(k->sensitivity.x[i]) || k->sensitivity.x[i] < 0.0f;
	if (bad)
		return pb_fail(err, PB_NUMERIC, "%" PRIu64 " of %" PRIu64 " sensitivities are negative or not finite", bad, n);
	return PB_OK;
}

static enum pb_status squeezellm_prepare(struct work *k, const struct counts *n, struct pb_error *err)
{
	size_t rows = k->job->rows, cols = k->job->cols;
	k->row = pb_alloc(cols, sizeof *k->row);
	k->levels = pb_alloc(rows << k->o->bits, sizeof *k->levels);
	k->codes = pb_alloc(rows * cols, 1);
	bool all = k->row && k->levels && k->codes;
	if (k->o->sensitivity == ACTIVATIONS) {
		k->moments = pb_alloc(cols, sizeof *k->moments);
		all = all && k->moments;
		for (size_t c = 0; all && c < cols; c++)
			k->moments[c] = k->job->second_moment[c * cols + c];
		k->sensitivity = (struct view){ k->moments, 0 };
	} else if (k->o->sensitivity == GRADIENTS) {
		k->sensitivity = (struct view){ k->job->gradient_sq, cols };
	}
	if (n->stored) {
		k->taken = pb_alloc_zero(rows * cols, 1);
		k->histogram = pb_alloc(DIGITS, sizeof *k->histogram);
		k->start = pb_alloc_zero(rows + 1, sizeof *k->start);
		k->column = pb_alloc(n->stored, sizeof *k->column);
		k->value = pb_alloc(n->stored, sizeof *k->value);
		all = all && k->taken && k->histogram && k->start && k->column && k->value;
	}
	return all ? PB_OK : pb_out_of_memory(err, "codes and what they are made from");
}

static enum pb_status squeezellm_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct work k = { .o = options, .job = job, .rng = job->rng };
	struct pb_encoded *m = NULL;
	struct counts n;
	enum pb_status status = squeezellm_count(options, job->rows, job->cols, &n, err);
	if (!status)
		status = squeezellm_prepare(&k, &n, err);
	if (!status)
		status = squeezellm_check_sensitivity(&k, err);
	if (!status)
		status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (!status) {
		if (k.taken)
			squeezellm_take_out(&k, &n);
		status = squeezellm_fill(&k, m, err);
	}
	pb_free(k.row);
	pb_free(k.levels);
	pb_free(k.codes);
	pb_free(k.moments);
	pb_free(k.taken);
	pb_free(k.histogram);
	pb_free(k.start);
	pb_free(k.column);
	pb_free(k.value);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

const struct pb_quantizer pb_quantizer_squeezellm = {
	.name = "squeezellm",
	.title = "SqueezeLLM",
	.source = "arXiv:2306.07629",
	.family = "SqueezeLLM",
	.help = "2 to 4 bits a weight into levels of each row's own, placed by k-means that counts a weight by its sensitivity; "
		"a sparse part holds the most sensitive weights and the outliers. The paper's 0.45 % is sensitive=0.05,outliers=0.4; "
		"its code stores f32 numbers and counts by rule=code.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.needs = squeezellm_needs,
	.options = squeezellm_options,
	.options_size = sizeof(struct squeezellm_options),
	.wbits = squeezellm_wbits,
	.plan = squeezellm_plan,
	.quantize = squeezellm_quantize,
	.paper_bytes = squeezellm_paper_bytes,
	.plan_is_bound = squeezellm_plan_is_bound,
};
