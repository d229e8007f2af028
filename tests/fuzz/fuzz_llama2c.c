/* A llama2.c checkpoint from bytes; what is accepted has every weight read. */
#include <stdint.h>
#include <stdlib.h>

#include "core/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_model *model = NULL;
	struct pb_error err;
	if (pb_model_parse_llama2c(&model, "fuzz", data, size, &err))
		return 0;
	enum pb_status status = pb_model_check_finite(model, &err);
	if (status != PB_OK && status != PB_NUMERIC)
		abort();
	if (pb_model_size(model).model_bytes != 4 * model->parameters || pb_model_size(model).model_bytes > size)
		abort();
	pb_model_close(model);
	return 0;
}
