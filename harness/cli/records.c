#include "harness/cli/records.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/base/file.h"
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

static enum pb_status add_name(struct pb_record_names *out, struct pb_arena *arena, size_t *capacity, const char *name, const char *folder, struct pb_error *err)
{
	if (out->n == *capacity) {
		size_t more = 2 * *capacity + 16;
		const char **both = pb_arena_alloc(arena, 2 * more, sizeof(*both));

		if (!both)
			return pb_out_of_memory(err, "the list of runs");
		for (size_t i = 0; i < out->n; i++) {
			both[i] = out->names[i];
			both[more + i] = out->folders[i];
		}
		out->names = both;
		out->folders = both + more;
		*capacity = more;
	}
	out->names[out->n] = name;
	out->folders[out->n++] = folder;
	return PB_OK;
}

static enum pb_status add_folder(struct pb_record_names *out, struct pb_arena *arena, size_t *capacity, const char *folder, struct pb_error *err)
{
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, NULL, alphasort);
	size_t before = out->n;
	enum pb_status st = n < 0 ? pb_fail(err, PB_MISSING, "%s: no folder of runs can be read: %s", folder, strerror(errno)) : PB_OK;

	for (int i = 0; i < n; i++) {
		const char *path = st || entries[i]->d_name[0] == '.' ? NULL : pb_arena_printf(arena, "%s/%s", folder, entries[i]->d_name);
		bool is_there = false;

		if (!st && entries[i]->d_name[0] != '.')
			st = path ? pb_store_is_there(path, &is_there, err) : pb_out_of_memory(err, "the list of runs");
		if (!st && is_there)
			st = add_name(out, arena, capacity, path, folder, err);
		free(entries[i]);
	}
	free(entries);
	if (!st && out->n == before)
		st = pb_fail(err, PB_MISSING, "%s: neither a run nor a folder of runs: no results.db in it, nor in a folder in it", folder);
	return st;
}

enum pb_status pb_record_names_find(struct pb_record_names *out, struct pb_arena *arena, const char *const *args, size_t n, struct pb_error *err)
{
	struct pb_record_names names = {0};
	size_t capacity = 0;
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < n; i++) {
		bool is_there = true;

		if (!pb_import_is_file(args[i]) && pb_folder_exists(args[i]))
			st = pb_store_is_there(args[i], &is_there, err);
		if (!st)
			st = is_there ? add_name(&names, arena, &capacity, args[i], NULL, err) : add_folder(&names, arena, &capacity, args[i], err);
	}
	if (!st)
		*out = names;
	return st;
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
