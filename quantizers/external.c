/* external: the user's own program, run once for each matrix, so that an author's original code is compared in the same sweep as
 * the methods here. harness/run/external.h says what it is given and what it must write.
 *
 * Decoded weights are kept as f32 and scored as they are. Their bytes are what the program claims, since nobody here can count
 * them: rows say size_convention `claimed`, and such points are on no front. More than the f32 weights have is refused. The
 * parts of an encoded matrix in their place are counted like those of any method.
 * Programs are not run at the same time on one matrix, but on several matrices, as many as there are threads. */
#include "quantizers/quantizer.h"

#include <math.h>

static const char *const needs[] = { "nothing", "activations", "gradients", "both", NULL };

struct external_options {
	char program[PB_OPTION_TEXT_BYTES], arg[PB_OPTION_TEXT_BYTES];
	int needs;
	bool sequential;
	double bits, seconds;
};

static const struct pb_option options[] = {
	PB_OPT_TEXT(struct external_options, program, "", "path of the program, run as: PROGRAM IN OUT [ARG], both safetensors files"),
	PB_OPT_TEXT(struct external_options, arg, "", "a text that it gets as its last argument"),
	PB_OPT_CHOICE(struct external_options, needs, needs, "nothing", "what IN holds beside the weights: second moments and mean magnitudes of inputs, squared gradients"),
	PB_OPT_BOOL(struct external_options, sequential, 0, "inputs are measured behind the layers that are quantized already"),
	PB_OPT_REAL(struct external_options, bits, 0, 32, 0, "nominal width, for labels; 0: none"),
	PB_OPT_REAL(struct external_options, seconds, 0.01, 86400, 600, "for one matrix; a program that takes longer is killed"),
	PB_OPT_END
};

static unsigned external_needs(const void *opts)
{
	static const unsigned sums[] = { PB_NEEDS_NOTHING, PB_NEEDS_ACTIVATIONS, PB_NEEDS_GRADIENTS, PB_NEEDS_ACTIVATIONS | PB_NEEDS_GRADIENTS };
	const struct external_options *o = opts;

	return sums[o->needs] | (o->sequential && sums[o->needs] & PB_NEEDS_ACTIVATIONS ? PB_NEEDS_SEQUENTIAL : 0);
}

static double external_wbits(const void *opts, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	double bits = ((const struct external_options *)opts)->bits;

	return bits > 0 ? bits : NAN;
}

static enum pb_status external_plan(const void *opts, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	const struct external_options *o = opts;

	(void)source_dtype;
	if (!*o->program)
		return pb_fail(err, PB_USAGE, "no program\nname one: external:program=PATH");
	if (o->sequential && !(external_needs(o) & PB_NEEDS_ACTIVATIONS))
		return pb_fail(err, PB_USAGE, "sequential=true: there are no inputs to measure without needs=activations");
	*bytes = (uint64_t)rows * cols * sizeof(float);
	return PB_OK;
}

static bool external_plan_is_bound(const void *opts)
{
	(void)opts;
	return true;
}

static struct pb_program external_program(const void *opts)
{
	const struct external_options *o = opts;

	return (struct pb_program){ .path = o->program, .arg = o->arg, .seconds = o->seconds };
}

const struct pb_quantizer pb_quantizer_external = {
	.name = "external",
	.title = "A program of your own",
	.source = "paretobench",
	.family = "other",
	.help = "Runs PROGRAM IN OUT [ARG] for each matrix: IN is a safetensors file with the tensor `weight` (and `second_moment`, `mean_abs`, `gradient_sq`\n"
		"by needs), OUT must get `weight`, as it decodes, in the same shape, and in its metadata `bytes`, the size it claims. Rows say that the\n"
		"size is claimed, and their points are on no front; the parts of an encoded matrix in place of `weight` are counted (harness/run/external.h).",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.needs = external_needs,
	.options = options,
	.options_size = sizeof(struct external_options),
	.wbits = external_wbits,
	.plan = external_plan,
	.plan_is_bound = external_plan_is_bound,
	.program = external_program,
};
