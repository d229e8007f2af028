/* weights: no text is scored. What quantization did to the matrices of a model, each against the model's own one, in sums over
 * all their weights:
 *
 *   relative_l1   sum |W^ - W| / sum |W|
 *   relative_mse  sum (W^ - W)^2 / sum W^2
 *   proxy_error   sum tr(E H E^T) / sum tr(W H W^T), E = W^ - W, with H the second moments of each matrix's inputs in the model
 *                 as it was: what a layer's outputs lose on the calibration data. Only where there are calibration data
 *
 * W^ is what the encoding decodes to. Nothing is sampled in the weights of one model: the standard errors tell how much the
 * ratios differ between matrices (of a ratio of two means over matrices, to first order). n is the number of matrices. */
#include <math.h>
#include "tasks/kind.h"

static enum pb_status weights_check(const struct pb_definition *d, const struct pb_yaml *root, struct pb_error *err)
{
	const struct pb_yaml *files = pb_yaml_get(root, "data_files");

	(void)d;
	return files ? pb_yaml_fail(files, err, "tasks of the kind weights read no data_files") : PB_OK;
}

static enum pb_status weights_read(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	(void)task;
	(void)path;
	(void)err;
	pb_hash_of_bytes("", 0, data->hash);
	return PB_OK;
}

static const char *const metrics[] = { [PB_SUMS_L1] = "relative_l1", [PB_SUMS_SQUARES] = "relative_mse", [PB_SUMS_PROXY] = "proxy_error", [PB_SUMS] = NULL };

bool pb_task_is_of_weights(const struct pb_task *task)
{
	return task->kind == &pb_task_kind_weights;
}

bool pb_task_wants_moments(const struct pb_task *task)
{
	return pb_task_is_of_weights(task) && pb_task_wants(task, metrics[PB_SUMS_PROXY]);
}

static struct pb_metric ratio(const char *name, enum pb_weight_sums which, const struct pb_weight_error *matrices, size_t n)
{
	double error = 0, whole = 0, squares = 0, value;

	for (size_t i = 0; i < n; i++) {
		error += matrices[i].error[which];
		whole += matrices[i].whole[which];
	}
	value = error / whole;
	for (size_t i = 0; i < n; i++) {
		double rest = matrices[i].error[which] - value * matrices[i].whole[which];

		squares += rest * rest;
	}
	return (struct pb_metric){ .name = name, .value = value, .stderr_value = n > 1 ? sqrt(squares * (double)n / (double)(n - 1)) / whole : NAN, .n = n };
}

static const char *const keys[] = { NULL };
static const char *const protocols[] = { "own-weights", NULL };

enum pb_status pb_task_score_weights(struct pb_task_result **out, const struct pb_task *task, const struct pb_weight_error *matrices, size_t n,
	bool has_moments, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_task_result *result = arena ? pb_arena_alloc(arena, 1, sizeof(*result)) : NULL;
	enum pb_status st = PB_OK;

	if (!result)
		st = pb_out_of_memory(err, "a result");
	for (unsigned i = 0; !st && i < PB_SUMS; i++)
		if (pb_task_wants(task, metrics[i]) && (has_moments || i != PB_SUMS_PROXY)) {
			struct pb_metric *m = &result->metrics[result->n_metrics++];

			*m = ratio(metrics[i], i, matrices, n);
			if (!isfinite(m->value))
				st = pb_fail(err, PB_NUMERIC, "%s: %s is not finite: all weights are 0, or too large", task->name, m->name);
		}
	if (!st && !result->n_metrics)
		st = pb_fail(err, PB_USAGE, "%s: %s needs calibration data, and there are none", task->name, metrics[PB_SUMS_PROXY]);
	if (st) {
		pb_arena_free(arena);
		return st;
	}
	result->arena = arena;
	*out = result;
	return PB_OK;
}

const struct pb_task_kind pb_task_kind_weights = {
	.name = "weights",
	.help = "what quantization did to the weights; needs no data",
	.keys = keys,
	.protocols = protocols,
	.metrics = metrics,
	.default_metrics = 7,
	.has_no_data = true,
	.check = weights_check,
	.read = weights_read,
};
