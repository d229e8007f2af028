/* Sizes by the rules of papers, for the shapes of models that the papers print averages of. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quantizers/quantizer.h"
#include "quantizers/shape.h"
#include "tests/unit/expect.h"

enum { LLAMA_7B, LLAMA_13B, LLAMA2_70B, LLAMA3_8B, SQUARE, MODELS };

static struct pb_config config_of(int model)
{
	static const uint32_t shapes[MODELS][6] = {     /* dim, hidden, heads, key-value heads, layers, vocabulary */
		{ 4096, 11008, 32, 32, 32, 32000 }, { 5120, 13824, 40, 40, 40, 32000 }, { 8192, 28672, 64, 8, 80, 32000 }, { 4096, 14336, 32, 8, 32, 128256 },
		{ 1024, 1024, 8, 8, 2, 1000 },
	};
	const uint32_t *s = shapes[model];

	return (struct pb_config){ .dim = s[0], .hidden = s[1], .n_heads = s[2], .n_kv_heads = s[3], .head_dim = s[0] / s[2], .n_layers = s[4], .n_vocab = s[5] };
}

/* Bits a weight of the matrices. */
static double bits_of(const char *quantizer, int model)
{
	struct pb_config c = config_of(model);
	struct pb_shape s = pb_shape_of(&c);
	struct pb_quantizer_use use = { 0 };
	double bytes;

	OK(pb_quantizer_use_parse(&use, quantizer, ERR));
	assert_non_null(use.quantizer->paper_bytes);
	bytes = use.quantizer->paper_bytes(use.options, &c);
	pb_quantizer_use_free(&use);
	return 8 * (bytes - 2.0 * (double)(s.embeddings + s.norms)) / (double)s.weights;
}

static void test_printed(void **state)
{
	static const struct {
		const char *quantizer;
		int model;
		double bits, printed;   /* by the rule; as the paper has it, rounded or cut off */
	} cases[] = {
		{ "squeezellm:bits=3", LLAMA_7B, 3.0269, 3.02 },
		{ "squeezellm:bits=4", LLAMA_7B, 4.0538, 4.05 },
		{ "squeezellm:bits=3,sensitive=0.05,outliers=0.4", LLAMA_7B, 3.2429, 3.24 },
		{ "squeezellm:bits=4,sensitive=0.05,outliers=0.4", LLAMA_7B, 4.2698, 4.27 },
		{ "squeezellm:bits=3", LLAMA_13B, 3.0215, 3.02 },
		{ "squeezellm:bits=4", LLAMA_13B, 4.0430, 4.04 },
		{ "squeezellm:bits=3,sensitive=0.05,outliers=0.4", LLAMA_13B, 3.2375, 3.24 },
		{ "squeezellm:bits=4,sensitive=0.05,outliers=0.4", LLAMA_13B, 4.2590, 4.26 },
		{ "vptq:length=6,centroids=4096", LLAMA_13B, 2.0154, 2.02 },
		{ "vptq:length=6,centroids=4096", LLAMA_7B, NAN, 2.02 },
		{ "vptq:length=12,centroids=4096,residual=4096,groups=4,outliers=1,outlier_length=4,outlier_centroids=8192", LLAMA_7B, NAN, 2.26 },
		{ "vptq:length=12,centroids=4096,residual=4096,groups=4,outliers=2,outlier_length=4,outlier_centroids=8192", LLAMA_13B, NAN, 2.18 },
		{ "vptq:length=12,centroids=4096,residual=4096,groups=4,outliers=1,outlier_length=4,outlier_centroids=8192", LLAMA2_70B, NAN, 2.07 },
		{ "vptq:length=12,centroids=4096,residual=4096,outliers=1,outlier_length=4,outlier_centroids=4096", LLAMA3_8B, NAN, 2.08 },
		{ "vptq:length=6,centroids=4096,groups=16,outliers=1,outlier_length=4,outlier_centroids=8192", LLAMA3_8B, NAN, 2.24 },
		{ "gptq:bits=2,group_size=64", LLAMA_7B, 2.28125, NAN },
		{ "gptq:bits=3,group_size=128", LLAMA_7B, 3.148438, 3.15 },
		{ "rtn:bits=4,group_size=128", LLAMA_7B, 4.15625, 4.16 },
		{ "awq:bits=4,group_size=128", LLAMA_7B, 4.15625, 4.16 },
		{ "gptq:bits=4,group_size=32", LLAMA_7B, 4.625, NAN },
		{ "rtn:bits=4", SQUARE, 4 + 20 / 1024.0, NAN },
		{ "rtn:bits=4,mode=symmetric,group_size=64", LLAMA_7B, 4.25, NAN },
		{ "kbit:bits=4,block=64", LLAMA_7B, 4.25, NAN },
		{ "kbit:bits=4,block=1024", LLAMA_7B, 4.015625, NAN },
		{ "kbit:bits=4,block=64,outliers=0.02", LLAMA_7B, 4.49, NAN },  /* the paper: 0.24 more */
		{ "identity", LLAMA_7B, 16, NAN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double bits = bits_of(cases[i].quantizer, cases[i].model);

		if (!isnan(cases[i].bits) && !(fabs(bits - cases[i].bits) < 6e-5))
			fail_msg("%s, model %d: %.6f bits, expected %.6f", cases[i].quantizer, cases[i].model, bits, cases[i].bits);
		if (!isnan(cases[i].printed) && !(fabs(bits - cases[i].printed) < 0.0101))
			fail_msg("%s, model %d: %.6f bits, printed %.2f", cases[i].quantizer, cases[i].model, bits, cases[i].printed);
	}
}

/* 6.74e9 numbers of 16 bits; options that do not fit the shape have no size. */
static void test_whole(void **state)
{
	struct pb_config c = config_of(LLAMA_7B);
	struct pb_quantizer_use use = { 0 };

	(void)state;
	OK(pb_quantizer_use_parse(&use, "identity", ERR));
	assert_true(use.quantizer->paper_bytes(use.options, &c) == 2 * 6738415616.0);
	pb_quantizer_use_free(&use);
	c = config_of(SQUARE);
	c.dim = c.hidden = 8;
	c.head_dim = 1;
	OK(pb_quantizer_use_parse(&use, "vptq:length=6,centroids=4096", ERR));
	assert_true(isnan(use.quantizer->paper_bytes(use.options, &c)));
	pb_quantizer_use_free(&use);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printed),
		cmocka_unit_test(test_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
