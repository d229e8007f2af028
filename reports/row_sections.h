/* Parts of a report that come from rows alone. Each is there when the rows have what it is about. */
#ifndef PB_REPORTS_ROW_SECTIONS_H
#define PB_REPORTS_ROW_SECTIONS_H

#include "core/store/row.h"
#include "reports/section.h"

/* Knowledge: the bits of facts that a model holds (metric `bits` of a task of facts: log-probability gained over the prior, summed
 * over the facts), against the bits that it stores. The rows must outlive the section. False: no row has that, nothing was made. */
bool pb_knowledge_section(struct pb_section *out, const struct pb_rows *rows, struct pb_arena *arena);
/* How far quantization moved the weights (metrics of task `weights`), by effective bits. The same rules. */
bool pb_movement_section(struct pb_section *out, const struct pb_rows *rows, struct pb_arena *arena);

#endif
