#include "core/base/csv.h"

#include <csv.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/base/memory.h"

static const char byte_order_mark[] = "\xEF\xBB\xBF";

/* libcsv calls back for each field and each row, and cannot be stopped from there: the first failure is kept. */
struct reader {
	struct pb_csv csv;
	size_t row_capacity;
	char **fields;                  /* of the row under way */
	size_t n_fields, field_capacity;
	unsigned row_line;
	bool row_ended;
	bool out_of_memory;
};

/* Makes *items hold at least n + 1 items. */
static bool grow(void **items, size_t n, size_t *capacity, size_t item_size)
{
	if (n < *capacity)
		return true;
	size_t larger = *capacity == 0 ? 16 : *capacity * 2;
	void *p = pb_realloc(*items, larger, item_size);
	if (p == NULL)
		return false;
	*items = p;
	*capacity = larger;
	return true;
}

static void on_field(void *bytes, size_t n, void *arg)
{
	struct reader *r = arg;
	void *fields = r->fields;
	if (r->out_of_memory)
		return;
	r->out_of_memory = !grow(&fields, r->n_fields, &r->field_capacity, sizeof *r->fields);
	r->fields = fields;
	if (r->out_of_memory)
		return;
	char *field = NULL;
	if (bytes != NULL) {
		field = pb_arena_strndup(r->csv.arena, bytes, n);
		r->out_of_memory = field == NULL;
	}
	r->fields[r->n_fields++] = field;
}

/* The three arrays of rows grow together; each call of grow starts from the capacity that all three have. */
static bool grow_rows(struct reader *r)
{
	void *arrays[3] = { r->csv.fields, r->csv.n_fields, r->csv.lines };
	const size_t sizes[3] = { sizeof *r->csv.fields, sizeof *r->csv.n_fields, sizeof *r->csv.lines };
	size_t capacity = r->row_capacity;
	bool ok = true;
	for (int i = 0; i < 3 && ok; i++) {
		capacity = r->row_capacity;
		ok = grow(&arrays[i], r->csv.n_rows, &capacity, sizes[i]);
	}
	r->csv.fields = arrays[0];
	r->csv.n_fields = arrays[1];
	r->csv.lines = arrays[2];
	if (ok)
		r->row_capacity = capacity;
	return ok;
}

static void on_row(int terminator, void *arg)
{
	struct reader *r = arg;
	(void)terminator;
	r->row_ended = true;
	if (r->out_of_memory)
		return;
	size_t n = r->n_fields;
	char **fields = grow_rows(r) ? pb_arena_alloc(r->csv.arena, n, sizeof *fields) : NULL;
	if (fields == NULL) {
		r->out_of_memory = true;
		return;
	}
	if (n > 0)
		memcpy(fields, r->fields, n * sizeof *fields);
	r->csv.fields[r->csv.n_rows] = fields;
	r->csv.n_fields[r->csv.n_rows] = n;
	r->csv.lines[r->csv.n_rows++] = r->row_line;
	r->n_fields = 0;
}

static void *resize(void *p, size_t n)
{
	return pb_realloc(p, n, 1);
}

/* Bytes up to and including the next end of line: LF, CR LF or CR. */
static size_t line_length(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			return i + 1;
		if (p[i] == '\r')
			return i + 1 < n && p[i + 1] == '\n' ? i + 2 : i + 1;
	}
	return n;
}

static bool blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r' && p[i] != '\n')
			return false;
	return true;
}

/* Feeds line by line, since the library neither counts lines nor says where it stopped in terms of them. A row may span
 * lines (quoted line feeds), and blank lines between rows are no rows. */
static enum pb_status feed(struct reader *r, struct csv_parser *parser, const char *name, const char *data, size_t size, struct pb_error *err)
{
	unsigned line = 1;
	bool in_row = false;
	for (size_t at = 0; at < size; line++) {
		size_t n = line_length(data + at, size - at);
		if (memchr(data + at, '\0', n) != NULL)
			return pb_fail(err, PB_FORMAT, "%s:%u: a NUL byte", name, line);
		if (!in_row)
			r->row_line = line;
		r->row_ended = false;
		size_t taken = csv_parse(parser, data + at, n, on_field, on_row, r);
		if (taken != n) {
			int code = csv_error(parser);
			if (code == CSV_ENOMEM || code == CSV_ETOOBIG)
				return pb_out_of_memory(err, name);
			return pb_fail(err, PB_FORMAT, "%s:%u:%zu: a quote in the wrong place", name, line, taken + 1);
		}
		if (r->out_of_memory)
			return pb_out_of_memory(err, name);
		in_row = !r->row_ended && (in_row || !blank(data + at, n));
		at += n;
	}
	if (csv_fini(parser, on_field, on_row, r) != 0) {
		int code = csv_error(parser);
		if (code == CSV_ENOMEM || code == CSV_ETOOBIG)
			return pb_out_of_memory(err, name);
		return pb_fail(err, PB_FORMAT, "%s:%u: the quoted field of the row that begins here has no end", name, r->row_line);
	}
	return r->out_of_memory ? pb_out_of_memory(err, name) : PB_OK;
}

enum pb_status pb_csv_parse(struct pb_csv *out, const char *name, const char *data, size_t size, struct pb_error *err)
{
	struct csv_parser parser;
	struct reader r = { .csv.arena = pb_arena_new() };
	if (r.csv.arena == NULL || csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL | CSV_EMPTY_IS_NULL) != 0) {
		pb_arena_free(r.csv.arena);
		return pb_out_of_memory(err, name);
	}
	csv_set_realloc_func(&parser, resize);
	csv_set_free_func(&parser, pb_free);
	if (size >= 3 && memcmp(data, byte_order_mark, 3) == 0) {
		data += 3;
		size -= 3;
	}
	enum pb_status status = feed(&r, &parser, name, data, size, err);
	csv_free(&parser);
	pb_free(r.fields);
	if (status != PB_OK)
		pb_csv_free(&r.csv);
	else
		*out = r.csv;
	return status;
}

void pb_csv_free(struct pb_csv *csv)
{
	pb_free(csv->n_fields);
	pb_free(csv->fields);
	pb_free(csv->lines);
	pb_arena_free(csv->arena);
	*csv = (struct pb_csv){ 0 };
}

/* Writing. Each field puts a comma after itself and the end of the row takes the last one away, so that an absent first field is seen. */

/* A field that begins with a byte-order mark would lose it as the first of a file. */
static bool needs_quotes(const char *s)
{
	size_t n = strlen(s);
	return n == 0 || strncmp(s, byte_order_mark, 3) == 0 || strpbrk(s, ",\"\r\n") != NULL || s[0] == ' ' || s[0] == '\t' || s[n - 1] == ' ' || s[n - 1] == '\t';
}

void pb_csv_text(struct pb_text *t, const char *s)
{
	if (s != NULL && needs_quotes(s)) {
		pb_text_char(t, '"');
		for (; *s != '\0'; s++) {
			if (*s == '"')
				pb_text_char(t, '"');
			pb_text_char(t, *s);
		}
		pb_text_char(t, '"');
	} else if (s != NULL) {
		pb_text_string(t, s);
	}
	pb_text_char(t, ',');
}

void pb_csv_number(struct pb_text *t, double value)
{
	char number[32];
	if (isfinite(value)) {
		pb_format_number(number, value);
		pb_text_string(t, number);
	}
	pb_text_char(t, ',');
}

void pb_csv_integer(struct pb_text *t, long long value)
{
	pb_text_printf(t, "%lld,", value);
}

void pb_csv_end(struct pb_text *t)
{
	if (t->failed)
		return;
	if (t->length > 0 && t->data[t->length - 1] == ',')
		t->data[t->length - 1] = '\n';
	else
		pb_text_char(t, '\n');
}
