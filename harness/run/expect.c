#include "harness/run/expect.h"

#include <string.h>
#include "reports/orders.h"

#define MAX_EXPECTED 10000

struct expect_reader {
	struct pb_sweep *sweep;
	const struct pb_settings *settings;
	struct pb_expected *list;
	size_t n;
	struct pb_error *err;
};

/* One side; every setting of it is one of the sweep. */
static enum pb_status read_side(struct expect_reader *r, const struct pb_yaml *map, const char *key, struct pb_settings *side)
{
	const struct pb_yaml *node = pb_yaml_get(map, key);
	enum pb_status st;

	side->arena = r->sweep->arena;
	if ((st = pb_settings_read(side, node, r->err)))
		return st;
	for (size_t i = 0; i < side->n; i++) {
		bool found = false;

		for (size_t k = 0; !found && k < r->settings->n; k++)
			found = pb_settings_are_same(&side->list[i], &r->settings->list[k]);
		if (!found)
			return pb_yaml_fail(side->list[i].at, r->err, "%s: no cell of this sweep has this setting", side->list[i].text);
	}
	return PB_OK;
}

static enum pb_status check_task(struct expect_reader *r, const struct pb_yaml *task, const struct pb_yaml *metric, const struct pb_expected *e)
{
	const struct pb_sweep *s = r->sweep;
	const struct pb_sweep_task *found = NULL;
	struct pb_task *open;
	bool has_metric;
	enum pb_status st;

	for (size_t i = 0; i < s->n_tasks; i++)
		if (strcmp(s->tasks[i].name, e->task) == 0)
			found = &s->tasks[i];
	if (!found)
		return pb_yaml_fail(task, r->err, "%s: not a task of this sweep", e->task);
	if ((st = pb_task_open(&open, found->name, found->protocol, found->limit, r->err)))
		return st;
	has_metric = pb_task_wants(open, e->metric);
	pb_task_close(open);
	return has_metric ? PB_OK : pb_yaml_fail(metric, r->err, "task %s has no metric '%s'", e->task, e->metric);
}

/* A text of the expectation, in the arena. */
static enum pb_status read_text(struct expect_reader *r, const struct pb_yaml *map, const char *key, const char **out)
{
	const char *text;
	enum pb_status st = pb_yaml_string(pb_yaml_get(map, key), &text, r->err);

	if (!st && !(*out = pb_arena_strdup(r->sweep->arena, text)))
		st = pb_out_of_memory(r->err, "the sweep");
	return st;
}

static struct pb_expected_side side_of(const struct pb_setting *s)
{
	return (struct pb_expected_side){ .name = s->text, .quantizer = s->quantizer, .options = s->options };
}

static enum pb_status read_one(struct expect_reader *r, const struct pb_yaml *map)
{
	static const char *const keys[] = { "better", "worse", "task", "metric", "source", NULL };
	struct pb_settings better = {0}, worse = {0};
	struct pb_expected e;
	size_t n;
	enum pb_status st;

	if (map->kind != PB_YAML_MAP)
		return pb_yaml_fail(map, r->err, "an expected order is {better, worse, task, metric, source}");
	if ((st = pb_yaml_check_keys(map, keys, r->err)))
		return st;
	for (size_t i = 0; keys[i]; i++)
		if (!pb_yaml_get(map, keys[i]))
			return pb_yaml_fail(map, r->err, "this expected order has no %s", keys[i]);
	if ((st = read_side(r, map, "better", &better)) || (st = read_side(r, map, "worse", &worse)) || (st = read_text(r, map, "task", &e.task)) ||
	    (st = read_text(r, map, "metric", &e.metric)) || (st = read_text(r, map, "source", &e.source)) ||
	    (st = check_task(r, pb_yaml_get(map, "task"), pb_yaml_get(map, "metric"), &e)))
		return st;
	n = better.n > worse.n ? better.n : worse.n;
	if (better.n != worse.n && better.n > 1 && worse.n > 1)
		return pb_yaml_fail(pb_yaml_get(map, "worse"), r->err, "%zu settings against %zu: name as many on both sides, or one", better.n, worse.n);
	if (r->n + n > MAX_EXPECTED)
		return pb_yaml_fail(map, r->err, "more than %d expected orders", MAX_EXPECTED);
	for (size_t i = 0; i < n; i++) {
		const struct pb_setting *b = &better.list[better.n > 1 ? i : 0], *w = &worse.list[worse.n > 1 ? i : 0];

		if (pb_settings_are_same(b, w))
			return pb_yaml_fail(w->at, r->err, "%s: the same setting on both sides", w->text);
		e.better = side_of(b);
		e.worse = side_of(w);
		r->list[r->n++] = e;
	}
	return PB_OK;
}

enum pb_status pb_expect_read(struct pb_sweep *sweep, const struct pb_settings *settings, const struct pb_yaml *node, struct pb_error *err)
{
	struct expect_reader r = { .sweep = sweep, .settings = settings, .err = err };
	char *text = NULL;
	enum pb_status st = PB_OK;

	if (node->kind != PB_YAML_LIST)
		return pb_yaml_fail(node, err, "expect is a list of {better, worse, task, metric, source}");
	if (!(r.list = pb_alloc(MAX_EXPECTED, sizeof(*r.list))))
		return pb_out_of_memory(err, "the sweep");
	for (size_t i = 0; !st && i < node->n; i++)
		st = read_one(&r, node->values[i]);
	if (!st) {
		text = pb_expected_format(r.list, r.n);
		sweep->expect = text ? pb_arena_strdup(sweep->arena, text) : NULL;
		if (!sweep->expect)
			st = pb_out_of_memory(err, "the sweep");
	}
	pb_free(text);
	pb_free(r.list);
	return st;
}
