/* libcrypto's plain SHA-256 functions are used rather than EVP: they allocate nothing and cannot fail. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "core/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"

#define READ_BYTES (1 << 20)

struct pb_hash {
	SHA256_CTX state;
};

struct pb_hash *pb_hash_new(void)
{
	struct pb_hash *h = pb_alloc(1, sizeof *h);
	if (h != NULL)
		SHA256_Init(&h->state);
	return h;
}

void pb_hash_bytes(struct pb_hash *h, const void *p, size_t n)
{
	if (n > 0)
		SHA256_Update(&h->state, p, n);
}

void pb_hash_string(struct pb_hash *h, const char *s)
{
	uint64_t n = strlen(s);
	unsigned char prefix[8];
	for (int i = 0; i < 8; i++)
		prefix[i] = (unsigned char)(n >> (8 * i));
	pb_hash_bytes(h, prefix, sizeof prefix);
	pb_hash_bytes(h, s, n);
}

static void finish(SHA256_CTX *state, char hex[PB_HASH_HEX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[SHA256_DIGEST_LENGTH];
	SHA256_Final(bytes, state);
	for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[PB_HASH_HEX - 1] = '\0';
}

void pb_hash_finish(struct pb_hash *h, char hex[PB_HASH_HEX])
{
	finish(&h->state, hex);
	pb_free(h);
}

void pb_hash_of_bytes(const void *p, size_t n, char hex[PB_HASH_HEX])
{
	SHA256_CTX state;
	SHA256_Init(&state);
	if (n > 0)
		SHA256_Update(&state, p, n);
	finish(&state, hex);
}

enum pb_status pb_hash_of_file(const char *path, char hex[PB_HASH_HEX], struct pb_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return pb_fail(err, errno == ENOENT ? PB_MISSING : PB_IO, "%s: cannot open: %s", path, strerror(errno));
	unsigned char *buffer = pb_alloc(READ_BYTES, 1);
	if (buffer == NULL) {
		close(fd);
		return pb_out_of_memory(err, path);
	}
	SHA256_CTX state;
	SHA256_Init(&state);
	enum pb_status status = PB_OK;
	for (;;) {
		ssize_t n = read(fd, buffer, READ_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			status = pb_fail(err, PB_IO, "%s: cannot read: %s", path, strerror(errno));
		if (n <= 0)
			break;
		SHA256_Update(&state, buffer, (size_t)n);
	}
	pb_free(buffer);
	close(fd);
	if (status == PB_OK)
		finish(&state, hex);
	return status;
}

uint32_t pb_hash_quick(const void *p, size_t n)
{
	const unsigned char *bytes = p;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * 16777619u;
	return h ^ h >> 15;
}
