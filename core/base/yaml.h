/* YAML as a tree with places (libyaml). Scalars stay text: the schema of the reader decides what
 * `1.58` or `no` is. Anchors and aliases are refused, as are duplicate keys, more than 64 levels
 * and more than 100,000 nodes. */
#ifndef PB_CORE_BASE_YAML_H
#define PB_CORE_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

enum pb_yaml_kind { PB_YAML_SCALAR, PB_YAML_LIST, PB_YAML_MAP };

struct pb_yaml {
	enum pb_yaml_kind kind;
	unsigned line, column;      /* from 1 */
	const char *file;           /* name for messages */
	const char *text;           /* scalar: UTF-8, NUL-terminated; "" for an empty value */
	bool quoted;                /* scalar was quoted */
	size_t n;                   /* list or map: entries */
	struct pb_yaml **values;    /* list or map */
	const char **keys;          /* map */
	const struct pb_yaml *const *key_nodes; /* map: places of the keys */
};

struct pb_yaml_file;            /* owns the tree */
enum pb_status pb_yaml_read(struct pb_yaml_file **out, const char *path, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_yaml_parse(struct pb_yaml_file **out, const char *name, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
const struct pb_yaml *pb_yaml_root(const struct pb_yaml_file *f);
void pb_yaml_free(struct pb_yaml_file *f);

/* PB_USAGE with "FILE:LINE:COLUMN: message". */
enum pb_status pb_yaml_fail(const struct pb_yaml *at, struct pb_error *err, const char *format, ...) PB_PRINTF(3, 4);

/* NULL when the key is not there. */
const struct pb_yaml *pb_yaml_get(const struct pb_yaml *map, const char *key);
/* Every key of the map must be one of `allowed` (NULL-terminated); else "unknown key 'x'; did you mean 'y'?" at the key's place. */
enum pb_status pb_yaml_check_keys(const struct pb_yaml *map, const char *const *allowed, struct pb_error *err) PB_MUST_CHECK;

enum pb_status pb_yaml_string(const struct pb_yaml *node, const char **out, struct pb_error *err) PB_MUST_CHECK;
/* A name that can be one part of a path and stands in one line. what: "a sweep" */
enum pb_status pb_yaml_file_name(const struct pb_yaml *node, const char *what, const char **out, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_yaml_int(const struct pb_yaml *node, int64_t low, int64_t high, int64_t *out, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_yaml_double(const struct pb_yaml *node, double low, double high, double *out, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_yaml_bool(const struct pb_yaml *node, bool *out, struct pb_error *err) PB_MUST_CHECK; /* true|false|yes|no|on|off */

#endif
