#include "core/base/yaml.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/text.h"

#define MAX_BYTES (4u << 20)
#define MAX_DEPTH 64
#define MAX_NODES 100000

struct pb_yaml_file {
	struct pb_arena *arena;
	const struct pb_yaml *root;
};

struct builder {
	yaml_parser_t parser;
	struct pb_arena *arena;
	const char *name;
	const char *data;
	unsigned nodes;
	struct pb_error *err;
};

static enum pb_status fail_at(const struct builder *b, enum pb_status status, yaml_mark_t at, const char *why)
{
	return pb_fail(b->err, status, "%s:%zu:%zu: %s", b->name, at.line + 1, at.column + 1, why);
}

/* libyaml's own complaint. Its reader knows an offset only; line and column are found from it. */
static enum pb_status fail_parser(const struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	if (p->error == YAML_MEMORY_ERROR)
		return pb_out_of_memory(b->err, b->name);
	const char *why = p->problem != NULL ? p->problem : "not YAML";
	if (p->error != YAML_READER_ERROR)
		return fail_at(b, PB_USAGE, p->problem_mark, why);
	yaml_mark_t at = { 0 };
	for (size_t i = 0; i < p->problem_offset; i++) {
		at.column++;
		if (b->data[i] == '\n') {
			at.line++;
			at.column = 0;
		}
	}
	return fail_at(b, PB_USAGE, at, why);
}

/* On PB_OK the caller deletes the event. */
static enum pb_status next_event(struct builder *b, yaml_event_t *event)
{
	return yaml_parser_parse(&b->parser, event) ? PB_OK : fail_parser(b);
}

/* NULL when memory is out. */
static struct pb_yaml *new_node(struct builder *b, enum pb_yaml_kind kind, yaml_mark_t at)
{
	struct pb_yaml *node = pb_arena_alloc(b->arena, 1, sizeof *node);
	if (node != NULL) {
		node->kind = kind;
		node->line = (unsigned)at.line + 1;
		node->column = (unsigned)at.column + 1;
		node->file = b->name;
		node->text = "";
	}
	return node;
}

static enum pb_status refuse_extras(const struct builder *b, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		return fail_at(b, PB_USAGE, event->start_mark, "anchors are not supported");
	if (tag != NULL)
		return fail_at(b, PB_USAGE, event->start_mark, "tags are not supported");
	return PB_OK;
}

static enum pb_status build_scalar(struct builder *b, const yaml_event_t *event, struct pb_yaml **out)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t n = event->data.scalar.length;
	enum pb_status status = refuse_extras(b, event, event->data.scalar.anchor, event->data.scalar.tag);
	if (status != PB_OK)
		return status;
	if (memchr(value, '\0', n) != NULL)
		return fail_at(b, PB_USAGE, event->start_mark, "a NUL character in a text");
	struct pb_yaml *node = new_node(b, PB_YAML_SCALAR, event->start_mark);
	if (node == NULL || (node->text = pb_arena_strndup(b->arena, value, n)) == NULL)
		return pb_out_of_memory(b->err, b->name);
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	*out = node;
	return PB_OK;
}

/* Children in the order of the file; of a map: key, value, key, value. Freed by the one who gathers them. */
struct children {
	struct pb_yaml **nodes;
	size_t n, capacity;
};

static bool add_child(struct children *c, struct pb_yaml *node)
{
	if (c->n == c->capacity) {
		size_t capacity = c->capacity == 0 ? 16 : c->capacity * 2;
		struct pb_yaml **nodes = pb_realloc(c->nodes, capacity, sizeof *nodes);
		if (nodes == NULL)
			return false;
		c->nodes = nodes;
		c->capacity = capacity;
	}
	c->nodes[c->n++] = node;
	return true;
}

static int compare_keys(const void *a, const void *b)
{
	const struct pb_yaml *x = *(const struct pb_yaml *const *)a, *y = *(const struct pb_yaml *const *)b;
	int order = strcmp(x->text, y->text);
	if (order != 0)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->column > y->column) - (x->column < y->column);
}

static bool comes_before(const struct pb_yaml *a, const struct pb_yaml *b)
{
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

/* Equal keys are neighbours once sorted, the later in the file second. */
static enum pb_status check_duplicates(struct builder *b, const struct pb_yaml *map)
{
	const struct pb_yaml **sorted = pb_alloc(map->n, sizeof *sorted);
	if (sorted == NULL)
		return pb_out_of_memory(b->err, b->name);
	if (map->n > 0)
		memcpy(sorted, map->key_nodes, map->n * sizeof *sorted);
	qsort(sorted, map->n, sizeof *sorted, compare_keys);
	const struct pb_yaml *first = NULL, *second = NULL;
	for (size_t i = 1; i < map->n; i++) {
		if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0 && (second == NULL || comes_before(sorted[i], second))) {
			first = sorted[i - 1];
			second = sorted[i];
		}
	}
	pb_free(sorted);
	if (second == NULL)
		return PB_OK;
	return pb_yaml_fail(second, b->err, "key '%s' is there already, in line %u", second->text, first->line);
}

static enum pb_status fill_list(struct builder *b, struct pb_yaml *node, const struct children *c)
{
	node->n = c->n;
	node->values = pb_arena_alloc(b->arena, c->n, sizeof *node->values);
	if (node->values == NULL)
		return pb_out_of_memory(b->err, b->name);
	if (c->n > 0)
		memcpy(node->values, c->nodes, c->n * sizeof *node->values);
	return PB_OK;
}

static enum pb_status fill_map(struct builder *b, struct pb_yaml *node, const struct children *c)
{
	size_t n = c->n / 2;
	const struct pb_yaml **key_nodes = pb_arena_alloc(b->arena, n, sizeof *key_nodes);
	node->values = pb_arena_alloc(b->arena, n, sizeof *node->values);
	node->keys = pb_arena_alloc(b->arena, n, sizeof *node->keys);
	if (node->values == NULL || node->keys == NULL || key_nodes == NULL)
		return pb_out_of_memory(b->err, b->name);
	for (size_t i = 0; i < n; i++) {
		key_nodes[i] = c->nodes[2 * i];
		node->keys[i] = c->nodes[2 * i]->text;
		node->values[i] = c->nodes[2 * i + 1];
	}
	node->key_nodes = key_nodes;
	node->n = n;
	return check_duplicates(b, node);
}

static enum pb_status check_key(const struct pb_yaml *key, struct pb_error *err)
{
	if (key->kind != PB_YAML_SCALAR)
		return pb_yaml_fail(key, err, "a key must be a plain word");
	if (!key->quoted && strcmp(key->text, "<<") == 0)
		return pb_yaml_fail(key, err, "merge keys are not supported");
	return PB_OK;
}

static enum pb_status build_node(struct builder *b, const yaml_event_t *event, unsigned depth, struct pb_yaml **out);

static enum pb_status build_children(struct builder *b, bool map, yaml_event_type_t end, unsigned depth, struct children *c)
{
	for (;;) {
		yaml_event_t event;
		struct pb_yaml *child = NULL;
		enum pb_status status = next_event(b, &event);
		if (status != PB_OK)
			return status;
		bool done = event.type == end;
		if (!done)
			status = build_node(b, &event, depth + 1, &child);
		yaml_event_delete(&event);
		if (done || status != PB_OK)
			return status;
		if (map && c->n % 2 == 0 && (status = check_key(child, b->err)) != PB_OK)
			return status;
		if (!add_child(c, child))
			return pb_out_of_memory(b->err, b->name);
	}
}

static enum pb_status build_collection(struct builder *b, const yaml_event_t *event, unsigned depth, struct pb_yaml **out)
{
	bool map = event->type == YAML_MAPPING_START_EVENT;
	enum pb_status status = map ? refuse_extras(b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag)
				    : refuse_extras(b, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
	if (status != PB_OK)
		return status;
	struct pb_yaml *node = new_node(b, map ? PB_YAML_MAP : PB_YAML_LIST, event->start_mark);
	if (node == NULL)
		return pb_out_of_memory(b->err, b->name);
	struct children c = { 0 };
	status = build_children(b, map, map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, depth, &c);
	if (status == PB_OK)
		status = map ? fill_map(b, node, &c) : fill_list(b, node, &c);
	pb_free(c.nodes);
	if (status == PB_OK)
		*out = node;
	return status;
}

static enum pb_status build_node(struct builder *b, const yaml_event_t *event, unsigned depth, struct pb_yaml **out)
{
	if (depth > MAX_DEPTH)
		return fail_at(b, PB_LIMIT, event->start_mark, "more than 64 levels");
	if (++b->nodes > MAX_NODES)
		return fail_at(b, PB_LIMIT, event->start_mark, "more than 100000 values");
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return build_scalar(b, event, out);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return build_collection(b, event, depth, out);
	case YAML_ALIAS_EVENT:
		return fail_at(b, PB_USAGE, event->start_mark, "aliases are not supported");
	default:
		return fail_at(b, PB_FAILED, event->start_mark, "not expected here");
	}
}

/* A stream is: stream start, then nothing or one document (start, node, end), then stream end. */
static enum pb_status build_stream(struct builder *b, struct pb_yaml **root)
{
	*root = NULL;
	for (bool in_document = false;;) {
		yaml_event_t event;
		enum pb_status status = next_event(b, &event);
		if (status != PB_OK)
			return status;
		bool done = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT) {
			in_document = true;
			if (*root != NULL)
				status = fail_at(b, PB_USAGE, event.start_mark, "a second document: a file holds one");
			else if (event.data.document_start.tag_directives.start != event.data.document_start.tag_directives.end)
				status = fail_at(b, PB_USAGE, event.start_mark, "tags are not supported");
		} else if (event.type == YAML_DOCUMENT_END_EVENT) {
			in_document = false;
		} else if (in_document) {
			status = build_node(b, &event, 1, root);
		}
		yaml_event_delete(&event);
		if (done || status != PB_OK)
			return status;
	}
}

/* A file without a value (empty, or comments alone) is an empty map. */
static enum pb_status finish_root(struct builder *b, struct pb_yaml **root)
{
	if (*root != NULL && ((*root)->kind != PB_YAML_SCALAR || (*root)->quoted || (*root)->text[0] != '\0'))
		return PB_OK;
	*root = new_node(b, PB_YAML_MAP, (yaml_mark_t){ 0 });
	return *root == NULL ? pb_out_of_memory(b->err, b->name) : PB_OK;
}

enum pb_status pb_yaml_parse(struct pb_yaml_file **out, const char *name, const char *data, size_t size, struct pb_error *err)
{
	if (size > MAX_BYTES)
		return pb_fail(err, PB_LIMIT, "%s: larger than the limit of 4 MiB", name);
	/* libyaml counts a byte order mark as a column of the first line. */
	if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
		data += 3;
		size -= 3;
	}
	struct builder b = { .data = data, .err = err };
	struct pb_yaml_file *file = pb_alloc_zero(1, sizeof *file);
	struct pb_arena *arena = pb_arena_new();
	b.arena = arena;
	b.name = arena == NULL ? NULL : pb_arena_strdup(arena, name);
	if (file == NULL || b.name == NULL || !yaml_parser_initialize(&b.parser)) {
		pb_free(file);
		pb_arena_free(arena);
		return pb_out_of_memory(err, name);
	}
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)data, size);
	struct pb_yaml *root;
	enum pb_status status = build_stream(&b, &root);
	yaml_parser_delete(&b.parser);
	if (status == PB_OK)
		status = finish_root(&b, &root);
	if (status != PB_OK) {
		pb_free(file);
		pb_arena_free(arena);
		return status;
	}
	*file = (struct pb_yaml_file){ .arena = arena, .root = root };
	*out = file;
	return PB_OK;
}

enum pb_status pb_yaml_read(struct pb_yaml_file **out, const char *path, struct pb_error *err)
{
	char *data;
	size_t size;
	enum pb_status status = pb_file_read(path, MAX_BYTES, &data, &size, err);
	if (status != PB_OK)
		return status;
	status = pb_yaml_parse(out, path, data, size, err);
	pb_free(data);
	return status;
}

const struct pb_yaml *pb_yaml_root(const struct pb_yaml_file *f)
{
	return f->root;
}

void pb_yaml_free(struct pb_yaml_file *f)
{
	if (f == NULL)
		return;
	pb_arena_free(f->arena);
	pb_free(f);
}

enum pb_status pb_yaml_fail(const struct pb_yaml *at, struct pb_error *err, const char *format, ...)
{
	char text[PB_ERROR_TEXT];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return pb_fail(err, PB_USAGE, "%s:%u:%u: %s", at->file, at->line, at->column, text);
}

const struct pb_yaml *pb_yaml_get(const struct pb_yaml *map, const char *key)
{
	if (map == NULL || map->kind != PB_YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->keys[i], key) == 0)
			return map->values[i];
	return NULL;
}

static const char *kind_name(enum pb_yaml_kind kind)
{
	switch (kind) {
	case PB_YAML_SCALAR: return "a single value";
	case PB_YAML_LIST: return "a list";
	case PB_YAML_MAP: break;
	}
	return "a map";
}

enum pb_status pb_yaml_check_keys(const struct pb_yaml *map, const char *const *allowed, struct pb_error *err)
{
	size_t n = 0;
	if (map->kind != PB_YAML_MAP)
		return pb_yaml_fail(map, err, "expected a map of keys and values, found %s", kind_name(map->kind));
	while (allowed[n] != NULL)
		n++;
	for (size_t i = 0; i < map->n; i++) {
		size_t j = 0;
		while (j < n && strcmp(map->keys[i], allowed[j]) != 0)
			j++;
		if (j < n)
			continue;
		const char *nearest = pb_nearest(map->keys[i], allowed, n);
		if (nearest != NULL)
			return pb_yaml_fail(map->key_nodes[i], err, "unknown key '%s'; did you mean '%s'?", map->keys[i], nearest);
		return pb_yaml_fail(map->key_nodes[i], err, "unknown key '%s'", map->keys[i]);
	}
	return PB_OK;
}

static enum pb_status need_scalar(const struct pb_yaml *node, const char *what, struct pb_error *err)
{
	if (node->kind != PB_YAML_SCALAR)
		return pb_yaml_fail(node, err, "expected %s, found %s", what, kind_name(node->kind));
	if (node->text[0] == '\0' && !node->quoted)
		return pb_yaml_fail(node, err, "expected %s, found nothing", what);
	return PB_OK;
}

enum pb_status pb_yaml_string(const struct pb_yaml *node, const char **out, struct pb_error *err)
{
	enum pb_status status = need_scalar(node, "a text", err);
	if (status == PB_OK)
		*out = node->text;
	return status;
}

enum pb_status pb_yaml_file_name(const struct pb_yaml *node, const char *what, const char **out, struct pb_error *err)
{
	const char *name;
	enum pb_status st = pb_yaml_string(node, &name, err);

	if (st)
		return st;
	if (!name[0] || name[0] == '.')
		return name[0] ? pb_yaml_fail(node, err, "a name of %s does not begin with a dot", what) : pb_yaml_fail(node, err, "an empty name of %s", what);
	for (const char *p = name; *p; p++)
		if (*p == '/' || (unsigned char)*p < 0x20 || *p == 0x7F)
			return pb_yaml_fail(node, err, "a name of %s holds no slash and no control character", what);
	*out = name;
	return PB_OK;
}

enum pb_status pb_yaml_int(const struct pb_yaml *node, int64_t low, int64_t high, int64_t *out, struct pb_error *err)
{
	int64_t value;
	enum pb_status status = need_scalar(node, "a whole number", err);
	if (status != PB_OK)
		return status;
	if (!pb_parse_int64(node->text, &value))
		return pb_yaml_fail(node, err, "expected a whole number, found '%s'", node->text);
	if (value < low || value > high)
		return pb_yaml_fail(node, err, "%s is out of range %lld..%lld", node->text, (long long)low, (long long)high);
	*out = value;
	return PB_OK;
}

enum pb_status pb_yaml_double(const struct pb_yaml *node, double low, double high, double *out, struct pb_error *err)
{
	double value;
	enum pb_status status = need_scalar(node, "a number", err);
	if (status != PB_OK)
		return status;
	if (!pb_parse_double(node->text, &value))
		return pb_yaml_fail(node, err, "expected a number, found '%s'", node->text);
	if (!(value >= low && value <= high)) {
		char from[32], to[32];
		pb_format_short(from, low);
		pb_format_short(to, high);
		return pb_yaml_fail(node, err, "%s is out of range %s..%s", node->text, from, to);
	}
	*out = value;
	return PB_OK;
}

enum pb_status pb_yaml_bool(const struct pb_yaml *node, bool *out, struct pb_error *err)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
	enum pb_status status = need_scalar(node, "true or false", err);
	if (status != PB_OK)
		return status;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(node->text, words[i]) == 0) {
			*out = i % 2 == 1;
			return PB_OK;
		}
	}
	return pb_yaml_fail(node, err, "expected true or false, found '%s'", node->text);
}
