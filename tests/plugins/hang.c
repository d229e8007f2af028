/* A quantizer that never comes back. */
#include "quantizers/quantizer.h"

#include <unistd.h>

static const struct pb_option options[] = { PB_OPT_END };

static double hang_wbits(const void *opts, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	(void)opts;
	return 32;
}

static enum pb_status hang_plan(const void *opts, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)opts, (void)source_dtype, (void)err;
	*bytes = (uint64_t)rows * cols * sizeof(float);
	return PB_OK;
}

static enum pb_status hang_quantize(const void *opts, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)opts, (void)job, (void)out;
	static volatile int forever = 1;
	while (forever)
		sleep(1);
	return pb_fail(err, PB_FAILED, "for ever has ended");
}

const struct pb_quantizer pb_plugin = {
	.name = "hang",
	.title = "Hang",
	.source = "tests/plugins/hang.c",
	.family = "other",
	.help = "Sleeps for ever when it quantizes.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = options,
	.wbits = hang_wbits,
	.plan = hang_plan,
	.quantize = hang_quantize,
};
