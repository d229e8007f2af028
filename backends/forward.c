#include "backends/forward.h"

#include <math.h>
#include <string.h>
#include "core/base/memory.h"

/* A tile of rows is at most this many weights (1 MiB of f32), so that it stays in the second-level cache once decoded. */
#define TILE_WEIGHTS (1u << 18)
#define TILE_ROWS_MIN 32u
#define TILE_ROWS_MAX 256u
#define MATH_PI 3.14159265358979323846

static inline uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t chunks(uint32_t n, uint32_t size)
{
	return n / size + (n % size != 0);
}

/* ---- weights ---- */

static bool is_aligned(const void *p)
{
	return (uintptr_t)p % _Alignof(float) == 0;
}

/* The stored numbers when they are the weights themselves, as f32 in memory order; else NULL. */
static const float *weights_in_place(const struct pb_encoded *m, const struct pb_tensor *t)
{
	if (!m)
		return t->dtype == PB_F32 && is_aligned(t->data) ? t->data : NULL;
	if (m->code != PB_CODE_DENSE || m->dense_dtype != PB_F32 || !is_aligned(m->dense))
		return NULL;
	if (m->block_kind != PB_BLOCK_NONE || m->row_scale || m->col_scale || m->col_offset || m->n_kept || m->sparse_start || m->rank)
		return NULL;
	return m->dense;
}

static void set_weight(struct pb_weight *w, uint32_t rows, uint32_t cols, const struct pb_encoded *encoded, const struct pb_tensor *tensor)
{
	uint32_t fit = TILE_WEIGHTS / cols & ~15u;

	*w = (struct pb_weight){
		.rows = rows,
		.cols = cols,
		.tile_rows = fit < TILE_ROWS_MIN ? TILE_ROWS_MIN : least(fit, TILE_ROWS_MAX),
		.post = encoded ? encoded->post : PB_POST_NONE,
		.encoded = encoded,
		.tensor = tensor,
		.f32 = weights_in_place(encoded, tensor),
	};
}

static void decode_rows(const struct pb_weight *w, uint32_t first, uint32_t n, float *out)
{
	if (w->encoded)
		pb_encoded_decode(w->encoded, first, n, out);
	else
		pb_float_read(w->tensor->dtype, w->tensor->data, (uint64_t)first * w->cols, (uint64_t)n * w->cols, out);
}

static size_t n_weights(const struct pb_forward *f)
{
	return (size_t)f->model->config.n_layers * PB_SLOTS + 1;
}

struct keep_task {
	struct pb_forward *f;
	float **to;             /* of each weight, or NULL */
};

static void keep_weight(void *arg, size_t task, unsigned worker)
{
	const struct keep_task *k = arg;

	(void)worker;
	if (k->to[task])
		decode_rows(&k->f->weights[task], 0, k->f->weights[task].rows, k->to[task]);
}

/* Keeps all weights decoded when they fit. */
static enum pb_status keep_weights(struct pb_forward *f, uint64_t cache_bytes, struct pb_error *err)
{
	size_t n = n_weights(f);
	uint64_t floats = 0;
	float *next, **to;

	for (size_t i = 0; i < n; i++)
		if (!f->weights[i].f32)
			floats += (uint64_t)f->weights[i].rows * f->weights[i].cols;
	f->native = floats == 0;
	if (f->native || floats > cache_bytes / sizeof(float))
		return PB_OK;
	f->kept = pb_alloc_aligned(floats, sizeof(float));
	to = pb_alloc_zero(n, sizeof *to);
	if (!f->kept || !to) {
		pb_free(to);
		return pb_out_of_memory(err, "decoded weights");
	}
	next = f->kept;
	for (size_t i = 0; i < n; i++) {
		if (f->weights[i].f32)
			continue;
		to[i] = next;
		next += (size_t)f->weights[i].rows * f->weights[i].cols;
	}
	pb_pool_run(f->pool, n, keep_weight, &(struct keep_task){ f, to });
	for (size_t i = 0; i < n; i++)
		if (to[i])
			f->weights[i].f32 = to[i];
	pb_free(to);
	return PB_OK;
}

static enum pb_status open_weights(struct pb_forward *f, uint64_t cache_bytes, struct pb_error *err)
{
	const struct pb_model *model = f->model;
	const struct pb_config *c = &model->config;
	uint32_t dim = c->dim;

	f->weights = pb_alloc_zero(n_weights(f), sizeof *f->weights);
	f->norms = pb_alloc_aligned(2 * (size_t)c->n_layers + 1, dim * sizeof(float));
	if (!f->weights || !f->norms)
		return pb_out_of_memory(err, "the model's weights");
	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];

		if (!m->encoded && !m->source.data)
			return pb_fail(err, PB_FAILED, "%s: there are no weights", m->name);
		set_weight(&f->weights[i], m->rows, m->cols, m->encoded, &m->source);
	}
	set_weight(&f->weights[model->n_matrices], c->n_vocab, dim, NULL, &model->head);
	for (uint32_t l = 0; l < c->n_layers; l++) {
		const struct pb_tensor *a = &model->attention_norm[l], *b = &model->ffn_norm[l];

		pb_float_read(a->dtype, a->data, 0, dim, f->norms + (size_t)(2 * l) * dim);
		pb_float_read(b->dtype, b->data, 0, dim, f->norms + (size_t)(2 * l + 1) * dim);
	}
	pb_float_read(model->final_norm.dtype, model->final_norm.data, 0, dim, f->norms + (size_t)(2 * c->n_layers) * dim);
	return keep_weights(f, cache_bytes, err);
}

/* ---- rotary embedding ---- */

void pb_rope_frequencies(const struct pb_config *c, double *out)
{
	for (uint32_t i = 0; i < c->head_dim / 2; i++) {
		double plain = pow(c->rope_base, -2.0 * i / c->head_dim), length = 2 * MATH_PI / plain;

		out[i] = plain;
		if (c->rope_scaling == PB_ROPE_LINEAR) {
			out[i] = plain / c->rope_factor;
		} else if (c->rope_scaling == PB_ROPE_LLAMA3 && length > c->rope_original_context / c->rope_low) {
			out[i] = plain / c->rope_factor;
		} else if (c->rope_scaling == PB_ROPE_LLAMA3 && length >= c->rope_original_context / c->rope_high) {
			double smooth = (c->rope_original_context / length - c->rope_low) / (c->rope_high - c->rope_low);

			out[i] = plain * ((1 - smooth) / c->rope_factor + smooth);
		}
	}
}

static void rotate(const struct pb_config *c, const float *cosine, const float *sine, const float *from, float *to)
{
	uint32_t half = c->head_dim / 2, step = c->rope_interleaved ? 2 : 1, far = c->rope_interleaved ? 1 : half;

	for (uint32_t i = 0; i < half; i++) {
		float a = from[i * step], b = from[i * step + far];

		to[i * step] = a * cosine[i] - b * sine[i];
		to[i * step + far] = b * cosine[i] + a * sine[i];
	}
}

/* ---- opening ---- */

static enum pb_status open_batch(struct pb_forward *f, struct pb_error *err)
{
	const struct pb_config *c = &f->model->config;
	size_t queries = (size_t)c->n_heads * c->head_dim, keys = (size_t)c->n_kv_heads * c->head_dim;
	struct { float **to; size_t width; } rows[] = {
		{ &f->x, c->dim }, { &f->normed, c->dim }, { &f->projected, c->dim }, { &f->q, queries }, { &f->attended, queries },
		{ &f->k, keys }, { &f->v, keys }, { &f->gate, c->hidden }, { &f->up, c->hidden },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		*rows[i].to = pb_alloc_aligned(PB_BATCH_TOKENS, rows[i].width * sizeof(float));
		if (!*rows[i].to)
			return pb_out_of_memory(err, "the forward pass");
	}
	f->token = pb_alloc(PB_BATCH_TOKENS, sizeof *f->token);
	f->position = pb_alloc(PB_BATCH_TOKENS, sizeof *f->position);
	f->slot = pb_alloc(PB_BATCH_TOKENS, sizeof *f->slot);
	f->blocks = pb_alloc(PB_BATCH_TOKENS, sizeof *f->blocks);
	f->inverse_frequency = pb_alloc(c->head_dim / 2, sizeof *f->inverse_frequency);
	if (!f->token || !f->position || !f->slot || !f->blocks || !f->inverse_frequency)
		return pb_out_of_memory(err, "the forward pass");
	pb_rope_frequencies(c, f->inverse_frequency);
	return PB_OK;
}

enum pb_status pb_forward_open(struct pb_forward **out, const struct pb_model *model, const struct pb_ops *ops, uint64_t cache_bytes,
	struct pb_pool *pool, struct pb_error *err)
{
	struct pb_forward *f = pb_alloc_zero(1, sizeof *f);
	enum pb_status st;

	if (!f)
		return pb_out_of_memory(err, "the forward pass");
	f->model = model;
	f->ops = ops;
	f->pool = pool;
	st = open_weights(f, cache_bytes, err);
	if (!st)
		st = open_batch(f, err);
	if (!st)
		st = pb_forward_reserve(f, 1, err);
	if (st)
		pb_forward_close(f);
	else
		*out = f;
	return st;
}

void pb_forward_close(struct pb_forward *f)
{
	if (!f)
		return;
	float *memory[] = { f->kept, f->norms, f->rope_cos, f->rope_sin, f->scratch, f->x, f->normed, f->projected, f->q, f->attended,
		f->k, f->v, f->gate, f->up };

	for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
		pb_free(memory[i]);
	pb_free(f->token);
	pb_free(f->position);
	pb_free(f->slot);
	pb_free(f->blocks);
	pb_free(f->inverse_frequency);
	pb_free(f->weights);
	pb_kv_store_free(&f->store);
	pb_free(f);
}

static size_t scratch_needed(const struct pb_forward *f, uint32_t length)
{
	size_t most = PB_QUERY_BLOCK * (((size_t)length + 15) & ~(size_t)15);

	for (size_t i = 0; i < n_weights(f); i++) {
		const struct pb_weight *w = &f->weights[i];
		size_t tile = w->f32 ? 0 : (size_t)least(w->tile_rows, w->rows) * w->cols;

		if (tile > most)
			most = tile;
	}
	return (most + 15) & ~(size_t)15;
}

enum pb_status pb_forward_reserve(struct pb_forward *f, uint32_t length, struct pb_error *err)
{
	const struct pb_config *c = &f->model->config;
	uint32_t half = c->head_dim / 2;

	if (length > UINT32_MAX - PB_BATCH_TOKENS)
		return pb_fail(err, PB_LIMIT, "forward pass: a sequence of %u tokens is too long", length);
	if (length > f->length) {
		size_t floats = scratch_needed(f, length);
		float *cosine = pb_alloc(length, half * sizeof(float)), *sine = pb_alloc(length, half * sizeof(float));
		float *scratch = pb_alloc_aligned(floats, pb_pool_threads(f->pool) * sizeof(float));

		if (!cosine || !sine || !scratch) {
			pb_free(cosine);
			pb_free(sine);
			pb_free(scratch);
			return pb_out_of_memory(err, "the forward pass");
		}
		pb_free(f->rope_cos);
		pb_free(f->rope_sin);
		pb_free(f->scratch);
		f->rope_cos = cosine;
		f->rope_sin = sine;
		f->scratch = scratch;
		f->scratch_floats = floats;
		f->length = length;
		for (size_t p = 0; p < length; p++) {
			for (uint32_t i = 0; i < half; i++) {
				double angle = (double)p * f->inverse_frequency[i];

				cosine[p * half + i] = (float)cos(angle);
				sine[p * half + i] = (float)sin(angle);
			}
		}
	}
	return pb_kv_store_reserve(&f->store, c->n_layers, c->n_kv_heads * c->head_dim, f->length + PB_BATCH_TOKENS, err);
}

/* ---- linear maps ---- */

#define MOST_MAPS 3

/* Maps with the same input, run together. A task is a tile of rows; where weights are f32, a tile of rows for one chunk of
 * tokens. Either way the same products are made. */
struct linear {
	const struct pb_forward *f;
	unsigned n_maps;
	const struct pb_weight *w[MOST_MAPS];
	float *y[MOST_MAPS];
	size_t end[MOST_MAPS];          /* tasks of this and the maps before */
	const float *x;
	uint32_t n;
};

static void linear_task(void *arg, size_t task, unsigned worker)
{
	const struct linear *l = arg;
	unsigned map = 0;
	uint32_t token_chunks = chunks(l->n, PB_TOKEN_CHUNK), first_chunk = 0, end_chunk = token_chunks;

	while (task >= l->end[map])
		map++;
	if (map)
		task -= l->end[map - 1];

	const struct pb_weight *w = l->w[map];
	if (w->f32) {
		first_chunk = (uint32_t)(task % token_chunks);
		end_chunk = first_chunk + 1;
		task /= token_chunks;
	}
	uint32_t row = (uint32_t)task * w->tile_rows, rows = least(w->tile_rows, w->rows - row);
	const float *weights = w->f32 ? w->f32 + (size_t)row * w->cols : NULL;

	if (!weights) {
		float *decoded = l->f->scratch + worker * l->f->scratch_floats;

		decode_rows(w, row, rows, decoded);
		weights = decoded;
	}
	for (uint32_t i = first_chunk; i < end_chunk; i++) {
		size_t t = (size_t)i * PB_TOKEN_CHUNK;

		l->f->ops->product(weights, rows, w->cols, l->x + t * w->cols, least(PB_TOKEN_CHUNK, l->n - (uint32_t)t), l->y[map] + t * w->rows + row, w->rows);
	}
}

static void normalize_layer(float *y, uint32_t n)
{
	double sum = 0, squares = 0, mean, scale;

	for (uint32_t i = 0; i < n; i++)
		sum += y[i];
	mean = sum / n;
	for (uint32_t i = 0; i < n; i++)
		squares += (y[i] - mean) * (y[i] - mean);
	scale = 1 / sqrt(squares / n + 1e-5);
	for (uint32_t i = 0; i < n; i++)
		y[i] = (float)((y[i] - mean) * scale);
}

/* The op after the map, on each token's output vector. */
static void post_task(void *arg, size_t task, unsigned worker)
{
	const struct linear *l = arg;
	uint32_t first = (uint32_t)task * PB_TOKEN_CHUNK, end = least(first + PB_TOKEN_CHUNK, l->n);

	(void)worker;
	for (unsigned map = 0; map < l->n_maps; map++) {
		if (l->w[map]->post != PB_POST_LAYERNORM)
			continue;
		for (uint32_t t = first; t < end; t++)
			normalize_layer(l->y[map] + (size_t)t * l->w[map]->rows, l->w[map]->rows);
	}
}

static void run_linear(struct linear *l)
{
	uint32_t token_chunks = chunks(l->n, PB_TOKEN_CHUNK);
	size_t tasks = 0;
	bool post = false;

	for (unsigned map = 0; map < l->n_maps; map++) {
		tasks += (size_t)chunks(l->w[map]->rows, l->w[map]->tile_rows) * (l->w[map]->f32 ? token_chunks : 1);
		l->end[map] = tasks;
		post |= l->w[map]->post != PB_POST_NONE;
	}
	pb_pool_run(l->f->pool, tasks, linear_task, l);
	if (post)
		pb_pool_run(l->f->pool, token_chunks, post_task, l);
}

/* ---- the parts of a layer that go token by token ---- */

struct stage {
	struct pb_forward *f;
	uint32_t layer;
	const float *norm;              /* (dim) */
	const uint32_t *rows;           /* logits: which rows of x */
	uint32_t n;
};

static void chunk_of(const struct stage *s, size_t task, uint32_t *first, uint32_t *end)
{
	*first = (uint32_t)task * PB_TOKEN_CHUNK;
	*end = least(*first + PB_TOKEN_CHUNK, s->n);
}

/* RMSNorm: four partial sums of the squares, so that additions overlap. */
static void normalize(const float *x, const float *weight, uint32_t dim, double eps, float *out)
{
	double sum[4] = { 0 }, scale;
	uint32_t i = 0;

	for (; i + 4 <= dim; i += 4)
		for (int k = 0; k < 4; k++)
			sum[k] += (double)x[i + k] * x[i + k];
	for (; i < dim; i++)
		sum[0] += (double)x[i] * x[i];
	scale = 1 / sqrt((sum[0] + sum[1] + sum[2] + sum[3]) / dim + eps);
	for (i = 0; i < dim; i++)
		out[i] = (float)(x[i] * scale * weight[i]);
}

static void embed_task(void *arg, size_t task, unsigned worker)
{
	const struct stage *s = arg;
	struct pb_forward *f = s->f;
	const struct pb_tensor *embedding = &f->model->embedding;
	uint32_t first, end, dim = f->model->config.dim;

	(void)worker;
	chunk_of(s, task, &first, &end);
	for (uint32_t t = first; t < end; t++) {
		float *x = f->x + (size_t)t * dim;

		pb_float_read(embedding->dtype, embedding->data, (uint64_t)f->token[t] * dim, dim, x);
		normalize(x, s->norm, dim, f->model->config.norm_eps, f->normed + (size_t)t * dim);
	}
}

static void enter_task(void *arg, size_t task, unsigned worker)
{
	const struct stage *s = arg;
	struct pb_forward *f = s->f;
	uint32_t first, end, dim = f->model->config.dim;

	(void)worker;
	chunk_of(s, task, &first, &end);
	for (uint32_t t = first; t < end; t++)
		normalize(f->x + (size_t)t * dim, s->norm, dim, f->model->config.norm_eps, f->normed + (size_t)t * dim);
}

/* Rotates queries in place; keys and values go to their slots. */
static void rotate_task(void *arg, size_t task, unsigned worker)
{
	const struct stage *s = arg;
	struct pb_forward *f = s->f;
	const struct pb_config *c = &f->model->config;
	uint32_t first, end, half = c->head_dim / 2, width = f->store.width;
	float *keys = pb_kv_keys(&f->store, s->layer), *values = pb_kv_values(&f->store, s->layer);

	(void)worker;
	chunk_of(s, task, &first, &end);
	for (uint32_t t = first; t < end; t++) {
		const float *cosine = f->rope_cos + (size_t)f->position[t] * half, *sine = f->rope_sin + (size_t)f->position[t] * half;
		float *q = f->q + (size_t)t * c->n_heads * c->head_dim, *key = keys + (size_t)f->slot[t] * width;
		const float *k = f->k + (size_t)t * width;

		for (uint32_t h = 0; h < c->n_heads; h++)
			rotate(c, cosine, sine, q + (size_t)h * c->head_dim, q + (size_t)h * c->head_dim);
		for (uint32_t h = 0; h < c->n_kv_heads; h++)
			rotate(c, cosine, sine, k + (size_t)h * c->head_dim, key + (size_t)h * c->head_dim);
		memcpy(values + (size_t)f->slot[t] * width, f->v + (size_t)t * width, width * sizeof(float));
	}
}

static void attention_task(void *arg, size_t task, unsigned worker)
{
	const struct stage *s = arg;
	uint32_t n_heads = s->f->model->config.n_heads;

	s->f->ops->attention(s->f, s->layer, &s->f->blocks[task / n_heads], (uint32_t)(task % n_heads), s->f->scratch + worker * s->f->scratch_floats);
}

/* The residual sum, and the norm of what comes next unless the pass ends here. */
static void add_task(void *arg, size_t task, unsigned worker)
{
	const struct stage *s = arg;
	struct pb_forward *f = s->f;
	uint32_t first, end, dim = f->model->config.dim;

	(void)worker;
	chunk_of(s, task, &first, &end);
	for (uint32_t t = first; t < end; t++) {
		float *x = f->x + (size_t)t * dim;
		const float *y = f->projected + (size_t)t * dim;

		for (uint32_t i = 0; i < dim; i++)
			x[i] += y[i];
		if (s->norm)
			normalize(x, s->norm, dim, f->model->config.norm_eps, f->normed + (size_t)t * dim);
	}
}

static void gate_task(void *arg, size_t task, unsigned worker)
{
	const struct stage *s = arg;
	uint32_t first, end;
	size_t hidden = s->f->model->config.hidden;

	(void)worker;
	chunk_of(s, task, &first, &end);
	s->f->ops->gate(s->f->gate + first * hidden, s->f->up + first * hidden, (end - first) * hidden);
}

/* ---- the pass ---- */

static void run_stage(struct pb_forward *f, pb_task_fn fn, uint32_t layer, const float *norm)
{
	pb_pool_run(f->pool, chunks(f->n, PB_TOKEN_CHUNK), fn, &(struct stage){ .f = f, .layer = layer, .norm = norm, .n = f->n });
}

/* Gives each token its position and slot, and cuts queries into blocks. */
static void place_tokens(struct pb_forward *f, const struct pb_span *spans, size_t n_spans)
{
	f->n = f->n_blocks = 0;
	for (size_t i = 0; i < n_spans; i++) {
		struct pb_kv *kv = spans[i].kv;

		for (uint32_t t = 0; t < spans[i].n; t++) {
			if (t % PB_QUERY_BLOCK == 0)
				f->blocks[f->n_blocks++] = (struct pb_query_block){
					.kv = kv,
					.row = f->n,
					.n = least(PB_QUERY_BLOCK, spans[i].n - t),
					.own = kv->length,
				};
			f->token[f->n] = spans[i].tokens[t];
			f->position[f->n] = kv->start + kv->length;
			f->slot[f->n] = kv->slot + kv->length;
			kv->length++;
			f->n++;
		}
	}
}

void pb_forward_begin(struct pb_forward *f, const struct pb_span *spans, size_t n_spans)
{
	place_tokens(f, spans, n_spans);
	run_stage(f, embed_task, 0, f->norms);
}

void pb_forward_enter(struct pb_forward *f, uint32_t layer)
{
	run_stage(f, enter_task, layer, f->norms + (size_t)(2 * layer) * f->model->config.dim);
}

static void run_map(struct linear *l, const struct pb_input_hook *hook, enum pb_input input)
{
	if (hook)
		hook->input(hook->arg, input, l->x, l->n, l->w[0]->cols);
	run_linear(l);
}

void pb_forward_layer(struct pb_forward *f, uint32_t layer, const struct pb_input_hook *hook)
{
	const struct pb_config *c = &f->model->config;
	const float *norm = f->norms + (size_t)(2 * layer + 1) * c->dim;
	const struct pb_weight *w = f->weights + (size_t)layer * PB_SLOTS;
	struct linear projections = { .f = f, .n_maps = 3, .w = { &w[PB_Q], &w[PB_K], &w[PB_V] }, .y = { f->q, f->k, f->v }, .x = f->normed, .n = f->n };
	struct linear output = { .f = f, .n_maps = 1, .w = { &w[PB_O] }, .y = { f->projected }, .x = f->attended, .n = f->n };
	struct linear rise = { .f = f, .n_maps = 2, .w = { &w[PB_GATE], &w[PB_UP] }, .y = { f->gate, f->up }, .x = f->normed, .n = f->n };
	struct linear down = { .f = f, .n_maps = 1, .w = { &w[PB_DOWN] }, .y = { f->projected }, .x = f->gate, .n = f->n };

	run_map(&projections, hook, PB_INPUT_ATTENTION);
	run_stage(f, rotate_task, layer, NULL);
	pb_pool_run(f->pool, (size_t)f->n_blocks * c->n_heads, attention_task, &(struct stage){ .f = f, .layer = layer });
	run_map(&output, hook, PB_INPUT_O);
	run_stage(f, add_task, layer, norm);
	run_map(&rise, hook, PB_INPUT_FFN);
	run_stage(f, gate_task, layer, NULL);
	run_map(&down, hook, PB_INPUT_DOWN);
	run_stage(f, add_task, layer, layer + 1 < c->n_layers ? norm + c->dim : NULL);
}

void pb_forward_run(struct pb_forward *f, const struct pb_span *spans, size_t n_spans)
{
	pb_forward_begin(f, spans, n_spans);
	for (uint32_t layer = 0; layer < f->model->config.n_layers; layer++)
		pb_forward_layer(f, layer, NULL);
}

static void final_task(void *arg, size_t task, unsigned worker)
{
	const struct stage *s = arg;
	struct pb_forward *f = s->f;
	uint32_t first, end, dim = f->model->config.dim;

	(void)worker;
	chunk_of(s, task, &first, &end);
	for (uint32_t i = first; i < end; i++)
		normalize(f->x + (size_t)s->rows[i] * dim, s->norm, dim, f->model->config.norm_eps, f->normed + (size_t)i * dim);
}

void pb_forward_logits(struct pb_forward *f, const uint32_t *rows, uint32_t n, float *logits)
{
	const struct pb_config *c = &f->model->config;
	const float *norm = f->norms + (size_t)(2 * c->n_layers) * c->dim;
	struct linear head = { .f = f, .n_maps = 1, .w = { &f->weights[f->model->n_matrices] }, .y = { logits }, .x = f->normed, .n = n };

	pb_pool_run(f->pool, chunks(n, PB_TOKEN_CHUNK), final_task, &(struct stage){ .f = f, .norm = norm, .rows = rows, .n = n });
	run_linear(&head);
}
