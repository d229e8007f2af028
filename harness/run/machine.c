#include "harness/run/machine.h"

#include <bzlib.h>
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

/* NULL: the library does not say. */
static void put_library(json_t *libraries, const char *name, const char *built, const char *running)
{
	json_object_set_new(libraries, name, json_pack("{s:s?, s:s?}", "built", built, "running", running));
}

json_t *pb_libraries_json(void)
{
	char pcre[64] = "", openblas[32] = "", built[4][32], papi[32] = "";
	int version = PAPI_get_opt(PAPI_LIB_VERSION, NULL);
	json_t *libraries = json_object();

	if (!libraries)
		return NULL;
	sscanf(OPENBLAS_VERSION, " OpenBLAS %31s", openblas);
	pcre2_config(PCRE2_CONFIG_VERSION, pcre);
	snprintf(built[0], sizeof(built[0]), "%d.%d", PCRE2_MAJOR, PCRE2_MINOR);
	snprintf(built[1], sizeof(built[1]), "%d.%d.%d", PAPI_VERSION_MAJOR(PAPI_VERSION), PAPI_VERSION_MINOR(PAPI_VERSION), PAPI_VERSION_REVISION(PAPI_VERSION));
	snprintf(built[2], sizeof(built[2]), "%d.%d.%d", UTF8PROC_VERSION_MAJOR, UTF8PROC_VERSION_MINOR, UTF8PROC_VERSION_PATCH);
	snprintf(built[3], sizeof(built[3]), "%d.%d.%d", CSV_MAJOR, CSV_MINOR, CSV_RELEASE);
	if (version > 0)
		snprintf(papi, sizeof(papi), "%d.%d.%d", PAPI_VERSION_MAJOR(version), PAPI_VERSION_MINOR(version), PAPI_VERSION_REVISION(version));
	put_library(libraries, "sqlite", SQLITE_VERSION, sqlite3_libversion());
	put_library(libraries, "cairo", CAIRO_VERSION_STRING, cairo_version_string());
	put_library(libraries, "jansson", JANSSON_VERSION, jansson_version_str());
	put_library(libraries, "libcrypto", OPENSSL_VERSION_STR, OpenSSL_version(OPENSSL_VERSION_STRING));
	put_library(libraries, "libyaml", PB_YAML_BUILT, yaml_get_version_string());
	put_library(libraries, "pcre2", built[0], pcre);
	put_library(libraries, "zlib", ZLIB_VERSION, zlibVersion());
	put_library(libraries, "bzip2", NULL, BZ2_bzlibVersion());
	put_library(libraries, "utf8proc", built[2], utf8proc_version());
	put_library(libraries, "papi", built[1], papi[0] ? papi : NULL);
	put_library(libraries, "openblas", openblas[0] ? openblas : NULL, openblas_get_config());
	put_library(libraries, "libcsv", built[3], NULL);
	return libraries;
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
