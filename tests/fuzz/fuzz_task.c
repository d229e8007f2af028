/* Definitions of tasks from hostile bytes. */
#include <stddef.h>
#include <stdint.h>
#include "tasks/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_task *task = NULL;
	struct pb_error err = {0};

	if (pb_task_parse(&task, "task.yaml", (const char *)data, size, NULL, 0, &err) == PB_OK)
		pb_task_close(task);
	return 0;
}
