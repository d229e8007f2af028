#include "harness/run/zoo.h"

#include <string.h>
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/yaml.h"
#include "harness/run/sweep.h"

#define ZOO_LIMIT (1u << 20)

static enum pb_status keep(struct pb_arena *arena, const struct pb_yaml *map, const char *key, const char **out, struct pb_error *err)
{
	const struct pb_yaml *node = pb_yaml_get(map, key);
	const char *text;
	enum pb_status st = node ? pb_yaml_string(node, &text, err) : pb_yaml_fail(map, err, "this model has no %s", key);

	if (!st && !(*out = pb_arena_strdup(arena, text)))
		st = pb_out_of_memory(err, "the zoo");
	return st;
}

static enum pb_status read_number(const struct pb_yaml *map, const char *key, uint64_t *out, struct pb_error *err)
{
	const struct pb_yaml *node = pb_yaml_get(map, key);
	int64_t n;
	enum pb_status st = node ? pb_yaml_int(node, 0, INT64_MAX, &n, err) : pb_yaml_fail(map, err, "this model has no %s", key);

	if (!st)
		*out = (uint64_t)n;
	return st;
}

static enum pb_status read_model(struct pb_arena *arena, const struct pb_yaml *node, const char *name, const char *folder, struct pb_zoo_model *m, struct pb_error *err)
{
	static const char *const keys[] = { "family", "about", "hash", "parameters", "tokens", NULL };
	enum pb_status st;

	if (node->kind != PB_YAML_MAP)
		return pb_yaml_fail(node, err, "a model of the zoo is {family, about, hash, parameters, tokens}");
	st = pb_yaml_check_keys(node, keys, err);
	if (!st)
		st = keep(arena, node, "family", &m->family, err);
	if (!st)
		st = keep(arena, node, "about", &m->about, err);
	if (!st)
		st = keep(arena, node, "hash", &m->hash, err);
	if (!st)
		st = read_number(node, "parameters", &m->parameters, err);
	if (!st)
		st = read_number(node, "tokens", &m->tokens, err);
	m->name = pb_arena_strdup(arena, name);
	m->path = pb_arena_printf(arena, "%s/%s", folder, name);
	return !st && (!m->name || !m->path) ? pb_out_of_memory(err, "the zoo") : st;
}

enum pb_status pb_zoo_parse(struct pb_zoo *out, struct pb_arena *arena, const char *name, const char *text, size_t size, struct pb_error *err)
{
	static const char *const keys[] = { "models", NULL };
	struct pb_yaml_file *file = NULL;
	const struct pb_yaml *models = NULL;
	struct pb_zoo_model *list = NULL;
	char *folder = pb_path_folder(name);
	enum pb_status st = folder ? pb_yaml_parse(&file, name, text, size, err) : pb_out_of_memory(err, "a path");

	if (!st && pb_yaml_root(file)->kind == PB_YAML_MAP) {
		st = pb_yaml_check_keys(pb_yaml_root(file), keys, err);
		models = pb_yaml_get(pb_yaml_root(file), "models");
	}
	if (!st && (!models || models->kind != PB_YAML_MAP))
		st = pb_yaml_fail(pb_yaml_root(file), err, "a zoo is a map with models by their names");
	if (!st && !(list = pb_arena_alloc(arena, models->n + 1, sizeof(*list))))
		st = pb_out_of_memory(err, "the zoo");
	for (size_t i = 0; !st && i < models->n; i++)
		st = read_model(arena, models->values[i], models->keys[i], folder, &list[i], err);
	if (!st)
		*out = (struct pb_zoo){ .n = models->n, .models = list };
	pb_yaml_free(file);
	pb_free(folder);
	return st;
}

enum pb_status pb_zoo_read(struct pb_zoo *out, struct pb_arena *arena, struct pb_error *err)
{
	char *path = pb_home() ? pb_path_join(pb_home(), "configs/zoo/zoo.yaml") : NULL, *text = NULL;
	size_t size = 0;
	enum pb_status st;

	*out = (struct pb_zoo){0};
	if (pb_home() && !path)
		return pb_out_of_memory(err, "a path");
	st = path && pb_file_exists(path) ? pb_file_read(path, ZOO_LIMIT, &text, &size, err) : PB_OK;
	if (!st && text)
		st = pb_zoo_parse(out, arena, path, text, size, err);
	pb_free(text);
	pb_free(path);
	return st;
}

/* What the one who typed this name may have meant; NULL: nothing near. */
static const char *nearest(struct pb_arena *arena, const struct pb_zoo *zoo, const char *name)
{
	const char **names = pb_arena_alloc(arena, zoo->n + 1, sizeof(*names));

	for (size_t i = 0; names && i < zoo->n; i++)
		names[i] = zoo->models[i].name;
	return names && !strchr(name, '/') ? pb_nearest(name, names, zoo->n) : NULL;
}

enum pb_status pb_find_model(struct pb_arena *arena, const char *name, const char *folder, const struct pb_data_path *data, const char **path, struct pb_error *err)
{
	struct pb_error why = {0};
	struct pb_zoo zoo;
	const char *near;
	enum pb_status st;

	if (strncmp(name, "hf:", 3) == 0)
		return pb_fail(err, PB_UNSUPPORTED, "%s: this version fetches nothing\nname a local path", name);
	st = pb_zoo_read(&zoo, arena, err);
	for (size_t i = 0; !st && !pb_file_exists(name) && i < zoo.n; i++)
		if (strcmp(zoo.models[i].name, name) == 0) {
			*path = zoo.models[i].path;
			return PB_OK;
		}
	if (st)
		return st;
	st = pb_find_file(arena, name, folder, data, path, &why);
	near = st ? nearest(arena, &zoo, name) : NULL;
	if (near)
		return pb_fail(err, st, "%s: no such model; did you mean '%s'?", name, near);
	return st ? pb_fail(err, st, "%s", why.text) : PB_OK;
}
