#include "reports/parts.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_full(const struct pb_row *r)
{
	return strcmp(r->family, "full precision") == 0;
}

static bool in_part(const struct pb_row *r, bool is_width, const struct pb_row *first)
{
	return is_full(r) || (is_width ? r->wbits == first->wbits : strcmp(r->quantizer, first->quantizer) == 0);
}

static int compare_methods(const void *pa, const void *pb)
{
	return strcmp((*(const struct pb_row *const *)pa)->quantizer, (*(const struct pb_row *const *)pb)->quantizer);
}

static int compare_widths(const void *pa, const void *pb)
{
	double a = (*(const struct pb_row *const *)pa)->wbits, b = (*(const struct pb_row *const *)pb)->wbits;
	return (a > b) - (a < b);
}

/* A row for each method or width that differs, sorted, in `firsts`; how many. */
static size_t find_firsts(const struct pb_rows *rows, bool is_width, const struct pb_row **firsts)
{
	int (*compare)(const void *, const void *) = is_width ? compare_widths : compare_methods;
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *r = &rows->rows[i];
		if (!is_full(r) && (is_width ? isfinite(r->wbits) : *r->quantizer != '\0'))
			firsts[n++] = r;
	}
	if (n > 1)
		qsort(firsts, n, sizeof *firsts, compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || compare(&firsts[i], &firsts[kept - 1]) != 0)
			firsts[kept++] = firsts[i];
	return kept;
}

/* A name as part of a file's name: what may not stand there becomes a dash, and a number keeps it unlike the others. */
static const char *file_of(const struct pb_part *parts, size_t n, const char *folder, const char *name, struct pb_arena *arena)
{
	char *clean = pb_arena_strdup(arena, name);
	const char *file = NULL;
	for (char *c = clean; c && *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-' && (*c != '.' || c == clean))
			*c = '-';
	if (clean && strlen(clean) > 60)
		clean[60] = '\0';
	for (size_t number = 1; clean; number++) {
		bool taken = false;
		file = number == 1 ? pb_arena_printf(arena, "%s/%s.html", folder, clean) : pb_arena_printf(arena, "%s/%s-%zu.html", folder, clean, number);
		for (size_t i = 0; file && i < n && !taken; i++)
			taken = strcmp(parts[i].file, file) == 0;
		if (!file || !taken)
			break;
	}
	return file;
}

static bool fill(struct pb_part *parts, size_t n, const struct pb_rows *rows, bool is_width, const struct pb_row *first, struct pb_arena *arena)
{
	struct pb_part *part = &parts[n];
	char width[32] = "";
	size_t n_rows = 0;
	if (is_width)
		pb_format_short(width, first->wbits);
	for (size_t i = 0; i < rows->n; i++)
		n_rows += in_part(&rows->rows[i], is_width, first);
	*part = (struct pb_part){ .is_width = is_width, .name = is_width ? pb_arena_printf(arena, "%s %s", width, first->wbits == 1.0 ? "bit" : "bits") : first->quantizer,
		.file = file_of(parts, n, is_width ? "bits" : "methods", is_width ? width : first->quantizer, arena),
		.rows = { .rows = pb_arena_alloc(arena, n_rows, sizeof *part->rows.rows), .capacity = n_rows } };
	if (!part->name || !part->file || !part->rows.rows)
		return false;
	for (size_t i = 0; i < rows->n; i++)
		if (in_part(&rows->rows[i], is_width, first))
			part->rows.rows[part->rows.n++] = rows->rows[i];
	return true;
}

enum pb_status pb_parts_make(struct pb_part **out, size_t *n, const struct pb_rows *rows, struct pb_arena *arena, struct pb_error *err)
{
	const struct pb_row **firsts = pb_arena_alloc(arena, rows->n, sizeof *firsts);
	*n = 0;
	if (!firsts)
		return pb_out_of_memory(err, "a report");
	size_t n_methods = find_firsts(rows, false, firsts), n_widths = find_firsts(rows, true, firsts);
	*out = pb_arena_alloc(arena, n_methods + n_widths, sizeof **out);
	if (!*out)
		return pb_out_of_memory(err, "a report");
	for (int is_width = 0; is_width < 2; is_width++) {
		size_t n_firsts = find_firsts(rows, is_width, firsts);
		for (size_t i = 0; n_firsts > 1 && i < n_firsts; i++)
			if (!fill(*out, (*n)++, rows, is_width, firsts[i], arena))
				return pb_out_of_memory(err, "a report");
	}
	return PB_OK;
}
