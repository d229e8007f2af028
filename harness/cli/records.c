#include "harness/cli/records.h"

#include <string.h>
#include <sys/stat.h>
#include "core/base/memory.h"

enum pb_status pb_records_check(const char *const *folders, size_t n, struct pb_error *err)
{
	struct stat *seen = pb_alloc_zero(n, sizeof(*seen));
	enum pb_status st = seen ? PB_OK : pb_out_of_memory(err, "the list of runs");

	for (size_t i = 0; !st && i < n; i++) {
		if (stat(folders[i], &seen[i]) != 0)
			continue;
		for (size_t k = 0; !st && k < i; k++)
			if (seen[k].st_ino == seen[i].st_ino && seen[k].st_dev == seen[i].st_dev)
				st = pb_fail(err, PB_USAGE, "%s: the same run is given twice", folders[i]);
	}
	pb_free(seen);
	return st;
}

enum pb_status pb_records_read(const char *const *folders, size_t n, struct pb_rows *rows, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < n; i++) {
		struct pb_store *store = NULL;

		st = pb_store_open(&store, folders[i], false, err);
		if (!st)
			st = pb_store_rows(store, rows, err);
		pb_store_close(store);
	}
	if (!st)
		pb_rows_sort(rows);
	return st;
}

static const char *const formats[] = { "table", "csv", "json", "jsonl", "md" };

enum pb_status pb_rows_format_check(const char *format, struct pb_error *err)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(format, formats[i]) == 0)
			return PB_OK;
	return pb_fail(err, PB_USAGE, "--format %s: choose one of csv, json, jsonl, md, table", format);
}

enum pb_status pb_rows_format(const struct pb_rows *rows, const char *format, struct pb_text *out, struct pb_error *err)
{
	if (strcmp(format, "csv") == 0)
		return pb_rows_csv(rows, out, err);
	if (strcmp(format, "json") == 0 || strcmp(format, "jsonl") == 0)
		return pb_rows_json(rows, strcmp(format, "jsonl") == 0, out, err);
	return pb_rows_table(rows, strcmp(format, "md") == 0, out, err);
}
