#include "core/store/row.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/store/row_column.h"

static const char *const status_names[PB_ROW_STATUSES] = { "ok", "failed", "skipped", "stale", "running" };

#define TEXT(f)     { #f, PB_COLUMN_TEXT, offsetof(struct pb_row, f), false }
#define INTEGER(f)  { #f, PB_COLUMN_INTEGER, offsetof(struct pb_row, f), false }
#define REAL(f)     { #f, PB_COLUMN_REAL, offsetof(struct pb_row, f), false }
const struct pb_row_column pb_row_column_table[] = {
	{ "schema", PB_COLUMN_SCHEMA, 0, false },
	TEXT(run),
	TEXT(cell),
	{ "status", PB_COLUMN_STATUS, offsetof(struct pb_row, status), false },
	TEXT(reason),
	TEXT(model),
	TEXT(family),
	INTEGER(params),
	TEXT(model_family),
	INTEGER(train_tokens),
	TEXT(model_hash),
	TEXT(tokenizer_hash),
	TEXT(quantizer),
	{ "options", PB_COLUMN_OPTIONS, offsetof(struct pb_row, options), false },
	TEXT(label),
	REAL(wbits),
	REAL(effective_bits),
	INTEGER(weight_bytes),
	INTEGER(model_bytes),
	REAL(paper_bytes),
	TEXT(size_convention),
	TEXT(backend),
	TEXT(kernel),
	TEXT(task),
	TEXT(task_hash),
	TEXT(data_hash),
	TEXT(protocol),
	TEXT(metric),
	{ "value", PB_COLUMN_REAL, offsetof(struct pb_row, value), true },
	{ "stderr", PB_COLUMN_REAL, offsetof(struct pb_row, stderr_value), true },
	{ "n", PB_COLUMN_INTEGER, offsetof(struct pb_row, n), true },
	{ "higher_is_better", PB_COLUMN_BOOL, offsetof(struct pb_row, higher_is_better), false },
	REAL(chance),
	INTEGER(seed),
	REAL(quantize_seconds),
	REAL(eval_seconds),
	INTEGER(peak_rss_bytes),
	{ "counters", PB_COLUMN_COUNTERS, offsetof(struct pb_row, counters), false },
	TEXT(started_utc),
	TEXT(version),
	TEXT(machine),
	{ "calibration", PB_COLUMN_OPTIONS, offsetof(struct pb_row, calibration), false },
};
#undef TEXT
#undef INTEGER
#undef REAL
const size_t pb_n_row_columns = sizeof pb_row_column_table / sizeof *pb_row_column_table;

const char *pb_row_status_name(enum pb_row_status status)
{
	return (unsigned)status < PB_ROW_STATUSES ? status_names[status] : "unknown";
}

bool pb_row_status_parse(const char *name, enum pb_row_status *out)
{
	for (unsigned i = 0; i < PB_ROW_STATUSES; i++)
		if (strcmp(name, status_names[i]) == 0) {
			*out = (enum pb_row_status)i;
			return true;
		}
	return false;
}

static const void *field(const struct pb_row *row, const struct pb_row_column *column)
{
	return (const char *)row + column->offset;
}

const char *pb_row_text(const struct pb_row *row, const struct pb_row_column *column)
{
	const char *s = *(const char *const *)field(row, column);
	return s ? s : "";
}

int64_t pb_row_integer(const struct pb_row *row, const struct pb_row_column *column)
{
	if (column->is_score && row->status != PB_ROW_OK)
		return PB_ABSENT;
	return *(const int64_t *)field(row, column);
}

double pb_row_real(const struct pb_row *row, const struct pb_row_column *column)
{
	if (column->is_score && row->status != PB_ROW_OK)
		return NAN;
	return *(const double *)field(row, column);
}

bool pb_row_bool(const struct pb_row *row, const struct pb_row_column *column)
{
	return *(const bool *)field(row, column);
}

void pb_rows_init(struct pb_rows *rows)
{
	*rows = (struct pb_rows){ .arena = NULL };
}

static bool need_arena(struct pb_rows *rows)
{
	if (!rows->arena)
		rows->arena = pb_arena_new();
	return rows->arena != NULL;
}

static void clear_row(struct pb_row *row)
{
	memset(row, 0, sizeof *row);
	for (size_t i = 0; i < pb_n_row_columns; i++) {
		const struct pb_row_column *column = &pb_row_column_table[i];
		char *p = (char *)row + column->offset;
		switch (column->type) {
		case PB_COLUMN_TEXT:
		case PB_COLUMN_OPTIONS:
			*(const char **)(void *)p = "";
			break;
		case PB_COLUMN_INTEGER:
			*(int64_t *)(void *)p = PB_ABSENT;
			break;
		case PB_COLUMN_REAL:
			*(double *)(void *)p = NAN;
			break;
		default:
			break;
		}
	}
	row->status = PB_ROW_RUNNING;
}

struct pb_row *pb_rows_add(struct pb_rows *rows, struct pb_error *err)
{
	if (rows->n == rows->capacity) {
		size_t capacity = rows->capacity ? 2 * rows->capacity : 64;
		struct pb_row *grown = pb_realloc(rows->rows, capacity, sizeof *grown);
		if (!grown) {
			(void)pb_out_of_memory(err, "rows");
			return NULL;
		}
		rows->rows = grown;
		rows->capacity = capacity;
	}
	if (!need_arena(rows)) {
		(void)pb_out_of_memory(err, "rows");
		return NULL;
	}
	struct pb_row *row = &rows->rows[rows->n++];
	clear_row(row);
	return row;
}

const char *pb_rows_string(struct pb_rows *rows, const char *s)
{
	if (!s || !*s)
		return "";
	return need_arena(rows) ? pb_arena_strdup(rows->arena, s) : NULL;
}

void pb_rows_free(struct pb_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		json_decref(rows->rows[i].counters);
	pb_free(rows->rows);
	pb_arena_free(rows->arena);
	pb_rows_init(rows);
}

static int compare_rows(const void *pa, const void *pb)
{
	const struct pb_row *a = pa, *b = pb;
	int c = strcmp(a->model, b->model);
	if (!c)
		c = strcmp(a->label, b->label);
	if (!c)
		c = strcmp(a->backend, b->backend);
	if (!c)
		c = strcmp(a->task, b->task);
	if (!c)
		c = strcmp(a->protocol, b->protocol);
	if (!c)
		c = strcmp(a->metric, b->metric);
	if (!c)
		c = (a->seed > b->seed) - (a->seed < b->seed);
	if (!c)
		c = strcmp(a->cell, b->cell);
	/* Rows of several runs may agree in all of these: the order must still be that of the contents. */
	if (!c)
		c = strcmp(a->run, b->run);
	if (!c)
		c = (a->status > b->status) - (a->status < b->status);
	if (!c)
		c = strcmp(a->started_utc, b->started_utc);
	return c;
}

void pb_rows_sort(struct pb_rows *rows)
{
	if (rows->n > 1)
		qsort(rows->rows, rows->n, sizeof *rows->rows, compare_rows);
}

static json_t *make_options(const char *s)
{
	json_error_t why;
	json_t *out = json_loads(s, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(out))
		return out;
	if (!out && json_error_code(&why) == json_error_out_of_memory)
		return NULL;
	json_decref(out);
	return pb_json_text(s);
}

static json_t *make_field(const struct pb_row *row, const struct pb_row_column *column)
{
	switch (column->type) {
	case PB_COLUMN_SCHEMA:
		return json_integer(PB_ROW_SCHEMA);
	case PB_COLUMN_STATUS:
		return json_string(pb_row_status_name(row->status));
	case PB_COLUMN_TEXT:
	case PB_COLUMN_OPTIONS: {
		const char *s = pb_row_text(row, column);
		if (!*s)
			return json_null();
		return column->type == PB_COLUMN_OPTIONS ? make_options(s) : pb_json_text(s);
	}
	case PB_COLUMN_INTEGER: {
		int64_t v = pb_row_integer(row, column);
		return v == PB_ABSENT ? json_null() : json_integer(v);
	}
	case PB_COLUMN_REAL:
		return pb_json_number(pb_row_real(row, column));
	case PB_COLUMN_BOOL:
		return json_boolean(pb_row_bool(row, column));
	case PB_COLUMN_COUNTERS:
		return row->counters ? json_incref(row->counters) : json_null();
	}
	return NULL;
}

double pb_row_counter(const struct pb_row *row, const char *name)
{
	const json_t *counter = json_object_get(row->counters, name), *value = json_is_object(counter) ? json_object_get(counter, "value") : counter;

	return json_is_number(value) ? json_number_value(value) : NAN;
}

json_t *pb_row_json(const struct pb_row *row)
{
	json_t *object = json_object();
	for (size_t i = 0; object && i < pb_n_row_columns; i++) {
		json_t *value = make_field(row, &pb_row_column_table[i]);
		if (!value || json_object_set_new(object, pb_row_column_table[i].name, value) != 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static const struct pb_row_column *find_column(const char *name)
{
	for (size_t i = 0; i < pb_n_row_columns; i++)
		if (strcmp(pb_row_column_table[i].name, name) == 0)
			return &pb_row_column_table[i];
	return NULL;
}

static enum pb_status wrong_type(const char *name, const char *wanted, struct pb_error *err)
{
	return pb_fail(err, PB_FORMAT, "row: %s: is not %s", name, wanted);
}

static enum pb_status read_text(struct pb_rows *rows, const char *name, const json_t *value, const char **out, struct pb_error *err)
{
	if (!json_is_string(value))
		return wrong_type(name, "a string or null", err);
	const char *s = json_string_value(value);
	if (strlen(s) != json_string_length(value))
		return pb_fail(err, PB_FORMAT, "row: %s: holds a NUL character", name);
	const char *copy = pb_rows_string(rows, s);
	if (!copy)
		return pb_out_of_memory(err, "a row");
	*out = copy;
	return PB_OK;
}

static enum pb_status read_field(struct pb_rows *rows, struct pb_row *row, const struct pb_row_column *column,
	const json_t *value, struct pb_error *err)
{
	char *p = (char *)row + column->offset;
	switch (column->type) {
	case PB_COLUMN_SCHEMA:
	case PB_COLUMN_STATUS:
		return PB_OK; /* read before the others */
	case PB_COLUMN_OPTIONS:
		if (json_is_object(value)) {
			char *text = pb_json_canonical(value);
			const char *copy = text ? pb_rows_string(rows, text) : NULL;
			pb_free(text);
			if (!copy)
				return pb_out_of_memory(err, "a row");
			*(const char **)(void *)p = copy;
			return PB_OK;
		}
		return read_text(rows, column->name, value, (const char **)(void *)p, err);
	case PB_COLUMN_TEXT:
		return read_text(rows, column->name, value, (const char **)(void *)p, err);
	case PB_COLUMN_INTEGER:
		if (!json_is_integer(value))
			return wrong_type(column->name, "an integer or null", err);
		*(int64_t *)(void *)p = json_integer_value(value);
		return PB_OK;
	case PB_COLUMN_REAL:
		if (!json_is_number(value))
			return wrong_type(column->name, "a number or null", err);
		*(double *)(void *)p = json_number_value(value);
		return PB_OK;
	case PB_COLUMN_BOOL:
		if (!json_is_boolean(value))
			return wrong_type(column->name, "true or false", err);
		*(bool *)(void *)p = json_is_true(value);
		return PB_OK;
	case PB_COLUMN_COUNTERS:
		if (!json_is_object(value))
			return wrong_type(column->name, "an object or null", err);
		row->counters = json_deep_copy(value);
		return row->counters ? PB_OK : pb_out_of_memory(err, "a row");
	}
	return PB_OK;
}

static enum pb_status read_row(struct pb_rows *rows, struct pb_row *row, const json_t *object, struct pb_error *err)
{
	const json_t *schema = json_object_get(object, "schema");
	if (!json_is_integer(schema))
		return pb_fail(err, PB_FORMAT, "row: schema: is not there or is not an integer");
	if (json_integer_value(schema) != PB_ROW_SCHEMA)
		return pb_fail(err, PB_FORMAT, "row: schema: found %lld, this version reads %d",
			(long long)json_integer_value(schema), PB_ROW_SCHEMA);
	const char *status = json_string_value(json_object_get(object, "status"));
	if (!status)
		return pb_fail(err, PB_FORMAT, "row: status: is not there or is not a string");
	if (!pb_row_status_parse(status, &row->status))
		return pb_fail(err, PB_FORMAT, "row: status: '%.40s' is none of ok, failed, skipped, stale, running", status);

	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, name, value) {
		const struct pb_row_column *column = find_column(name);
		if (!column)
			return pb_fail(err, PB_FORMAT, "row: '%.60s': is not a column", name);
		if (json_is_null(value))
			continue;
		if (column->is_score && row->status != PB_ROW_OK)
			return pb_fail(err, PB_FORMAT, "row: %s: a row of status %s has none", name, status);
		enum pb_status st = read_field(rows, row, column, value, err);
		if (st != PB_OK)
			return st;
	}
	return PB_OK;
}

enum pb_status pb_row_from_json(struct pb_rows *rows, const json_t *object, struct pb_error *err)
{
	if (!json_is_object(object))
		return pb_fail(err, PB_FORMAT, "row: is not a JSON object");
	struct pb_row *row = pb_rows_add(rows, err);
	if (!row)
		return PB_MEMORY;
	enum pb_status st = read_row(rows, row, object, err);
	if (st != PB_OK) {
		json_decref(row->counters);
		rows->n--;
	}
	return st;
}
