#include <bzlib.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "tests/unit/scratch.h"

static void put(const char *name, const void *p, size_t n)
{
	FILE *f = fopen(scratch_path(name), "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static void check_file(const char *name, const void *p, size_t n)
{
	char *data;
	size_t size;
	assert_int_equal(pb_file_read(scratch_path(name), 1 << 30, &data, &size, NULL), PB_OK);
	assert_int_equal(size, n);
	assert_memory_equal(data, p, n);
	assert_int_equal(data[size], 0);
	pb_free(data);
}

static void maps(void **state)
{
	(void)state;
	struct pb_map map = { 0 };
	struct pb_error err;
	pb_map_close(&map);
	put("m", "hello", 5);
	put("empty", "", 0);
	assert_int_equal(pb_map_open(&map, scratch_path("m"), &err), PB_OK);
	assert_int_equal(map.size, 5);
	assert_memory_equal(map.data, "hello", 5);
	pb_map_close(&map);
	assert_null(map.data);
	pb_map_close(&map);
	assert_int_equal(pb_map_open(&map, scratch_path("empty"), &err), PB_OK);
	assert_non_null(map.data);
	assert_int_equal(map.size, 0);
	pb_map_close(&map);
}

static void maps_refuse(void **state)
{
	(void)state;
	struct pb_map map = { .size = 77 };
	struct pb_error err;
	char expected[600];
	assert_int_equal(pb_map_open(&map, scratch_path("none"), &err), PB_MISSING);
	snprintf(expected, sizeof expected, "%s: cannot open: No such file or directory", scratch_path("none"));
	assert_string_equal(err.text, expected);
	assert_int_equal(pb_map_open(&map, scratch_folder(), &err), PB_IO);
	snprintf(expected, sizeof expected, "%s: cannot read: it is a folder", scratch_folder());
	assert_string_equal(err.text, expected);
	/* A pipe that nobody writes to must not hang us. */
	assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0);
	assert_int_equal(pb_map_open(&map, scratch_path("pipe"), &err), PB_IO);
	assert_non_null(strstr(err.text, "not a regular file"));
	assert_int_equal(pb_map_open(&map, "/dev/null", &err), PB_IO);
	assert_int_equal(map.size, 77);
}

static void reads_with_a_limit(void **state)
{
	(void)state;
	char *data = "untouched";
	size_t size = 99;
	struct pb_error err;
	put("r", "0123456789", 10);
	assert_int_equal(pb_file_read(scratch_path("r"), 9, &data, &size, &err), PB_LIMIT);
	assert_non_null(strstr(err.text, ": larger than the limit of 9 B"));
	assert_int_equal(pb_file_read_data(scratch_path("r"), 9, &data, &size, &err), PB_LIMIT);
	assert_int_equal(pb_file_read(scratch_path("none"), 9, &data, &size, &err), PB_MISSING);
	assert_int_equal(pb_file_read(scratch_folder(), 9, &data, &size, &err), PB_IO);
	assert_string_equal(data, "untouched");
	assert_int_equal(size, 99);
	check_file("r", "0123456789", 10);
	put("r0", "", 0);
	check_file("r0", "", 0);
	/* No size is known beforehand. */
	assert_int_equal(pb_file_read("/dev/zero", 300000, &data, &size, &err), PB_LIMIT);
	assert_int_equal(pb_file_read("/proc/self/status", 1 << 20, &data, &size, &err), PB_OK);
	assert_true(size > 100 && strlen(data) == size);
	pb_free(data);
}

/* gzip of n bytes at p, appended at out; returns the new length. */
static size_t add_gzip(char *out, size_t at, size_t room, const void *p, size_t n)
{
	z_stream z = { 0 };
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)p;
	z.avail_in = (unsigned)n;
	z.next_out = (unsigned char *)out + at;
	z.avail_out = (unsigned)(room - at);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static size_t add_bzip(char *out, size_t at, size_t room, const void *p, size_t n)
{
	unsigned m = (unsigned)(room - at);
	assert_int_equal(BZ2_bzBuffToBuffCompress(out + at, &m, (char *)(uintptr_t)p, (unsigned)n, 9, 0, 0), BZ_OK);
	return at + m;
}

static size_t (*const packers[2])(char *, size_t, size_t, const void *, size_t) = { add_gzip, add_bzip };

enum { TEXT = 300000, ROOM = 700000 };
static char text[TEXT], packed[ROOM];

static void fill_text(void)
{
	struct pb_rng r = pb_rng_make(1, 1);
	for (size_t i = 0; i < TEXT; i++)
		text[i] = (char)('a' + pb_rng_below(&r, 26));
}

static void decompresses(void **state)
{
	(void)state;
	char *data;
	size_t size;
	fill_text();
	for (int kind = 0; kind < 2; kind++) {
		/* Three streams in a row, one of them of nothing, then padding. */
		size_t n = packers[kind](packed, 0, ROOM, text, 100001);
		n = packers[kind](packed, n, ROOM, "", 0);
		n = packers[kind](packed, n, ROOM, text + 100001, TEXT - 100001);
		memset(packed + n, 0, 512);
		for (size_t padding = 0; padding <= 512; padding += 256) {
			put("z", packed, n + padding);
			assert_int_equal(pb_file_read_data(scratch_path("z"), TEXT, &data, &size, NULL), PB_OK);
			assert_int_equal(size, TEXT);
			assert_memory_equal(data, text, TEXT);
			assert_int_equal(data[TEXT], 0);
			pb_free(data);
		}
		/* As they are. */
		assert_int_equal(pb_file_read(scratch_path("z"), ROOM, &data, &size, NULL), PB_OK);
		assert_int_equal(size, n + 512);
		pb_free(data);
		size_t m = packers[kind](packed, 0, ROOM, "", 0);
		put("z", packed, m);
		assert_int_equal(pb_file_read_data(scratch_path("z"), 0, &data, &size, NULL), PB_OK);
		assert_int_equal(size, 0);
		assert_string_equal(data, "");
		pb_free(data);
	}
}

static void limits_what_comes_out(void **state)
{
	(void)state;
	static char zeros[5000000], small[20000];
	char *data;
	size_t size;
	struct pb_error err;
	for (int kind = 0; kind < 2; kind++) {
		size_t n = packers[kind](small, 0, sizeof small, zeros, sizeof zeros);
		put("bomb", small, n);
		assert_int_equal(pb_file_read_data(scratch_path("bomb"), sizeof zeros - 1, &data, &size, &err), PB_LIMIT);
		assert_non_null(strstr(err.text, ": decompresses to more than the limit of 4.77 MiB"));
		assert_int_equal(pb_file_read_data(scratch_path("bomb"), 0, &data, &size, &err), PB_LIMIT);
		assert_int_equal(pb_file_read_data(scratch_path("bomb"), 70000, &data, &size, &err), PB_LIMIT);
		assert_int_equal(pb_file_read_data(scratch_path("bomb"), sizeof zeros, &data, &size, &err), PB_OK);
		assert_int_equal(size, sizeof zeros);
		pb_free(data);
	}
}

static void broken_streams(void **state)
{
	(void)state;
	char *data = "untouched";
	size_t size = 99;
	struct pb_error err;
	for (int kind = 0; kind < 2; kind++) {
		size_t n = packers[kind](packed, 0, ROOM, text, 5000);
		/* Cut anywhere after the magic bytes. */
		for (size_t cut = 4; cut < n; cut += cut < 40 || n - cut < 40 ? 1 : 97) {
			put("cut", packed, cut);
			assert_int_equal(pb_file_read_data(scratch_path("cut"), TEXT, &data, &size, &err), PB_FORMAT);
			assert_non_null(strstr(err.text, "the compressed data ends too early"));
		}
		packed[n] = 'x';
		put("rest", packed, n + 1);
		assert_int_equal(pb_file_read_data(scratch_path("rest"), TEXT, &data, &size, &err), PB_FORMAT);
		packed[n / 2] ^= 0x55;
		put("flip", packed, n);
		assert_int_equal(pb_file_read_data(scratch_path("flip"), TEXT, &data, &size, &err), PB_FORMAT);
	}
	assert_string_equal(data, "untouched");
	/* Two bytes of gzip's magic are gzip; "BZh" without a level is a text. */
	put("two", "\x1f\x8b", 2);
	assert_int_equal(pb_file_read_data(scratch_path("two"), TEXT, &data, &size, &err), PB_FORMAT);
	put("bzh", "BZhello", 7);
	assert_int_equal(pb_file_read_data(scratch_path("bzh"), TEXT, &data, &size, &err), PB_OK);
	assert_string_equal(data, "BZhello");
	pb_free(data);
}

static void writes_atomically(void **state)
{
	(void)state;
	struct pb_writer *w;
	struct stat st;
	unsigned before;
	put("w", "old", 3);
	before = scratch_count();
	mode_t mask = umask(027);
	assert_int_equal(pb_writer_open(&w, scratch_path("w"), NULL), PB_OK);
	umask(mask);
	/* Small and large pieces around the size of the buffer. */
	size_t at = 0;
	for (size_t n = 1; at < TEXT; n = n * 3 % 100003) {
		size_t m = n < TEXT - at ? n : TEXT - at;
		assert_int_equal(pb_writer_write(w, text + at, m, NULL), PB_OK);
		at += m;
	}
	assert_int_equal(pb_writer_write(w, NULL, 0, NULL), PB_OK);
	check_file("w", "old", 3);
	assert_int_equal(scratch_count(), before + 1);
	assert_int_equal(pb_writer_commit(w, NULL), PB_OK);
	check_file("w", text, TEXT);
	assert_int_equal(scratch_count(), before);
	assert_int_equal(stat(scratch_path("w"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void abort_leaves_the_old_file(void **state)
{
	(void)state;
	struct pb_writer *w;
	put("a", "old", 3);
	unsigned before = scratch_count();
	assert_int_equal(pb_writer_open(&w, scratch_path("a"), NULL), PB_OK);
	assert_int_equal(pb_writer_write(w, text, TEXT, NULL), PB_OK);
	pb_writer_abort(w);
	pb_writer_abort(NULL);
	check_file("a", "old", 3);
	assert_int_equal(scratch_count(), before);
}

static void two_writers_of_one_file(void **state)
{
	(void)state;
	struct pb_writer *a, *b;
	unsigned before = scratch_count();
	assert_int_equal(pb_writer_open(&a, scratch_path("two-writers"), NULL), PB_OK);
	assert_int_equal(pb_writer_open(&b, scratch_path("two-writers"), NULL), PB_OK);
	assert_int_equal(pb_writer_write(a, "first", 5, NULL), PB_OK);
	assert_int_equal(pb_writer_write(b, "second", 6, NULL), PB_OK);
	assert_int_equal(pb_writer_commit(b, NULL), PB_OK);
	check_file("two-writers", "second", 6);
	assert_int_equal(pb_writer_commit(a, NULL), PB_OK);
	check_file("two-writers", "first", 5);
	assert_int_equal(scratch_count(), before + 1);
}

static void writes_through_links_and_devices(void **state)
{
	(void)state;
	struct stat st;
	struct pb_error err;
	put("target", "old", 3);
	assert_int_equal(symlink("target", scratch_path("link")), 0);
	assert_int_equal(pb_file_write(scratch_path("link"), "new", 3, NULL), PB_OK);
	assert_int_equal(lstat(scratch_path("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	check_file("target", "new", 3);
	assert_int_equal(pb_file_write("/dev/null", "x", 1, NULL), PB_OK);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(pb_file_write("/dev/full", "x", 1, &err), PB_IO);
	assert_string_equal(err.text, "/dev/full: cannot write: No space left on device");
	assert_int_equal(pb_file_write("/dev/full", text, TEXT, &err), PB_IO);
}

static void write_refuses(void **state)
{
	(void)state;
	struct pb_error err;
	char expected[600];
	assert_int_equal(pb_file_write(scratch_folder(), "x", 1, &err), PB_IO);
	snprintf(expected, sizeof expected, "%s: cannot write: it is a folder", scratch_folder());
	assert_string_equal(err.text, expected);
	assert_int_equal(pb_file_write(scratch_path("no/such/x"), "x", 1, &err), PB_MISSING);
	assert_non_null(strstr(err.text, "no/such/x: cannot write: No such file or directory"));
}

static void folders(void **state)
{
	(void)state;
	struct pb_error err;
	assert_int_equal(pb_folder_make(scratch_path("f/g//h/"), NULL), PB_OK);
	assert_true(pb_folder_exists(scratch_path("f/g/h")));
	assert_int_equal(pb_folder_make(scratch_path("f/g"), NULL), PB_OK);
	assert_int_equal(pb_folder_make("/", NULL), PB_OK);
	assert_int_equal(pb_folder_make(".", NULL), PB_OK);
	put("f/file", "", 0);
	assert_int_equal(pb_folder_make(scratch_path("f/file"), &err), PB_MISSING);
	assert_int_equal(pb_folder_make(scratch_path("f/file/x"), &err), PB_MISSING);
	assert_non_null(strstr(err.text, "f/file/x: cannot make the folder: Not a directory"));
	assert_int_equal(pb_folder_make("", &err), PB_MISSING);
	assert_true(pb_file_exists(scratch_path("f/file")));
	assert_true(pb_file_exists(scratch_path("f")));
	assert_false(pb_file_exists(scratch_path("nothing")));
	assert_false(pb_folder_exists(scratch_path("f/file")));
	assert_int_equal(symlink("/nowhere/at/all", scratch_path("dangling")), 0);
	assert_true(pb_file_exists(scratch_path("dangling")));
}

static void paths(void **state)
{
	(void)state;
	static const struct { const char *folder, *name, *joined; } joins[] = {
		{ "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "/", "b", "/b" }, { "a", "/b", "/b" }, { "", "b", "b" }, { ".", "b/c", "./b/c" },
	};
	static const struct { const char *path, *folder; } tops[] = {
		{ "a/b", "a" }, { "a", "." }, { "/a", "/" }, { "/", "/" }, { "a/b/", "a" }, { "a//b", "a" }, { "//", "/" }, { "", "." }, { "a/", "." }, { "/a/b/c", "/a/b" },
	};
	for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
		char *p = pb_path_join(joins[i].folder, joins[i].name);
		assert_string_equal(p, joins[i].joined);
		pb_free(p);
	}
	for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
		char *p = pb_path_folder(tops[i].path);
		assert_string_equal(p, tops[i].folder);
		pb_free(p);
	}
	assert_string_equal(pb_path_name("a/b.c"), "b.c");
	assert_string_equal(pb_path_name("b"), "b");
	assert_true(pb_path_has_suffix("x.json", ".json"));
	assert_false(pb_path_has_suffix("json", ".json"));
	assert_true(pb_path_has_suffix("x", ""));
}

/* pb_home looks once a process, so each case is a process; 0 when it gave `expected`. */
static int home_in_child(const char *variable, const char *expected)
{
	pid_t child = fork();
	if (child == 0) {
		if (variable != NULL)
			setenv("PB_HOME", variable, 1);
		else
			unsetenv("PB_HOME");
		const char *home = pb_home();
		_exit(expected == NULL ? home != NULL : home == NULL || strcmp(home, expected) != 0);
	}
	int status;
	waitpid(child, &status, 0);
	return status;
}

static void home_by_variable(void **state)
{
	(void)state;
	assert_int_equal(pb_folder_make(scratch_path("home/tasks"), NULL), PB_OK);
	assert_int_equal(home_in_child(scratch_path("home"), scratch_path("home")), 0);
	assert_int_equal(home_in_child(scratch_path("home/tasks"), NULL), 0);
	assert_int_equal(home_in_child("/no/such/folder", NULL), 0);
}

static void home_beside_the_build_tree(void **state)
{
	(void)state;
	/* This program is ROOT/build/CONFIG/tests/unit/test_base_file. */
	char root[4096];
	ssize_t n = readlink("/proc/self/exe", root, sizeof root - 1);
	assert_true(n > 0);
	root[n] = '\0';
	for (int i = 0; i < 5; i++)
		*strrchr(root, '/') = '\0';
	char configs[4200];
	snprintf(configs, sizeof configs, "%s/configs", root);
	if (!pb_folder_exists(configs))
		skip();
	assert_int_equal(home_in_child(NULL, root), 0);
}

static void drops_temporaries(void **state)
{
	(void)state;
	struct pb_writer *w = NULL;
	assert_int_equal(pb_writer_open(&w, scratch_path("unfinished"), NULL), PB_OK);
	assert_int_equal(pb_file_write(scratch_path("kept.tmp"), "x", 1, NULL), PB_OK);
	assert_int_equal(pb_file_write(scratch_path(".paretobench-kept"), "x", 1, NULL), PB_OK);
	unsigned before = scratch_count();
	pb_folder_drop_temporaries(scratch_folder());
	assert_int_equal(scratch_count(), before - 1);
	pb_writer_abort(w);
	pb_folder_drop_temporaries(scratch_path("nowhere"));
	scratch_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),
		cmocka_unit_test(maps_refuse),
		cmocka_unit_test(reads_with_a_limit),
		cmocka_unit_test(decompresses),
		cmocka_unit_test(limits_what_comes_out),
		cmocka_unit_test(broken_streams),
		cmocka_unit_test(writes_atomically),
		cmocka_unit_test(abort_leaves_the_old_file),
		cmocka_unit_test(two_writers_of_one_file),
		cmocka_unit_test(drops_temporaries),
		cmocka_unit_test(writes_through_links_and_devices),
		cmocka_unit_test(write_refuses),
		cmocka_unit_test(folders),
		cmocka_unit_test(paths),
		cmocka_unit_test(home_by_variable),
		cmocka_unit_test(home_beside_the_build_tree),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
