#include "harness/run/reference.h"

#include <string.h>
#include "core/base/json.h"
#include "reports/front.h"

static bool find_cost(const char *name, enum pb_by *by)
{
	for (*by = 0; *by < PB_BYS; ++*by)
		if (strcmp(name, pb_by_name(*by)) == 0)
			return true;
	return false;
}

static enum pb_status has_metric(const struct pb_sweep *s, const char *metric, bool *found, struct pb_error *err)
{
	*found = false;
	for (size_t i = 0; i < s->n_tasks && !*found; i++) {
		struct pb_task *task;
		enum pb_status st = pb_task_open(&task, s->tasks[i].name, s->tasks[i].protocol, s->tasks[i].limit, err);

		if (st)
			return st;
		*found = pb_task_wants(task, metric);
		pb_task_close(task);
	}
	return PB_OK;
}

static enum pb_status read_cost(enum pb_by by, const struct pb_yaml *node, double *value, struct pb_error *err)
{
	bool is_size = by == PB_BY_SIZE || by == PB_BY_PAPER || by == PB_BY_WEIGHTS;
	uint64_t bytes = 0;

	if (is_size && (!pb_parse_bytes(node->text ? node->text : "", &bytes) || bytes == 0))
		return pb_yaml_fail(node, err, "not a size: write 512KiB or 4MiB");
	*value = (double)bytes;
	return is_size ? PB_OK : pb_yaml_double(node, 1e-300, 1e300, value, err);
}

static enum pb_status read_number(const struct pb_sweep *s, const struct pb_yaml *node, size_t i, double *value, struct pb_error *err)
{
	enum pb_by by;
	bool found;
	enum pb_status st;

	if (find_cost(node->keys[i], &by))
		return read_cost(by, node->values[i], value, err);
	if ((st = has_metric(s, node->keys[i], &found, err)))
		return st;
	if (!found)
		return pb_yaml_fail(node->key_nodes[i], err, "%s: neither a cost (size, bits, paper, weights, params, seconds, energy) nor a metric of this sweep's tasks", node->keys[i]);
	return pb_yaml_double(node->values[i], -1e300, 1e300, value, err);
}

enum pb_status pb_reference_read(struct pb_sweep *sweep, const struct pb_yaml *node, struct pb_error *err)
{
	json_t *object;
	char *text = NULL;
	enum pb_status st = PB_OK;

	if (node->kind != PB_YAML_MAP || node->n == 0)
		return pb_yaml_fail(node, err, "reference is a map of costs and metrics, {size: 4MiB, acc: 0.25}");
	if (!(object = json_object()))
		return pb_out_of_memory(err, "the sweep");
	for (size_t i = 0; !st && i < node->n; i++) {
		double value = 0;

		st = read_number(sweep, node, i, &value, err);
		if (!st && json_object_set_new(object, node->keys[i], json_real(value)))
			st = pb_out_of_memory(err, "the sweep");
	}
	if (!st) {
		text = pb_json_canonical(object);
		if (!text || !(sweep->reference = pb_arena_strdup(sweep->arena, text)))
			st = pb_out_of_memory(err, "the sweep");
	}
	pb_free(text);
	json_decref(object);
	return st;
}
