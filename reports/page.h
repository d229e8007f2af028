/* The outputs of a report, each into a text. */
#ifndef PB_REPORTS_PAGE_H
#define PB_REPORTS_PAGE_H

#include "reports/parts.h"
#include "reports/view.h"

/* The bytes of rows.csv and fronts.csv, which are put into the page too, so that it stands alone. */
struct pb_page_tables {
	struct pb_text rows, fronts;
};
/* What a page knows of those beside it. */
struct pb_page_place {
	const struct pb_page_tables *tables;    /* NULL: the page of a part, which has no files of its own */
	const struct pb_part *parts;
	size_t n_parts;
	const struct pb_part *part;             /* this page's; NULL: report.html */
};
enum pb_status pb_page_make(const struct pb_view *view, struct pb_measure *measure, const struct pb_page_place *place, struct pb_text *out,
	struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_markdown_make(const struct pb_view *view, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_pdf_make(const struct pb_view *view, struct pb_measure *measure, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

#endif
