/* Tasks: opened by name, and the hooks of their kinds called with memory around them. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/text.h"
#include "tasks/definition.h"

static enum pb_status parse_subtask(struct pb_task **out, const char *name, const char *data, size_t size, const char *subtask, const char *protocol,
	uint64_t limit, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_task *task = arena ? pb_arena_alloc(arena, 1, sizeof(*task)) : NULL;
	struct pb_yaml_file *yaml = NULL;
	enum pb_status st = PB_OK;

	if (!task || !(task->file = pb_arena_strdup(arena, name)))
		st = pb_out_of_memory(err, "a task");
	if (!st)
		st = pb_yaml_parse(&yaml, name, data, size, err);
	if (!st) {
		task->arena = arena;
		task->limit = limit;
		st = pb_definition_read(task, pb_yaml_root(yaml), subtask, protocol, err);
	}
	if (!st && subtask && !(task->name = pb_arena_printf(arena, "%s_%s", task->name, subtask)))
		st = pb_out_of_memory(err, "a task");
	if (yaml)
		pb_yaml_free(yaml);
	if (st) {
		pb_arena_free(arena);
		return st;
	}
	*out = task;
	return PB_OK;
}

enum pb_status pb_task_parse(struct pb_task **out, const char *name, const char *data, size_t size, const char *protocol, uint64_t limit, struct pb_error *err)
{
	return parse_subtask(out, name, data, size, NULL, protocol, limit, err);
}

/* A definition is a page of text. */
#define DEFINITION_LIMIT ((size_t)1 << 20)

static enum pb_status open_file(struct pb_task **out, const char *path, const char *subtask, const char *protocol, uint64_t limit, struct pb_error *err)
{
	char *data;
	size_t size;
	enum pb_status st = pb_file_read(path, DEFINITION_LIMIT, &data, &size, err);

	if (st)
		return st;
	st = parse_subtask(out, path, data, size, subtask, protocol, limit, err);
	pb_free(data);
	return st;
}

/* pb_home()/tasks/NAME.yaml of the first n bytes of name; pb_free'd, NULL when memory is out. */
static char *definition_path(const char *home, const char *name, size_t n)
{
	struct pb_text t = {0};
	char *path;

	pb_text_string(&t, "tasks/");
	pb_text_bytes(&t, name, n);
	pb_text_string(&t, ".yaml");
	path = t.failed ? NULL : pb_path_join(home, t.data);
	pb_text_free(&t);
	return path;
}

static enum pb_status unknown_task(const char *name, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	const char **names = NULL, *near = NULL;
	size_t n = 0;
	enum pb_status st;

	if (arena && pb_task_names(arena, &names, &n, NULL) == PB_OK)
		near = pb_nearest(name, names, n);
	if (near)
		st = pb_fail(err, PB_USAGE, "tasks: unknown task '%s'; did you mean '%s'?", name, near);
	else
		st = pb_fail(err, PB_USAGE, "tasks: unknown task '%s'", name);
	pb_arena_free(arena);
	return st;
}

/* TASK_SUBTASK: the longest TASK that has a definition. */
static enum pb_status open_subtask(struct pb_task **out, const char *home, const char *name, const char *protocol, uint64_t limit, struct pb_error *err)
{
	for (size_t n = strlen(name); n-- > 1;) {
		char *path;
		enum pb_status st;

		if (name[n] != '_' || !name[n + 1])
			continue;
		if (!(path = definition_path(home, name, n)))
			return pb_out_of_memory(err, "a path");
		if (pb_file_exists(path)) {
			struct pb_task *whole = NULL;

			st = open_file(&whole, path, NULL, NULL, 0, err);
			if (!st && whole->definition->n_subtasks)
				st = open_file(out, path, name + n + 1, protocol, limit, err);
			else if (!st)
				st = unknown_task(name, err);
			pb_task_close(whole);
			pb_free(path);
			return st;
		}
		pb_free(path);
	}
	return unknown_task(name, err);
}

enum pb_status pb_task_open(struct pb_task **out, const char *name, const char *protocol, uint64_t limit, struct pb_error *err)
{
	const char *home = pb_home();
	char *path;
	enum pb_status st;

	if (pb_path_has_suffix(name, ".yaml"))
		return open_file(out, name, NULL, protocol, limit, err);
	if (!*name || strchr(name, '/'))
		return pb_fail(err, PB_USAGE, "tasks: '%s' is neither a task's name nor a file that ends in .yaml", name);
	if (!home)
		return pb_fail(err, PB_MISSING, "tasks: no folder with definitions is found\nset PB_HOME to the folder that holds tasks/");
	if (!(path = definition_path(home, name, strlen(name))))
		return pb_out_of_memory(err, "a path");
	st = pb_file_exists(path) ? open_file(out, path, NULL, protocol, limit, err) : open_subtask(out, home, name, protocol, limit, err);
	pb_free(path);
	return st;
}

void pb_task_close(struct pb_task *task)
{
	if (task)
		pb_arena_free(task->arena);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum pb_status list_folder(struct pb_arena *arena, const char *folder, const char ***names, size_t *n, struct pb_error *err)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	const char **list = NULL;
	size_t count = 0, capacity = 0;

	if (!dir)
		return pb_fail(err, PB_IO, "%s: %s", folder, strerror(errno));
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (!pb_path_has_suffix(entry->d_name, ".yaml") || length <= 5)
			continue;
		if (count == capacity) {
			const char **grown = pb_arena_alloc(arena, capacity = capacity ? 2 * capacity : 32, sizeof(*grown));

			if (!grown)
				break;
			if (count)
				memcpy(grown, list, count * sizeof(*grown));
			list = grown;
		}
		if (!(list[count++] = pb_arena_strndup(arena, entry->d_name, length - 5)))
			break;
	}
	closedir(dir);
	if (entry)
		return pb_out_of_memory(err, "names of tasks");
	if (count)
		qsort(list, count, sizeof(*list), by_name);
	*names = list;
	*n = count;
	return PB_OK;
}

enum pb_status pb_task_names(struct pb_arena *arena, const char ***names, size_t *n, struct pb_error *err)
{
	const char *home = pb_home();
	char *folder = home ? pb_path_join(home, "tasks") : NULL;
	enum pb_status st;

	if (!home)
		return pb_fail(err, PB_MISSING, "tasks: no folder with definitions is found\nset PB_HOME to the folder that holds tasks/");
	if (!folder)
		return pb_out_of_memory(err, "a path");
	st = list_folder(arena, folder, names, n, err);
	pb_free(folder);
	return st;
}

enum pb_status pb_task_data_read(struct pb_task_data **out, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_task_data *data = arena ? pb_arena_alloc(arena, 1, sizeof(*data)) : NULL;
	enum pb_status st = PB_OK;

	if (!data)
		st = pb_out_of_memory(err, "data");
	if (!st) {
		data->arena = arena;
		st = task->kind->read(data, task, path, err);
	}
	if (st) {
		pb_arena_free(arena);
		return st;
	}
	*out = data;
	return PB_OK;
}

void pb_task_data_free(struct pb_task_data *data)
{
	if (data)
		pb_arena_free(data->arena);
}

enum pb_status pb_task_length(const struct pb_task *task, uint32_t context, uint32_t fallback, uint32_t *length, struct pb_error *err)
{
	uint32_t wanted = task->definition->length;

	if (context < 2)
		return pb_fail(err, PB_USAGE, "%s: a context of %u tokens is too short", task->name, context);
	if (wanted > context)
		return pb_fail(err, PB_USAGE, "%s: protocol %s: the length is more than the model's context of %u tokens", task->name, task->protocol, context);
	if (!wanted)
		wanted = fallback && fallback < context ? fallback : context;
	*length = wanted;
	return PB_OK;
}

bool pb_task_wants(const struct pb_task *task, const char *metric)
{
	for (size_t i = 0; task->kind->metrics[i]; i++)
		if (strcmp(task->kind->metrics[i], metric) == 0)
			return task->definition->metrics >> i & 1;
	return false;
}

bool pb_task_compares(const struct pb_task *task)
{
	return task->kind->compares;
}

enum pb_status pb_task_requests_make(struct pb_task_requests **out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_task_requests *requests = arena ? pb_arena_alloc(arena, 1, sizeof(*requests)) : NULL;
	enum pb_status st = PB_OK;

	if (!requests)
		st = pb_out_of_memory(err, "requests");
	if (!st) {
		requests->arena = arena;
		st = task->kind->make(requests, task, data, tokenizer, context, err);
	}
	if (!st && !requests->n_requests)
		st = pb_fail(err, PB_FORMAT, "%s: the data hold no token to predict", task->name);
	if (st) {
		pb_arena_free(arena);
		return st;
	}
	*out = requests;
	return PB_OK;
}

void pb_task_requests_free(struct pb_task_requests *requests)
{
	if (requests)
		pb_arena_free(requests->arena);
}

/* A metric is a finite number or the task has failed. */
static enum pb_status check_metrics(const struct pb_task *task, const struct pb_task_result *result, struct pb_error *err)
{
	for (size_t i = 0; i < result->n_metrics; i++)
		if (!isfinite(result->metrics[i].value))
			return pb_fail(err, PB_NUMERIC, "%s: %s is not finite", task->name, result->metrics[i].name);
	return PB_OK;
}

enum pb_status pb_task_score(struct pb_task_result **out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_task_requests *requests, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_task_result *result = arena ? pb_arena_alloc(arena, 1, sizeof(*result)) : NULL;
	enum pb_status st = PB_OK;

	if (!result)
		st = pb_out_of_memory(err, "a result");
	if (!st) {
		result->arena = arena;
		st = task->kind->score(result, task, data, requests, err);
	}
	if (!st)
		st = check_metrics(task, result, err);
	if (st) {
		pb_arena_free(arena);
		return st;
	}
	*out = result;
	return PB_OK;
}

void pb_task_result_free(struct pb_task_result *result)
{
	if (result)
		pb_arena_free(result->arena);
}
