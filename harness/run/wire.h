/* What a runner and its workers say to each other: one JSON object a line.
 *   to a worker:   a cell
 *   from a worker: {"stage": name, "done": 0..1} while it works, then {"rows": [...], "items": [...]} */
#ifndef PB_HARNESS_RUN_WIRE_H
#define PB_HARNESS_RUN_WIRE_H

#include "harness/run/cell.h"

json_t *pb_wire_cell(const struct pb_cell *cell);                       /* NULL when memory is out */
/* Strings in the arena. */
enum pb_status pb_wire_read_cell(const json_t *object, struct pb_arena *arena, struct pb_cell *cell, struct pb_error *err) PB_MUST_CHECK;
json_t *pb_wire_result(const struct pb_cell_result *result);            /* NULL when memory is out */
enum pb_status pb_wire_read_result(const json_t *object, struct pb_cell_result *result, struct pb_error *err) PB_MUST_CHECK;

#endif
