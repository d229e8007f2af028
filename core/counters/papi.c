/* PAPI: hardware events, and software events of the kernel's perf subsystem, in the calling thread and user mode.
 * Its clocks, multiplexing and inheritance are not used: the first is no monotonic clock, the others give numbers
 * that were not counted. */
#include <errno.h>
#include <papi.h>
#include <pthread.h>
#include <string.h>
#include "core/base/memory.h"
#include "core/counters/provider.h"

/* Of the process; written by probe. */
static struct pb_counter_facts papi_facts;
static int papi_version;

static const char *no_pmu(const struct pb_counter_facts *facts)
{
	if (facts->has_pmu)
		return "";
	return facts->virtual_machine ? "; no hardware PMU in this VM" : "; no hardware PMU here";
}

void pb_papi_error(int code, int error_number, const struct pb_counter_facts *facts, struct pb_why *why)
{
	switch (code) {
	case PAPI_EPERM:
		if (facts->paranoid == PB_NO_PARANOID)
			pb_because(why, PB_COUNTER_DENIED, "kernel refuses (seccomp or capability)");
		else
			pb_because(why, PB_COUNTER_DENIED, "kernel refuses (perf_event_paranoid = %d, seccomp or capability)", facts->paranoid);
		return;
	case PAPI_ENOEVNT:
		pb_because(why, PB_COUNTER_UNAVAILABLE, "event not known here%s", no_pmu(facts));
		return;
	case PAPI_ENOSUPP:
		pb_because(why, PB_COUNTER_UNAVAILABLE, "hardware does not support it");
		return;
	case PAPI_ESYS:
		pb_because(why, PB_COUNTER_UNAVAILABLE, error_number ? "system call refused: %s" : "system call refused", error_number ? strerror(error_number) : "");
		return;
	case PAPI_ECOUNT:
		pb_because(why, PB_COUNTER_FAILED, "out of file descriptors: each event of each thread is one");
		return;
	case PAPI_ENOMEM:
		pb_because(why, PB_COUNTER_FAILED, "out of memory");
		return;
	case PAPI_ECNFLCT:
		pb_because(why, PB_COUNTER_UNAVAILABLE, "does not fit with the other events (NMI watchdog or another user takes counters)");
		return;
	case PAPI_ECMP_DISABLED: {
		int id = PAPI_get_component_index("perf_event");
		const PAPI_component_info_t *info = id >= 0 ? PAPI_get_component_info(id) : NULL;

		pb_because(why, PB_COUNTER_UNAVAILABLE, "%s", info && info->disabled_reason[0] ? info->disabled_reason : "component is disabled");
		return;
	}
	default: {
		const char *text = PAPI_strerror(code);

		pb_because(why, PB_COUNTER_FAILED, "PAPI: %s (%d)", text ? text : "unknown error", code);
	}
	}
}

bool pb_papi_version_check(int returned, struct pb_why *why)
{
	if (returned == PAPI_VER_CURRENT)
		return true;
	if (returned > 0)
		return pb_because(why, PB_COUNTER_UNAVAILABLE, "PAPI's library is version %d.%d, this program was built with %d.%d", PAPI_VERSION_MAJOR(returned),
			PAPI_VERSION_MINOR(returned), PAPI_VERSION_MAJOR(PAPI_VER_CURRENT), PAPI_VERSION_MINOR(PAPI_VER_CURRENT));
	return pb_because(why, PB_COUNTER_UNAVAILABLE, "PAPI does not start: %s", PAPI_strerror(returned) ? PAPI_strerror(returned) : "unknown error");
}

/* One number a kernel thread for its whole life. */
static unsigned long thread_number(void)
{
	return (unsigned long)pthread_self();
}

static bool papi_probe(const struct pb_counter_facts *facts, struct pb_why *why)
{
	int r = PAPI_library_init(PAPI_VER_CURRENT);

	papi_facts = *facts;
	if (!pb_papi_version_check(r, why))
		return false;
	papi_version = PAPI_get_opt(PAPI_LIB_VERSION, NULL);
	r = PAPI_thread_init(thread_number);
	if (r != PAPI_OK)
		pb_papi_error(r, 0, facts, why);
	return r == PAPI_OK;
}

static json_t *papi_describe(void)
{
	json_t *components = json_array();
	const PAPI_hw_info_t *hardware = papi_version ? PAPI_get_hardware_info() : NULL;

	for (int i = 0; papi_version && i < PAPI_num_components(); i++) {
		const PAPI_component_info_t *c = PAPI_get_component_info(i);

		if (c)
			json_array_append_new(components, json_pack("{s:s, s:s, s:s?}", "name", c->name,
				"state", c->disabled == 0 ? "active" : c->disabled == PAPI_EDELAY_INIT ? "starts when first used" : "disabled",
				"reason", c->disabled && c->disabled_reason[0] ? c->disabled_reason : NULL));
	}
	return json_pack("{s:s, s:o, s:o, s:s?, s:s?}", "name", "PAPI",
		"version", papi_version ? json_sprintf("%d.%d.%d", PAPI_VERSION_MAJOR(papi_version), PAPI_VERSION_MINOR(papi_version), PAPI_VERSION_REVISION(papi_version)) : json_null(),
		"components", components,
		"virtualisation", hardware && hardware->virtualized ? hardware->virtual_vendor_string : NULL,
		/* Both change what the names of presets mean. */
		"preset_files", getenv("PAPI_CSV_EVENT_FILE") ? getenv("PAPI_CSV_EVENT_FILE") : getenv("PAPI_USER_EVENTS_FILE"));
}

static bool papi_enter(struct pb_why *why)
{
	int r = PAPI_register_thread();

	if (r != PAPI_OK)
		pb_papi_error(r, 0, &papi_facts, why);
	return r == PAPI_OK;
}

static void papi_leave(void)
{
	PAPI_unregister_thread();
}

static void papi_close(void *set)
{
	int *id = set;

	PAPI_cleanup_eventset(*id);
	PAPI_destroy_eventset(id);
	pb_free(id);
}

static bool papi_open(void **set, const char *const *events, unsigned n, struct pb_why *why)
{
	int *id = pb_alloc(1, sizeof(*id));
	int r = PAPI_OK, code, component = -1;

	if (!id)
		return pb_because(why, PB_COUNTER_FAILED, "out of memory");
	*id = PAPI_NULL;
	r = PAPI_create_eventset(id);
	if (r != PAPI_OK) {
		pb_papi_error(r, 0, &papi_facts, why);
		pb_free(id);
		return false;
	}
	for (unsigned i = 0; i < n && r == PAPI_OK; i++) {
		/* An unknown word alone is "not supported" to PAPI, one with a prefix "no such event": to us the same. */
		r = PAPI_event_name_to_code(events[i], &code);
		if (r != PAPI_OK) {
			r = PAPI_ENOEVNT;
			break;
		}
		if (component < 0) {
			component = PAPI_get_event_component(code);
			r = component < 0 ? component : PAPI_assign_eventset_component(*id, component);
		}
		errno = 0;
		if (r == PAPI_OK)
			r = PAPI_add_event(*id, code);
	}
	if (r != PAPI_OK) {
		pb_papi_error(r, errno, &papi_facts, why);
		papi_close(id);
		return false;
	}
	*set = id;
	return true;
}

static bool papi_start(void *set, struct pb_why *why)
{
	int r;

	errno = 0;
	r = PAPI_start(*(int *)set);
	if (r != PAPI_OK)
		pb_papi_error(r, errno, &papi_facts, why);
	return r == PAPI_OK;
}

static bool papi_stop(void *set, double *values, struct pb_why *why)
{
	long long counts[PB_MAX_QUANTITIES] = {0};
	int id = *(int *)set, n = PAPI_num_events(id), r;

	errno = 0;
	r = PAPI_stop(id, counts);
	if (r != PAPI_OK)
		pb_papi_error(r, errno, &papi_facts, why);
	for (int i = 0; r == PAPI_OK && i < n && i < PB_MAX_QUANTITIES; i++)
		values[i] = (double)counts[i];
	return r == PAPI_OK;
}

const struct pb_provider pb_papi_provider = {
	.name = "papi",
	.probe = papi_probe,
	.describe = papi_describe,
	.enter = papi_enter,
	.leave = papi_leave,
	.open = papi_open,
	.start = papi_start,
	.stop = papi_stop,
	.close = papi_close,
};
