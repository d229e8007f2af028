/* A safetensors file from bytes; what is accepted has all its bytes read. */
#include <stdint.h>
#include <stdlib.h>

#include "core/model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_safetensors *st = NULL;
	struct pb_error err;
	if (pb_safetensors_parse(&st, "fuzz", data, size, &err))
		return 0;
	uint64_t bytes = 0;
	for (size_t i = 0; i < pb_safetensors_count(st); i++) {
		const struct pb_tensor *t = pb_safetensors_tensor(st, i);
		if (pb_safetensors_find(st, pb_safetensors_name(st, i)) != t)
			abort();
		for (uint64_t k = 0; k < t->bytes; k++)
			sink = ((const uint8_t *)t->data)[k];
		bytes += t->bytes;
	}
	if (bytes != pb_safetensors_data_bytes(st) || bytes + pb_safetensors_header_bytes(st) != size)
		abort();
	pb_safetensors_metadata(st, "format");
	pb_safetensors_close(st);
	return 0;
}
