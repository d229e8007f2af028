/* The operating system's own accounts of this process, and what it says about the machine. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "core/base/memory.h"
#include "core/counters/provider.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* A core PMU: "cpu", hybrid "cpu_core", "cpu_atom", or Arm's "armv8_pmuv3_0" and the like. */
static bool is_core_pmu(const char *name)
{
	return strcmp(name, "cpu") == 0 || strncmp(name, "cpu_", 4) == 0 || strncmp(name, "armv", 4) == 0;
}

static void read_event_sources(struct pb_counter_facts *f)
{
	char names[64][48];
	size_t n = 0, end = 0;
	DIR *d = opendir("/sys/bus/event_source/devices");
	struct dirent *e;

	while (d && n < 64 && (e = readdir(d)))
		if (e->d_name[0] != '.')
			snprintf(names[n++], sizeof(names[0]), "%.*s", (int)sizeof(names[0]) - 1, e->d_name);
	if (d)
		closedir(d);
	qsort(names, n, sizeof(names[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		f->has_pmu |= is_core_pmu(names[i]);
		if (end + strlen(names[i]) + 2 < sizeof(f->event_sources))
			end += (size_t)sprintf(f->event_sources + end, end ? " %s" : "%s", names[i]);
	}
}

static void read_processor(struct pb_counter_facts *f)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[4096];

	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (colon && strncmp(line, "model name", 10) == 0 && !f->processor[0]) {
			colon += 1 + strspn(colon + 1, " \t");
			colon[strcspn(colon, "\n")] = '\0';
			snprintf(f->processor, sizeof(f->processor), "%.90s", colon);
		} else if (strncmp(line, "flags", 5) == 0) {
			f->virtual_machine |= strstr(line, " hypervisor") != NULL;
		}
	}
	if (file)
		fclose(file);
}

void pb_counter_facts_read(struct pb_counter_facts *f)
{
	struct utsname u;
	FILE *file;
	char line[64];

	memset(f, 0, sizeof(*f));
	if (uname(&u) == 0)
		snprintf(f->kernel, sizeof(f->kernel), "%.8s %.60s", u.sysname, u.release);
	f->uid = (unsigned)geteuid();
	f->paranoid = PB_NO_PARANOID;
	file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	if (file && fgets(line, sizeof(line), file))
		f->paranoid = atoi(line);
	if (file)
		fclose(file);
	read_processor(f);
	read_event_sources(f);
}

/* Events of the process as a whole. A set has one start value an event; those that are no differences ignore it. */
#define MAX_ZONES 8
struct os_set;
struct os_event {
	const char *name;
	double (*now)(const struct os_set *set);
	bool absolute;
};
struct os_set {
	const struct os_event *events[PB_MAX_QUANTITIES * 2];
	unsigned n;
	double begin[PB_MAX_QUANTITIES * 2];
	char zones[MAX_ZONES][64];              /* folders of energy zones */
	double zone_begin[MAX_ZONES];           /* microjoules */
	unsigned n_zones;
	struct rusage usage;                    /* of this edge */
};

static double clock_of(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : NAN;
}

static double os_cpu(const struct os_set *s)
{
	(void)s;
	return clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

static double os_wall(const struct os_set *s)
{
	(void)s;
	return clock_of(CLOCK_MONOTONIC_RAW);
}

static double os_minor(const struct os_set *s)
{
	return (double)s->usage.ru_minflt;
}

static double os_major(const struct os_set *s)
{
	return (double)s->usage.ru_majflt;
}

static double os_voluntary(const struct os_set *s)
{
	return (double)s->usage.ru_nvcsw;
}

static double os_involuntary(const struct os_set *s)
{
	return (double)s->usage.ru_nivcsw;
}

/* ru_maxrss is no substitute: it begins at the size of the process that forked this one, and survives exec. */
static double os_peak(const struct os_set *s)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	double bytes = NAN;
	long long kib;

	(void)s;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %lld kB", &kib) == 1)
			bytes = 1024.0 * (double)kib;
	if (f)
		fclose(f);
	return bytes;
}

static double read_number(const char *folder, const char *name)
{
	char path[128];
	long long v;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	if (!f)
		return NAN;
	if (fscanf(f, "%lld", &v) != 1)
		v = -1;
	fclose(f);
	return v < 0 ? NAN : (double)v;
}

/* Joules since start; each zone wraps at a range of its own. */
static double os_energy(const struct os_set *s)
{
	double sum = 0;

	for (unsigned i = 0; i < s->n_zones; i++) {
		double used = read_number(s->zones[i], "energy_uj") - s->zone_begin[i];

		sum += used < 0 ? used + read_number(s->zones[i], "max_energy_range_uj") : used;
	}
	return s->n_zones ? 1e-6 * sum : NAN;
}

static const struct os_event os_events[] = {
	{ "CLOCK_PROCESS_CPUTIME_ID", os_cpu, false },
	{ "CLOCK_MONOTONIC_RAW", os_wall, false },
	{ "ru_minflt", os_minor, false },
	{ "ru_majflt", os_major, false },
	{ "ru_nvcsw", os_voluntary, false },
	{ "ru_nivcsw", os_involuntary, false },
	{ "VmHWM", os_peak, true },
	{ "energy_uj", os_energy, true },
};

/* Packages are the zones with one number ("intel-rapl:0"); "intel-rapl:0:1" is a part of one. */
static bool find_zones(struct os_set *s, struct pb_why *why)
{
	DIR *d = opendir("/sys/class/powercap");
	struct dirent *e;

	while (d && s->n_zones < MAX_ZONES && (e = readdir(d))) {
		const char *colon = strchr(e->d_name, ':');

		if (colon && !strchr(colon + 1, ':') && strlen(e->d_name) < 40)
			snprintf(s->zones[s->n_zones++], sizeof(s->zones[0]), "/sys/class/powercap/%.39s", e->d_name);
	}
	if (d)
		closedir(d);
	if (!s->n_zones)
		return pb_because(why, PB_COUNTER_UNAVAILABLE, "no energy zone in /sys/class/powercap");
	for (unsigned i = 0; i < s->n_zones; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/energy_uj", s->zones[i]);
		if (access(path, R_OK) != 0)
			return pb_because(why, errno == EACCES ? PB_COUNTER_DENIED : PB_COUNTER_UNAVAILABLE, "%s: %s", path, strerror(errno));
	}
	return true;
}

static bool os_probe(const struct pb_counter_facts *facts, struct pb_why *why)
{
	(void)facts;
	(void)why;
	return true;
}

static bool os_enter(struct pb_why *why)
{
	(void)why;
	return true;
}

static void os_leave(void)
{
}

static void os_close(void *set)
{
	pb_free(set);
}

static bool os_open(void **set, const char *const *events, unsigned n, struct pb_why *why)
{
	struct os_set *s = pb_alloc_zero(1, sizeof(*s));

	if (!s)
		return pb_because(why, PB_COUNTER_FAILED, "out of memory");
	for (unsigned i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(os_events) / sizeof(os_events[0]); k++)
			if (strcmp(os_events[k].name, events[i]) == 0)
				s->events[s->n] = &os_events[k];
		if (!s->events[s->n] || (s->events[s->n]->now == os_energy && !find_zones(s, why))) {
			if (!s->events[s->n])
				pb_because(why, PB_COUNTER_UNAVAILABLE, "%s: the operating system has no such counter", events[i]);
			os_close(s);
			return false;
		}
		s->n++;
	}
	*set = s;
	return true;
}

static bool os_start(void *set, struct pb_why *why)
{
	struct os_set *s = set;

	if (getrusage(RUSAGE_SELF, &s->usage) != 0)
		return pb_because(why, PB_COUNTER_FAILED, "getrusage: %s", strerror(errno));
	for (unsigned i = 0; i < s->n_zones; i++)
		s->zone_begin[i] = read_number(s->zones[i], "energy_uj");
	for (unsigned i = 0; i < s->n; i++)
		s->begin[i] = s->events[i]->absolute ? 0 : s->events[i]->now(s);
	return true;
}

static bool os_stop(void *set, double *values, struct pb_why *why)
{
	struct os_set *s = set;

	if (getrusage(RUSAGE_SELF, &s->usage) != 0)
		return pb_because(why, PB_COUNTER_FAILED, "getrusage: %s", strerror(errno));
	for (unsigned i = 0; i < s->n; i++)
		values[i] = s->events[i]->now(s) - s->begin[i];
	return true;
}

const struct pb_provider pb_os_provider = {
	.name = "os",
	.probe = os_probe,
	.enter = os_enter,
	.leave = os_leave,
	.open = os_open,
	.start = os_start,
	.stop = os_stop,
	.close = os_close,
};
