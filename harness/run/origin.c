#include "harness/run/origin.h"

#include <string.h>
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/store/row.h"
#include "harness/run/zoo.h"

#define FILE_LIMIT ((size_t)64 << 20)

static bool is_text(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, text) == 0;
}

/* Of a training that went on from another model, the tokens before it are not known. */
static enum pb_status find_tokens(int64_t *tokens, const char *folder, const char *model_hash, struct pb_error *err)
{
	char *path = pb_path_join(folder, "train.json");
	struct pb_error ignored;
	json_t *state = NULL;
	enum pb_status st = PB_OK;

	*tokens = PB_ABSENT;
	if (!path)
		return pb_out_of_memory(err, "a path");
	if (pb_file_exists(path) && pb_json_read(&state, path, FILE_LIMIT, &ignored) == PB_MEMORY)
		st = pb_out_of_memory(err, "a training");
	if (state && is_text(state, "model_hash", model_hash) && is_text(state, "from", "") && json_integer_value(json_object_get(state, "tokens")) > 0)
		*tokens = json_integer_value(json_object_get(state, "tokens"));
	json_decref(state);
	pb_free(path);
	return st;
}

enum pb_status pb_origin_find(struct pb_origin *out, struct pb_arena *arena, const char *path, const char *model_hash, struct pb_error *err)
{
	struct pb_zoo zoo;
	enum pb_status st = pb_zoo_read(&zoo, arena, err);

	out->family = "";
	for (size_t i = 0; !st && i < zoo.n; i++)
		if (strcmp(zoo.models[i].hash, model_hash) == 0)
			out->family = zoo.models[i].family;
	return st ? st : find_tokens(&out->tokens, path, model_hash, err);
}
