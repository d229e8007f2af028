/* Every method that works on one matrix, at its widths, on matrices and data that are as bad as they come: a sound result of finite
 * numbers, and the right one where it is known, or a refusal in one line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "quantizers/quantizer.h"
#include "tests/unit/expect.h"

enum { MOST = 140 };                    /* rows and columns */

static const char *const settings[] = {
	"rtn:bits=%d", "rtn:bits=%d,group_size=64", "rtn:bits=%d,group_size=0,mode=symmetric", "rtn:bits=%d,search=yes,search_steps=10",
	"kbit:bits=%d,type=int", "kbit:bits=%d,type=quantile,block=0", "kbit:bits=%d,type=dynamic,outliers=0.5,centering=1,nested=1",
	"gptq:bits=%d", "gptq:bits=%d,group_size=64", "gptq:bits=%d,group_size=0,mode=symmetric", "gptq:bits=%d,group_size=3,act_order=group,groups=fresh",
	"gptq:bits=%d,group_size=64,act_order=all,groups=static", "gptq:bits=%d,percdamp=0", "gptq:bits=%d,qep=0.5",
	"awq:bits=%d", "awq:bits=%d,group_size=64,mode=symmetric", "hqq:bits=%d", "hqq:bits=%d,group_size=5",
	"squeezellm:bits=%d", "squeezellm:bits=%d,sensitivity=activations,solver=lloyd", "squeezellm:bits=%d,sensitivity=none",
	"squeezellm:bits=%d,outliers=100", "squeezellm:bits=%d,sensitive=100", "squeezellm:bits=%d,outliers=0.45,sensitive=0.05",
	"squeezellm:bits=%d,outliers=50,rule=code,level_dtype=f32,sparse_dtype=f32",
	"vptq:bits=%d", "vptq:bits=%d,length=1", "vptq:bits=%d,length=6", "vptq:bits=%d,length=12,groups=3", "vptq:bits=%d,residual=4",
	"vptq:bits=%d,outliers=50,outlier_length=3,outlier_centroids=2", "vptq:bits=%d,outliers=100", "vptq:bits=%d,norm=minmax", "vptq:bits=%d,permute=no",
	"vptq:bits=%d,norm=none,damping=0", "lsbinary:bits=%d", "binary", "ternary", "svid", "identity",
};
static const uint32_t shapes[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 5, 7 }, { 3, 131 }, { 33, 20 } };

enum weights { RANDOM, ZEROS, ZERO_ROWS, TWO_VALUES, ONE_OF_ALL, HEAVY, WEIGHTS };
enum moments { FULL, RANK_ONE, DEAD, ONE_LIVE, NONE_LIVE, HUGE_ONES, TINY, MOMENTS };

struct problem {
	float w[MOST * MOST], h[MOST * MOST], cross[MOST * MOST], mean_abs[MOST], squares[MOST * MOST], std[MOST], out[MOST * MOST];
	struct pb_quantize_job job;
};

static void fill_weights(struct problem *p, enum weights kind, struct pb_rng *r)
{
	uint32_t rows = p->job.rows, cols = p->job.cols;

	for (uint32_t i = 0; i < rows * cols; i++) {
		double x = pb_rng_normal(r);

		p->w[i] = (float)(kind == ZEROS || (kind == ZERO_ROWS && i / cols % 2 == 0) ? 0 : kind == TWO_VALUES ? (x < 0 ? -0.5 : 0.25) :
			kind == ONE_OF_ALL ? (i == rows * cols / 2 ? 1 : 0) : kind == HEAVY && i % 17 == 0 ? 100 * x : x);
	}
}

static void fill_moments(struct problem *p, enum moments kind, struct pb_rng *r)
{
	uint32_t cols = p->job.cols, tokens = kind == RANK_ONE ? 1 : 2 * cols + 3;
	double scale = kind == HUGE_ONES ? 1e15 : kind == TINY ? 1e-15 : 1;

	memset(p->h, 0, sizeof p->h);
	memset(p->cross, 0, sizeof p->cross);
	memset(p->mean_abs, 0, sizeof p->mean_abs);
	for (uint32_t t = 0; t < tokens; t++) {
		double x[MOST];

		for (uint32_t i = 0; i < cols; i++) {
			bool dead = kind == NONE_LIVE || (kind == DEAD && i % 3 == 1) || (kind == ONE_LIVE && i);

			x[i] = dead ? 0 : scale * pb_rng_normal(r);
			p->mean_abs[i] += (float)(fabs(x[i]) / tokens);
		}
		for (uint32_t i = 0; i < cols; i++)
			for (uint32_t j = 0; j < cols; j++)
				p->h[i * cols + j] += (float)(x[i] * x[j] / tokens);
	}
	for (uint32_t i = 0; i < cols; i++)
		for (uint32_t j = 0; j < cols; j++) {
			p->h[i * cols + j] = p->h[j * cols + i];
			p->cross[i * cols + j] = 0.1f * p->h[i * cols + j];
		}
	for (uint32_t i = 0; i < p->job.rows * cols; i++)
		p->squares[i] = kind == NONE_LIVE ? 0 : kind == ONE_LIVE ? (float)(i == 0) : (float)(scale * pb_rng_unit(r));
}

static unsigned n_done, n_refused;

static void run(const char *text, struct problem *p, enum weights weights, enum moments moments)
{
	struct pb_quantizer_use use = { 0 };
	struct pb_encoded *m = NULL;
	struct pb_error err = { 0 };
	uint32_t n = p->job.rows * p->job.cols;
	enum pb_status status;

	if (pb_quantizer_use_parse(&use, text, &err))
		return;         /* a width that the method does not have */
	status = pb_quantizer_run(&use, &p->job, &m, &err);
	pb_quantizer_use_free(&use);
	if (status) {
		if ((status != PB_USAGE && status != PB_UNSUPPORTED && status != PB_NUMERIC) || !*err.text)
			fail_msg("%s, %u x %u, weights %d, moments %d: status %d: %s", text, p->job.rows, p->job.cols, weights, moments, status, err.text);
		n_refused++;
		return;
	}
	n_done++;
	pb_encoded_decode(m, 0, p->job.rows, p->out);
	pb_encoded_free(m);
	for (uint32_t i = 0; i < n; i++)
		if (!isfinite(p->out[i]) || fabsf(p->out[i]) > 1e4f)
			fail_msg("%s, %u x %u, weights %d, moments %d: weight %u is %g for %g", text, p->job.rows, p->job.cols, weights, moments, i,
				(double)p->out[i], (double)p->w[i]);
	/* Nothing comes of nothing. */
	for (uint32_t i = 0; weights == ZEROS && i < n; i++)
		assert_true(p->out[i] == 0);
	/* Two values in every row are two of its levels, as long as all count (as in the authors' code, zeros do not); what is taken out is what was there, in 16 bits at least. */
	bool all_count = moments == FULL || moments == HUGE_ONES || moments == TINY;
	bool is_exact = (all_count && (weights == TWO_VALUES || weights == ONE_OF_ALL)) || strstr(text, "=100");
	for (uint32_t i = 0; strncmp(text, "squeezellm", 10) == 0 && is_exact && i < n; i++)
		if ((p->w[i] != 0 || strstr(text, "=100")) && fabsf(p->out[i] - p->w[i]) > 1e-3f * fabsf(p->w[i]))
			fail_msg("%s, %u x %u, weights %d, moments %d: weight %u is %g for %g", text, p->job.rows, p->job.cols, weights, moments, i,
				(double)p->out[i], (double)p->w[i]);
}

static void test_all(void **state)
{
	struct problem *p = calloc(1, sizeof *p);
	struct pb_rng r = pb_rng_make(9, 4);

	(void)state;
	assert_non_null(p);
	for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
		for (int weights = 0; weights < WEIGHTS; weights++)
			for (int moments = 0; moments < MOMENTS; moments++) {
				p->job = (struct pb_quantize_job){ .name = "m", .n_layers = 1, .rows = shapes[s][0], .cols = shapes[s][1], .weights = p->w, .second_moment = p->h,
					.cross_moment = p->cross, .mean_abs = p->mean_abs, .gradient_sq = p->squares, .input_row_std = p->std, .rng = pb_rng_make(1, 2) };
				fill_weights(p, (enum weights)weights, &r);
				fill_moments(p, (enum moments)moments, &r);
				for (uint32_t i = 0; i < p->job.cols; i++)
					p->std[i] = (float)(moments == NONE_LIVE ? 0 : pb_rng_unit(&r));
				for (size_t k = 0; k < sizeof settings / sizeof *settings; k++)
					for (int bits = 1; bits <= (strstr(settings[k], "%d") ? 8 : 1); bits++) {
						char text[128];

						snprintf(text, sizeof text, settings[k], bits);
						run(text, p, (enum weights)weights, (enum moments)moments);
					}
			}
	printf("%u results, %u refusals\n", n_done, n_refused);
	assert_true(n_done > 20000);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
