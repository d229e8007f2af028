/* Results from elsewhere from hostile bytes. What is read is written as a table of rows that reads back to the same table. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/store/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_rows(struct pb_rows *rows, struct pb_text *out)
{
	pb_rows_sort(rows);
	if (pb_rows_csv(rows, out, NULL) != PB_OK)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_rows rows, again;
	struct pb_text first = {0}, second = {0};
	struct pb_error err;

	pb_rows_init(&rows);
	pb_rows_init(&again);
	if (pb_rows_import_bytes(&rows, "results", (const char *)data, size, &err) == PB_OK && rows.n > 0) {
		write_rows(&rows, &first);
		if (pb_rows_import_bytes(&again, "rows.csv", pb_text_c(&first), first.length, &err) != PB_OK)
			__builtin_trap();
		write_rows(&again, &second);
		if (first.length != second.length || memcmp(pb_text_c(&first), pb_text_c(&second), first.length) != 0)
			__builtin_trap();
	}
	pb_text_free(&first);
	pb_text_free(&second);
	pb_rows_free(&rows);
	pb_rows_free(&again);
	return 0;
}
