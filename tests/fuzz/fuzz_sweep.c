/* Sweep files from hostile bytes. */
#include <stddef.h>
#include <stdint.h>
#include "harness/run/sweep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_sweep *sweep = NULL;
	struct pb_error err = {0};
	const struct pb_data_path nowhere = {0};

	if (pb_sweep_parse(&sweep, "sweep.yaml", (const char *)data, size, &nowhere, &err) == PB_OK)
		pb_sweep_free(sweep);
	return 0;
}
