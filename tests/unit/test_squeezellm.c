/* SqueezeLLM: a layer against vectors made elsewhere, the rules of what is taken out, what is stored, and the bits that the
 * paper prints. Where numbers come from: tests/vectors/squeezellm/ORIGIN.txt. */
#include "tests/unit/quantized.h"

#include <stdio.h>
#include <zlib.h>

extern const struct pb_quantizer pb_quantizer_squeezellm;
#define Q (&pb_quantizer_squeezellm)

/* The matrix (rows, cols) with sensitivities f as squared gradients, or as the moments of the columns. */
struct layer {
	uint32_t rows, cols;
	const float *w, *f;
	const float *second_moment;
};

static enum pb_status try_layer(const char *options, const struct layer *l, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_quantizer_use use;
	char text[256];
	snprintf(text, sizeof text, "squeezellm:%s", options);
	enum pb_status status = pb_quantizer_use_parse(&use, text, err);
	if (status)
		return status;
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = l->rows, .cols = l->cols, .weights = l->w, .source_dtype = PB_F32,
		.gradient_sq = l->f, .second_moment = l->second_moment, .mean_abs = l->second_moment, .rng = pb_rng_make(3, 1) };
	status = pb_quantizer_run(&use, &job, out, err);
	pb_quantizer_use_free(&use);
	return status;
}

static struct pb_encoded *quantize_layer(const char *options, const struct layer *l)
{
	struct pb_encoded *m = NULL;
	struct pb_error err;
	if (try_layer(options, l, &m, &err))
		fail_msg("%s: %s", options, err.text);
	return m;
}

static void refused(const char *options, const struct layer *l, enum pb_status status, const char *sentence)
{
	struct pb_encoded *m = NULL;
	struct pb_error err;
	assert_int_equal(try_layer(options, l, &m, &err), status);
	assert_null(m);
	if (!strstr(err.text, sentence))
		fail_msg("%s: '%s' does not say '%s'", options, err.text, sentence);
}

/* Sum of f (decoded - w)^2; f: NULL for 1. */
static double objective(const struct pb_encoded *m, const float *w, const float *f)
{
	double sum = 0;
	float *d = decoded(m);
	for (size_t i = 0; i < (size_t)m->rows * m->cols; i++)
		sum += (f ? f[i] : 1.0) * ((double)d[i] - w[i]) * ((double)d[i] - w[i]);
	free(d);
	return sum;
}

static double objective_of(const char *options, const struct layer *l)
{
	struct pb_encoded *m = quantize_layer(options, l);
	double sum = objective(m, l->w, l->f);
	pb_encoded_free(m);
	return sum;
}

static uint64_t planned_bytes(const char *options, uint32_t rows, uint32_t cols)
{
	struct pb_quantizer_use use;
	struct pb_quantize_job job = { .name = "m", .rows = rows, .cols = cols, .source_dtype = PB_F16 };
	struct pb_error err;
	char text[256];
	uint64_t bytes = 0;
	snprintf(text, sizeof text, "squeezellm:%s", options);
	if (pb_quantizer_use_parse(&use, text, &err) || pb_quantizer_plan(&use, &job, &bytes, &err))
		fail_msg("%s: %s", text, err.text);
	pb_quantizer_use_free(&use);
	return bytes;
}

/* ---- vectors ---- */

enum { ROWS = 256, COLS = 512, N = ROWS * COLS };
static float layer_w[N], layer_f[N], layer_moment[COLS * COLS];
static const struct layer vector_layer = { ROWS, COLS, layer_w, layer_f, layer_moment };

static void make_layer(void)
{
	uint32_t s = 2306;
	for (int i = 0; i < N; i++) {
		uint32_t u[5];
		for (int j = 0; j < 5; j++) {
			s = 1664525u * s + 1013904223u;
			u[j] = s >> 16;
		}
		float t = (float)(u[4] + 1024) / 66560.0f, square = t * t;
		layer_w[i] = (float)((int)(u[0] + u[1] + u[2] + u[3]) - 131070) / 65536.0f;
		layer_f[i] = square * square;
	}
	for (int i = 0; i < COLS; i++)
		layer_moment[i * COLS + i] = layer_f[i];
}

static uint32_t crc(const void *data, size_t n)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), data, (unsigned)n);
}

static void check_crc(const char *options, const char *what, uint32_t got, uint32_t expected)
{
	if (got != expected)
		fail_msg("%s: crc of the %s is %08x, expected %08x", options, what, got, expected);
}

static void vectors(void **state)
{
	(void)state;
	static uint8_t codes[N];
	static float column_f[N];
	make_layer();
	for (int i = 0; i < N; i++)
		column_f[i] = layer_f[i % COLS];
	FILE *f = fopen("tests/vectors/squeezellm/layer.txt", "r");
	if (!f)
		fail_msg("tests/vectors/squeezellm/layer.txt: not there; run from the repository's root");
	char line[512], options[256];
	int n_cases = 0;
	while (fgets(line, sizeof line, f)) {
		unsigned n_sparse, of_codes, of_levels, of_columns, of_values, of_decoded;
		double expected;
		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%255s %u %x %x %x %x %x %lf", options, &n_sparse, &of_codes, &of_levels, &of_columns, &of_values,
			&of_decoded, &expected), 8);
		struct pb_encoded *m = quantize_layer(options, &vector_layer);
		for (uint32_t r = 0; r < ROWS; r++)
			pb_unpack(m->width, m->packed + r * pb_packed_bytes(m->width, COLS), 0, COLS, codes + r * COLS);
		assert_int_equal(m->n_sparse, n_sparse);
		check_crc(options, "levels", crc(m->levels, (size_t)ROWS * m->n_levels * pb_dtype_bytes(m->levels_dtype)), of_levels);
		check_crc(options, "codes", crc(codes, N), of_codes);
		check_crc(options, "columns", crc(m->sparse_column ? (const void *)m->sparse_column : "", n_sparse * sizeof(uint32_t)), of_columns);
		check_crc(options, "values", crc(m->sparse_value ? m->sparse_value : "", n_sparse * pb_dtype_bytes(m->sparse_dtype)), of_values);
		float *d = decoded(m);
		check_crc(options, "decoded", crc(d, N * sizeof *d), of_decoded);
		free(d);
		double got = objective(m, layer_w, strstr(options, "activations") ? column_f : strstr(options, "none") ? NULL : layer_f);
		if (!(fabs(got - expected) <= 1e-10 * expected))
			fail_msg("%s: objective %.12g, expected %.12g", options, got, expected);
		pb_encoded_free(m);
		n_cases++;
	}
	fclose(f);
	assert_int_equal(n_cases, 13);
}

/* Objectives of scikit-learn's KMeans on the same rows are 890.92, 237.47 and 54.49. */
static void solvers(void **state)
{
	(void)state;
	static const double others[] = { 890.9190868, 237.4682537, 54.49128999 };
	make_layer();
	for (int bits = 2; bits <= 4; bits++) {
		char options[64];
		snprintf(options, sizeof options, "bits=%d,level_dtype=f32", bits);
		double exact = objective_of(options, &vector_layer);
		snprintf(options, sizeof options, "bits=%d,level_dtype=f32,solver=lloyd", bits);
		double lloyd = objective_of(options, &vector_layer);
		assert_true(exact < lloyd);
		if (!(fabs(lloyd / others[bits - 2] - 1) < 0.02))
			fail_msg("bits %d: Lloyd's objective is %g, scikit-learn's %g", bits, lloyd, others[bits - 2]);
	}
}

/* ---- packing ---- */

/* The index packing of the published checkpoints is ours: a little-endian stream along the inputs. */
static void packing(void **state)
{
	(void)state;
	static const struct { enum pb_width width; unsigned n; uint32_t words[3]; } cases[] = {
		{ PB_W3, 32, { 0x88fac688, 0xc688fac6, 0xfac688fa } },
		{ PB_W3, 32, { 0x43c67543, 0x7543c675, 0xc67543c6 } },
		{ PB_W4, 8, { 0xf7654321 } },
	};
	uint8_t codes[32], packed[12];
	for (unsigned k = 0; k < 3; k++) {
		for (unsigned i = 0; i < cases[k].n; i++)
			codes[i] = (uint8_t)(k == 0 ? i % 8 : k == 1 ? (5 * i + 3) % 8 : i == 7 ? 15 : i + 1);
		pb_pack(cases[k].width, codes, cases[k].n, packed);
		for (unsigned b = 0; b < pb_packed_bytes(cases[k].width, cases[k].n); b++)
			assert_int_equal(packed[b], cases[k].words[b / 4] >> 8 * (b % 4) & 255);
	}
}

/* ---- what is taken out ---- */

static void check_columns(const char *options, const struct layer *l, const uint32_t *columns, uint32_t n)
{
	struct pb_encoded *m = quantize_layer(options, l);
	if (m->n_sparse != n)
		fail_msg("%s: %u weights taken out, expected %u", options, (unsigned)m->n_sparse, n);
	for (uint32_t i = 0; i < n; i++)
		if (m->sparse_column[i] != columns[i])
			fail_msg("%s: column %u taken out, expected %u", options, m->sparse_column[i], columns[i]);
	pb_encoded_free(m);
}
#define TAKEN(options, layer, ...) check_columns(options, layer, (const uint32_t[]){ __VA_ARGS__ }, \
	sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void thresholds(void **state)
{
	(void)state;
	/* quartiles -0.125 and 0.175, by interpolation: T = 0.715 for r = 1.8, and 0.175 + 0.3 r above r = 0 */
	static const float w[12] = { -1.2f, -0.3f, -0.2f, -0.1f, -0.05f, 0, 0.04f, 0.1f, 0.15f, 0.25f, 0.3f, 1.5f };
	const struct layer line = { 1, 12, w, NULL, NULL }, square = { 4, 3, w, NULL, NULL };
	TAKEN("sensitivity=none,rule=code,range=1.8,outliers=50", &line, 0, 11);
	TAKEN("sensitivity=none,rule=code,range=1.8,outliers=50", &square, 0, 2);
	TAKEN("sensitivity=none,rule=code,range=3.4166,outliers=50", &line, 0, 11);      /* T = 1.19998 */
	TAKEN("sensitivity=none,rule=code,range=3.4167,outliers=50", &line, 11);         /* T = 1.20001 */
	TAKEN("sensitivity=none,rule=code,range=4.4166,outliers=50", &line, 11);
	check_columns("sensitivity=none,rule=code,range=4.4167,outliers=50", &line, NULL, 0);
	/* at most outliers, among equals none */
	TAKEN("sensitivity=none,rule=code,range=0.1,outliers=25", &line, 0, 11);         /* 3, and two have magnitude 0.3 */
	TAKEN("sensitivity=none,rule=code,outliers=25", &line, 0, 11);
	TAKEN("sensitivity=none,rule=code,outliers=34", &line, 0, 1, 10, 11);

	/* the threshold itself is an outlier: quartiles -1 and 1, T = 3 */
	static const float even[9] = { -3, -2.9375f, -1, -0.5f, 0, 0.5f, 1, 2.9375f, 3 };
	const struct layer inclusive = { 1, 9, even, NULL, NULL };
	TAKEN("sensitivity=none,rule=code,range=1,outliers=50", &inclusive, 0, 8);
	TAKEN("sensitivity=none,rule=code,range=0.96875,outliers=50", &inclusive, 0, 1, 7, 8);

	/* interquartile range 0: everything at or above |q| is an outlier, but zeros are not stored */
	static const float flat[8] = { 0, 0, 0, 0, 0, 0, 0, 5 };
	const struct layer zeros = { 1, 8, flat, NULL, NULL };
	TAKEN("sensitivity=none,rule=code,range=1,outliers=100", &zeros, 7);
	check_columns("sensitivity=none,rule=code,range=1000,outliers=100", &line, NULL, 0);
}

static void sensitive_values(void **state)
{
	(void)state;
	static const float w[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, f[8] = { 5, 1, 9, 5, 2, 7, 5, 0 };
	const struct layer l = { 1, 8, w, f, NULL };
	/* n = 3: the third largest is 5, of three that are equal; the paper's rule takes the first, the code's none */
	TAKEN("sensitive=37.5", &l, 0, 2, 5);
	TAKEN("sensitive=37.5,rule=code", &l, 2, 5);
	TAKEN("sensitive=62.5", &l, 0, 2, 3, 5, 6);
	TAKEN("sensitive=75,rule=code", &l, 0, 2, 3, 5, 6);
	check_columns("sensitive=12.5,rule=code", &l, NULL, 0);
	check_columns("sensitive=12", &l, NULL, 0); /* n = 0 */
	/* then the tails of the rest: of 2, one at each end; of 3, two at the upper one */
	TAKEN("sensitive=25,outliers=25", &l, 0, 2, 5, 7);
	TAKEN("sensitive=25,outliers=37.5", &l, 0, 2, 5, 6, 7);
	TAKEN("sensitive=25,outliers=100", &l, 0, 1, 2, 3, 4, 5, 6, 7);
	/* by activations a column's weights are alike */
	static const float moment[4] = { 1, 0.5f, 0.5f, 3 }, two[4] = { 1, 2, 3, 4 };
	const struct layer columns = { 2, 2, two, NULL, moment };
	TAKEN("sensitivity=activations,sensitive=50", &columns, 1, 1);
	TAKEN("sensitivity=activations,sensitive=75,rule=code", &columns, 1, 1);
}

/* Exact counts by the paper's rule, a bound by the code's; where values were taken out the sum decodes to the weight. */
static void counts_and_corrections(void **state)
{
	(void)state;
	enum { R = 24, C = 100 };
	static float w[R * C], f[R * C];
	static const double percents[] = { 0, 0.05, 0.4, 3, 50, 100 };
	normal_matrix(8, w, R * C);
	struct pb_rng rng = pb_rng_make(8, 1);
	for (int i = 0; i < R * C; i++) {
		f[i] = (float)pb_rng_below(&rng, 50);
		if (i % 11 == 0)
			w[i] = 0;
	}
	const struct layer l = { R, C, w, f, NULL };
	for (int a = 0; a < 6; a++)
		for (int b = 0; b < 6; b++)
			for (int code = 0; code < 2; code++) {
				char options[160];
				snprintf(options, sizeof options, "sensitive=%g,outliers=%g,rule=%s,sparse_dtype=f32,bits=%d", percents[a], percents[b],
					code ? "code" : "paper", 2 + (a + b) % 3);
				struct pb_encoded *m = quantize_layer(options, &l);
				uint64_t most = (uint64_t)(24 * percents[a]) + (uint64_t)(24 * percents[b]);
				most = most < R * C ? most : R * C;
				if (code ? m->n_sparse > most : m->n_sparse != most)
					fail_msg("%s: %d values, expected %d", options, (int)m->n_sparse, (int)most);
				float *d = decoded(m);
				float levels[16];
				for (uint32_t r = 0; m->n_sparse && r < R; r++) {
					pb_float_read(m->levels_dtype, m->levels, r * m->n_levels, m->n_levels, levels);
					float nearest = levels[0];
					for (unsigned j = 1; j < m->n_levels; j++)
						nearest = fabsf(levels[j]) < fabsf(nearest) ? levels[j] : nearest;
					for (uint32_t i = m->sparse_start[r]; i < m->sparse_start[r + 1]; i++) {
						size_t at = r * C + m->sparse_column[i];
						float value = pb_float_at(PB_F32, m->sparse_value, i);
						assert_true(value == w[at] - nearest);
						assert_true(fabsf(d[at] - w[at]) <= 0x1p-24f * (fabsf(value) + fabsf(w[at])));
						assert_true(!code || (w[at] != 0 && value != 0));
					}
				}
				free(d);
				pb_encoded_free(m);
			}
	/* everything taken out: one level, 0, and the weights themselves */
	struct pb_encoded *all = quantize_layer("outliers=100,sparse_dtype=f32", &l);
	float *d = decoded(all);
	assert_memory_equal(d, w, sizeof w);
	free(d);
	pb_encoded_free(all);
}

/* ---- levels ---- */

static void rows_of_few_values(void **state)
{
	(void)state;
	static const float w[4 * 5] = { 0, 0, 0, 0, 0,  1, -1, 1, -1, 0,  2, 2, 2, 2, 2,  1, 2, 3, 4, 0 };
	static const float f[4 * 5] = { 1, 1, 1, 1, 1,  1, 2, 1, 2, 9,  0, 0, 0, 0, 0,  0, 1, 1, 0, 0 };
	static const float expected[4][4] = { { 0, 0, 0, 0 }, { -1, 1, 1, 1 }, { 2, 2, 2, 2 }, { 2, 3, 3, 3 } };
	static const float decodes[4 * 5] = { 0, 0, 0, 0, 0,  1, -1, 1, -1, -1,  2, 2, 2, 2, 2,  2, 2, 3, 3, 2 };
	const struct layer l = { 4, 5, w, f, NULL };
	for (int lloyd = 0; lloyd < 2; lloyd++) {
		struct pb_encoded *m = quantize_layer(lloyd ? "bits=2,solver=lloyd" : "bits=2", &l);
		for (unsigned i = 0; i < 16; i++)
			assert_true(pb_float_at(m->levels_dtype, m->levels, i) == expected[i / 4][i % 4]);
		float *d = decoded(m);
		assert_memory_equal(d, decodes, sizeof decodes);
		free(d);
		pb_encoded_free(m);
	}
}

static void better_with_more(void **state)
{
	(void)state;
	make_layer();
	double before = INFINITY;
	for (int bits = 2; bits <= 4; bits++) {
		char options[64];
		snprintf(options, sizeof options, "bits=%d", bits);
		double error = objective_of(options, &vector_layer);
		assert_true(error < before / 3);
		before = error;
	}
	static const char *const sparser[] = { "", "sensitive=0.05", "sensitive=0.05,outliers=0.4", "sensitive=0.05,outliers=1", "sensitive=1,outliers=4.5" };
	before = INFINITY;
	for (size_t i = 0; i < sizeof sparser / sizeof *sparser; i++) {
		double error = objective_of(sparser[i], &vector_layer);
		assert_true(error < before);
		before = error;
	}
	assert_true(objective_of("", &vector_layer) < objective_of("sensitivity=activations", &vector_layer));
	assert_true(objective_of("", &vector_layer) < objective_of("sensitivity=none", &vector_layer));
}

/* ---- sizes ---- */

/* The paper's rule: all that is stored but the starts of the rows, with 16 bits a level and a sparse value. Shapes of
 * LLaMA-7B and 13B; printed in Tables 1 and H.13: 3.02, 4.05, 3.24, 4.27 and 3.02, 4.04, 3.24, 4.26, some of them cut off. */
static void printed_bits(void **state)
{
	(void)state;
	static const struct { uint32_t hidden, inner; const char *options; double bits, printed; } cases[] = {
		{ 4096, 11008, "bits=3", 3.0269, 3.02 },
		{ 4096, 11008, "bits=4", 4.0538, 4.05 },
		{ 4096, 11008, "bits=3,sensitive=0.05,outliers=0.4", 3.2429, 3.24 },
		{ 4096, 11008, "bits=4,sensitive=0.05,outliers=0.4", 4.2698, 4.27 },
		{ 4096, 11008, "bits=3,rule=code,sensitive=0.05,outliers=0.4", 3.2429, 3.24 },
		{ 5120, 13824, "bits=3", 3.0215, 3.02 },
		{ 5120, 13824, "bits=4", 4.0430, 4.04 },
		{ 5120, 13824, "bits=3,sensitive=0.05,outliers=0.4", 3.2375, 3.24 },
		{ 5120, 13824, "bits=4,sensitive=0.05,outliers=0.4", 4.2590, 4.26 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t h = cases[i].hidden, n = cases[i].inner;
		const uint32_t shapes[7][2] = { { h, h }, { h, h }, { h, h }, { h, h }, { n, h }, { n, h }, { h, n } };
		double weights = 0, bytes = 0, starts = 0;
		for (int m = 0; m < 7; m++) {
			weights += (double)shapes[m][0] * shapes[m][1];
			bytes += (double)planned_bytes(cases[i].options, shapes[m][0], shapes[m][1]);
			starts += strstr(cases[i].options, "outliers") ? 4.0 * (shapes[m][0] + 1) : 0;
		}
		double paper = 8 * (bytes - starts) / weights;
		if (!(fabs(paper - cases[i].bits) < 6e-5 && fabs(paper - cases[i].printed) < 0.01))
			fail_msg("%u: %s: %.5f bits", h, cases[i].options, paper);
	}
}

/* The ledger of one matrix, part by part: the two ways of the paper (16-bit numbers) and of its code (32-bit). */
static void ledger(void **state)
{
	(void)state;
	make_layer();
	for (int wide = 0; wide < 2; wide++) {
		struct pb_encoded *m = quantize_layer(wide ? "sensitive=0.05,outliers=0.4,level_dtype=f32,sparse_dtype=f32" : "sensitive=0.05,outliers=0.4",
			&vector_layer);
		struct pb_part parts[PB_MAX_PARTS];
		const struct { const char *name; uint64_t bytes; } expected[] = { { "codes", N * 3 / 8 }, { "levels", ROWS * 8 * (wide ? 4 : 2) },
			{ "sparse.start", 4 * (ROWS + 1) }, { "sparse.column", 4 * 589 }, { "sparse.value", (wide ? 4 : 2) * 589 } };
		assert_int_equal(pb_encoded_parts(m, parts), 5);
		for (int i = 0; i < 5; i++) {
			assert_string_equal(parts[i].name, expected[i].name);
			assert_int_equal(parts[i].tensor.bytes, expected[i].bytes);
		}
		pb_encoded_free(m);
	}
}

/* ---- manners ---- */

static void refusals(void **state)
{
	(void)state;
	float w[6] = { 1, 2, 3, 4, 5, 6 }, f[6] = { 1, 2, 3, 4, 5, 6 }, moment[9] = { 1, 0, 0, 0, 2, 0, 0, 0, 3 };
	const struct layer l = { 2, 3, w, f, moment }, none = { 2, 3, w, NULL, NULL };
	refused("bits=5", &l, PB_USAGE, "2..4");
	refused("sensitivity=none,sensitive=1", &l, PB_USAGE, "no weight is more sensitive");
	refused("range=2,outliers=1", &l, PB_USAGE, "belongs to rule=code");
	refused("range=2,rule=code", &l, PB_USAGE, "outliers=0 allows no outlier");
	refused("outliers=101", &l, PB_USAGE, "0..100");
	refused("bits=3", &none, PB_UNSUPPORTED, "squared gradients");
	refused("sensitivity=activations", &none, PB_UNSUPPORTED, "second moments");
	f[4] = NAN;
	f[1] = -1;
	refused("bits=3", &l, PB_NUMERIC, "2 of 6 sensitivities are negative or not finite");
	moment[4] = INFINITY;
	refused("sensitivity=activations", &l, PB_NUMERIC, "1 of 3 sensitivities");
	pb_encoded_free(quantize_layer("sensitivity=none", &l));
	w[3] = 1e30f;
	refused("sensitivity=none,outliers=20", &l, PB_NUMERIC, "sparse values: 1 of 1");
	refused("sensitivity=none", &l, PB_NUMERIC, "levels");
	pb_encoded_free(quantize_layer("sensitivity=none,level_dtype=f32", &l));
}

static void manners(void **state)
{
	(void)state;
	check_manners(Q, "sensitivity=none");
	check_manners(Q, "sensitivity=none,bits=2,solver=lloyd");
	check_manners(Q, "sensitivity=none,bits=4,outliers=3");
	check_manners(Q, "sensitivity=none,rule=code,outliers=20,range=0.5,sparse_dtype=f32");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(solvers),
		cmocka_unit_test(packing),
		cmocka_unit_test(thresholds),
		cmocka_unit_test(sensitive_values),
		cmocka_unit_test(counts_and_corrections),
		cmocka_unit_test(rows_of_few_values),
		cmocka_unit_test(better_with_more),
		cmocka_unit_test(printed_bits),
		cmocka_unit_test(ledger),
		cmocka_unit_test(refusals),
		cmocka_unit_test(manners),
	};
	return cmocka_run_group_tests_name("squeezellm", tests, NULL, NULL);
}
