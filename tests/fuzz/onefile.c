/* A fuzz target without a fuzzer: gives it each file named, and each file of a folder named, once. Prints only what cannot be read. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int complain(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return 1;
}

/* The bytes are in a block of their own size, so that a sanitizer sees a read beyond them. */
static int feed_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	long size = -1;
	if (f == NULL)
		return complain(path);
	if (fseek(f, 0, SEEK_END) == 0)
		size = ftell(f);
	rewind(f);
	uint8_t *data = size < 0 ? NULL : malloc(size > 0 ? (size_t)size : 1);
	int failed = data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size ? complain(path) : 0;
	fclose(f);
	if (!failed)
		LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return failed;
}

static int feed(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return complain(path);
	if (!S_ISDIR(st.st_mode))
		return feed_file(path);
	/* In the order of names, so that two runs are alike. */
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort), failed = 0;
	if (n < 0)
		return complain(path);
	for (int i = 0; i < n; i++) {
		char name[4096];
		snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			failed |= feed(name);
		free(entries[i]);
	}
	free(entries);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;
	for (int i = 1; i < argc; i++)
		failed |= feed(argv[i]);
	return failed;
}
