/* The operating system's own accounts of this process, and what it says about the machine. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
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

void pb_counter_facts_read(struct pb_counter_facts *f)
{
	struct utsname u;
	FILE *file;
	char line[256];

	memset(f, 0, sizeof(*f));
	if (uname(&u) == 0)
		snprintf(f->kernel, sizeof(f->kernel), "%.8s %.60s", u.sysname, u.release);
	f->uid = (unsigned)geteuid();
	f->paranoid = -100;
	file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	if (file && fgets(line, sizeof(line), file))
		f->paranoid = atoi(line);
	if (file)
		fclose(file);
	file = fopen("/proc/cpuinfo", "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;

		if (!colon)
			continue;
		colon += 1 + strspn(colon + 1, " \t");
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(f->processor, sizeof(f->processor), "%.90s", colon);
		break;
	}
	if (file)
		fclose(file);
	read_event_sources(f);
}
