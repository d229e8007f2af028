/* Reading of data files that may be compressed: gzip by zlib, bzip2 by libbz2, both with several streams in a row. */
#include "core/base/file.h"

#include <bzlib.h>
#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "core/base/memory.h"
#include "core/base/text.h"

/* The decompressed bytes so far. There is always room for one more than the limit, so that "just at" and "over" can be told apart. */
struct output {
	char *data;
	size_t n, capacity, limit;
};

/* Makes room; *room is how many bytes may be put at data + n, at least 1 unless the limit is passed already. */
static enum pb_status make_room(struct output *out, const char *path, unsigned *room, struct pb_error *err)
{
	if (out->n > out->limit) {
		char size[32];
		pb_format_size(size, (double)out->limit);
		return pb_fail(err, PB_LIMIT, "%s: decompresses to more than the limit of %s", path, size);
	}
	if (out->n + 1 >= out->capacity) {
		size_t most = out->limit > PTRDIFF_MAX / 4 ? PTRDIFF_MAX / 2 : out->limit + 2;
		size_t capacity = out->capacity == 0 ? 65536 : out->capacity > most / 2 ? most : out->capacity * 2;
		if (capacity > most)
			capacity = most;
		char *data = pb_realloc(out->data, capacity, 1);
		if (data == NULL)
			return pb_out_of_memory(err, path);
		out->data = data;
		out->capacity = capacity;
	}
	size_t free_bytes = out->capacity - out->n - 1;
	*room = free_bytes > UINT_MAX / 2 ? UINT_MAX / 2 : (unsigned)free_bytes;
	return PB_OK;
}

static void *zlib_alloc(void *opaque, uInt count, uInt size)
{
	(void)opaque;
	return pb_alloc_zero(count, size);
}

static void zlib_free(void *opaque, void *p)
{
	(void)opaque;
	pb_free(p);
}

static void *bzip_alloc(void *opaque, int count, int size)
{
	(void)opaque;
	return pb_alloc_zero((size_t)count, (size_t)size);
}

static unsigned piece(size_t n)
{
	return n > UINT_MAX / 2 ? UINT_MAX / 2 : (unsigned)n;
}

static bool only_zeros(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* What follows a whole stream: another one, nothing, or the zeros that tape archives are padded with. */
static enum pb_status check_rest(const char *path, const char *p, size_t n, const char *magic, size_t magic_bytes, bool *more, struct pb_error *err)
{
	*more = n >= magic_bytes && memcmp(p, magic, magic_bytes) == 0;
	if (!*more && !only_zeros(p, n))
		return pb_fail(err, PB_FORMAT, "%s: %zu bytes after the end of the compressed data are no such data", path, n);
	return PB_OK;
}

static enum pb_status fail_truncated(const char *path, struct pb_error *err)
{
	return pb_fail(err, PB_FORMAT, "%s: the compressed data ends too early", path);
}

/* One gzip member; *used: bytes of input it took. */
static enum pb_status gunzip_member(const char *path, const char *in, size_t n, size_t *used, struct output *out, struct pb_error *err)
{
	z_stream z = { .zalloc = zlib_alloc, .zfree = zlib_free };
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return pb_out_of_memory(err, path);
	enum pb_status status = PB_OK;
	size_t at = 0;
	for (int code = Z_OK; code != Z_STREAM_END && status == PB_OK;) {
		unsigned room, given = piece(n - at);
		status = make_room(out, path, &room, err);
		if (status != PB_OK)
			break;
		z.next_in = (unsigned char *)(uintptr_t)(in + at);
		z.avail_in = given;
		z.next_out = (unsigned char *)out->data + out->n;
		z.avail_out = room;
		code = inflate(&z, Z_NO_FLUSH);
		at += given - z.avail_in;
		out->n += room - z.avail_out;
		if (code == Z_MEM_ERROR)
			status = pb_out_of_memory(err, path);
		else if (code == Z_BUF_ERROR || (code == Z_OK && at == n && z.avail_out > 0))
			status = fail_truncated(path, err);
		else if (code != Z_OK && code != Z_STREAM_END)
			status = pb_fail(err, PB_FORMAT, "%s: broken gzip data: %s", path, z.msg != NULL ? z.msg : "unknown error");
	}
	inflateEnd(&z);
	*used = at;
	return status;
}

static enum pb_status bunzip_stream(const char *path, const char *in, size_t n, size_t *used, struct output *out, struct pb_error *err)
{
	bz_stream z = { .bzalloc = bzip_alloc, .bzfree = zlib_free };
	if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
		return pb_out_of_memory(err, path);
	enum pb_status status = PB_OK;
	size_t at = 0;
	for (int code = BZ_OK; code != BZ_STREAM_END && status == PB_OK;) {
		unsigned room, given = piece(n - at);
		status = make_room(out, path, &room, err);
		if (status != PB_OK)
			break;
		z.next_in = (char *)(uintptr_t)(in + at);
		z.avail_in = given;
		z.next_out = out->data + out->n;
		z.avail_out = room;
		code = BZ2_bzDecompress(&z);
		at += given - z.avail_in;
		out->n += room - z.avail_out;
		if (code == BZ_MEM_ERROR)
			status = pb_out_of_memory(err, path);
		else if (code != BZ_OK && code != BZ_STREAM_END)
			status = pb_fail(err, PB_FORMAT, "%s: broken bzip2 data", path);
		else if (code == BZ_OK && at == n && z.avail_out > 0)
			status = fail_truncated(path, err);
	}
	BZ2_bzDecompressEnd(&z);
	*used = at;
	return status;
}

enum pb_status pb_file_read_data(const char *path, size_t limit, char **data, size_t *size, struct pb_error *err)
{
	static const char gzip_magic[2] = "\x1f\x8b", bzip_magic[3] = "BZh";
	char *raw;
	size_t n;
	/* Compressed data may be a little larger than what it holds. */
	size_t raw_limit = limit > SIZE_MAX / 2 ? limit : limit + limit / 64 + 65536;
	enum pb_status status = pb_file_read(path, raw_limit, &raw, &n, err);
	if (status != PB_OK)
		return status;
	bool gzip = n >= 2 && memcmp(raw, gzip_magic, 2) == 0;
	bool bzip = n >= 4 && memcmp(raw, bzip_magic, 3) == 0 && raw[3] >= '1' && raw[3] <= '9';
	if (!gzip && !bzip) {
		if (n > limit) {
			char text[32];
			pb_free(raw);
			pb_format_size(text, (double)limit);
			return pb_fail(err, PB_LIMIT, "%s: larger than the limit of %s", path, text);
		}
		*data = raw;
		*size = n;
		return PB_OK;
	}
	struct output out = { .limit = limit };
	size_t at = 0;
	for (bool more = true; more && status == PB_OK;) {
		size_t used = 0;
		status = (gzip ? gunzip_member : bunzip_stream)(path, raw + at, n - at, &used, &out, err);
		at += used;
		if (status == PB_OK)
			status = gzip ? check_rest(path, raw + at, n - at, gzip_magic, 2, &more, err)
				      : check_rest(path, raw + at, n - at, bzip_magic, 3, &more, err);
	}
	pb_free(raw);
	if (status == PB_OK && out.n > limit) {
		unsigned room;
		status = make_room(&out, path, &room, err);
	}
	if (status != PB_OK) {
		pb_free(out.data);
		return status;
	}
	out.data[out.n] = '\0';
	*data = out.data;
	*size = out.n;
	return PB_OK;
}
