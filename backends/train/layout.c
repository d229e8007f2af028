#include "backends/train/layout.h"

#include <math.h>
#include <stdio.h>
#include "core/base/memory.h"

#define ALIGNMENT 16u           /* elements */
#define MOST_PARAMETERS ((size_t)1 << 40)

/* A layer's parameters in order: norm, q, k, v, o, norm, gate, up, down. */
#define LAYER_PARAMETERS 9u

static const char *const slot_names[PB_SLOTS] = {
	[PB_Q] = "self_attn.q_proj", [PB_K] = "self_attn.k_proj", [PB_V] = "self_attn.v_proj", [PB_O] = "self_attn.o_proj",
	[PB_GATE] = "mlp.gate_proj", [PB_UP] = "mlp.up_proj", [PB_DOWN] = "mlp.down_proj",
};

static enum pb_status check_config(const struct pb_config *c, struct pb_error *err)
{
	const struct { const char *what; uint32_t value, most; } numbers[] = {
		{ "vocabulary", c->n_vocab, 1u << 20 }, { "dimension", c->dim, 1u << 16 }, { "number of layers", c->n_layers, 1u << 10 },
		{ "number of heads", c->n_heads, 1u << 10 }, { "number of key-value heads", c->n_kv_heads, 1u << 10 },
		{ "dimension of a head", c->head_dim, 1u << 10 }, { "feed-forward dimension", c->hidden, 1u << 18 }, { "context", c->context, 1u << 30 },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (numbers[i].value < 1 || numbers[i].value > numbers[i].most)
			return pb_fail(err, PB_USAGE, "training: model: %s: %u is out of the range from 1 to %u", numbers[i].what, numbers[i].value, numbers[i].most);
	if (c->n_heads % c->n_kv_heads)
		return pb_fail(err, PB_USAGE, "training: model: %u heads are no multiple of %u key-value heads", c->n_heads, c->n_kv_heads);
	if (c->head_dim % 2)
		return pb_fail(err, PB_USAGE, "training: model: dimension of a head: %u is odd, and is rotated in pairs", c->head_dim);
	if (!isfinite(c->norm_eps) || c->norm_eps <= 0 || c->norm_eps >= 1)
		return pb_fail(err, PB_USAGE, "training: model: epsilon of the norms: not between 0 and 1");
	if (!isfinite(c->rope_base) || c->rope_base <= 0)
		return pb_fail(err, PB_USAGE, "training: model: rotary base: not above 0");
	return PB_OK;
}

static struct pb_parameter *add(struct pb_layout *l, enum pb_parameter_kind kind, uint32_t rows, uint32_t cols)
{
	struct pb_parameter *p = &l->parameters[l->n++];

	*p = (struct pb_parameter){ .kind = kind, .rows = rows, .cols = cols, .first = l->total, .n = (size_t)rows * cols };
	l->total += p->n;
	l->count += p->n;
	return p;
}

static void align(struct pb_layout *l)
{
	l->total = (l->total + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void add_norm(struct pb_layout *l, uint32_t dim, uint32_t layer, const char *name)
{
	struct pb_parameter *p;

	align(l);
	p = add(l, PB_PARAMETER_NORM, 1, dim);
	p->layer = layer;
	if (name)
		snprintf(p->name, sizeof p->name, "model.layers.%u.%s.weight", layer, name);
	else
		snprintf(p->name, sizeof p->name, "model.norm.weight");
}

static void add_matrix(struct pb_layout *l, const struct pb_config *c, uint32_t layer, enum pb_slot slot)
{
	uint32_t q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
	const uint32_t rows[PB_SLOTS] = { [PB_Q] = q, [PB_K] = kv, [PB_V] = kv, [PB_O] = c->dim, [PB_GATE] = c->hidden, [PB_UP] = c->hidden, [PB_DOWN] = c->dim };
	uint32_t cols = slot == PB_O ? q : slot == PB_DOWN ? c->hidden : c->dim;
	struct pb_parameter *p;

	if (slot != PB_K && slot != PB_V && slot != PB_UP)
		align(l);
	p = add(l, PB_PARAMETER_MATRIX, rows[slot], cols);
	p->layer = layer;
	p->slot = slot;
	snprintf(p->name, sizeof p->name, "model.layers.%u.%s.weight", layer, slot_names[slot]);
}

static void add_transforms(struct pb_layout *l, const struct pb_config *c, pb_transform_size_fn size, void *arg)
{
	for (uint32_t layer = 0; layer < c->n_layers; layer++) {
		for (int slot = 0; slot < PB_SLOTS; slot++) {
			const struct pb_parameter *m = &l->parameters[pb_layout_matrix(layer, (enum pb_slot)slot)];
			uint32_t n = size(arg, layer, (enum pb_slot)slot, m->rows, m->cols);
			struct pb_parameter *p;

			align(l);
			p = add(l, PB_PARAMETER_TRANSFORM, 1, n);
			p->layer = layer;
			p->slot = (enum pb_slot)slot;
			snprintf(p->name, sizeof p->name, "model.layers.%u.%s.transform", layer, slot_names[slot]);
		}
	}
}

enum pb_status pb_layout_make(struct pb_layout *out, const struct pb_config *c, pb_transform_size_fn size, void *arg, struct pb_error *err)
{
	struct pb_layout l = { 0 };
	enum pb_status st = check_config(c, err);

	if (st)
		return st;
	l.parameters = pb_alloc_zero(3 + (size_t)c->n_layers * (LAYER_PARAMETERS + PB_SLOTS), sizeof *l.parameters);
	if (!l.parameters)
		return pb_out_of_memory(err, "list of parameters");
	snprintf(add(&l, PB_PARAMETER_EMBEDDING, c->n_vocab, c->dim)->name, sizeof l.parameters->name, "model.embed_tokens.weight");
	for (uint32_t layer = 0; layer < c->n_layers; layer++) {
		add_norm(&l, c->dim, layer, "input_layernorm");
		for (int slot = PB_Q; slot <= PB_O; slot++)
			add_matrix(&l, c, layer, (enum pb_slot)slot);
		add_norm(&l, c->dim, layer, "post_attention_layernorm");
		for (int slot = PB_GATE; slot <= PB_DOWN; slot++)
			add_matrix(&l, c, layer, (enum pb_slot)slot);
	}
	l.final_norm = l.n;
	add_norm(&l, c->dim, 0, NULL);
	if (!c->tied_head) {
		align(&l);
		l.head = l.n;
		snprintf(add(&l, PB_PARAMETER_HEAD, c->n_vocab, c->dim)->name, sizeof l.parameters->name, "lm_head.weight");
	}
	l.transforms = l.n;
	if (size)
		add_transforms(&l, c, size, arg);
	align(&l);
	if (l.total > MOST_PARAMETERS) {
		pb_layout_free(&l);
		return pb_fail(err, PB_LIMIT, "training: model: more than 2^40 parameters");
	}
	*out = l;
	return PB_OK;
}

void pb_layout_free(struct pb_layout *l)
{
	pb_free(l->parameters);
	*l = (struct pb_layout){ 0 };
}

uint32_t pb_layout_matrix(uint32_t layer, enum pb_slot slot)
{
	return 1 + layer * LAYER_PARAMETERS + 1 + (uint32_t)slot + (slot >= PB_GATE ? 1 : 0);
}

uint32_t pb_layout_norm(uint32_t layer, int feed_forward)
{
	return 1 + layer * LAYER_PARAMETERS + (feed_forward ? 5 : 0);
}
