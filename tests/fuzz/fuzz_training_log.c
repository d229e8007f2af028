/* Training logs from hostile bytes: log.csv, a NUL byte, train.json. What is read is written as a table that reads back whole. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/csv.h"
#include "reports/training.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_table(const struct pb_trainings *trainings)
{
	struct pb_text t = { 0 };
	struct pb_csv csv;
	if (pb_trainings_csv(trainings, &t, NULL) != PB_OK || pb_csv_parse(&csv, "training.csv", pb_text_c(&t), t.length, NULL) != PB_OK)
		__builtin_trap();
	if (csv.n_rows != trainings->runs[0].n_lines + 1)
		__builtin_trap();
	for (size_t i = 0; i < csv.n_rows; i++)
		if (csv.n_fields[i] != 8 || csv.fields[i][0] == NULL || csv.fields[i][1] == NULL || csv.fields[i][2] == NULL)
			__builtin_trap();
	pb_csv_free(&csv);
	pb_text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_trainings trainings = { 0 };
	struct pb_error err;
	const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t n = end ? (size_t)(end - data) : size;
	const struct pb_training_bytes log = { "log.csv", (const char *)data, n };
	const struct pb_training_bytes facts = { "train.json", end ? (const char *)end + 1 : "", end ? size - n - 1 : 0 };
	if (pb_trainings_add(&trainings, "fuzz", &log, &facts, &err) == PB_OK && pb_trainings_sort(&trainings, &err) == PB_OK)
		check_table(&trainings);
	pb_trainings_free(&trainings);
	return 0;
}
