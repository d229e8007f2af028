/* VPTQ: the column loop against published numbers, GPTQ's loop and a plain one in double; the plugin against a plain
 * computation from what it stored, against an independent implementation (tests/vectors/vptq/ORIGIN.txt), and its sizes
 * against the paper's and those of published checkpoints. */
#include "tests/unit/layer.h"
#include <pthread.h>
#include "quantizers/hessian.h"
#include "quantizers/vptq_columns.h"
#include "tests/unit/expect.h"

extern const struct pb_quantizer pb_quantizer_vptq;
#define VPTQ &pb_quantizer_vptq

/* ------------------------------------------------------------------------------------------ the column loop */

/* (rows, cols) to (cols, stride) with zeros to the next whole vector. */
static float *columns_of(const float *w, uint32_t rows, uint32_t cols, size_t stride)
{
	float *out = get_memory(cols * stride, sizeof *out);
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < cols; c++)
			out[c * stride + r] = w[r * cols + c];
	return out;
}

/* The mean over (cols, cols) of D^T D .* H, D = W - Q with Q from codes (cols, n) by column. */
static double proxy(const struct layer *l, uint32_t v, const float *book, const uint32_t *index, const float *residual, const uint32_t *index2)
{
	uint32_t n = (l->rows + v - 1) / v;
	float *q = get_memory((size_t)l->rows * l->cols, sizeof *q);
	for (uint32_t r = 0; r < l->rows; r++)
		for (uint32_t c = 0; c < l->cols; c++) {
			size_t at = (size_t)c * n + r / v;
			q[r * l->cols + c] = book[index[at] * v + r % v];
			if (residual)
				q[r * l->cols + c] += residual[index2[at] * v + r % v];
		}
	double loss = loss_of(l, q) / l->cols / l->cols;
	free(q);
	return loss;
}

/* The specification's vector: W (4, 3), H, a codebook of four and a residual one of two, damping 0.01. */
static void known_numbers(void **state)
{
	(void)state;
	float w[12] = { -0.3f, 0.5f, -0.4f, -0.2f, 0.1f, -0.1f, 0.6f, 0.9f, 0.6f, 0.0f, 0.2f, -0.7f };
	float h[9] = { 2, 1.2f, 0.6f, 1.2f, 1.5f, 0.8f, 0.6f, 0.8f, 1.0f }, u[9], work[12];
	float book[8] = { 0.8f, 0, -0.5f, 0.5f, 0.3f, -0.6f, 0, 0 }, residual[4] = { 0.1f, 0.1f, -0.1f, -0.1f };
	const double factor[9] = { 0.970100, -0.797498, 0.055112, 0, 1.063314, -0.838080, 0, 0, 0.992583 };
	const double error[12] = { -0.3, -0.2, -0.2, 0, 0.253377, -0.064416, -0.064416, 0.2, -0.183251, -0.139409, 0.260591, 0.057635 };
	const uint32_t expected[6] = { 3, 0, 3, 0, 3, 2 }, expected2[6] = { 1, 1, 0, 0, 1, 0 }, direct[6] = { 3, 0, 0, 0, 3, 2 };
	const double quantized_[12] = { -0.1, 0.1, -0.1, -0.1, 0.1, -0.1, 0.7, 0.9, 0.4, -0.1, 0.1, -0.5 };
	uint32_t index[6], index2[6];
	struct layer l = { 4, 3, w, h, NULL, NULL };
	OK(pb_hessian_factor(h, 3, NULL, 0.01, u, NULL, ERR));
	for (int i = 0; i < 9; i++)
		assert_true(fabs(u[i] - factor[i]) < 1e-6);
	float *columns = columns_of(w, 4, 3, 4);
	struct pb_vptq_part part = { .n = 3, .length = 2, .n_stages = 1, .k = { 4, 2 }, .codebook = { book, residual }, .index = { index, index2 } };
	OK(pb_vptq_columns(&part, u, 4, 3, 4, columns, work, ERR));
	assert_memory_equal(index, expected, sizeof index);
	for (int i = 0; i < 12; i++)
		assert_true(fabs(work[i] - error[i]) < 1e-6);
	assert_true(fabs(proxy(&l, 2, book, index, NULL, NULL) - 0.0438889) < 1e-7);
	part.n_stages = 2;
	OK(pb_vptq_columns(&part, u, 4, 3, 4, columns, work, ERR));
	assert_memory_equal(index, expected, sizeof index);
	assert_memory_equal(index2, expected2, sizeof index2);
	assert_true(fabs(proxy(&l, 2, book, index, residual, index2) - 0.0218889) < 1e-7);
	for (int r = 0; r < 4; r++)
		for (int c = 0; c < 3; c++) {
			int at = c * 2 + r / 2;
			double q = book[index[at] * 2 + (uint32_t)r % 2] + residual[index2[at] * 2 + (uint32_t)r % 2];
			assert_true(fabs(q - quantized_[r * 3 + c]) < 1e-6);
		}
	/* without feedback each vector gets the nearest */
	const float unit[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
	part.n_stages = 1;
	OK(pb_vptq_columns(&part, unit, 4, 3, 4, columns, work, ERR));
	assert_memory_equal(index, direct, sizeof index);
	assert_true(fabs(proxy(&l, 2, book, index, NULL, NULL) - 0.1381111) < 1e-7);
	float none[12] = { 0 };
	assert_true(fabs(loss_of(&l, none) / 9 - 0.6063333) < 1e-7);
	free(columns);
}

/* The factor of H + damp mean(diag) I in double, column after column: u[q * n + p] = U_pq. */
static double *plain_factor(const float *h, uint32_t n, double damp)
{
	double *u = get_memory((size_t)n * n, sizeof *u), mean = 0;
	for (size_t i = 0; i < n; i++)
		mean += h[i * n + i] / (double)n;
	for (size_t i = 0; i < (size_t)n * n; i++)
		u[i] = h[i] + (i % (n + 1) ? 0 : damp * mean);
	inverse_factor(u, n);
	return u;
}

/* Vectors of one number and a codebook of equal steps: the codes of GPTQ's loop with that grid for all rows. */
static void single_numbers_are_gptq(void **state)
{
	(void)state;
	enum { R = 33, C = 300 };
	for (int bits = 2; bits <= 4; bits++) {
		struct layer l = random_layer((uint64_t)bits, R, C, 600);
		int top = (1 << bits) - 1;
		float scale = 0.12f / (float)top, book[16], *u = get_memory(C * C, sizeof *u), *work = get_memory(C * R, sizeof *work);
		uint32_t *index = get_memory(R * C, sizeof *index);
		for (int i = 0; i <= top; i++)
			book[i] = ((float)i - (float)top / 2) * scale;
		OK(pb_hessian_factor(l.h, C, NULL, 0.01, u, NULL, ERR));
		float *columns = columns_of(l.w, R, C, R);
		struct pb_vptq_part part = { .n = C, .length = 1, .n_stages = 1, .k = { (uint32_t)top + 1 }, .codebook = { book }, .index = { index } };
		OK(pb_vptq_columns(&part, u, R, C, R, columns, work, ERR));
		double *plain = plain_factor(l.h, C, 0.01), row[C];
		int other = 0;
		for (size_t r = 0; r < R; r++) {
			for (size_t c = 0; c < C; c++)
				row[c] = l.w[r * C + c];
			for (size_t c = 0; c < C; c++) {
				double code = fmin(fmax(round(row[c] / scale + top / 2.0), 0), top), e = row[c] - (code - top / 2.0) * scale;
				other += index[c * R + r] != (uint32_t)code;
				for (size_t j = c + 1; j < C; j++)
					row[j] -= e / plain[c * C + c] * plain[j * C + c];
			}
		}
		assert_int_equal(other, 0);
		free(plain);
		free(columns);
		free(index);
		free(u);
		free(work);
		free_layer(&l);
	}
}

/* Parts of several lengths, one with a residual codebook, rows that fill no vector, more columns than a block; against a plain
 * loop in double. Sums in f32 may decide a near tie the other way, and what follows in these rows differs then. */
static void loop_in_plain(void **state)
{
	(void)state;
	enum { R = 50, C = 400, STRIDE = 64 };
	struct layer l = random_layer(5, R, C, 800);
	struct pb_rng r = pb_rng_make(6, 0);
	float *u = get_memory(C * C, sizeof *u), *work = get_memory(C * STRIDE, sizeof *work), *columns = columns_of(l.w, R, C, STRIDE);
	struct pb_vptq_part parts[3] = { { 0, 10, 3, 1, { 40 }, { NULL }, { NULL } }, { 10, 200, 4, 2, { 64, 17 }, { NULL }, { NULL } },
		{ 210, 190, 4, 2, { 64, 17 }, { NULL }, { NULL } } };
	for (int i = 0; i < 3; i++)
		for (uint32_t s = 0; s < parts[i].n_stages; s++) {
			uint32_t n = parts[i].k[s] * parts[i].length;
			parts[i].codebook[s] = get_memory(n, sizeof(float));
			parts[i].index[s] = get_memory(parts[i].n * (size_t)R, sizeof(uint32_t));
			for (uint32_t j = 0; j < n; j++)
				parts[i].codebook[s][j] = (float)((s ? 0.01 : 0.02) * pb_rng_normal(&r));
		}
	OK(pb_hessian_factor(l.h, C, NULL, 0.01, u, NULL, ERR));
	OK(pb_vptq_columns(parts, u, R, C, STRIDE, columns, work, ERR));
	double *plain = plain_factor(l.h, C, 0.01), *x = get_memory(C * STRIDE, sizeof *x);
	int other = 0;
	for (size_t i = 0; i < C * STRIDE; i++)
		x[i] = columns[i];
	for (uint32_t c = 0; c < C; c++) {
		const struct pb_vptq_part *part = &parts[c < 10 ? 0 : c < 210 ? 1 : 2];
		uint32_t v = part->length, n = (R + v - 1) / v;
		double *column = x + c * STRIDE;
		for (uint32_t i = 0; i < n; i++) {
			double left[4];
			for (uint32_t e = 0; e < v; e++)
				left[e] = column[i * v + e];
			for (uint32_t s = 0; s < part->n_stages; s++) {
				double shortest = INFINITY;
				uint32_t best = 0;
				for (uint32_t k = 0; k < part->k[s]; k++) {
					double here = 0;
					for (uint32_t e = 0; e < v; e++)
						here += pow(left[e] - part->codebook[s][k * v + e], 2);
					if (here < shortest) {
						shortest = here;
						best = k;
					}
				}
				other += best != part->index[s][(c - part->first) * n + i];
				for (uint32_t e = 0; e < v; e++)
					left[e] -= part->codebook[s][best * v + e];
			}
			for (uint32_t e = 0; e < v && i * v + e < R; e++) {
				size_t row = i * v + e;
				assert_true(other || fabs(left[e] - work[c * STRIDE + row]) < 1e-5);
				for (uint32_t j = c + 1; j < C; j++)
					x[j * STRIDE + row] -= left[e] / plain[c * C + c] * plain[j * C + c];
			}
		}
		for (uint32_t row = R; row < STRIDE; row++)
			assert_true(work[c * STRIDE + row] == 0);
	}
	assert_true(other < 20);
	for (int i = 0; i < 3; i++)
		for (uint32_t s = 0; s < parts[i].n_stages; s++) {
			free(parts[i].codebook[s]);
			free(parts[i].index[s]);
		}
	free(plain);
	free(x);
	free(u);
	free(work);
	free(columns);
	free_layer(&l);
}

/* ---------------------------------------------------------------------------------------------- the plugin */

/* What the options of a case say. */
struct setting {
	const char *norm;       /* NULL: none */
	bool as_released, in_place;
	double load_damping, damping;
};

static uint32_t *indices(const uint8_t *packed, uint32_t k, uint64_t n)
{
	uint32_t *index = get_memory(n, sizeof *index);
	pb_unpack_index(pb_index_bits(k), packed, 0, n, index);
	return index;
}

/* The columns in working order, by plain comparison. */
static void plain_order(const double *diagonal, uint32_t cols, bool in_place, uint32_t *order)
{
	for (uint32_t c = 0; c < cols; c++) {
		uint32_t place = c;
		if (!in_place) {
			place = 0;
			for (uint32_t d = 0; d < cols; d++)
				place += diagonal[d] > diagonal[c] || (diagonal[d] == diagonal[c] && d < c);
		}
		order[place] = c;
	}
}

/* From the codebooks in m everything else follows: scales, order, factor and codes. Near ties may be decided the other way,
 * with what follows in their rows. */
static void expect_plain(const struct layer *l, const struct pb_encoded *m, const struct setting *k)
{
	const struct pb_vector_code *v = m->vector;
	uint32_t rows = l->rows, cols = l->cols, rest = cols - v->n_outliers, *order = get_memory(cols, sizeof *order), vectors = 0, other = 0;
	double *scale = get_memory(cols, sizeof *scale), *offset = get_memory(cols, sizeof *offset), *x = get_memory((size_t)rows * cols, sizeof *x);
	double *diagonal = get_memory(cols, sizeof *diagonal), *values = get_memory((size_t)rows * cols, sizeof *values), mean = 0;
	float *h = get_memory((size_t)cols * cols, sizeof *h), *out = decoded(m);
	uint32_t *index[PB_MAX_STAGES + 1] = { NULL }, *outliers = &index[PB_MAX_STAGES][0];
	for (uint32_t c = 0; c < cols; c++) {
		double low = INFINITY, high = -INFINITY, sum = 0, squares = 0;
		for (uint32_t r = 0; r < rows; r++) {
			double w = l->w[(size_t)r * cols + c];
			low = fmin(low, w);
			high = fmax(high, w);
			sum += w / rows;
		}
		for (uint32_t r = 0; r < rows; r++)
			squares += pow(l->w[(size_t)r * cols + c] - sum, 2) / rows;
		scale[c] = 1;
		if (k->norm) {
			bool minmax = !strcmp(k->norm, "minmax");
			double exact_scale = minmax ? high - low : sqrt(squares), exact_offset = minmax ? low : sum;
			scale[c] = pb_float_at(m->col_scale_dtype, m->col_scale, c);
			offset[c] = pb_float_at(m->col_offset_dtype, m->col_offset, c);
			assert_true(fabs(scale[c] - exact_scale) <= 0x1p-8 * exact_scale);
			assert_true(fabs(offset[c] - exact_offset) <= 0x1p-8 * fabs(exact_offset) + 0x1p-25);
		}
		mean += l->h[(size_t)c * cols + c] / (double)cols;
	}
	for (size_t a = 0; a < cols; a++)
		for (size_t b = 0; b < cols; b++) {
			double here = l->h[a * cols + b] + (a == b ? k->load_damping * mean : 0);
			h[a * cols + b] = (float)(k->as_released ? here : here * scale[a] * scale[b]);
		}
	for (size_t c = 0; c < cols; c++)
		diagonal[c] = h[c * cols + c];
	plain_order(diagonal, cols, k->in_place, order);
	if (v->column_order)
		for (uint32_t p = 0; p < cols; p++)
			assert_int_equal(v->column_order[p], order[p]);
	float *ordered = get_memory((size_t)cols * cols, sizeof *ordered);
	for (size_t a = 0; a < cols; a++)
		for (size_t b = 0; b < cols; b++)
			ordered[a * cols + b] = h[(size_t)order[a] * cols + order[b]];
	double *u = plain_factor(ordered, cols, k->damping);
	for (size_t r = 0; r < rows; r++)
		for (uint32_t p = 0; p < cols; p++)
			x[r * cols + p] = (l->w[r * cols + order[p]] - offset[order[p]]) / scale[order[p]];
	for (uint32_t s = 0; s < v->n_stages; s++)
		index[s] = indices(v->index[s], v->n_centroids[s], pb_vector_count(rows, rest, v->length, true));
	if (v->n_outliers)
		outliers = index[PB_MAX_STAGES] = indices(v->outlier_index, v->outlier_centroids,
			pb_vector_count(rows, v->n_outliers, v->outlier_length, true));
	for (uint32_t p = 0; p < cols; p++) {
		bool out_of = p < v->n_outliers;
		uint32_t length = out_of ? v->outlier_length : v->length, n_stages = out_of ? 1 : v->n_stages;
		uint32_t place = p - (out_of ? 0 : v->n_outliers);
		if (!v->column_order)
			place = order[p];
		size_t group = out_of ? 0 : (p - v->n_outliers) / pb_vector_group(m);
		for (uint32_t i = 0; i * length < rows; i++, vectors++) {
			double left[16] = { 0 }, value[16] = { 0 };
			for (uint32_t e = 0; e < length && i * length + e < rows; e++)
				left[e] = x[(size_t)(i * length + e) * cols + p];
			for (uint32_t s = 0; s < n_stages; s++) {
				uint32_t n = out_of ? v->outlier_centroids : v->n_centroids[s], best = 0;
				const void *book = out_of ? v->outlier_codebook : v->codebook[s];
				double shortest = INFINITY;
				for (uint32_t c = 0; c < n; c++) {
					double here = 0;
					for (uint32_t e = 0; e < length; e++)
						here += pow(left[e] - pb_float_at(v->dtype, book, (group * n + c) * length + e), 2);
					if (here < shortest) {
						shortest = here;
						best = c;
					}
				}
				other += best != (out_of ? outliers[(size_t)i * v->n_outliers + place] : index[s][(size_t)i * rest + place]);
				for (uint32_t e = 0; e < length; e++) {
					double c = pb_float_at(v->dtype, book, (group * n + best) * length + e);
					left[e] -= c;
					value[e] += c;
				}
			}
			for (uint32_t e = 0; e < length && i * length + e < rows; e++) {
				size_t row = i * length + e;
				values[row * cols + order[p]] = value[e] * scale[order[p]] + offset[order[p]];
				for (uint32_t j = p + 1; j < cols; j++)
					x[row * cols + j] -= left[e] / u[(size_t)p * cols + p] * u[(size_t)j * cols + p];
			}
		}
	}
	if (other > vectors / 50)
		fail_msg("%u of %u codes differ", other, vectors);
	for (size_t i = 0; i < (size_t)rows * cols && !other; i++)
		assert_true(fabs(out[i] - values[i]) < 1e-5);
	for (int s = 0; s <= PB_MAX_STAGES; s++)
		free(index[s]);
	free(order);
	free(scale);
	free(offset);
	free(x);
	free(diagonal);
	free(values);
	free(h);
	free(out);
	free(ordered);
	free(u);
}

static void plugin_in_plain(void **state)
{
	(void)state;
	static const struct {
		const char *options;
		struct setting k;
		uint32_t rows, cols;
	} cases[] = {
		{ "", { NULL, false, false, 0.01, 0.01 }, 64, 96 },
		{ "length=3,centroids=16", { NULL, false, false, 0.01, 0.01 }, 50, 150 },
		{ "length=2,centroids=9,residual=5,permute=no,dtype=f32", { NULL, false, true, 0.01, 0.01 }, 31, 40 },
		{ "length=4,centroids=32,groups=3,load_damping=0,damping=0.2", { NULL, false, false, 0, 0.2 }, 40, 64 },
		{ "length=4,centroids=32,groups=3,permute=no", { NULL, false, true, 0.01, 0.01 }, 40, 64 },
		{ "length=2,centroids=16,outliers=5,outlier_length=3,outlier_centroids=16,groups=2,norm=minmax,residual=4", { "minmax", false, false, 0.01, 0.01 }, 44, 80 },
		{ "length=2,centroids=16,norm=meanstd,norm_hessian=as_released", { "meanstd", true, false, 0.01, 0.01 }, 44, 80 },
		{ "length=5,centroids=16,outliers=1,outlier_length=16,outlier_centroids=3,norm=meanstd,dtype=bf16", { "meanstd", false, false, 0.01, 0.01 }, 44, 80 },
		{ "length=16,centroids=4", { NULL, false, false, 0.01, 0.01 }, 7, 20 }, /* narrower than a vector */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct layer l = random_layer(20 + i, cases[i].rows, cases[i].cols, 3 * cases[i].cols);
		for (size_t j = 0; j < (size_t)l.rows * l.cols; j++)
			l.w[j] *= 1 + (float)(j % l.cols % 4);
		struct pb_encoded *m = run_layer(VPTQ, cases[i].options, &l);
		expect_plain(&l, m, &cases[i].k);
		pb_encoded_free(m);
		free_layer(&l);
	}
}

/* Sums of another kernel of sgemm may decide a near tie the other way, and with it the rest of its row of vectors. */
static void independent_implementation(void **state)
{
	(void)state;
	const char *folder = strrchr(__FILE__, '/');
	char path[512], options[256], all[320];
	snprintf(path, sizeof path, "%.*s/../vectors/vptq/layer.txt", (int)(folder - __FILE__), __FILE__);
	FILE *f = fopen(path, "r");
	if (!f)
		fail_msg("%s is not there", path);
	struct layer l = drawn_layer(256, 512, UINT32_MAX);
	double loss;
	int cases = 0;
	unsigned arrays;
	while (fscanf(f, "%255s %lf %u", options, &loss, &arrays) == 3) {
		snprintf(all, sizeof all, "%s,iterations=8,tolerance=0", options);
		struct pb_encoded *m = run_layer(VPTQ, all, &l);
		const struct pb_vector_code *v = m->vector;
		float *out = decoded(m);
		int other = 0, rows_of_vectors = 0;
		assert_int_equal(arrays, v->n_stages + (v->n_outliers > 0));
		for (unsigned a = 0; a < arrays; a++) {
			bool outliers = v->n_outliers && a == 0;
			uint32_t s = a - (v->n_outliers > 0), k = outliers ? v->outlier_centroids : v->n_centroids[s], n, expected;
			uint32_t cols = outliers ? v->n_outliers : l.cols - v->n_outliers, length = outliers ? v->outlier_length : v->length;
			uint32_t *index = indices(outliers ? v->outlier_index : v->index[s], k, pb_vector_count(l.rows, cols, length, true));
			assert_int_equal(fscanf(f, "%u", &n), 1);
			assert_int_equal(n, pb_vector_count(l.rows, 1, length, true));
			for (uint32_t i = 0; i < n; i++, rows_of_vectors++) {
				assert_int_equal(fscanf(f, "%x", &expected), 1);
				other += crc32(0, (const Bytef *)(index + (size_t)i * cols), cols * 4) != expected;
			}
			free(index);
		}
		double got = loss_of(&l, out);
		if (other > rows_of_vectors / 10 || fabs(got - loss) > (other ? 1e-3 : 1e-5) * loss)
			fail_msg("%s: %d rows differ, loss %.9g, expected %.9g", options, other, got, loss);
		free(out);
		pb_encoded_free(m);
		cases++;
	}
	assert_int_equal(cases, 4);
	fclose(f);
	free_layer(&l);
}

/* The codebook and the order are the same with the diagonal alone; feedback then takes no part, and each vector gets the
 * nearest. Feedback lowers the loss, a residual codebook lowers it again, and 2 bits are better than round to nearest's. */
static void stages_lower_the_loss(void **state)
{
	(void)state;
	extern const struct pb_quantizer pb_quantizer_rtn;
	for (uint64_t seed = 40; seed < 44; seed++) {
		struct layer l = random_layer(seed, 96, 128, 300), diagonal = random_layer(seed, 96, 128, 300);
		for (size_t i = 0; i < 128 * 128; i++)
			diagonal.h[i] = i % 129 ? 0 : l.h[i];
		struct pb_encoded *m = run_layer(VPTQ, "length=4,centroids=64", &diagonal);
		const struct setting k = { NULL, false, false, 0.01, 0.01 };
		expect_plain(&diagonal, m, &k);
		float *out = decoded(m);
		double direct = loss_of(&l, out), feedback = loss_by(VPTQ, "length=4,centroids=64", &l);
		double residual = loss_by(VPTQ, "length=4,centroids=64,residual=16", &l);
		assert_true(feedback < 0.9 * direct);
		assert_true(residual < 0.7 * feedback);
		assert_true(loss_by(VPTQ, "", &l) < 0.7 * loss_by(&pb_quantizer_rtn, "bits=2", &l));
		free(out);
		pb_encoded_free(m);
		free_layer(&l);
		free_layer(&diagonal);
	}
}

/* ---- sizes ---- */

static double plan_bits(const char *options, uint32_t rows, uint32_t cols)
{
	struct pb_quantizer_use use;
	struct pb_quantize_job job = { .rows = rows, .cols = cols };
	struct pb_error err = { .text = "" };
	char text[256];
	uint64_t bytes = 0;
	snprintf(text, sizeof text, "vptq:%s", options);
	if (pb_quantizer_use_parse(&use, text, &err) || pb_quantizer_plan(&use, &job, &bytes, &err))
		fail_msg("%s: %s", text, err.text);
	pb_quantizer_use_free(&use);
	return 8.0 * (double)bytes;
}

/* Bits a weight of a decoder layer; order_bits: what an order takes that is not stored where it does not matter. */
static double layer_bits(const char *options, uint32_t hidden, uint32_t ffn, uint32_t kv, double order_bits)
{
	const uint32_t shapes[7][2] = { { hidden, hidden }, { kv, hidden }, { kv, hidden }, { hidden, hidden }, { ffn, hidden }, { ffn, hidden },
		{ hidden, ffn } };
	double bits = 0, weights = 0;
	for (int i = 0; i < 7; i++) {
		bits += plan_bits(options, shapes[i][0], shapes[i][1]) + order_bits * shapes[i][1];
		weights += (double)shapes[i][0] * shapes[i][1];
	}
	return bits / weights;
}

static void published_sizes(void **state)
{
	(void)state;
	static const struct {
		uint32_t hidden, ffn, kv;
	} shapes[] = { { 4096, 11008, 4096 }, { 5120, 13824, 5120 }, { 8192, 28672, 1024 }, { 4096, 14336, 1024 }, { 16384, 53248, 1024 } };
	static const struct {
		int model;
		const char *options;
		double order_bits, bits, tolerance;
	} cases[] = {
		/* the paper's table of settings; it counts an order in each matrix */
		{ 0, "length=6,centroids=4096", 16, 2.02, 0.005 },
		{ 0, "length=12,centroids=4096,residual=4096,groups=4,outliers=1,outlier_length=4,outlier_centroids=8192", 0, 2.26, 0.005 },
		{ 1, "length=6,centroids=4096", 16, 2.02, 0.005 },
		{ 1, "length=12,centroids=4096,residual=4096,groups=4,outliers=2,outlier_length=4,outlier_centroids=8192", 0, 2.18, 0.005 },
		{ 2, "length=12,centroids=4096,residual=4096,groups=4,outliers=1,outlier_length=4,outlier_centroids=8192", 0, 2.07, 0.005 },
		{ 2, "length=12,centroids=4096,residual=4096,groups=8,outliers=1,outlier_length=4,outlier_centroids=8192", 0, 2.125, 0.005 },
		{ 3, "length=12,centroids=4096,residual=4096,outliers=1,outlier_length=4,outlier_centroids=4096", 0, 2.08, 0.005 },
		{ 3, "length=6,centroids=4096,groups=16,outliers=1,outlier_length=4,outlier_centroids=8192", 0, 2.24, 0.005 },
		{ 2, "length=12,centroids=4096,residual=4096", 16, 2.02, 0.005 },
		{ 2, "length=6,centroids=4096,groups=16,outliers=1,outlier_length=4,outlier_centroids=4096", 0, 2.07, 0.005 },
		/* checkpoints by the shapes of their tensors; two of them have no order */
		{ 3, "length=8,centroids=65536,residual=65536", 16, 4.547, 0.0005 },
		{ 3, "length=8,centroids=65536,residual=4096", 16, 3.795, 0.0005 },
		{ 3, "length=8,centroids=65536,residual=256", 16, 3.279, 0.0005 },
		{ 3, "length=12,centroids=65536,residual=4096", 0, 2.771, 0.0005 },
		{ 2, "length=8,centroids=65536,residual=65536", 16, 4.142, 0.0005 },
		{ 2, "length=8,centroids=65536,residual=256", 16, 3.073, 0.0005 },
		{ 2, "length=16,centroids=65536,residual=65536", 16, 2.279, 0.0005 },
		{ 2, "length=8,centroids=65536", 16, 2.073, 0.0005 },
		{ 2, "length=8,centroids=32768", 16, 1.914, 0.0005 },
		{ 2, "length=8,centroids=16384", 16, 1.772, 0.0005 },
		{ 4, "length=8,centroids=65536,residual=256", 0, 3.020, 0.0005 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char options[256];
		snprintf(options, sizeof options, "norm=minmax,%s", cases[i].options);
		int m = cases[i].model;
		double bits = layer_bits(options, shapes[m].hidden, shapes[m].ffn, shapes[m].kv, cases[i].order_bits);
		if (fabs(bits - cases[i].bits) > cases[i].tolerance)
			fail_msg("%s: %.4f bits, published %.4f", options, bits, cases[i].bits);
	}
	/* one matrix of 4096 x 4096, codebook and indices alone */
	assert_true(fabs(plan_bits("length=8,centroids=256", 4096, 4096) / 4096 / 4096 - 1.002) < 0.0005);
}

/* What is left open is chosen by the shape: a codebook never takes more than half as much again, and is near `bits`. */
static void choices_by_shape(void **state)
{
	(void)state;
	static const uint32_t shapes[][2] = { { 64, 64 }, { 32, 64 }, { 172, 64 }, { 64, 172 }, { 128, 128 }, { 400, 160 }, { 1024, 1024 },
		{ 4096, 4096 } };
	double before = INFINITY;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		double weights = (double)shapes[i][0] * shapes[i][1];
		for (int bits = 1; bits <= 4; bits++) {
			char options[64];
			snprintf(options, sizeof options, "bits=%d", bits);
			double got = plan_bits(options, shapes[i][0], shapes[i][1]) / weights;
			assert_true(got >= bits - 0.2 && got < bits + 0.3);
			snprintf(options, sizeof options, "bits=%d,length=1", bits);
			assert_true(fabs(plan_bits(options, shapes[i][0], shapes[i][1]) - bits * weights - (16 << bits)) < 8);
		}
	}
	for (uint32_t n = 64; n <= 4096; n *= 2) {
		double got = plan_bits("", n, n) / n / n;
		assert_true(got <= before || got < 2.1);
		before = got;
	}
	/* the only two entries that a codebook can have, and less than a byte of indices */
	assert_true(plan_bits("", 1, 1) == 2 * 16 + 8);
	assert_true(plan_bits("bits=0.1", 3, 5) <= 8 * (2 * 3 * 2 + 1));
}

/* ---- manners ---- */

static enum pb_status status_of(const char *options, const struct layer *l, const char *says)
{
	struct pb_error err = { .text = "" };
	struct pb_encoded *m = NULL;
	enum pb_status status = try_layer(VPTQ, options, l, &m, &err);
	assert_true((status == PB_OK) == (m != NULL));
	if (says && !strstr(err.text, says))
		fail_msg("%s: says '%s', not '%s'", options, err.text, says);
	pb_encoded_free(m);
	return status;
}

static void shapes_and_numbers(void **state)
{
	(void)state;
	static const uint32_t shapes[][2] = { { 1, 1 }, { 1, 37 }, { 37, 1 }, { 3, 5 }, { 8, 64 }, { 65, 130 } };
	static const char *const settings[] = { "", "bits=1", "norm=minmax", "norm=meanstd,norm_hessian=as_released", "length=7,centroids=2,residual=2",
		"groups=3,length=2,centroids=2", "permute=no,load_damping=0" };
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
			struct layer l = random_layer(i, shapes[i][0], shapes[i][1], 4 * shapes[i][1]);
			size_t n = (size_t)l.rows * l.cols;
			struct pb_encoded *m = run_layer(VPTQ, settings[k], &l), *again = run_layer(VPTQ, settings[k], &l);
			float *out = decoded(m), *out_again = decoded(again);
			assert_memory_equal(out, out_again, n * sizeof *out);
			assert_int_equal(pb_count_not_finite(out, n), 0);
			free(out);
			free(out_again);
			pb_encoded_free(m);
			pb_encoded_free(again);
			for (size_t r = 0; r < l.rows; r += 2) /* rows of zeros */
				memset(l.w + r * l.cols, 0, l.cols * sizeof *l.w);
			assert_int_equal(status_of(settings[k], &l, NULL), PB_OK);
			memset(l.w, 0, n * sizeof *l.w);
			m = run_layer(VPTQ, settings[k], &l);
			out = decoded(m);
			for (size_t j = 0; j < n; j++)
				assert_true(out[j] == 0);
			free(out);
			pb_encoded_free(m);
			for (size_t j = 0; j < n; j++) /* columns of one number: exact with a scale of 0 */
				l.w[j] = (float)(j % l.cols % 7) * 0.25f;
			m = run_layer(VPTQ, settings[k], &l);
			out = decoded(m);
			for (size_t j = 0; j < n && m->col_offset; j++)
				assert_true(out[j] == l.w[j]);
			free(out);
			pb_encoded_free(m);
			l.w[n / 2] = i % 2 ? NAN : INFINITY;
			assert_int_equal(status_of(settings[k], &l, "finite"), PB_NUMERIC);
			free_layer(&l);
		}
}

static void moments_of_all_kinds(void **state)
{
	(void)state;
	struct layer l = random_layer(60, 24, 40, 10); /* fewer tokens than columns: singular */
	assert_int_equal(status_of("", &l, NULL), PB_OK);
	assert_int_equal(status_of("norm=minmax", &l, NULL), PB_OK);
	for (size_t c = 0; c < 40; c++) /* inputs that never come */
		l.h[c * 40 + 7] = l.h[7 * 40 + c] = l.h[c * 40 + 20] = l.h[20 * 40 + c] = 0;
	assert_int_equal(status_of("", &l, NULL), PB_OK);
	assert_int_equal(status_of("load_damping=0", &l, NULL), PB_OK);
	l.h[1] = l.h[40] = 100 * l.h[0] + 100 * l.h[41]; /* no second moment of anything */
	assert_int_equal(status_of("load_damping=0,damping=0", &l, "not positive definite"), PB_NUMERIC);
	l.h[0] = -1;
	assert_int_equal(status_of("", &l, "negative"), PB_NUMERIC);
	l.h[0] = NAN;
	assert_int_equal(status_of("", &l, "not finite"), PB_NUMERIC);
	memset(l.h, 0, 1600 * sizeof *l.h);
	assert_int_equal(status_of("", &l, "all are 0"), PB_NUMERIC);
	free_layer(&l);
}

static void refusals(void **state)
{
	(void)state;
	struct layer l = random_layer(61, 16, 20, 40);
	assert_int_equal(status_of("centroids=1", &l, "centroids: 1 is no codebook"), PB_USAGE);
	assert_int_equal(status_of("residual=1", &l, "residual: 1 is no codebook"), PB_USAGE);
	assert_int_equal(status_of("length=8,centroids=41", &l, "centroids: 41 are more than the 40 vectors"), PB_UNSUPPORTED);
	assert_int_equal(status_of("length=8,centroids=40", &l, NULL), PB_OK); /* each its own */
	assert_int_equal(status_of("length=8,centroids=8,residual=41", &l, "residual: 41"), PB_UNSUPPORTED);
	assert_int_equal(status_of("length=8,centroids=21,groups=2", &l, "the 20 vectors"), PB_UNSUPPORTED);
	assert_int_equal(status_of("outliers=5,outlier_centroids=5", &l, "outlier_centroids: 5 are more than the 4 vectors"), PB_UNSUPPORTED);
	assert_int_equal(status_of("outliers=5", &l, NULL), PB_OK);
	assert_int_equal(status_of("outliers=5,outlier_centroids=1", &l, "no codebook"), PB_USAGE);
	assert_int_equal(status_of("outliers=5,groups=64", &l, "outliers: with 64 groups all 20 columns"), PB_UNSUPPORTED);
	assert_int_equal(status_of("groups=64,length=1,centroids=16", &l, NULL), PB_OK); /* a group a column */
	l.w[5] = 1e6f;
	assert_int_equal(status_of("length=1,centroids=64", &l, "too large for F16"), PB_NUMERIC);
	assert_int_equal(status_of("length=1,centroids=64,norm=minmax", &l, "too large for F16"), PB_NUMERIC);
	assert_int_equal(status_of("length=1,centroids=64,dtype=bf16", &l, NULL), PB_OK);
	free_layer(&l);
	struct pb_error err = { .text = "" };
	struct pb_quantizer_use use;
	struct pb_quantize_job wide = { .rows = 1, .cols = 65537 };
	uint64_t bytes;
	OK(pb_quantizer_use_parse(&use, "vptq:groups=2", ERR));
	assert_int_equal(pb_quantizer_plan(&use, &wide, &bytes, &err), PB_UNSUPPORTED);
	pb_quantizer_use_free(&use);
	OK(pb_quantizer_use_parse(&use, "vptq", ERR));
	OK(pb_quantizer_plan(&use, &wide, &bytes, ERR));
	pb_quantizer_use_free(&use);
}

/* Options and shapes of all kinds: a sound matrix of the planned size, or one sentence. */
static void anything(void **state)
{
	(void)state;
	static const char *const choices[] = { "norm=none", "norm=minmax", "norm=meanstd", "norm=minmax,norm_hessian=as_released", "dtype=bf16", "dtype=f32",
		"permute=no", "load_damping=0", "iterations=0" };
	struct pb_rng r = pb_rng_make(63, 0);
	int fine = 0;
	for (int i = 0; i < 400; i++) {
		char options[256];
		struct layer l = random_layer((uint64_t)i, 1 + (uint32_t)pb_rng_below(&r, 40), 1 + (uint32_t)pb_rng_below(&r, 40), 50);
		struct pb_encoded *m = NULL;
		struct pb_error err = { .text = "" };
		snprintf(options, sizeof options, "bits=%g,length=%d,centroids=%d,residual=%d,groups=%d,outliers=%d,outlier_length=%d,outlier_centroids=%d,%s",
			0.1 + 7.9 * pb_rng_unit(&r), (int)pb_rng_below(&r, 2) * (int)pb_rng_below(&r, 65), (int)pb_rng_below(&r, 2) * (int)pb_rng_below(&r, 40),
			(int)pb_rng_below(&r, 2) * (int)pb_rng_below(&r, 20), 1 + (int)pb_rng_below(&r, 2) * (int)pb_rng_below(&r, 50),
			(int)pb_rng_below(&r, 2) * (int)pb_rng_below(&r, 51), 1 + (int)pb_rng_below(&r, 64), (int)pb_rng_below(&r, 2) * (int)pb_rng_below(&r, 9),
			choices[pb_rng_below(&r, sizeof choices / sizeof *choices)]);
		enum pb_status status = try_layer(VPTQ, options, &l, &m, &err);
		if (status && ((status != PB_UNSUPPORTED && status != PB_USAGE) || !*err.text))
			fail_msg("%s on %u x %u: %s", options, l.rows, l.cols, err.text);
		fine += !status;
		pb_encoded_free(m);
		free_layer(&l);
	}
	assert_true(fine > 150);
}

struct thread {
	pthread_t id;
	const struct layer *l;
	struct pb_encoded *m;
};

static void *quantize_in_thread(void *arg)
{
	struct thread *t = arg;
	t->m = run_layer(VPTQ, "length=4,centroids=64,residual=16,groups=2,norm=minmax", t->l);
	return NULL;
}

static void same_in_all_threads(void **state)
{
	(void)state;
	struct layer l = random_layer(62, 120, 200, 400);
	struct thread threads[4];
	struct pb_part parts[2][PB_MAX_PARTS];
	struct pb_encoded *alone = run_layer(VPTQ, "length=4,centroids=64,residual=16,groups=2,norm=minmax", &l);
	unsigned n = pb_encoded_parts(alone, parts[0]);
	for (int i = 0; i < 4; i++) {
		threads[i].l = &l;
		assert_int_equal(pthread_create(&threads[i].id, NULL, quantize_in_thread, &threads[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i].id, NULL);
		assert_int_equal(pb_encoded_parts(threads[i].m, parts[1]), n);
		for (unsigned p = 0; p < n; p++)
			assert_memory_equal(parts[0][p].tensor.data, parts[1][p].tensor.data, parts[0][p].tensor.bytes);
		pb_encoded_free(threads[i].m);
	}
	pb_encoded_free(alone);
	free_layer(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_numbers),
		cmocka_unit_test(single_numbers_are_gptq),
		cmocka_unit_test(loop_in_plain),
		cmocka_unit_test(plugin_in_plain),
		cmocka_unit_test(independent_implementation),
		cmocka_unit_test(stages_lower_the_loss),
		cmocka_unit_test(published_sizes),
		cmocka_unit_test(choices_by_shape),
		cmocka_unit_test(shapes_and_numbers),
		cmocka_unit_test(moments_of_all_kinds),
		cmocka_unit_test(refusals),
		cmocka_unit_test(anything),
		cmocka_unit_test(same_in_all_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
