/* Records as commands read and print them. */
#ifndef PB_HARNESS_CLI_RECORDS_H
#define PB_HARNESS_CLI_RECORDS_H

#include "core/store/store.h"
#include "reports/pairing.h"

/* Runs that were named, open for their items, and files with results from elsewhere (core/store/import.h). */
struct pb_records {
	struct pb_rows rows;            /* of all, sorted */
	struct pb_store **stores;       /* one a folder, in the order of the names */
	size_t n;
};
/* A folder that is named twice would count twice in every table and figure: refused. */
enum pb_status pb_records_check(const char *const *folders, size_t n, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_records_open(struct pb_records *out, const char *const *folders, size_t n, struct pb_error *err) PB_MUST_CHECK;
/* Names of runs for pb_records_open, one by one: an argument that is a folder without a record of its own stands for the folders in it
 * that have one, by name. */
struct pb_record_names {
	const char **names;
	const char **folders;           /* the argument that a name was found in; NULL: it is one */
	size_t n;
};
enum pb_status pb_record_names_find(struct pb_record_names *out, struct pb_arena *arena, const char *const *args, size_t n, struct pb_error *err) PB_MUST_CHECK;
void pb_records_close(struct pb_records *records);  /* {0} is fine */
struct pb_item_stores pb_records_items(const struct pb_records *records);

/* csv, json, jsonl, md, table */
enum pb_status pb_rows_format_check(const char *format, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_rows_format(const struct pb_rows *rows, const char *format, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

#endif
