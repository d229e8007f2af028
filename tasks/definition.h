/* Reading a definition: YAML to struct pb_definition. */
#ifndef PB_TASKS_DEFINITION_H
#define PB_TASKS_DEFINITION_H

#include "tasks/kind.h"

/* Fills task's name (without subtask), title, source, kind, definition and hash of content; protocol NULL: the definition's own.
 * subtask: the one that is run, or NULL for all. */
enum pb_status pb_definition_read(struct pb_task *task, const struct pb_yaml *root, const char *subtask, const char *protocol, struct pb_error *err) PB_MUST_CHECK;

#endif
