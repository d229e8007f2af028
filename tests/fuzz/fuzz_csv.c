#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* What was read, written and read again is the same. A row of one absent field is a blank line, which is no row: left out. */
static void check_round_trip(const struct pb_csv *csv)
{
	struct pb_text t = { 0 };
	struct pb_csv again;
	size_t rows = 0;
	for (size_t i = 0; i < csv->n_rows; i++) {
		for (size_t j = 0; j < csv->n_fields[i]; j++)
			pb_csv_text(&t, csv->fields[i][j]);
		pb_csv_end(&t);
	}
	if (pb_csv_parse(&again, "again", pb_text_c(&t), t.length, NULL) != PB_OK)
		__builtin_trap();
	for (size_t i = 0; i < csv->n_rows; i++) {
		if (csv->n_fields[i] == 1 && csv->fields[i][0] == NULL)
			continue;
		if (rows >= again.n_rows || again.n_fields[rows] != csv->n_fields[i])
			__builtin_trap();
		for (size_t j = 0; j < csv->n_fields[i]; j++)
			if (!same(csv->fields[i][j], again.fields[rows][j]))
				__builtin_trap();
		rows++;
	}
	if (rows != again.n_rows)
		__builtin_trap();
	pb_csv_free(&again);
	pb_text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_csv csv;
	struct pb_error err;
	if (pb_csv_parse(&csv, "fuzz", (const char *)data, size, &err) == PB_OK) {
		check_round_trip(&csv);
		pb_csv_free(&csv);
	}
	return 0;
}
