#include "backends/train/optimizer.h"

#include <math.h>
#include <string.h>
#include "core/base/memory.h"
#include "core/model/levels.h"

#define CHUNK 4096u             /* elements of one task, whole blocks */
#define BLOCK 256u              /* elements with one scale */

/* A piece of one parameter. */
struct chunk {
	size_t first;
	uint32_t n;
	bool decays;
	size_t block;           /* its first block of 8-bit states */
};

struct map {
	float levels[PB_MAX_LEVELS];
	float least;            /* the smallest level above 0 */
	struct pb_level_search search;
};

struct pb_optimizer {
	const struct pb_layout *layout;
	struct pb_pool *pool;
	bool eight_bits;
	unsigned frozen;        /* kinds, 1 << each */
	size_t n_chunks, n_blocks;
	struct chunk *chunks;
	double *sums;           /* of each chunk */
	float *m, *v;           /* (layout->total) */
	uint8_t *m_codes, *v_codes;
	float *m_scales, *v_scales;     /* (n_blocks) */
	struct map *maps;       /* signed, unsigned */
};

static void cut(struct pb_optimizer *o, struct chunk *out)
{
	o->n_chunks = o->n_blocks = 0;
	for (uint32_t i = 0; i < o->layout->n; i++) {
		const struct pb_parameter *p = &o->layout->parameters[i];
		bool decays = p->kind != PB_PARAMETER_NORM && p->kind != PB_PARAMETER_TRANSFORM;

		if (o->frozen >> p->kind & 1)
			continue;
		for (size_t at = 0; at < p->n; at += CHUNK) {
			uint32_t n = p->n - at < CHUNK ? (uint32_t)(p->n - at) : CHUNK;

			if (out)
				out[o->n_chunks] = (struct chunk){ p->first + at, n, decays, o->n_blocks };
			o->n_chunks++;
			o->n_blocks += (n + BLOCK - 1) / BLOCK;
		}
	}
}

static enum pb_status make_map(struct map *map, const char *name, struct pb_error *err)
{
	unsigned n;
	enum pb_status st = pb_levels_named(name, map->levels, &n, err);

	if (st)
		return st;
	pb_level_search_make(&map->search, map->levels, n);
	map->least = 1;
	for (unsigned i = 0; i < n; i++)
		if (map->levels[i] > 0 && map->levels[i] < map->least)
			map->least = map->levels[i];
	return PB_OK;
}

static enum pb_status open_states(struct pb_optimizer *o, struct pb_error *err)
{
	size_t total = o->layout->total;
	enum pb_status st;

	if (!o->eight_bits) {
		o->m = pb_alloc_zero(total, sizeof *o->m);
		o->v = pb_alloc_zero(total, sizeof *o->v);
		return o->m && o->v ? PB_OK : pb_out_of_memory(err, "optimizer states");
	}
	o->m_codes = pb_alloc(total, 1);
	o->v_codes = pb_alloc(total, 1);
	o->m_scales = pb_alloc_zero(o->n_blocks, sizeof *o->m_scales);
	o->v_scales = pb_alloc_zero(o->n_blocks, sizeof *o->v_scales);
	o->maps = pb_alloc(2, sizeof *o->maps);
	if (!o->m_codes || !o->v_codes || !o->m_scales || !o->v_scales || !o->maps)
		return pb_out_of_memory(err, "optimizer states");
	st = make_map(&o->maps[0], "dynamic:8", err);
	if (!st)
		st = make_map(&o->maps[1], "dynamic_unsigned:8", err);
	if (st)
		return st;
	memset(o->m_codes, (int)pb_level_nearest(&o->maps[0].search, 0), total);
	memset(o->v_codes, (int)pb_level_nearest(&o->maps[1].search, 0), total);
	return PB_OK;
}

enum pb_status pb_optimizer_open(struct pb_optimizer **out, const struct pb_layout *layout, bool eight_bits, struct pb_pool *pool, struct pb_error *err)
{
	struct pb_optimizer *o = pb_alloc_zero(1, sizeof *o);
	enum pb_status st;

	if (!o)
		return pb_out_of_memory(err, "optimizer");
	o->layout = layout;
	o->pool = pool;
	o->eight_bits = eight_bits;
	cut(o, NULL);
	o->chunks = pb_alloc(o->n_chunks, sizeof *o->chunks);
	o->sums = pb_alloc_zero(o->n_chunks, sizeof *o->sums);
	if (!o->chunks || !o->sums) {
		st = pb_out_of_memory(err, "optimizer");
	} else {
		cut(o, o->chunks);
		st = open_states(o, err);
	}
	if (st)
		pb_optimizer_close(o);
	else
		*out = o;
	return st;
}

void pb_optimizer_close(struct pb_optimizer *o)
{
	if (!o)
		return;
	pb_free(o->chunks);
	pb_free(o->sums);
	pb_free(o->m);
	pb_free(o->v);
	pb_free(o->m_codes);
	pb_free(o->v_codes);
	pb_free(o->m_scales);
	pb_free(o->v_scales);
	pb_free(o->maps);
	pb_free(o);
}

void pb_optimizer_freeze(struct pb_optimizer *o, unsigned kinds)
{
	o->frozen = kinds;
	cut(o, o->chunks);
}

/* ---- norm of the gradient ---- */

struct norm {
	struct pb_optimizer *o;
	const float *gradient;
};

static void norm_task(void *arg, size_t task, unsigned worker)
{
	const struct norm *s = arg;
	const struct chunk *c = &s->o->chunks[task];
	const float *g = s->gradient + c->first;
	double sum[8] = { 0 };
	uint32_t i = 0;

	(void)worker;
	for (; i + 8 <= c->n; i += 8)
		for (int k = 0; k < 8; k++)
			sum[k] += (double)g[i + k] * g[i + k];
	for (; i < c->n; i++)
		sum[0] += (double)g[i] * g[i];
	s->o->sums[task] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

double pb_optimizer_norm(struct pb_optimizer *o, const float *gradient)
{
	double sum = 0;

	pb_pool_run(o->pool, o->n_chunks, norm_task, &(struct norm){ o, gradient });
	for (size_t i = 0; i < o->n_chunks; i++)
		sum += o->sums[i];
	return sqrt(sum);
}

/* ---- the step ---- */

struct update {
	struct pb_optimizer *o;
	const struct pb_adam *adam;
	float *parameters;
	const float *gradient;
	float step_size, root_scale;    /* rate / (1 - beta1^t), 1 / sqrt(1 - beta2^t) */
};

static void step_values(const struct update *u, bool decays, uint32_t n, float *restrict p, const float *restrict gradient, float *restrict m, float *restrict v)
{
	const struct pb_adam *a = u->adam;
	float b1 = (float)a->beta1, b2 = (float)a->beta2, c1 = (float)(1 - a->beta1), c2 = (float)(1 - a->beta2), epsilon = (float)a->epsilon;
	float keep = decays ? (float)(1 - a->rate * a->decay) : 1, clip = (float)a->gradient_scale, step = u->step_size, root = u->root_scale;

	for (uint32_t i = 0; i < n; i++) {
		float g = gradient[i] * clip;

		m[i] = b1 * m[i] + c1 * g;
		v[i] = b2 * v[i] + c2 * (g * g);
		p[i] = p[i] * keep - step * (m[i] / (sqrtf(v[i]) * root + epsilon));
	}
	if (a->bf16)
		for (uint32_t i = 0; i < n; i++)
			p[i] = pb_bf16_to_f32(pb_f32_to_bf16(p[i]));
}

static void decode(const struct map *map, const uint8_t *codes, float scale, uint32_t n, float *out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = map->levels[codes[i]] * scale;
}

/* keep: what is above 0 does not become 0, as a square of 0 would make its step unbounded. */
static float encode(const struct map *map, const float *x, uint32_t n, bool keep, uint8_t *codes)
{
	float most = 0;

	for (uint32_t i = 0; i < n; i++)
		most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
	for (uint32_t i = 0; i < n; i++) {
		float share = most > 0 ? x[i] / most : 0;

		if (keep && x[i] > 0 && share < map->least)
			share = map->least;
		codes[i] = (uint8_t)pb_level_nearest(&map->search, share);
	}
	return most;
}

static void step_blocks(const struct update *u, const struct chunk *c)
{
	struct pb_optimizer *o = u->o;
	float m[BLOCK], v[BLOCK];

	for (uint32_t at = 0; at < c->n; at += BLOCK) {
		uint32_t n = c->n - at < BLOCK ? c->n - at : BLOCK;
		size_t block = c->block + at / BLOCK, first = c->first + at;

		decode(&o->maps[0], o->m_codes + first, o->m_scales[block], n, m);
		decode(&o->maps[1], o->v_codes + first, o->v_scales[block], n, v);
		step_values(u, c->decays, n, u->parameters + first, u->gradient + first, m, v);
		o->m_scales[block] = encode(&o->maps[0], m, n, false, o->m_codes + first);
		o->v_scales[block] = encode(&o->maps[1], v, n, true, o->v_codes + first);
	}
}

static void update_task(void *arg, size_t task, unsigned worker)
{
	const struct update *u = arg;
	struct pb_optimizer *o = u->o;
	const struct chunk *c = &o->chunks[task];

	(void)worker;
	if (o->eight_bits)
		step_blocks(u, c);
	else
		step_values(u, c->decays, c->n, u->parameters + c->first, u->gradient + c->first, o->m + c->first, o->v + c->first);
}

void pb_optimizer_update(struct pb_optimizer *o, const struct pb_adam *adam, float *parameters, const float *gradient)
{
	struct update u = { .o = o, .adam = adam, .parameters = parameters, .gradient = gradient };

	u.step_size = (float)(adam->rate / (1 - pow(adam->beta1, (double)adam->step)));
	u.root_scale = (float)(1 / sqrt(1 - pow(adam->beta2, (double)adam->step)));
	pb_pool_run(o->pool, o->n_chunks, update_task, &u);
}

unsigned pb_optimizer_arrays(struct pb_optimizer *o, struct pb_optimizer_array out[PB_OPTIMIZER_ARRAYS])
{
	if (!o->eight_bits) {
		out[0] = (struct pb_optimizer_array){ "optimizer.m", PB_F32, o->m, o->layout->total };
		out[1] = (struct pb_optimizer_array){ "optimizer.v", PB_F32, o->v, o->layout->total };
		return 2;
	}
	out[0] = (struct pb_optimizer_array){ "optimizer.m.codes", PB_U8, o->m_codes, o->layout->total };
	out[1] = (struct pb_optimizer_array){ "optimizer.v.codes", PB_U8, o->v_codes, o->layout->total };
	out[2] = (struct pb_optimizer_array){ "optimizer.m.scales", PB_F32, o->m_scales, o->n_blocks };
	out[3] = (struct pb_optimizer_array){ "optimizer.v.scales", PB_F32, o->v_scales, o->n_blocks };
	return 4;
}
