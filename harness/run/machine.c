#include "harness/run/machine.h"

#include <cblas.h>
#include <cairo.h>
#include <openssl/crypto.h>
#include <papi.h>
#include <pcre2.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <utf8proc.h>
#include <yaml.h>
#include <zlib.h>
#include <csv.h>
#include "core/base/pool.h"
#include "core/store/row.h"

static const char *instruction_set(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f"))
		return "avx512";
	if (__builtin_cpu_supports("avx2"))
		return "avx2";
	return "sse2";
#elif defined(__aarch64__)
	return "neon";
#else
	return "portable";
#endif
}

/* The first value of a "key : value" line of a /proc file; empty when there is none. */
static void proc_value(const char *path, const char *key, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	char line[512];

	out[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, key, strlen(key)) != 0 || !colon)
			continue;
		colon++;
		colon += strspn(colon, " \t");
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(out, size, "%s", colon);
		break;
	}
	if (f)
		fclose(f);
}

static void processor(char out[128])
{
	proc_value("/proc/cpuinfo", "model name", out, 128);
	if (!out[0])
		snprintf(out, 128, "unknown processor");
}

const char *pb_machine_name(void)
{
	static char name[256];
	char cpu[128];

	if (name[0])
		return name;
	processor(cpu);
	snprintf(name, sizeof(name), "%s, %u cores, %s", cpu, pb_cpu_count(), instruction_set());
	return name;
}

json_t *pb_machine_json(void)
{
	struct utsname u;
	struct sysinfo info;
	char cpu[128];

	processor(cpu);
	if (uname(&u) != 0)
		memset(&u, 0, sizeof(u));
	if (sysinfo(&info) != 0)
		memset(&info, 0, sizeof(info));
	return json_pack("{s:s, s:i, s:s, s:I, s:s, s:s, s:s}", "processor", cpu, "cores", (int)pb_cpu_count(), "instruction_set", instruction_set(),
		"memory_bytes", (json_int_t)((uint64_t)info.totalram * info.mem_unit), "kernel", u.release, "architecture", u.machine, "openblas_core", openblas_get_corename());
}

json_t *pb_libraries_json(void)
{
	char pcre[64] = "", papi_built[32], pcre_built[32];
	int papi = PAPI_get_opt(PAPI_LIB_VERSION, NULL);
	char papi_running[32] = "unknown", openblas_built[32] = "unknown";

	sscanf(OPENBLAS_VERSION, " OpenBLAS %31s", openblas_built);
	pcre2_config(PCRE2_CONFIG_VERSION, pcre);
	snprintf(pcre_built, sizeof(pcre_built), "%d.%d", PCRE2_MAJOR, PCRE2_MINOR);
	snprintf(papi_built, sizeof(papi_built), "%d.%d.%d", PAPI_VERSION_MAJOR(PAPI_VERSION), PAPI_VERSION_MINOR(PAPI_VERSION), PAPI_VERSION_REVISION(PAPI_VERSION));
	if (papi > 0)
		snprintf(papi_running, sizeof(papi_running), "%d.%d.%d", PAPI_VERSION_MAJOR(papi), PAPI_VERSION_MINOR(papi), PAPI_VERSION_REVISION(papi));
	return json_pack("{s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}}",
		"sqlite", "built", SQLITE_VERSION, "running", sqlite3_libversion(),
		"cairo", "built", CAIRO_VERSION_STRING, "running", cairo_version_string(),
		"jansson", "built", JANSSON_VERSION, "running", jansson_version_str(),
		"libcrypto", "built", OPENSSL_VERSION_STR, "running", OpenSSL_version(OPENSSL_VERSION_STRING),
		"libyaml", "built", "0.2", "running", yaml_get_version_string(),
		"pcre2", "built", pcre_built, "running", pcre,
		"zlib", "built", ZLIB_VERSION, "running", zlibVersion(),
		"utf8proc", "built", "2", "running", utf8proc_version(),
		"papi", "built", papi_built, "running", papi_running,
		"openblas", "built", openblas_built, "running", openblas_get_config(),
		"libcsv", "built", "3", "running", "3");
}

int64_t pb_peak_rss_bytes(void)
{
	char text[64];
	long long kib;

	proc_value("/proc/self/status", "VmHWM", text, sizeof(text));
	return sscanf(text, "%lld kB", &kib) == 1 ? (int64_t)kib * 1024 : PB_ABSENT;
}

void pb_peak_rss_reset(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "we");

	if (!f)
		return;
	fputs("5", f);
	fclose(f);
}
