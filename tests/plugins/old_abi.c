/* A plugin of another ABI: its number, and members that must not be looked at. */
#include "quantizers/quantizer.h"

const struct pb_quantizer pb_plugin = {
	.name = (const char *)8,
	.title = (const char *)8,
	.abi = PB_QUANTIZER_ABI - 1,
	.version = 1,
};
