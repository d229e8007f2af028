/* Tables of rows. */
#include <math.h>
#include <string.h>
#include "core/base/csv.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/store/import.h"
#include "core/store/row_column.h"

#define COUNTER "counter."      /* before a counter's name */

struct table {
	struct pb_rows *rows;
	const char *name, *hash;
	const struct pb_csv *csv;
	const struct pb_row_column **columns;   /* of the fields; NULL: a counter */
	struct pb_error *err;
};

static enum pb_status find_column(struct table *t, size_t k)
{
	const char *name = t->csv->fields[0][k];
	size_t i = 0;

	if (!name)
		return pb_fail(t->err, PB_FORMAT, "%s:1: column %zu has no name", t->name, k + 1);
	while (i < pb_n_row_columns && strcmp(pb_row_column_table[i].name, name) != 0)
		i++;
	t->columns[k] = i < pb_n_row_columns && pb_row_column_table[i].type != PB_COLUMN_COUNTERS ? &pb_row_column_table[i] : NULL;
	if (!t->columns[k] && (strncmp(name, COUNTER, strlen(COUNTER)) != 0 || !name[strlen(COUNTER)] || !pb_utf8_valid(name, strlen(name))))
		return pb_fail(t->err, PB_FORMAT, "%s:1: '%.60s' is not a column of rows", t->name, name);
	for (size_t j = 0; j < k; j++)
		if (strcmp(t->csv->fields[0][j], name) == 0)
			return pb_fail(t->err, PB_FORMAT, "%s:1: column '%s' is there twice", t->name, name);
	return PB_OK;
}

static enum pb_status read_header(struct table *t)
{
	static const char *const needed[] = { "model", "task", "metric", "value" };

	for (size_t k = 0; k < t->csv->n_fields[0]; k++) {
		enum pb_status st = find_column(t, k);

		if (st)
			return st;
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		bool found = false;

		for (size_t k = 0; k < t->csv->n_fields[0]; k++)
			found = found || (t->columns[k] && strcmp(t->columns[k]->name, needed[i]) == 0);
		if (!found)
			return pb_fail(t->err, PB_FORMAT, "%s:1: no column '%s'; neither a result file of lm-evaluation-harness nor a table of rows", t->name, needed[i]);
	}
	return PB_OK;
}

static enum pb_status wrong(struct table *t, size_t line, const struct pb_row_column *column, const char *text, const char *wanted)
{
	return pb_fail(t->err, PB_FORMAT, "%s:%u: %s '%.40s' is not %s", t->name, t->csv->lines[line], column->name, text, wanted);
}

/* One field; NULL is absent. *has_direction: higher_is_better is said. */
static enum pb_status read_field(struct table *t, struct pb_row *row, size_t line, const struct pb_row_column *column, const char *text, bool *has_direction)
{
	char *p = (char *)row + column->offset;
	int64_t integer;

	if (!text)
		return PB_OK;
	switch (column->type) {
	case PB_COLUMN_SCHEMA:
		return pb_parse_int64(text, &integer) && integer == PB_ROW_SCHEMA ? PB_OK : wrong(t, line, column, text, "the schema of this version");
	case PB_COLUMN_STATUS:
		return pb_row_status_parse(text, (enum pb_row_status *)(void *)p) ? PB_OK : wrong(t, line, column, text, "a status");
	case PB_COLUMN_TEXT:
	case PB_COLUMN_OPTIONS:
		if (!pb_utf8_valid(text, strlen(text)))
			return pb_fail(t->err, PB_FORMAT, "%s:%u: %s is not UTF-8", t->name, t->csv->lines[line], column->name);
		return (*(const char **)(void *)p = pb_rows_string(t->rows, text)) ? PB_OK : pb_out_of_memory(t->err, "rows");
	case PB_COLUMN_INTEGER:
		return pb_parse_int64(text, (int64_t *)(void *)p) ? PB_OK : wrong(t, line, column, text, "an integer");
	case PB_COLUMN_REAL:
		return pb_parse_double(text, (double *)(void *)p) ? PB_OK : wrong(t, line, column, text, "a number");
	case PB_COLUMN_BOOL:
		*has_direction = true;
		*(bool *)(void *)p = strcmp(text, "true") == 0;
		return strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ? PB_OK : wrong(t, line, column, text, "true or false");
	case PB_COLUMN_COUNTERS:
		break;
	}
	return PB_OK;
}

/* A counter's number, as CSV has it: without its unit and source. */
static enum pb_status read_counter(struct table *t, struct pb_row *row, size_t line, size_t k)
{
	const char *text = t->csv->fields[line][k], *name = t->csv->fields[0][k];
	double value;

	if (!text)
		return PB_OK;
	if (!pb_parse_double(text, &value))
		return pb_fail(t->err, PB_FORMAT, "%s:%u: %.60s '%.40s' is not a number", t->name, t->csv->lines[line], name, text);
	if ((!row->counters && !(row->counters = json_object())) || json_object_set_new(row->counters, name + strlen(COUNTER), json_real(value)))
		return pb_out_of_memory(t->err, "rows");
	return PB_OK;
}

/* Rows that agree in what they are of share a cell. */
static const char *cell_of(struct table *t, const struct pb_row *r)
{
	struct pb_hash *h = pb_hash_new();
	char hex[PB_HASH_HEX];

	if (!h)
		return NULL;
	pb_hash_string(h, t->hash);
	pb_hash_string(h, r->model);
	pb_hash_string(h, r->quantizer);
	pb_hash_string(h, r->options);
	pb_hash_string(h, r->label);
	pb_hash_string(h, r->backend);
	pb_hash_bytes(h, &r->seed, sizeof(r->seed));
	pb_hash_finish(h, hex);
	return pb_rows_string(t->rows, hex);
}

static enum pb_status complete(struct table *t, struct pb_row *r, size_t line, bool has_direction)
{
	if (!r->model[0] || !r->task[0])
		return pb_fail(t->err, PB_FORMAT, "%s:%u: no %s", t->name, t->csv->lines[line], r->model[0] ? "task" : "model");
	if (r->status == PB_ROW_OK && (!r->metric[0] || isnan(r->value)))
		return pb_fail(t->err, PB_FORMAT, "%s:%u: no %s", t->name, t->csv->lines[line], r->metric[0] ? "value" : "metric");
	if (r->status != PB_ROW_OK && (!isnan(r->value) || !isnan(r->stderr_value)))
		return pb_fail(t->err, PB_FORMAT, "%s:%u: a row of status %s has no value", t->name, t->csv->lines[line], pb_row_status_name(r->status));
	if (r->stderr_value < 0)
		return pb_fail(t->err, PB_FORMAT, "%s:%u: a standard error below 0", t->name, t->csv->lines[line]);
	if (!has_direction)
		r->higher_is_better = pb_import_higher_is_better(r->metric);
	if (!r->run[0] && !(r->run = pb_rows_string(t->rows, pb_path_name(t->name))))
		return pb_out_of_memory(t->err, "rows");
	if (!r->quantizer[0])
		r->quantizer = PB_IMPORTED;
	if (!r->label[0])
		r->label = r->quantizer;
	if (!r->backend[0])
		r->backend = PB_IMPORTED;
	r->kernel = PB_IMPORTED;
	if (!r->cell[0] && !(r->cell = cell_of(t, r)))
		return pb_out_of_memory(t->err, "rows");
	return PB_OK;
}

static enum pb_status read_line(struct table *t, size_t line)
{
	struct pb_row *row;
	bool has_direction = false;
	enum pb_status st = PB_OK;

	if (t->csv->n_fields[line] != t->csv->n_fields[0])
		return pb_fail(t->err, PB_FORMAT, "%s:%u: %zu fields, the header has %zu", t->name, t->csv->lines[line], t->csv->n_fields[line], t->csv->n_fields[0]);
	if (!(row = pb_rows_add(t->rows, t->err)))
		return PB_MEMORY;
	row->status = PB_ROW_OK;
	for (size_t k = 0; !st && k < t->csv->n_fields[line]; k++)
		st = t->columns[k] ? read_field(t, row, line, t->columns[k], t->csv->fields[line][k], &has_direction) : read_counter(t, row, line, k);
	return st ? st : complete(t, row, line, has_direction);
}

enum pb_status pb_import_csv(struct pb_rows *rows, const char *name, const char *hash, const char *data, size_t size, struct pb_error *err)
{
	struct pb_csv csv = {0};
	struct table t = { .rows = rows, .name = name, .hash = hash, .csv = &csv, .err = err };
	enum pb_status st = pb_csv_parse(&csv, name, data, size, err);

	if (st)
		return st;
	if (csv.n_rows == 0)
		st = pb_fail(err, PB_FORMAT, "%s: nothing is in it", name);
	if (!st && !(t.columns = pb_alloc_zero(csv.n_fields[0], sizeof(*t.columns))))
		st = pb_out_of_memory(err, "rows");
	if (!st)
		st = read_header(&t);
	for (size_t i = 1; !st && i < csv.n_rows; i++)
		st = read_line(&t, i);
	pb_free(t.columns);
	pb_csv_free(&csv);
	return st;
}
