#include "harness/cli/records.h"

#include <string.h>
#include <sys/stat.h>
#include "core/base/memory.h"
#include "core/store/import.h"

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

enum pb_status pb_records_open(struct pb_records *out, const char *const *folders, size_t n, struct pb_error *err)
{
	struct pb_records r = { .stores = pb_alloc_zero(n, sizeof(*r.stores)) };
	enum pb_status st = r.stores ? pb_records_check(folders, n, err) : pb_out_of_memory(err, "the list of runs");

	pb_rows_init(&r.rows);
	for (size_t i = 0; !st && i < n; i++) {
		if (pb_import_is_file(folders[i])) {
			st = pb_rows_import(&r.rows, folders[i], err);
			continue;
		}
		st = pb_store_open(&r.stores[r.n], folders[i], false, err);
		if (!st)
			st = pb_store_rows(r.stores[r.n++], &r.rows, err);
	}
	if (st) {
		pb_records_close(&r);
		return st;
	}
	pb_rows_sort(&r.rows);
	*out = r;
	return PB_OK;
}

void pb_records_close(struct pb_records *r)
{
	for (size_t i = 0; i < r->n; i++)
		pb_store_close(r->stores[i]);
	pb_free(r->stores);
	pb_rows_free(&r->rows);
	*r = (struct pb_records){0};
}

struct pb_item_stores pb_records_items(const struct pb_records *r)
{
	return (struct pb_item_stores){ r->stores, r->n };
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
