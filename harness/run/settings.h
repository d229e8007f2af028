/* Settings of quantizers as a sweep names them: NAME, NAME:opt=value,..., or NAME: {option: value or list}, where lists multiply out. */
#ifndef PB_HARNESS_RUN_SETTINGS_H
#define PB_HARNESS_RUN_SETTINGS_H

#include <stdbool.h>
#include "core/base/memory.h"
#include "core/base/yaml.h"

struct pb_setting {
	const char *text;           /* "rtn:bits=4,group_size=64": checked; in the arena */
	const char *quantizer, *options; /* name; effective options, canonical: equal for settings that mean the same; in the arena */
	const struct pb_yaml *at;   /* place for messages */
};
struct pb_settings {
	struct pb_arena *arena;
	struct pb_setting *list;
	size_t n, capacity;
};
/* Appends what one node names, the last option varying fastest. An unknown name, option or value is an error at its place. */
enum pb_status pb_settings_read(struct pb_settings *settings, const struct pb_yaml *node, struct pb_error *err) PB_MUST_CHECK;

bool pb_settings_are_same(const struct pb_setting *a, const struct pb_setting *b);

#endif
