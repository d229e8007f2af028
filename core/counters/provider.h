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
	bool virtual_machine;
	int paranoid;               /* perf_event_paranoid; PB_NO_PARANOID when it cannot be read */
	unsigned uid;
};
#define PB_NO_PARANOID (-100)
void pb_counter_facts_read(struct pb_counter_facts *facts);

/* Why something did not count; PB_COUNTER_MEASURED while nothing is wrong. */
struct pb_why {
	enum pb_counter_status status;
	char note[PB_COUNTER_NOTE];
};
/* Fills why and returns false, so that `return pb_because(why, ...)` works. */
bool pb_because(struct pb_why *why, enum pb_counter_status status, const char *format, ...) PB_PRINTF(3, 4);

/* A source of events. A set counts all its events from start to stop; start sets them to zero; a set can be started
 * again after stop. enter, open, start, stop, close and leave of one set happen in one thread. */
struct pb_provider {
	const char *name;                                       /* prefix of a reading's source */
	bool (*probe)(const struct pb_counter_facts *facts, struct pb_why *why); /* once, before anything else */
	json_t *(*describe)(void);                              /* version and components, for the report; may be NULL */
	bool (*enter)(struct pb_why *why);                      /* a thread begins to count */
	void (*leave)(void);
	bool (*open)(void **set, const char *const *events, unsigned n, struct pb_why *why);
	bool (*start)(void *set, struct pb_why *why);
	bool (*stop)(void *set, double *values, struct pb_why *why);
	void (*close)(void *set);
};
extern const struct pb_provider pb_papi_provider, pb_os_provider;

/* The meaning of PAPI's return codes. error_number: errno, 0 when unknown. */
void pb_papi_error(int code, int error_number, const struct pb_counter_facts *facts, struct pb_why *why);
/* What PAPI_library_init returned. */
bool pb_papi_version_check(int returned, struct pb_why *why);

/* Quantities. Hardware ones take their rungs from the group files, the others from the table in ladder.c. */
enum pb_counter_kind {
	PB_KIND_INSTRUCTIONS, PB_KIND_CYCLES, PB_KIND_BRANCHES, PB_KIND_EVENTS, /* hardware */
	PB_KIND_CPU_TIME, PB_KIND_MINOR_FAULTS, PB_KIND_MAJOR_FAULTS, PB_KIND_SWITCHES, PB_KIND_PEAK_MEMORY, PB_KIND_WALL_TIME, PB_KIND_ENERGY
};
struct pb_quantity {
	const char *name, *unit;
	enum pb_counter_kind kind;
	bool always;                        /* a reading also when no group file names it */
	double scale;                       /* of the thread's event, to the unit */
	const char *thread_events[2];       /* rungs beside those of the group files */
	const char *process_events[2];      /* one rung: their sum */
	const char *process_source;
};
#define PB_MAX_QUANTITIES 20
extern const struct pb_quantity pb_quantities[];
extern const unsigned pb_n_quantities;
int pb_quantity_find(const char *name);     /* index, -1: none */
bool pb_quantity_is_hardware(const struct pb_quantity *q);

/* Group files: events that are counted together, with the ratios that may be made of them.
 *
 *     [group base]                        ; title: instructions and cycles
 *     event instructions = PAPI_TOT_INS | perf::INSTRUCTIONS
 *     event cycles = PAPI_TOT_CYC | perf::CYCLES
 *     metric ipc "instructions per cycle" = instructions / cycles
 *     help = user-mode work only
 *
 * `|` separates rungs. A group named in several files is one group; its rungs follow each other in the order of the files. */
#define PB_MAX_RUNGS 12
#define PB_MAX_GROUPS 8
#define PB_MAX_METRICS 8
struct pb_group_event {
	int quantity;
	const char *rungs[PB_MAX_RUNGS];
	unsigned n_rungs;
};
struct pb_group_metric {
	const char *name, *title;
	int above, below;                   /* quantities */
};
struct pb_group {
	const char *name, *title, *help;
	struct pb_group_event events[PB_MAX_QUANTITIES];
	unsigned n_events;
};
struct pb_groups {
	struct pb_arena *arena;
	struct pb_group groups[PB_MAX_GROUPS];
	unsigned n;
	struct pb_group_metric metrics[PB_MAX_METRICS];
	unsigned n_metrics;
};
enum pb_status pb_groups_new(struct pb_groups **out, struct pb_error *err) PB_MUST_CHECK;
void pb_groups_free(struct pb_groups *groups);
/* Adds the groups of one file; file: for messages "FILE:LINE: why". */
enum pb_status pb_groups_parse(struct pb_groups *groups, const char *file, const char *text, struct pb_error *err) PB_MUST_CHECK;
/* All *.txt of a folder: generic.txt first, then by name. */
enum pb_status pb_groups_read(struct pb_groups *groups, const char *folder, struct pb_error *err) PB_MUST_CHECK;

/* The capability table. */
struct pb_rung {
	const char *event;
	struct pb_why why;                  /* measured: proved */
	double proof[2];                    /* counted in the two proof runs; NaN: not run */
};
struct pb_ladder_step {
	struct pb_rung rungs[PB_MAX_RUNGS]; /* events of the thread provider, from left to right */
	unsigned n_rungs;
	int chosen;                         /* of rungs; -1: none */
	int group;                          /* hardware: of groups, else -1 */
	struct pb_rung process;             /* event NULL: there is none */
	struct pb_why why;                  /* measured when there is a source at all */
};
enum pb_counter_mode { PB_COUNTERS_AUTO, PB_COUNTERS_OS, PB_COUNTERS_OFF };
struct pb_ladder {
	enum pb_counter_mode mode;
	struct pb_counter_facts facts;
	const struct pb_provider *thread, *process;
	struct pb_why thread_why;           /* of the provider as a whole */
	const struct pb_groups *groups;
	struct pb_why groups_why;           /* of the group files */
	struct pb_ladder_step steps[PB_MAX_QUANTITIES];
	int set[PB_MAX_QUANTITIES];         /* quantities that every thread counts, in one set */
	unsigned n_set;
};
#define PB_PROOF_LOOPS 10000000

/* Finds out what can be counted. groups_why: what went wrong with the group files. The providers and groups must outlive the ladder, which is pb_free'd. */
enum pb_status pb_ladder_probe(struct pb_ladder **out, enum pb_counter_mode mode, const struct pb_provider *thread, const struct pb_provider *process,
	const struct pb_groups *groups, const struct pb_why *groups_why, struct pb_error *err) PB_MUST_CHECK;
/* The ladder of this process, made by the first call. PB_USAGE when PB_COUNTERS is none of auto, os, off. */
enum pb_status pb_ladder_get(const struct pb_ladder **out, struct pb_error *err) PB_MUST_CHECK;
/* pb_counters_begin and pb_counters_report with a ladder of one's own. */
enum pb_status pb_region_begin(struct pb_counters **c, const struct pb_ladder *ladder, struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_ladder_report(const struct pb_ladder *ladder, bool json, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

#endif
