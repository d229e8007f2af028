/* The outputs of a report, each into a text. */
#ifndef PB_REPORTS_PAGE_H
#define PB_REPORTS_PAGE_H

#include "reports/view.h"

/* The bytes of rows.csv and fronts.csv, which are put into the page too, so that it stands alone. */
struct pb_page_tables {
	struct pb_text rows, fronts;
};
enum pb_status pb_page_make(const struct pb_view *view, struct pb_measure *measure, const struct pb_page_tables *tables, struct pb_text *out,
	struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_markdown_make(const struct pb_view *view, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_pdf_make(const struct pb_view *view, struct pb_measure *measure, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

#endif
