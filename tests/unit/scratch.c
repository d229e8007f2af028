#include "tests/unit/scratch.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[64];

const char *scratch_folder(void)
{
	if (folder[0] == '\0') {
		strcpy(folder, "/tmp/paretobench-test-XXXXXX");
		if (mkdtemp(folder) == NULL) {
			perror(folder);
			exit(1);
		}
	}
	return folder;
}

const char *scratch_path(const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", scratch_folder(), name);
	return path;
}

unsigned scratch_count(void)
{
	unsigned n = 0;
	DIR *d = opendir(scratch_folder());
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (d != NULL)
		closedir(d);
	return n;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

void scratch_remove_tree(const char *path)
{
	nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void scratch_remove(void)
{
	if (folder[0] != '\0')
		scratch_remove_tree(folder);
	folder[0] = '\0';
}

int scratch_teardown(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}
