#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/text.h"

static enum pb_status fail_errno(struct pb_error *err, const char *path, const char *what, int code)
{
	enum pb_status status = code == ENOENT || code == ENOTDIR ? PB_MISSING : code == ENOMEM ? PB_MEMORY : PB_IO;
	return pb_fail(err, status, "%s: cannot %s: %s", path, what, strerror(code));
}

static enum pb_status fail_limit(struct pb_error *err, const char *path, size_t limit)
{
	char size[32];
	pb_format_size(size, (double)limit);
	return pb_fail(err, PB_LIMIT, "%s: larger than the limit of %s", path, size);
}

enum pb_status pb_map_open(struct pb_map *map, const char *path, struct pb_error *err)
{
	static const unsigned char nothing[1];
	/* Not blocking: the open of a named pipe would wait for its writer before we could refuse it. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0)
		return fail_errno(err, path, "open", errno);
	if (fstat(fd, &st) != 0) {
		int code = errno;
		close(fd);
		return fail_errno(err, path, "read", code);
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return pb_fail(err, PB_IO, "%s: cannot read: %s", path, S_ISDIR(st.st_mode) ? "it is a folder" : "it is not a regular file");
	}
	if (st.st_size == 0) {
		close(fd);
		*map = (struct pb_map){ .data = nothing, .size = 0 };
		return PB_OK;
	}
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	int code = errno;
	close(fd);
	if (p == MAP_FAILED)
		return fail_errno(err, path, "map", code);
	*map = (struct pb_map){ .data = p, .size = (size_t)st.st_size };
	return PB_OK;
}

void pb_map_close(struct pb_map *map)
{
	if (map->size > 0)
		munmap((void *)(uintptr_t)map->data, map->size);
	*map = (struct pb_map){ 0 };
}

enum pb_status pb_file_read(const char *path, size_t limit, char **data, size_t *size, struct pb_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return fail_errno(err, path, "open", errno);
	enum pb_status status = PB_OK;
	char *buffer = NULL;
	size_t n = 0, capacity = 65536;
	if (fstat(fd, &st) != 0)
		status = fail_errno(err, path, "read", errno);
	else if (S_ISDIR(st.st_mode))
		status = pb_fail(err, PB_IO, "%s: cannot read: it is a folder", path);
	else if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size > limit)
		status = fail_limit(err, path, limit);
	/* The size is a hint: a pipe has none, and a file may grow while it is read. */
	else if (S_ISREG(st.st_mode))
		capacity = (size_t)st.st_size + 2;
	if (status == PB_OK && (buffer = pb_alloc(capacity, 1)) == NULL)
		status = pb_out_of_memory(err, path);
	while (status == PB_OK) {
		if (n + 1 == capacity) {
			char *larger = capacity > SIZE_MAX / 2 ? NULL : pb_realloc(buffer, capacity * 2, 1);
			if (larger == NULL) {
				status = pb_out_of_memory(err, path);
				break;
			}
			buffer = larger;
			capacity *= 2;
		}
		ssize_t got = read(fd, buffer + n, capacity - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			status = fail_errno(err, path, "read", errno);
		if (got <= 0)
			break;
		n += (size_t)got;
		if (n > limit)
			status = fail_limit(err, path, limit);
	}
	close(fd);
	if (status != PB_OK) {
		pb_free(buffer);
		return status;
	}
	buffer[n] = '\0';
	*data = buffer;
	*size = n;
	return PB_OK;
}

enum pb_status pb_file_read_typed(const char *path, size_t limit, char **data, size_t *size, struct pb_error *err)
{
	enum pb_status st = pb_file_read(path, limit, data, size, err);

	if (!st || st == PB_MEMORY)
		return st;
	if (err)
		err->status = PB_USAGE;
	return PB_USAGE;
}

/* Writing. */

#define BUFFER_BYTES 65536

struct pb_writer {
	int fd;
	char *path;             /* as the caller named it, for messages */
	char *target;           /* what is replaced: path with its links followed */
	char *temporary;        /* NULL: written in place, for a device or a pipe */
	size_t used;
	unsigned char buffer[BUFFER_BYTES];
};

static pthread_once_t fail_once = PTHREAD_ONCE_INIT;
static unsigned long long fail_at;      /* 0: never */
static atomic_ullong operations;        /* writes, syncs and renames; counted only while fail_at is set */

static void read_fail_at(void)
{
	const char *s = getenv("PB_TEST_FAIL_WRITE");
	if (s != NULL)
		fail_at = strtoull(s, NULL, 10);
}

/* True, with errno set, when this operation is the one that the test wants to fail. */
static bool fails_now(void)
{
	pthread_once(&fail_once, read_fail_at);
	if (fail_at == 0 || atomic_fetch_add(&operations, 1) + 1 != fail_at)
		return false;
	errno = ENOSPC;
	return true;
}

#define TEMPORARY_PREFIX ".paretobench-"
#define TEMPORARY_SUFFIX ".tmp"

static void free_writer(struct pb_writer *w)
{
	pb_free(w->path);
	pb_free(w->target);
	pb_free(w->temporary);
	pb_free(w);
}

/* Opens a new file in the target's folder. The mode is left to the umask by the kernel, which mkstemp would not do. */
static int open_temporary(struct pb_writer *w)
{
	static atomic_uint serial;
	char *folder = pb_path_folder(w->target);
	int fd = -1, code = ENOMEM;
	for (int tries = 0; folder != NULL && tries < 1000; tries++) {
		char name[64];
		snprintf(name, sizeof name, TEMPORARY_PREFIX "%ld-%u" TEMPORARY_SUFFIX, (long)getpid(), atomic_fetch_add(&serial, 1));
		w->temporary = pb_path_join(folder, name);
		if (w->temporary == NULL)
			break;
		fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		code = errno;
		if (fd >= 0)
			break;
		pb_free(w->temporary);
		w->temporary = NULL;
		if (code != EEXIST)
			break;
	}
	pb_free(folder);
	errno = code;
	return fd;
}

enum pb_status pb_writer_open(struct pb_writer **out, const char *path, struct pb_error *err)
{
	struct stat st;
	struct pb_writer *w = pb_alloc_zero(1, sizeof *w);
	if (w == NULL)
		return pb_out_of_memory(err, path);
	bool there = stat(path, &st) == 0;
	w->path = pb_strdup(path);
	/* A link to a file stays a link: what it points to is replaced. */
	char *real = there ? realpath(path, NULL) : NULL;
	w->target = pb_strdup(real != NULL ? real : path);
	free(real);
	if (w->path == NULL || w->target == NULL) {
		free_writer(w);
		return pb_out_of_memory(err, path);
	}
	if (there && S_ISDIR(st.st_mode)) {
		free_writer(w);
		return pb_fail(err, PB_IO, "%s: cannot write: it is a folder", path);
	}
	if (there && !S_ISREG(st.st_mode))
		w->fd = open(path, O_WRONLY | O_CLOEXEC);
	else
		w->fd = open_temporary(w);
	if (w->fd < 0) {
		int code = errno;
		free_writer(w);
		return fail_errno(err, path, "write", code);
	}
	*out = w;
	return PB_OK;
}

static enum pb_status write_through(struct pb_writer *w, const unsigned char *p, size_t n, struct pb_error *err)
{
	while (n > 0) {
		/* Linux writes at most 2 GiB at once. */
		ssize_t done = fails_now() ? -1 : write(w->fd, p, n < 1u << 30 ? n : 1u << 30);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return fail_errno(err, w->path, "write", errno);
		p += done;
		n -= (size_t)done;
	}
	return PB_OK;
}

static enum pb_status flush(struct pb_writer *w, struct pb_error *err)
{
	size_t n = w->used;
	w->used = 0;
	return write_through(w, w->buffer, n, err);
}

enum pb_status pb_writer_write(struct pb_writer *w, const void *p, size_t n, struct pb_error *err)
{
	if (n > BUFFER_BYTES - w->used) {
		enum pb_status status = flush(w, err);
		if (status != PB_OK)
			return status;
		if (n >= BUFFER_BYTES)
			return write_through(w, p, n, err);
	}
	if (n > 0)
		memcpy(w->buffer + w->used, p, n);
	w->used += n;
	return PB_OK;
}

/* Makes the new name last. Some file systems cannot sync a folder, so a failure is none. */
static void sync_folder(const char *path)
{
	char *folder = pb_path_folder(path);
	int fd = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	pb_free(folder);
}

enum pb_status pb_writer_commit(struct pb_writer *w, struct pb_error *err)
{
	enum pb_status status = flush(w, err);
	if (status == PB_OK && w->temporary != NULL && (fails_now() || fsync(w->fd) != 0))
		status = fail_errno(err, w->path, "write", errno);
	if (status == PB_OK) {
		int fd = w->fd;
		w->fd = -1;
		if (close(fd) != 0 && errno != EINTR)
			status = fail_errno(err, w->path, "write", errno);
	}
	if (status == PB_OK && w->temporary != NULL && (fails_now() || rename(w->temporary, w->target) != 0))
		status = fail_errno(err, w->path, "write", errno);
	if (status != PB_OK) {
		pb_writer_abort(w);
		return status;
	}
	if (w->temporary != NULL)
		sync_folder(w->target);
	free_writer(w);
	return PB_OK;
}

void pb_writer_abort(struct pb_writer *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0)
		close(w->fd);
	if (w->temporary != NULL)
		unlink(w->temporary);
	free_writer(w);
}

enum pb_status pb_file_write(const char *path, const void *p, size_t n, struct pb_error *err)
{
	struct pb_writer *w;
	enum pb_status status = pb_writer_open(&w, path, err);
	if (status != PB_OK)
		return status;
	status = pb_writer_write(w, p, n, err);
	if (status != PB_OK) {
		pb_writer_abort(w);
		return status;
	}
	return pb_writer_commit(w, err);
}

void pb_folder_drop_temporaries(const char *path)
{
	DIR *folder = opendir(path);
	for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;)
		if (strncmp(e->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0 && pb_path_has_suffix(e->d_name, TEMPORARY_SUFFIX))
			unlinkat(dirfd(folder), e->d_name, 0);
	if (folder != NULL)
		closedir(folder);
}

bool pb_file_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

bool pb_folder_exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum pb_status pb_folder_make(const char *path, struct pb_error *err)
{
	if (pb_folder_exists(path))
		return PB_OK;
	char *part = pb_strdup(path);
	if (part == NULL)
		return pb_out_of_memory(err, path);
	enum pb_status status = PB_OK;
	for (char *p = part + 1; status == PB_OK && part[0] != '\0'; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char c = *p;
		*p = '\0';
		if (mkdir(part, 0777) != 0) {
			/* Something by that name is in the way unless it is a folder; a read-only parent that exists is none of our business. */
			int code = errno;
			if (!pb_folder_exists(part))
				status = fail_errno(err, path, "make the folder", code == EEXIST ? ENOTDIR : code);
		}
		*p = c;
		if (c == '\0')
			break;
	}
	if (status == PB_OK && !pb_folder_exists(path))
		status = fail_errno(err, path, "make the folder", ENOENT);
	pb_free(part);
	return status;
}
