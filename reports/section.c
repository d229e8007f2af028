#include "reports/section.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

void pb_section_init(struct pb_section *section, struct pb_arena *arena, const char *slug, const char *title)
{
	*section = (struct pb_section){ .slug = slug, .title = title, .arena = arena };
}

void pb_section_free(struct pb_section *section)
{
	for (size_t i = 0; i < section->n_blocks; i++)
		if (section->blocks[i].kind == PB_SECTION_FILE)
			pb_text_free(&section->blocks[i].file->bytes);
}

enum pb_status pb_section_check(const struct pb_section *section, struct pb_error *err)
{
	return section->failed ? pb_out_of_memory(err, "a report") : PB_OK;
}

/* Room for one more item of an array in the arena. */
static bool grow(struct pb_section *section, void **items, size_t n, size_t *capacity, size_t size)
{
	if (n < *capacity)
		return true;
	size_t wanted = *capacity ? 2 * *capacity : 16;
	void *more = section->failed ? NULL : pb_arena_alloc(section->arena, wanted, size);
	if (!more) {
		section->failed = true;
		return false;
	}
	if (n)
		memcpy(more, *items, n * size);
	*items = more;
	*capacity = wanted;
	return true;
}

static struct pb_section_block *add_block(struct pb_section *section, enum pb_section_kind kind)
{
	void *blocks = section->blocks;
	if (section->failed || !grow(section, &blocks, section->n_blocks, &section->capacity, sizeof *section->blocks))
		return NULL;
	section->blocks = blocks;
	struct pb_section_block *block = &section->blocks[section->n_blocks++];
	block->kind = kind;
	block->text = "";
	return block;
}

static const char *print(struct pb_section *section, const char *format, va_list args)
{
	struct pb_text t = { 0 };
	pb_text_vprintf(&t, format, args);
	const char *s = t.failed || section->failed ? NULL : pb_arena_strdup(section->arena, pb_text_c(&t));
	pb_text_free(&t);
	section->failed = section->failed || !s;
	return s ? s : "";
}

static void add_text(struct pb_section *section, enum pb_section_kind kind, const char *format, va_list args)
{
	struct pb_section_block *block = add_block(section, kind);
	if (block)
		block->text = print(section, format, args);
}

void pb_section_heading(struct pb_section *section, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_text(section, PB_SECTION_HEADING, format, args);
	va_end(args);
}

void pb_section_text(struct pb_section *section, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_text(section, PB_SECTION_TEXT, format, args);
	va_end(args);
}

void pb_section_note(struct pb_section *section, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_text(section, PB_SECTION_NOTE, format, args);
	va_end(args);
}

struct pb_section_table *pb_section_table(struct pb_section *section, const struct pb_section_column *columns, size_t n_columns)
{
	struct pb_section_table *table = pb_arena_alloc(section->arena, 1, sizeof *table);
	struct pb_section_column *own = table ? pb_arena_alloc(section->arena, n_columns, sizeof *own) : NULL;
	struct pb_section_block *block = own ? add_block(section, PB_SECTION_TABLE) : NULL;
	if (!block) {
		section->failed = true;
		return NULL;
	}
	memcpy(own, columns, n_columns * sizeof *own);
	*table = (struct pb_section_table){ .section = section, .columns = own, .n_columns = n_columns };
	block->table = table;
	return table;
}

static void add_field(struct pb_section_table *table, double number, const char *format, va_list args)
{
	void *fields = table->fields;
	if (!grow(table->section, &fields, table->n_fields, &table->capacity, sizeof *table->fields))
		return;
	table->fields = fields;
	table->fields[table->n_fields++] = (struct pb_section_field){ print(table->section, format, args), number };
}

void pb_table_text(struct pb_section_table *table, const char *format, ...)
{
	if (!table)
		return;
	va_list args;
	va_start(args, format);
	add_field(table, NAN, format, args);
	va_end(args);
}

void pb_table_number(struct pb_section_table *table, double number, const char *format, ...)
{
	if (!table)
		return;
	va_list args;
	va_start(args, format);
	add_field(table, number, format, args);
	va_end(args);
}

void pb_section_chart(struct pb_section *section, const struct pb_section_chart *chart)
{
	if (!pb_chart_has_place(&chart->chart)) {
		pb_section_text(section, "%s: no value has a place there, so there is nothing to draw.", chart->chart.title);
		return;
	}
	struct pb_section_chart *copy = pb_arena_alloc(section->arena, 1, sizeof *copy);
	struct pb_section_block *block = copy ? add_block(section, PB_SECTION_CHART) : NULL;
	if (!block) {
		section->failed = true;
		return;
	}
	*copy = *chart;
	block->chart = copy;
}

void pb_section_file(struct pb_section *section, const char *name, const char *what, struct pb_text *bytes)
{
	struct pb_section_file *file = pb_arena_alloc(section->arena, 1, sizeof *file);
	struct pb_section_block *block = file && !bytes->failed ? add_block(section, PB_SECTION_FILE) : NULL;
	if (!block) {
		section->failed = true;
		pb_text_free(bytes);
		return;
	}
	*file = (struct pb_section_file){ name, what, *bytes };
	*bytes = (struct pb_text){ 0 };
	block->file = file;
}
