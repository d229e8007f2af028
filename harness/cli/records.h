/* Records as commands read and print them. */
#ifndef PB_HARNESS_CLI_RECORDS_H
#define PB_HARNESS_CLI_RECORDS_H

#include "core/store/store.h"

/* A folder that is named twice would count twice in every table and figure: refused. */
enum pb_status pb_records_check(const char *const *folders, size_t n, struct pb_error *err) PB_MUST_CHECK;
/* The rows of all folders, sorted. */
enum pb_status pb_records_read(const char *const *folders, size_t n, struct pb_rows *rows, struct pb_error *err) PB_MUST_CHECK;
/* csv, json, jsonl, md, table */
enum pb_status pb_rows_format_check(const char *format, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_rows_format(const struct pb_rows *rows, const char *format, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

#endif
