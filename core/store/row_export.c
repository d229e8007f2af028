/* Rows as CSV, JSON and tables. */
#include "core/store/row.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/csv.h"
#include "core/base/markup.h"
#include "core/store/row_column.h"

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of all counters, sorted, each once; they belong to the rows' counters. *names is pb_free'd. */
static enum pb_status counter_names(const struct pb_rows *rows, const char ***names, size_t *n_names, struct pb_error *err)
{
	size_t n = 0;
	for (size_t i = 0; i < rows->n; i++)
		n += json_object_size(rows->rows[i].counters);
	const char **list = pb_alloc(n, sizeof *list);
	if (!list)
		return pb_out_of_memory(err, "the columns of counters");
	n = 0;
	for (size_t i = 0; i < rows->n; i++) {
		const char *name;
		json_t *value;
		json_object_foreach(rows->rows[i].counters, name, value)
			list[n++] = name;
	}
	if (n > 1)
		qsort(list, n, sizeof *list, compare_names);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(list[i], list[kept - 1]) != 0)
			list[kept++] = list[i];
	*names = list;
	*n_names = kept;
	return PB_OK;
}

/* A counter's value as it is: an integer keeps its digits. */
static void csv_counter(struct pb_text *out, const json_t *counter)
{
	const json_t *value = json_is_object(counter) ? json_object_get(counter, "value") : counter;
	if (json_is_integer(value))
		pb_csv_integer(out, json_integer_value(value));
	else if (json_is_real(value))
		pb_csv_number(out, json_real_value(value));
	else
		pb_csv_text(out, json_string_value(value));
}

static void csv_field(struct pb_text *out, const struct pb_row *row, const struct pb_row_column *column)
{
	switch (column->type) {
	case PB_COLUMN_SCHEMA:
		pb_csv_integer(out, PB_ROW_SCHEMA);
		break;
	case PB_COLUMN_STATUS:
		pb_csv_text(out, pb_row_status_name(row->status));
		break;
	case PB_COLUMN_TEXT:
	case PB_COLUMN_OPTIONS: {
		const char *s = pb_row_text(row, column);
		pb_csv_text(out, *s ? s : NULL);
		break;
	}
	case PB_COLUMN_INTEGER: {
		int64_t v = pb_row_integer(row, column);
		if (v == PB_ABSENT)
			pb_csv_text(out, NULL);
		else
			pb_csv_integer(out, v);
		break;
	}
	case PB_COLUMN_REAL:
		pb_csv_number(out, pb_row_real(row, column));
		break;
	case PB_COLUMN_BOOL:
		pb_csv_text(out, pb_row_bool(row, column) ? "true" : "false");
		break;
	case PB_COLUMN_COUNTERS:
		break;
	}
}

static enum pb_status csv_header(const char *const *names, size_t n_names, struct pb_text *out, struct pb_error *err)
{
	for (size_t i = 0; i < pb_n_row_columns; i++) {
		if (pb_row_column_table[i].type != PB_COLUMN_COUNTERS) {
			pb_csv_text(out, pb_row_column_table[i].name);
			continue;
		}
		for (size_t k = 0; k < n_names; k++) {
			struct pb_text name = { 0 };
			pb_text_printf(&name, "counter.%s", names[k]);
			pb_csv_text(out, pb_text_c(&name));
			enum pb_status st = pb_text_check(&name, err);
			pb_text_free(&name);
			if (st != PB_OK)
				return st;
		}
	}
	pb_csv_end(out);
	return PB_OK;
}

enum pb_status pb_rows_csv(const struct pb_rows *rows, struct pb_text *out, struct pb_error *err)
{
	const char **names = NULL;
	size_t n_names = 0;
	enum pb_status st = counter_names(rows, &names, &n_names, err);
	if (st != PB_OK)
		return st;
	st = csv_header(names, n_names, out, err);
	for (size_t r = 0; st == PB_OK && r < rows->n; r++) {
		const struct pb_row *row = &rows->rows[r];
		for (size_t i = 0; i < pb_n_row_columns; i++) {
			if (pb_row_column_table[i].type == PB_COLUMN_COUNTERS)
				for (size_t k = 0; k < n_names; k++)
					csv_counter(out, json_object_get(row->counters, names[k]));
			else
				csv_field(out, row, &pb_row_column_table[i]);
		}
		pb_csv_end(out);
	}
	pb_free(names);
	return st == PB_OK ? pb_text_check(out, err) : st;
}

enum pb_status pb_rows_json(const struct pb_rows *rows, bool lines, struct pb_text *out, struct pb_error *err)
{
	if (!lines)
		pb_text_string(out, rows->n ? "[\n" : "[");
	for (size_t i = 0; i < rows->n; i++) {
		json_t *object = pb_row_json(&rows->rows[i]);
		char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
		json_decref(object);
		if (!text)
			return pb_out_of_memory(err, "rows as JSON");
		pb_text_string(out, text);
		pb_free(text);
		pb_text_string(out, lines || i + 1 == rows->n ? "\n" : ",\n");
	}
	if (!lines)
		pb_text_string(out, "]\n");
	return pb_text_check(out, err);
}

enum { TABLE_COLUMNS = 9 };
static const struct {
	const char *title;
	bool right;
} table_columns[TABLE_COLUMNS] = {
	{ "model", false }, { "quantizer", false }, { "bits", true }, { "size", true }, { "task", false },
	{ "metric", false }, { "value", true }, { "n", true }, { "status", false },
};

static void put_clean(struct pb_text *out, const char *s, bool markdown)
{
	if (markdown)
		pb_markdown_escape(out, s);
	else
		pb_terminal_escape(out, s);
}

static void table_cell(struct pb_text *out, const struct pb_row *row, int column, bool markdown)
{
	char buffer[64];
	bool ok = row->status == PB_ROW_OK;
	switch (column) {
	case 0:
		put_clean(out, row->model, markdown);
		break;
	case 1:
		put_clean(out, *row->label ? row->label : row->quantizer, markdown);
		break;
	case 2:
		if (isfinite(row->effective_bits))
			pb_text_printf(out, "%.2f", row->effective_bits);
		break;
	case 3:
		if (row->model_bytes != PB_ABSENT) {
			pb_format_size(buffer, (double)row->model_bytes);
			pb_text_string(out, buffer);
		}
		break;
	case 4:
		put_clean(out, row->task, markdown);
		break;
	case 5:
		put_clean(out, row->metric, markdown);
		break;
	case 6:
		if (ok && isfinite(row->value)) {
			pb_format_value(buffer, row->value, row->stderr_value);
			pb_text_string(out, buffer);
		}
		break;
	case 7:
		if (ok && row->n != PB_ABSENT)
			pb_text_printf(out, "%" PRId64, row->n);
		break;
	default:
		pb_text_string(out, pb_row_status_name(row->status));
		if (!ok && *row->reason) {
			pb_text_string(out, ": ");
			put_clean(out, row->reason, markdown);
		}
	}
}

static void put_padded(struct pb_text *out, const char *s, size_t width, bool right)
{
	size_t used = pb_utf8_count(s, strlen(s));
	size_t blanks = used < width ? width - used : 0;
	if (!right)
		pb_text_string(out, s);
	for (size_t i = 0; i < blanks; i++)
		pb_text_char(out, ' ');
	if (right)
		pb_text_string(out, s);
}

static void table_line(struct pb_text *out, const char *const cells[TABLE_COLUMNS], const size_t width[TABLE_COLUMNS], bool markdown)
{
	size_t start = out->length;
	if (markdown)
		pb_text_string(out, "| ");
	for (int c = 0; c < TABLE_COLUMNS; c++) {
		if (c > 0)
			pb_text_string(out, markdown ? " | " : "  ");
		put_padded(out, cells[c], width[c], table_columns[c].right);
	}
	if (markdown)
		pb_text_string(out, " |");
	while (!out->failed && out->length > start && out->data[out->length - 1] == ' ')
		out->data[--out->length] = '\0';
	pb_text_char(out, '\n');
}

enum pb_status pb_rows_table(const struct pb_rows *rows, bool markdown, struct pb_text *out, struct pb_error *err)
{
	size_t width[TABLE_COLUMNS];
	const char *cells[TABLE_COLUMNS];
	struct pb_text cell[TABLE_COLUMNS] = { 0 };
	enum pb_status st = PB_OK;
	for (int c = 0; c < TABLE_COLUMNS; c++)
		width[c] = strlen(table_columns[c].title);
	/* pass 0 measures, pass 1 writes */
	for (int pass = 0; pass < 2 && st == PB_OK; pass++) {
		if (pass == 1) {
			for (int c = 0; c < TABLE_COLUMNS; c++)
				cells[c] = table_columns[c].title;
			table_line(out, cells, width, markdown);
			for (int c = 0; markdown && c < TABLE_COLUMNS; c++)
				pb_text_string(out, table_columns[c].right ? "| ---: " : "| --- ");
			if (markdown)
				pb_text_string(out, "|\n");
		}
		for (size_t i = 0; i < rows->n && st == PB_OK; i++) {
			for (int c = 0; c < TABLE_COLUMNS; c++) {
				pb_text_clear(&cell[c]);
				table_cell(&cell[c], &rows->rows[i], c, markdown);
				if (st == PB_OK)
					st = pb_text_check(&cell[c], err);
				cells[c] = pb_text_c(&cell[c]);
				size_t used = pb_utf8_count(cells[c], cell[c].length);
				/* The last column is the reason, of any length. */
				if (c + 1 < TABLE_COLUMNS && used > width[c])
					width[c] = used;
			}
			if (pass == 1)
				table_line(out, cells, width, markdown);
		}
	}
	for (int c = 0; c < TABLE_COLUMNS; c++)
		pb_text_free(&cell[c]);
	return st == PB_OK ? pb_text_check(out, err) : st;
}
