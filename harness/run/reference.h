/* A sweep's key `reference`: the corner that bounds the volumes of fronts in reports, so that those of two runs can be compared.
 *
 *   reference: {size: 4MiB, bits: 16, acc: 0.25, nll: 6}
 *
 * Names are costs, as `report --x` has them, and metrics of the sweep's tasks. */
#ifndef PB_HARNESS_RUN_REFERENCE_H
#define PB_HARNESS_RUN_REFERENCE_H

#include "core/base/yaml.h"
#include "harness/run/sweep.h"

/* Sets sweep->reference; tasks are read. */
enum pb_status pb_reference_read(struct pb_sweep *sweep, const struct pb_yaml *node, struct pb_error *err) PB_MUST_CHECK;

#endif
