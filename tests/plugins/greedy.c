/* A quantizer that takes all the memory there is, and says so when there is no more. */
#include "quantizers/quantizer.h"

#include <string.h>
#include "core/base/memory.h"

#define PIECE ((size_t)16 << 20)

static const struct pb_option options[] = { PB_OPT_END };

static double greedy_wbits(const void *opts, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	(void)opts;
	return 32;
}

static enum pb_status greedy_plan(const void *opts, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)opts, (void)source_dtype, (void)err;
	*bytes = (uint64_t)rows * cols * sizeof(float);
	return PB_OK;
}

static enum pb_status greedy_quantize(const void *opts, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)opts, (void)job, (void)out;
	/* Each piece points to the one before, so that it can be given back. */
	void **pieces = NULL;
	for (;;) {
		void **piece = pb_alloc(PIECE, 1);
		if (!piece)
			break;
		memset(piece, 1, PIECE);
		*piece = pieces;
		pieces = piece;
	}
	while (pieces) {
		void **before = *pieces;
		pb_free(pieces);
		pieces = before;
	}
	return pb_out_of_memory(err, "everything");
}

const struct pb_quantizer pb_plugin = {
	.name = "greedy",
	.title = "Greedy",
	.source = "tests/plugins/greedy.c",
	.family = "other",
	.help = "Allocates and touches memory without end when it quantizes.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = options,
	.wbits = greedy_wbits,
	.plan = greedy_plan,
	.quantize = greedy_quantize,
};
