#include "core/base/file.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"

#ifndef PB_DATADIR
#define PB_DATADIR "/usr/local/share/paretobench"
#endif

char *pb_path_join(const char *folder, const char *name)
{
	if (name[0] == '/' || folder[0] == '\0')
		return pb_strdup(name);
	size_t n = strlen(folder), m = strlen(name);
	bool slash = folder[n - 1] != '/';
	char *path = pb_alloc(n + slash + m + 1, 1);
	if (path == NULL)
		return NULL;
	memcpy(path, folder, n);
	if (slash)
		path[n] = '/';
	memcpy(path + n + slash, name, m + 1);
	return path;
}

char *pb_path_folder(const char *path)
{
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	return n == 0 ? pb_strdup(".") : pb_strndup(path, n);
}

const char *pb_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? path : slash + 1;
}

bool pb_path_has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);
	return n >= m && memcmp(path + n - m, suffix, m) == 0;
}

#define PATH_BYTES 4096

static char home[PATH_BYTES];           /* "": none */

static bool has_folder(const char *folder, const char *name)
{
	char path[PATH_BYTES + 16];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return pb_folder_exists(path);
}

static void find_home(void)
{
	const char *wanted = getenv("PB_HOME");
	if (wanted != NULL && wanted[0] != '\0') {
		if (strlen(wanted) < sizeof home && has_folder(wanted, "tasks"))
			snprintf(home, sizeof home, "%s", wanted);
		return;
	}
	/* Up from the program. A build tree has a folder `tasks` of object files, so `configs` is asked for, too. */
	ssize_t n = readlink("/proc/self/exe", home, sizeof home - 1);
	home[n < 0 ? 0 : n] = '\0';
	for (char *slash; (slash = strrchr(home, '/')) != NULL && slash != home;) {
		*slash = '\0';
		if (has_folder(home, "tasks") && has_folder(home, "configs"))
			return;
		/* Installed, under whatever prefix it was put or moved to. */
		size_t length = strlen(home);
		if (length + sizeof "/share/paretobench" <= sizeof home) {
			strcpy(home + length, "/share/paretobench");
			if (has_folder(home, "tasks"))
				return;
			home[length] = '\0';
		}
	}
	snprintf(home, sizeof home, "%s", has_folder(PB_DATADIR, "tasks") ? PB_DATADIR : "");
}

const char *pb_home(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, find_home);
	return home[0] == '\0' ? NULL : home;
}
