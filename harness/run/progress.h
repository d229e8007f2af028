/* What a run says while it runs: finished cells one line each, and on a terminal one status line
 * below them, repainted at most four times a second; elsewhere a heartbeat once a minute. */
#ifndef PB_HARNESS_RUN_PROGRESS_H
#define PB_HARNESS_RUN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include "core/base/text.h"

enum pb_when { PB_AUTO, PB_ALWAYS, PB_NEVER };

struct pb_progress {
	bool enabled, terminal, colour;
	size_t total, finished, failed, skipped;
	double cost_total, cost_done;   /* of the cells of this run */
	double cost_measured, seconds_measured; /* of the cells that ended well */
	unsigned jobs;
	double started, painted;
	bool on_screen;
};

void pb_progress_begin(struct pb_progress *p, size_t total, size_t finished, double cost_total, unsigned jobs, enum pb_when show, enum pb_when colour);
/* A finished cell: its line, already formatted, without a newline. bad: failed. */
void pb_progress_cell(struct pb_progress *p, const char *line, bool bad);
/* The status line; `what` is "label | model | stage 61%". */
void pb_progress_status(struct pb_progress *p, const char *what);
void pb_progress_clear(struct pb_progress *p);
/* Makes one line of the text from byte `from` on: names and reasons may hold anything, control characters become blanks. */
void pb_progress_one_line(struct pb_text *t, size_t from);
/* Seconds that the rest will take, from the cost of the remaining cells; negative: not known yet. */
double pb_progress_eta(const struct pb_progress *p);

#endif
