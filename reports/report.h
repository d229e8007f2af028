/* From rows and logs of trainings to pages. Works where no model is. */
#ifndef PB_REPORTS_REPORT_H
#define PB_REPORTS_REPORT_H

#include <stddef.h>
#include "core/base/status.h"
#include "core/store/row.h"
#include "reports/front.h"
#include "reports/training.h"

/* A fact of provenance, from the record: shown in the order given. */
struct pb_fact {
	const char *name, *value;
};

struct pb_report_input {
	const char *title;              /* name of the run(s) */
	const struct pb_rows *rows;     /* sorted */
	const struct pb_fact *facts;    /* created_utc, version, command, machine, libraries, sweep, hashes */
	size_t n_facts;
	const char *created_utc;        /* of the data; the only date in the files */
	const struct pb_trainings *trainings;   /* sorted; NULL: none */
	const struct pb_section *const *sections;   /* further parts, in their order */
	size_t n_sections;
	const struct pb_item_stores *items;     /* of the rows; NULL: none */
	bool is_part;                   /* the rows are a part of a report's: fronts and tables, no fits and no draws */
	const char *reference;          /* of volumes, as sweeps name it (groups.h): a JSON object; NULL: by rule */
	const char *reference_note;     /* ", since ..."; NULL: none */
	const char *x, *y, *z;          /* axes that were asked for, by name (goals.h); NULL: the usual ones */
};

/* Writes DIR/report.html, report.pdf, report.md, rows.csv, fronts.csv and figures/NAME.{svg,png,pdf}, each atomically, and
 * of several methods or bit widths methods/NAME.html and bits/WIDTH.html, and
 * the files of trainings and sections. When there are only these, nothing of rows and fronts. The same input gives the same bytes. *html_path (pb_free'd) is the page. */
enum pb_status pb_report_write(const struct pb_report_input *input, const char *folder, char **html_path, struct pb_error *err) PB_MUST_CHECK;

#endif
