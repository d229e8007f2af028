#include <stddef.h>
#include <stdint.h>

#include "core/base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Walks the tree, so that every pointer in it is looked at. */
static size_t walk(const struct pb_yaml *node)
{
	size_t n = node->line + node->column;
	for (const char *p = node->text; *p != '\0'; p++)
		n += (unsigned char)*p;
	for (size_t i = 0; i < node->n; i++) {
		n += walk(node->values[i]);
		if (node->kind == PB_YAML_MAP) {
			n += walk(node->key_nodes[i]);
			if (pb_yaml_get(node, node->keys[i]) != node->values[i])
				__builtin_trap();
		}
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_yaml_file *file;
	struct pb_error err;
	if (pb_yaml_parse(&file, "fuzz", (const char *)data, size, &err) != PB_OK)
		return 0;
	if (walk(pb_yaml_root(file)) == 0)
		__builtin_trap(); /* the root has a line */
	pb_yaml_free(file);
	return 0;
}
