/* Matrix products by OpenBLAS, one thread a call: how work is split is ours. Exponentials are ours too, in f32 lanes. */
#include "backends/score.h"

#include <cblas.h>
#include <math.h>
#include "backends/vector.h"

struct blas_options {
	int64_t cache;          /* MiB */
};

static const struct pb_option blas_options[] = {
	PB_OPT_INT(struct blas_options, cache, 0, 1 << 20, 1024, "MiB for decoded weights; models that need more decode them in each batch"),
	PB_OPT_END
};

static void blas_product(const float *w, uint32_t rows, uint32_t cols, const float *x, uint32_t n, float *y, size_t y_stride)
{
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)rows, (blasint)cols, 1, x, (blasint)cols, w, (blasint)cols, 0, y, (blasint)y_stride);
}

/* Row i of scores has `before` + i + 1 keys: makes them exp(score - largest of the row), the rest 0, and sum[i] their sum. */
PB_INLINE void blas_soften(float *scores, size_t stride, uint32_t n, uint32_t before, double *sum)
{
	for (uint32_t i = 0; i < n; i++, scores += stride) {
		size_t keys = (size_t)before + i + 1, whole = (keys + PB_LANES - 1) / PB_LANES * PB_LANES;

		for (size_t p = keys; p < whole; p++)
			scores[p] = -INFINITY;
		sum[i] = pb_exp_sum(scores, whole, pb_largest(scores, whole), scores);
		memset(scores + whole, 0, (stride - whole) * sizeof(float));
	}
}

/* All queries of the block against all keys up to the last one's own, node by node. */
PB_INLINE void blas_attend(const struct pb_forward *f, uint32_t layer, const struct pb_query_block *block, uint32_t head, float *scores)
{
	const struct pb_config *c = &f->model->config;
	uint32_t before = block->kv->start + block->own, end = before + block->n, head_dim = c->head_dim;
	size_t stride = ((size_t)end + PB_LANES - 1) / PB_LANES * PB_LANES, width = f->store.width, q_width = (size_t)c->n_heads * head_dim;
	size_t kv_head = (size_t)(head / (c->n_heads / c->n_kv_heads)) * head_dim, at = block->row * q_width + (size_t)head * head_dim;
	const float *keys = pb_kv_keys(&f->store, layer) + kv_head, *values = pb_kv_values(&f->store, layer) + kv_head, *q = f->q + at;
	float *out = f->attended + at, scale = (float)(1 / sqrt(head_dim));
	double sum[PB_QUERY_BLOCK];
	uint32_t above = end;

	for (const struct pb_kv *kv = block->kv; kv; above = kv->start, kv = kv->parent)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)block->n, (blasint)(above - kv->start), (blasint)head_dim, scale,
			q, (blasint)q_width, keys + kv->slot * width, (blasint)width, 0, scores + kv->start, (blasint)stride);
	blas_soften(scores, stride, block->n, before, sum);
	above = end;
	for (const struct pb_kv *kv = block->kv; kv; above = kv->start, kv = kv->parent)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)block->n, (blasint)head_dim, (blasint)(above - kv->start), 1,
			scores + kv->start, (blasint)stride, values + kv->slot * width, (blasint)width, kv == block->kv ? 0 : 1, out, (blasint)q_width);
	for (uint32_t i = 0; i < block->n; i++) {
		float share = (float)(1 / sum[i]);

		for (uint32_t d = 0; d < head_dim; d++)
			out[i * q_width + d] *= share;
	}
}

PB_INLINE void blas_gate(float *gate, const float *up, size_t n)
{
	float last[2][PB_LANES] = { { 0 } };
	size_t whole = n / PB_LANES * PB_LANES, rest = n - whole;
	pb_lanes v, u;

	for (size_t i = 0; i < whole; i += PB_LANES) {
		pb_load(&v, gate + i);
		pb_load(&u, up + i);
		pb_silu_lanes(&v);
		v *= u;
		memcpy(gate + i, &v, sizeof v);
	}
	if (!rest)
		return;
	memcpy(last[0], gate + whole, rest * sizeof(float));
	memcpy(last[1], up + whole, rest * sizeof(float));
	pb_load(&v, last[0]);
	pb_load(&u, last[1]);
	pb_silu_lanes(&v);
	v *= u;
	memcpy(last[0], &v, sizeof v);
	memcpy(gate + whole, last[0], rest * sizeof(float));
}

PB_INLINE double blas_log_sum(const float *x, uint32_t n, float *largest)
{
	float last[PB_LANES];
	size_t whole = n / PB_LANES * PB_LANES;

	for (size_t k = 0; k < PB_LANES; k++)
		last[k] = whole + k < n ? x[whole + k] : -INFINITY;
	*largest = pb_largest(last, PB_LANES);
	if (whole) {
		float top = pb_largest(x, whole);

		*largest = top > *largest ? top : *largest;
	}
	return *largest + log(pb_exp_sum(x, whole, *largest, NULL) + pb_exp_sum(last, PB_LANES, *largest, NULL));
}

#define BLAS_OPS(set, target) \
	target static void blas_attention_##set(const struct pb_forward *f, uint32_t layer, const struct pb_query_block *block, uint32_t head, float *scratch) \
	{ \
		blas_attend(f, layer, block, head, scratch); \
	} \
	target static void blas_gate_##set(float *gate, const float *up, size_t n) \
	{ \
		blas_gate(gate, up, n); \
	} \
	target static double blas_log_sum_##set(const float *x, uint32_t n, float *largest) \
	{ \
		return blas_log_sum(x, n, largest); \
	} \
	static const struct pb_ops blas_ops_##set = { \
		.product = blas_product, \
		.attention = blas_attention_##set, \
		.gate = blas_gate_##set, \
		.log_sum = blas_log_sum_##set, \
	}

BLAS_OPS(plain, );
#ifdef __x86_64__
BLAS_OPS(avx2, __attribute__((target("avx2"))));
BLAS_OPS(avx512, __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl"))));
#endif

const struct pb_ops *pb_blas_ops(void)
{
	openblas_set_num_threads(1);
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
		return &blas_ops_avx512;
	if (__builtin_cpu_supports("avx2"))
		return &blas_ops_avx2;
#endif
	return &blas_ops_plain;
}

static enum pb_status blas_open(struct pb_session **out, const struct pb_model *model, const void *options, struct pb_pool *pool, struct pb_error *err)
{
	const struct blas_options *o = options;

	return pb_session_open(out, model, pb_blas_ops(), (uint64_t)o->cache << 20, pool, err);
}

const struct pb_backend pb_backend_blas = {
	.name = "blas",
	.title = "OpenBLAS sgemm on decoded weights",
	.help = "Rows of encoded weights are decoded to f32 and multiplied by OpenBLAS. Weights that fit into the cache stay decoded; f32 "
		"weights are used in place (kernel \"native\"). The cache does not change results.",
	.abi = PB_BACKEND_ABI,
	.version = 1,
	.options = blas_options,
	.options_size = sizeof(struct blas_options),
	.open = blas_open,
	.score = pb_session_score,
	.compare = pb_session_compare,
	.logits = pb_session_logits,
	.kernel = pb_session_kernel,
	.close = pb_session_close,
};
