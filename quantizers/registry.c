/* The quantizers that are built in, sorted by name: one line a plugin. */
#include "quantizers/quantizer.h"

extern const struct pb_quantizer pb_quantizer_kbit;

const struct pb_quantizer *const pb_quantizers[] = {
	&pb_quantizer_kbit,
};
const size_t pb_n_quantizers = sizeof pb_quantizers / sizeof *pb_quantizers;
