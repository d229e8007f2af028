/* A part of a report: texts, tables and charts, made once and shown in the page, the PDF and Markdown.
 *
 * Texts are plain; every output escapes them. Memory is the arena's; when it is out, the section remembers that, further calls do
 * nothing, and pb_section_check says so once. */
#ifndef PB_REPORTS_SECTION_H
#define PB_REPORTS_SECTION_H

#include "core/base/memory.h"
#include "core/base/text.h"
#include "reports/chart.h"

struct pb_section_column {
	const char *name;
	bool is_number;                 /* to the right; sorted by its number */
	bool wraps;                     /* long text, in lines */
};
struct pb_section_field {
	const char *text;
	double number;                  /* what a column of numbers is sorted by; NaN: none */
};
struct pb_section_table {
	struct pb_section *section;
	const struct pb_section_column *columns;
	size_t n_columns;
	struct pb_section_field *fields; /* row by row */
	size_t n_fields, capacity;
};

/* A chart in a section. Panels that follow one another stand side by side. */
struct pb_section_chart {
	const char *slug;               /* of its files, figures/SLUG.{svg,png,pdf}: [a-z0-9-], unique in the report */
	const char *caption;            /* how to read it */
	const char *note;               /* under the full figure: data, number of points, date; "" for none */
	bool panel;
	struct pb_chart chart;
};
struct pb_section_file {
	const char *name;               /* "fits.csv" */
	const char *what;               /* "All fits" */
	struct pb_text bytes;
};

enum pb_section_kind { PB_SECTION_HEADING, PB_SECTION_TEXT, PB_SECTION_NOTE, PB_SECTION_TABLE, PB_SECTION_CHART, PB_SECTION_FILE };
struct pb_section_block {
	enum pb_section_kind kind;
	union {
		const char *text;           /* of a heading, a text or a note (smaller and muted) */
		struct pb_section_table *table;
		struct pb_section_chart *chart;
		struct pb_section_file *file;
	};
};
struct pb_section {
	const char *slug;               /* the anchor in the page: [a-z0-9-] */
	const char *title;
	struct pb_arena *arena;
	struct pb_section_block *blocks;
	size_t n_blocks, capacity;
	bool failed;
};

/* A section that is empty. In the arena, which must outlive it; slug and title too. */
void pb_section_init(struct pb_section *section, struct pb_arena *arena, const char *slug, const char *title);
/* Bytes of files are the section's. */
void pb_section_free(struct pb_section *section);
enum pb_status pb_section_check(const struct pb_section *section, struct pb_error *err) PB_MUST_CHECK;

void pb_section_heading(struct pb_section *section, const char *format, ...) PB_PRINTF(2, 3);
void pb_section_text(struct pb_section *section, const char *format, ...) PB_PRINTF(2, 3);
void pb_section_note(struct pb_section *section, const char *format, ...) PB_PRINTF(2, 3);
/* A table without rows; NULL when memory is out, which the next three take. Columns are copied, their names are not. */
struct pb_section_table *pb_section_table(struct pb_section *section, const struct pb_section_column *columns, size_t n_columns);
/* The next field of the table, row by row. A number that is not finite is sorted last; its text says why ("n/a"). */
void pb_table_text(struct pb_section_table *table, const char *format, ...) PB_PRINTF(2, 3);
void pb_table_number(struct pb_section_table *table, double number, const char *format, ...) PB_PRINTF(3, 4);
/* Copies the struct; what it points to must outlive the section. A chart without any place becomes a sentence that says so. */
void pb_section_chart(struct pb_section *section, const struct pb_section_chart *chart);
/* A file beside the page, linked and (when small) in it. Takes the bytes. */
void pb_section_file(struct pb_section *section, const char *name, const char *what, struct pb_text *bytes);

#endif
