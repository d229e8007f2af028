#include "reports/claims/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/csv.h"
#include "core/base/file.h"
#include "core/base/text.h"

#define FILE_LIMIT (64u << 20)

const char *const pb_number_columns[PB_NUMBER_COLUMNS] = {
	"id", "source", "table", "kind", "model", "params", "method", "wbits", "effective_bits", "group", "task", "ctx", "shots", "metric", "value", "error", "unit",
	"higher_is_better", "note",
};

bool pb_number_column_is_numeric(enum pb_number_column c)
{
	return c == PB_NUMBER_PARAMS || c == PB_NUMBER_WBITS || c == PB_NUMBER_BITS || c == PB_NUMBER_CTX || c == PB_NUMBER_SHOTS || c == PB_NUMBER_VALUE
		|| c == PB_NUMBER_ERROR || c == PB_NUMBER_BETTER;
}

double pb_printed_half(const char *text)
{
	const char *e = strpbrk(text, "eE"), *dot = strchr(text, '.');
	double value, exponent = 0;

	if (!pb_parse_double(text, &value) || (e && !pb_parse_double(e[1] == '+' ? e + 2 : e + 1, &exponent)))
		return 0;
	if (dot)
		exponent -= (double)((e ? e : text + strlen(text)) - dot - 1);
	return 0.5 * pow(10, exponent);
}

void pb_numbers_init(struct pb_numbers *numbers)
{
	*numbers = (struct pb_numbers){ 0 };
}

void pb_numbers_free(struct pb_numbers *numbers)
{
	pb_free(numbers->rows);
	pb_free(numbers->by_id);
	pb_free(numbers->files);
	pb_arena_free(numbers->arena);
	*numbers = (struct pb_numbers){ 0 };
}

static int compare_ids(const void *a, const void *b)
{
	const struct pb_number *const *x = a, *const *y = b;

	return strcmp((*x)->text[PB_NUMBER_ID], (*y)->text[PB_NUMBER_ID]);
}

const struct pb_number *pb_numbers_find(const struct pb_numbers *numbers, const char *id)
{
	size_t low = 0, high = numbers->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(id, numbers->by_id[middle]->text[PB_NUMBER_ID]);

		if (order == 0)
			return numbers->by_id[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Adding rows moves them: the index is made anew. */
static enum pb_status sort_ids(struct pb_numbers *numbers, struct pb_error *err)
{
	const struct pb_number **by_id = pb_realloc(numbers->by_id, numbers->n + 1, sizeof(struct pb_number *));

	if (!by_id)
		return pb_out_of_memory(err, "the published numbers");
	numbers->by_id = by_id;
	for (size_t i = 0; i < numbers->n; i++)
		by_id[i] = &numbers->rows[i];
	qsort(by_id, numbers->n, sizeof(struct pb_number *), compare_ids);
	for (size_t i = 1; i < numbers->n; i++) {
		const struct pb_number *a = by_id[i - 1], *b = by_id[i];

		if (strcmp(a->text[PB_NUMBER_ID], b->text[PB_NUMBER_ID]) != 0)
			continue;
		if (a > b) {
			const struct pb_number *swap = a;

			a = b;
			b = swap;
		}
		return pb_fail(err, PB_FORMAT, "%s:%u: the id %s is there already, at %s:%u", b->file, b->line, b->text[PB_NUMBER_ID], a->file, a->line);
	}
	return PB_OK;
}

static enum pb_status check_header(const struct pb_csv *csv, const char *name, struct pb_error *err)
{
	if (csv->n_rows == 0)
		return pb_fail(err, PB_FORMAT, "%s: empty; the first line names the columns: id,source,table,...", name);
	for (size_t i = 0; i < PB_NUMBER_COLUMNS; i++)
		if (i >= csv->n_fields[0] || !csv->fields[0][i] || strcmp(csv->fields[0][i], pb_number_columns[i]) != 0)
			return pb_fail(err, PB_FORMAT, "%s:%u: column %zu is '%s', not '%s'", name, csv->lines[0], i + 1,
				i < csv->n_fields[0] && csv->fields[0][i] ? csv->fields[0][i] : "", pb_number_columns[i]);
	return PB_OK;
}

static enum pb_status fill(struct pb_numbers *numbers, struct pb_number *r, const char *name, unsigned line, char *const *fields, struct pb_error *err)
{
	static const char *const kinds[] = { "table", "prose", "secondary", "digitised", "prediction" };
	size_t kind = 0;

	*r = (struct pb_number){ .file = name, .line = line };
	for (size_t c = 0; c < PB_NUMBER_COLUMNS; c++) {
		const char *text = fields[c] ? pb_arena_strdup(numbers->arena, fields[c]) : "";

		if (!text)
			return pb_out_of_memory(err, "the published numbers");
		if (!pb_utf8_valid(text, strlen(text)))
			return pb_fail(err, PB_FORMAT, "%s:%u: %s is not UTF-8", name, line, pb_number_columns[c]);
		r->text[c] = text;
		r->column[c] = NAN;
		if (pb_number_column_is_numeric((enum pb_number_column)c) && text[0] && !pb_parse_double(text, &r->column[c]))
			return pb_fail(err, PB_FORMAT, "%s:%u: %s: '%s' is not a number", name, line, pb_number_columns[c], text);
	}
	if (!r->text[PB_NUMBER_ID][0] || !r->text[PB_NUMBER_SOURCE][0])
		return pb_fail(err, PB_FORMAT, "%s:%u: a row needs an id and a source", name, line);
	while (kind < sizeof(kinds) / sizeof(kinds[0]) && strcmp(r->text[PB_NUMBER_KIND], kinds[kind]) != 0)
		kind++;
	if (kind == sizeof(kinds) / sizeof(kinds[0]))
		return pb_fail(err, PB_FORMAT, "%s:%u: kind is '%s'; choose one of table, prose, secondary, digitised, prediction", name, line, r->text[PB_NUMBER_KIND]);
	if (r->text[PB_NUMBER_BETTER][0] && r->column[PB_NUMBER_BETTER] != 0 && r->column[PB_NUMBER_BETTER] != 1)
		return pb_fail(err, PB_FORMAT, "%s:%u: higher_is_better is 1, 0 or empty", name, line);
	if (r->column[PB_NUMBER_ERROR] < 0)
		return pb_fail(err, PB_FORMAT, "%s:%u: the error %s is negative", name, line, r->text[PB_NUMBER_ERROR]);
	r->value = r->column[PB_NUMBER_VALUE];
	r->half = isnan(r->column[PB_NUMBER_ERROR]) ? pb_printed_half(r->text[PB_NUMBER_VALUE]) : r->column[PB_NUMBER_ERROR];
	r->bits_half = pb_printed_half(r->text[PB_NUMBER_BITS]);
	return PB_OK;
}

static enum pb_status add_file(struct pb_numbers *numbers, const char *name, const struct pb_csv *csv, struct pb_error *err)
{
	const char **files = pb_realloc(numbers->files, numbers->n_files + 1, sizeof(*files));
	struct pb_number *rows = pb_realloc(numbers->rows, numbers->n + csv->n_rows, sizeof(*rows));
	const char *kept = pb_arena_strdup(numbers->arena, name);
	enum pb_status st = PB_OK;

	if (files)
		numbers->files = files;
	if (rows)
		numbers->rows = rows;
	if (!files || !rows || !kept)
		return pb_out_of_memory(err, "the published numbers");
	for (size_t i = 1; !st && i < csv->n_rows; i++) {
		if (csv->n_fields[i] != PB_NUMBER_COLUMNS)
			return pb_fail(err, PB_FORMAT, "%s:%u: %zu fields where %d are needed", name, csv->lines[i], csv->n_fields[i], PB_NUMBER_COLUMNS);
		st = fill(numbers, &rows[numbers->n], kept, csv->lines[i], csv->fields[i], err);
		if (!st)
			numbers->n++;
	}
	numbers->files[numbers->n_files++] = kept;
	return st;
}

enum pb_status pb_numbers_parse(struct pb_numbers *numbers, const char *name, const char *data, size_t size, struct pb_error *err)
{
	struct pb_csv csv = {0};
	enum pb_status st;

	if (!numbers->arena && !(numbers->arena = pb_arena_new()))
		return pb_out_of_memory(err, "the published numbers");
	if ((st = pb_csv_parse(&csv, name, data, size, err)))
		return st;
	st = check_header(&csv, name, err);
	if (!st)
		st = add_file(numbers, name, &csv, err);
	if (!st)
		st = sort_ids(numbers, err);
	pb_csv_free(&csv);
	return st;
}

enum pb_status pb_numbers_read(struct pb_numbers *numbers, const char *path, struct pb_error *err)
{
	char *data = NULL;
	size_t size = 0;
	enum pb_status st = pb_file_read(path, FILE_LIMIT, &data, &size, err);

	if (!st)
		st = pb_numbers_parse(numbers, path, data, size, err);
	pb_free(data);
	return st;
}
