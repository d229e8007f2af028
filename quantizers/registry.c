/* The quantizers that are built in, sorted by name: one line a plugin. */
#include "quantizers/quantizer.h"

extern const struct pb_quantizer pb_quantizer_awq;
extern const struct pb_quantizer pb_quantizer_binary;
extern const struct pb_quantizer pb_quantizer_bitnet;
extern const struct pb_quantizer pb_quantizer_diffq;
extern const struct pb_quantizer pb_quantizer_external;
extern const struct pb_quantizer pb_quantizer_finetune;
extern const struct pb_quantizer pb_quantizer_gptq;
extern const struct pb_quantizer pb_quantizer_hqq;
extern const struct pb_quantizer pb_quantizer_identity;
extern const struct pb_quantizer pb_quantizer_kbit;
extern const struct pb_quantizer pb_quantizer_llm_qat;
extern const struct pb_quantizer pb_quantizer_lsbinary;
extern const struct pb_quantizer pb_quantizer_onebit;
extern const struct pb_quantizer pb_quantizer_paretoq;
extern const struct pb_quantizer pb_quantizer_rtn;
extern const struct pb_quantizer pb_quantizer_squeezellm;
extern const struct pb_quantizer pb_quantizer_svid;
extern const struct pb_quantizer pb_quantizer_ternary;
extern const struct pb_quantizer pb_quantizer_vptq;

const struct pb_quantizer *const pb_quantizers[] = {
	&pb_quantizer_awq,
	&pb_quantizer_binary,
	&pb_quantizer_bitnet,
	&pb_quantizer_diffq,
	&pb_quantizer_external,
	&pb_quantizer_finetune,
	&pb_quantizer_gptq,
	&pb_quantizer_hqq,
	&pb_quantizer_identity,
	&pb_quantizer_kbit,
	&pb_quantizer_llm_qat,
	&pb_quantizer_lsbinary,
	&pb_quantizer_onebit,
	&pb_quantizer_paretoq,
	&pb_quantizer_rtn,
	&pb_quantizer_squeezellm,
	&pb_quantizer_svid,
	&pb_quantizer_ternary,
	&pb_quantizer_vptq,
};
const size_t pb_n_quantizers = sizeof pb_quantizers / sizeof *pb_quantizers;
