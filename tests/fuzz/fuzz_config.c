/* config.json from bytes; what is accepted keeps its numbers through our own form. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/model_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_config c, back;
	struct pb_error err;
	if (pb_config_parse(&c, "fuzz", (const char *)data, size, &err))
		return 0;
	json_t *object = pb_config_to_json(&c), *again = NULL;
	if (object) {
		if (pb_config_from_json(&back, "fuzz", object, &err))
			abort();
		again = pb_config_to_json(&back);
		if (again && !json_equal(object, again))
			abort();
	}
	json_decref(object);
	json_decref(again);
	return 0;
}
