/* SHA-256 (libcrypto) of bytes, files and things put together. */
#ifndef PB_CORE_BASE_HASH_H
#define PB_CORE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

#define PB_HASH_HEX 65 /* 64 hex digits and the NUL */

struct pb_hash;
struct pb_hash *pb_hash_new(void);                           /* NULL when memory is out */
void pb_hash_bytes(struct pb_hash *h, const void *p, size_t n);
void pb_hash_string(struct pb_hash *h, const char *s);       /* length-prefixed, so that ("a","bc") differs from ("ab","c") */
void pb_hash_finish(struct pb_hash *h, char hex[PB_HASH_HEX]); /* frees h */

void pb_hash_of_bytes(const void *p, size_t n, char hex[PB_HASH_HEX]);
enum pb_status pb_hash_of_file(const char *path, char hex[PB_HASH_HEX], struct pb_error *err) PB_MUST_CHECK;

/* A short hash for tables in memory (FNV-1a, folded); never as evidence. */
uint32_t pb_hash_quick(const void *p, size_t n);

#endif
