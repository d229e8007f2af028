/* Inside the counters' room: providers of events, the ladder that chooses among them, group files. */
#ifndef PB_CORE_COUNTERS_PROVIDER_H
#define PB_CORE_COUNTERS_PROVIDER_H

#include "core/counters/counters.h"

/* What is known about the machine before anything is counted. */
struct pb_counter_facts {
	char kernel[72];            /* "Linux 6.1.0" */
	char processor[96];
	char event_sources[256];    /* names in /sys/bus/event_source/devices, sorted, separated by blanks */
	bool has_pmu;               /* one of them is a core PMU */
	int paranoid;               /* perf_event_paranoid; -100: cannot be read */
	unsigned uid;
};
void pb_counter_facts_read(struct pb_counter_facts *facts);

#endif
