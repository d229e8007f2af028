/* Data files of tasks: found on the data path, read (.gz and .bz2 too), cut into records with their line numbers. */
#ifndef PB_TASKS_DATA_H
#define PB_TASKS_DATA_H

#include <stdbool.h>
#include <jansson.h>
#include "core/base/text.h"
#include "tasks/kind.h"

struct pb_record {
	json_t *row;                /* object; owned */
	unsigned line;              /* of the file, from 1; 0 for a record that has no line of its own */
};
struct pb_records {
	char *file;                 /* as found, for messages */
	struct pb_record *rows;
	size_t n, capacity;
};
void pb_records_free(struct pb_records *records);
/* Takes over row, also on failure. */
enum pb_status pb_records_add(struct pb_records *records, json_t *row, unsigned line, struct pb_error *err) PB_MUST_CHECK;

/* Appends the records of a file's bytes. data has a NUL behind its last byte. source may be NULL for JSON Lines. */
enum pb_status pb_records_parse(struct pb_records *records, const char *file, const char *data, size_t size, const struct pb_source *source, struct pb_error *err) PB_MUST_CHECK;

/* The first source of the task whose file is on the path, with labels and process applied; subtask may be NULL.
 * PB_MISSING names the files and the folders. *used: which source it was. */
enum pb_status pb_data_read(struct pb_records *out, const struct pb_source **used, const struct pb_task *task, const char *subtask,
	const struct pb_data_path *path, struct pb_error *err) PB_MUST_CHECK;

/* A text of a rolling, window or document task. */
struct pb_text_item {
	const char *text;           /* as in the data */
	size_t size;
	unsigned line;
};
struct pb_text_items {
	struct pb_text_item *items;
	size_t n;
	bool whole;                 /* one item that is a whole file */
};
/* The texts that doc_to_target gives, after the limit (0: all); empty data are refused. Fills data->hash, n_items,
 * n_chars and items (a struct pb_text_items). */
enum pb_status pb_data_read_texts(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, uint64_t limit, struct pb_error *err) PB_MUST_CHECK;

#endif
