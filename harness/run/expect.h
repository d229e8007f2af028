/* A sweep's key `expect`: orders of its own settings that one expects, from papers, for the report to test.
 *
 *   expect:
 *     - {better: {gptq: {bits: [2, 3], group_size: 32}}, worse: {rtn: {bits: [2, 3], group_size: 32}},
 *        task: world_ppl, metric: nll, source: "GPTQ, table 3"}
 *
 * Both sides are written as quantizers are; they name as many settings each, which then go in pairs, or one of them names one. */
#ifndef PB_HARNESS_RUN_EXPECT_H
#define PB_HARNESS_RUN_EXPECT_H

#include "core/base/yaml.h"
#include "harness/run/settings.h"
#include "harness/run/sweep.h"

/* Sets sweep->expect; tasks are read. A side, task or metric that the sweep does not have is an error at its place. */
enum pb_status pb_expect_read(struct pb_sweep *sweep, const struct pb_settings *settings, const struct pb_yaml *node, struct pb_error *err) PB_MUST_CHECK;

#endif
