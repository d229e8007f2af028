/* Messages to stderr ("paretobench: who: what") and, with PB_LOG=file, JSON Lines. */
#ifndef PB_CORE_BASE_LOG_H
#define PB_CORE_BASE_LOG_H

#include "core/base/status.h"

enum pb_level { PB_LOG_ERROR, PB_LOG_WARNING, PB_LOG_INFO, PB_LOG_DEBUG };

/* verbosity: -1 quiet (errors only), 0 errors and warnings, 1 (-v) info, 2 (-vv) debug. Opens PB_LOG when set. */
void pb_log_setup(int verbosity);
void pb_log(enum pb_level level, const char *format, ...) PB_PRINTF(2, 3);
/* Prints err as an error: "paretobench: TEXT"; a second line of the text is indented by two blanks. */
void pb_log_failure(const struct pb_error *err);
/* Called before a line goes to stderr, so that a status line can be cleared; NULL to remove. */
void pb_log_before(void (*hook)(void));

#endif
