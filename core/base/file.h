/* Files. Reads are whole or memory-mapped; writes are atomic: a temporary file in the same
 * folder, fsync, rename. PB_TEST_FAIL_WRITE=n makes the n-th write of the process fail with ENOSPC. */
#ifndef PB_CORE_BASE_FILE_H
#define PB_CORE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

/* A read-only mapping of a whole file. An empty file maps to data = a valid pointer, size 0. */
struct pb_map {
	const unsigned char *data;
	size_t size;
};
enum pb_status pb_map_open(struct pb_map *map, const char *path, struct pb_error *err) PB_MUST_CHECK;
void pb_map_close(struct pb_map *map);              /* {0} is fine */

/* Reads a whole file; *data is pb_free'd by the caller and has a NUL after its last byte (not counted).
 * `limit`: largest accepted size in bytes after decompression; over it is PB_LIMIT. .gz and .bz2 (by content,
 * not by name) are decompressed by pb_file_read_data; pb_file_read gives the bytes as they are. */
enum pb_status pb_file_read(const char *path, size_t limit, char **data, size_t *size, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_file_read_data(const char *path, size_t limit, char **data, size_t *size, struct pb_error *err) PB_MUST_CHECK;
/* The same of a file whose name somebody typed: that it cannot be read is a mistake of usage, PB_USAGE, unless memory ran out. */
enum pb_status pb_file_read_typed(const char *path, size_t limit, char **data, size_t *size, struct pb_error *err) PB_MUST_CHECK;

/* Atomic writing. open -> write* -> commit; abort at any time removes the temporary file. */
struct pb_writer;
enum pb_status pb_writer_open(struct pb_writer **out, const char *path, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_writer_write(struct pb_writer *w, const void *p, size_t n, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_writer_commit(struct pb_writer *w, struct pb_error *err) PB_MUST_CHECK; /* frees w, also on failure */
void pb_writer_abort(struct pb_writer *w);           /* frees w; NULL is fine */
enum pb_status pb_file_write(const char *path, const void *p, size_t n, struct pb_error *err) PB_MUST_CHECK;
/* Removes the temporary files of writers that were killed. Only where nobody is writing; a folder that is not there is fine. */
void pb_folder_drop_temporaries(const char *path);

bool pb_file_exists(const char *path);               /* anything by that name */
bool pb_folder_exists(const char *path);
enum pb_status pb_folder_make(const char *path, struct pb_error *err) PB_MUST_CHECK; /* with parents; existing is fine */

/* Paths. Results are pb_free'd; NULL when memory is out. */
char *pb_path_join(const char *folder, const char *name);   /* name absolute: a copy of name */
char *pb_path_folder(const char *path);                     /* "." when there is none */
const char *pb_path_name(const char *path);                 /* last part, points into path */
bool pb_path_has_suffix(const char *path, const char *suffix);

/* Folder of the running program's data (tasks/, configs/): PB_HOME, else beside the executable's build tree,
 * else the installed place PB_DATADIR. Static storage; NULL when none has a `tasks` folder. */
const char *pb_home(void);

#endif
