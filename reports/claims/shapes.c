#include "reports/claims/shapes.h"

#include "reports/claims/select.h"

#define LARGEST (1 << 24)

const char *const pb_shape_columns[] = { "linear_weights", "linear_outputs", "linear_inputs", "embedding_weights", "norm_weights", "layers" };
const size_t pb_n_shape_columns = sizeof(pb_shape_columns) / sizeof(pb_shape_columns[0]);

size_t pb_shape_linears(const struct pb_model_shape *s, struct pb_linear m[7])
{
	int64_t kv = s->kv_heads * s->head_dim, q = s->heads * s->head_dim;
	size_t n = 0;

	m[n++] = (struct pb_linear){ q, s->hidden };
	m[n++] = (struct pb_linear){ kv, s->hidden };
	m[n++] = (struct pb_linear){ kv, s->hidden };
	m[n++] = (struct pb_linear){ s->hidden, q };
	if (s->gated)
		m[n++] = (struct pb_linear){ s->ffn, s->hidden };
	m[n++] = (struct pb_linear){ s->ffn, s->hidden };
	m[n++] = (struct pb_linear){ s->hidden, s->ffn };
	return n;
}

double pb_shape_column(const struct pb_model_shape *s, size_t column)
{
	struct pb_linear m[7];
	size_t n = pb_shape_linears(s, m);
	double layers = (double)s->layers, weights = 0, outputs = 0, inputs = 0;

	for (size_t i = 0; i < n; i++) {
		weights += (double)m[i].out * (double)m[i].in;
		outputs += (double)m[i].out;
		inputs += (double)m[i].in;
	}
	switch (column) {
	case 0:
		return layers * weights;
	case 1:
		return layers * outputs;
	case 2:
		return layers * inputs;
	case 3:
		return (double)s->vocab * (double)s->hidden * (s->tied ? 1 : 2);
	case 4:
		return (2 * layers + 1) * (double)s->hidden;
	default:
		return layers;
	}
}

const struct pb_model_shape *pb_shape_find(const struct pb_model_shapes *shapes, const char *model)
{
	for (size_t i = 0; i < shapes->n; i++)
		for (size_t k = 0; k < shapes->shapes[i].n_names; k++)
			if (pb_matches(shapes->shapes[i].names[k], model))
				return &shapes->shapes[i];
	return NULL;
}

static enum pb_status read_names(struct pb_model_shape *s, const struct pb_yaml *node, struct pb_arena *arena, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	if (node->kind != PB_YAML_LIST || node->n == 0)
		return pb_yaml_fail(node, err, "names is a list of names of models");
	if (!(s->names = pb_arena_alloc(arena, node->n, sizeof(*s->names))))
		return pb_out_of_memory(err, "the shapes of models");
	for (size_t i = 0; !st && i < node->n; i++) {
		st = pb_yaml_string(node->values[i], &s->names[i], err);
		if (!st && !(s->names[i] = pb_arena_strdup(arena, s->names[i])))
			st = pb_out_of_memory(err, "the shapes of models");
	}
	s->n_names = node->n;
	return st;
}

static enum pb_status read_shape(struct pb_model_shape *s, const struct pb_yaml *node, struct pb_arena *arena, struct pb_error *err)
{
	static const char *const keys[] = { "names", "hidden", "layers", "heads", "kv_heads", "head_dim", "ffn", "vocab", "tied", "gated", NULL };
	int64_t *const numbers[] = { &s->hidden, &s->layers, &s->heads, &s->kv_heads, &s->head_dim, &s->ffn, &s->vocab };
	const struct pb_yaml *names, *tied, *gated;
	enum pb_status st;

	if (node->kind != PB_YAML_MAP)
		return pb_yaml_fail(node, err, "a shape is {names, hidden, layers, heads, kv_heads, head_dim, ffn, vocab}");
	if ((st = pb_yaml_check_keys(node, keys, err)))
		return st;
	for (size_t i = 0; !st && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct pb_yaml *number = pb_yaml_get(node, keys[i + 1]);

		st = number ? pb_yaml_int(number, 1, LARGEST, numbers[i], err) : pb_yaml_fail(node, err, "a shape needs %s", keys[i + 1]);
	}
	s->gated = true;
	names = pb_yaml_get(node, "names");
	tied = pb_yaml_get(node, "tied");
	gated = pb_yaml_get(node, "gated");
	if (!st && tied)
		st = pb_yaml_bool(tied, &s->tied, err);
	if (!st && gated)
		st = pb_yaml_bool(gated, &s->gated, err);
	if (!st)
		st = names ? read_names(s, names, arena, err) : pb_yaml_fail(node, err, "a shape needs names");
	return st;
}

enum pb_status pb_shapes_parse(struct pb_model_shapes *out, const struct pb_yaml *root, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_model_shapes made = { .n = root->n };
	enum pb_status st = PB_OK;

	if (root->kind != PB_YAML_LIST)
		return pb_yaml_fail(root, err, "shapes of models are a list");
	if (!(made.shapes = pb_arena_alloc(arena, root->n + 1, sizeof(*made.shapes))))
		return pb_out_of_memory(err, "the shapes of models");
	for (size_t i = 0; !st && i < root->n; i++)
		st = read_shape(&made.shapes[i], root->values[i], arena, err);
	if (!st)
		*out = made;
	return st;
}
