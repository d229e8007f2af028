/* Hardware and system counters around a region of work. The rule of this room: absent is not
 * zero. A counter is believed only after it has counted something known (a proof run); one that
 * this machine does not have is a reading with a reason and without a value. Nothing is computed
 * from another quantity, nothing is scaled, and events are never multiplexed.
 *
 * What can be counted is found out once a process (PB_COUNTERS=auto|os|off) and kept. Each
 * quantity has a ladder of sources: PAPI presets, the processor's own events, PAPI's software
 * events in every thread of the pool, then the operating system. */
#ifndef PB_CORE_COUNTERS_COUNTERS_H
#define PB_CORE_COUNTERS_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "core/base/pool.h"
#include "core/base/status.h"
#include "core/base/text.h"

enum pb_counter_status {
	PB_COUNTER_MEASURED,    /* counted for the whole window: the only status with a value */
	PB_COUNTER_UNAVAILABLE, /* this machine cannot */
	PB_COUNTER_DENIED,      /* permission */
	PB_COUNTER_UNSUITABLE,  /* counted, but not in every thread that worked */
	PB_COUNTER_FAILED,      /* an error while counting */
	PB_COUNTER_SUSPECT,     /* a sanity rule fired; the note says which and what was counted */
	PB_COUNTER_OFF          /* not asked for */
};
const char *pb_counter_status_name(enum pb_counter_status status);

#define PB_COUNTER_NOTE 256
#define PB_COUNTER_SOURCE 96
/* More than the quantities and the ratios of all groups. */
#define PB_MAX_READINGS 32

struct pb_reading {
	char name[32];                      /* "instructions", "cpu_time" */
	double value;                       /* NaN unless measured; counts are whole and exact below 2^53 */
	const char *unit;                   /* "1", "s", "bytes", "J" */
	enum pb_counter_status status;
	char source[PB_COUNTER_SOURCE];     /* "papi:perf::TASK-CLOCK", "os:getrusage ru_minflt"; empty when there is none */
	char scope[40];                     /* "threads:2/2", "process", "package, all processes"; empty when there is no source */
	const char *domain;                 /* "user", "user+kernel"; empty when there is no source */
	uint64_t window_ns;                 /* wall time between the two edges */
	unsigned passes;                    /* 1; 0 when nothing was counted */
	char note[PB_COUNTER_NOTE];         /* reason; empty when there is nothing to say */
};

/* Finds out what can be counted, unless that is known: 0.1 s without a PMU. pb_counters_begin does it too; calling it first keeps it
 * out of a time that is being taken. PB_USAGE when PB_COUNTERS is none of auto, os, off. */
enum pb_status pb_counters_probe(struct pb_error *err) PB_MUST_CHECK;

/* A region of work. All threads of the pool (NULL: the calling thread) open and start their
 * counters; begin and end are called by the pool's owner, not from inside a task. A counter that
 * cannot be had is a reading, not an error: begin fails when memory is out, or as the probe does.
 * Regions do not nest, and are for work of more than a few milliseconds: begin and end take a quarter of one each. */
struct pb_counters;
enum pb_status pb_counters_begin(struct pb_counters **c, struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;
/* Stops and frees c (NULL is fine: no readings). Returns how many readings were written: always the same quantities in the same order. */
unsigned pb_counters_end(struct pb_counters *c, struct pb_reading readings[PB_MAX_READINGS]);

/* Object keyed by name, each {value, unit, status, source, scope, domain, window_ns, passes, note}; value is null unless
 * measured, empty texts are null. NULL when memory is out. */
json_t *pb_readings_json(const struct pb_reading *readings, unsigned n);

/* The machine and the ladder: for each quantity the source chosen with its proof, or the reason for none. */
enum pb_status pb_counters_report(bool json, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

#endif
