/* A quantizer that writes to address 0. */
#include "quantizers/quantizer.h"

static const struct pb_option options[] = { PB_OPT_END };

static double crash_wbits(const void *opts, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	(void)opts;
	return 32;
}

static enum pb_status crash_plan(const void *opts, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)opts, (void)source_dtype, (void)err;
	*bytes = (uint64_t)rows * cols * sizeof(float);
	return PB_OK;
}

static enum pb_status crash_quantize(const void *opts, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)opts, (void)job, (void)out;
	static int *volatile nowhere; /* volatile: the compiler is not to see it coming */
	*nowhere = 1;
	return pb_fail(err, PB_FAILED, "a write to address 0 went well");
}

const struct pb_quantizer pb_plugin = {
	.name = "crash",
	.title = "Crash",
	.source = "tests/plugins/crash.c",
	.family = "other",
	.help = "Writes to address 0 when it quantizes.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = options,
	.wbits = crash_wbits,
	.plan = crash_plan,
	.quantize = crash_quantize,
};
