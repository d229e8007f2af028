/* The oracle: plain loops, sums in double in the order of their index. Each number that it makes depends on no other
 * request, batch or thread. */
#include "backends/score.h"

#include <math.h>

/* Four tokens at a time, so that four sums overlap. */
static void reference_product(const float *w, uint32_t rows, uint32_t cols, const float *x, uint32_t n, float *y, size_t y_stride)
{
	for (uint32_t r = 0; r < rows; r++, w += cols) {
		uint32_t t = 0;

		for (; t + 4 <= n; t += 4) {
			const float *x0 = x + (size_t)t * cols, *x1 = x0 + cols, *x2 = x1 + cols, *x3 = x2 + cols;
			double s0 = 0, s1 = 0, s2 = 0, s3 = 0;

			for (uint32_t c = 0; c < cols; c++) {
				s0 += (double)w[c] * x0[c];
				s1 += (double)w[c] * x1[c];
				s2 += (double)w[c] * x2[c];
				s3 += (double)w[c] * x3[c];
			}
			y[(t + 0) * y_stride + r] = (float)s0;
			y[(t + 1) * y_stride + r] = (float)s1;
			y[(t + 2) * y_stride + r] = (float)s2;
			y[(t + 3) * y_stride + r] = (float)s3;
		}
		for (; t < n; t++) {
			double sum = 0;

			for (uint32_t c = 0; c < cols; c++)
				sum += (double)w[c] * x[(size_t)t * cols + c];
			y[t * y_stride + r] = (float)sum;
		}
	}
}

/* Weighted sum of the values of `n` positions: probability[p] of value row slot[p], divided by `total`. */
static void weigh_values(const float *values, size_t width, uint32_t head_dim, const uint32_t *slot, const double *probability, uint32_t n, double total, float *out)
{
	enum { PART = 64 };

	for (uint32_t first = 0; first < head_dim; first += PART) {
		uint32_t part = head_dim - first < PART ? head_dim - first : PART;
		double sum[PART] = { 0 };

		for (uint32_t p = 0; p < n; p++) {
			const float *v = values + slot[p] * width + first;

			for (uint32_t d = 0; d < part; d++)
				sum[d] += probability[p] * v[d];
		}
		for (uint32_t d = 0; d < part; d++)
			out[first + d] = (float)(sum[d] / total);
	}
}

static void reference_attention(const struct pb_forward *f, uint32_t layer, const struct pb_query_block *block, uint32_t head, float *scratch)
{
	const struct pb_config *c = &f->model->config;
	uint32_t before = block->kv->start + block->own, end = before + block->n, head_dim = c->head_dim;
	size_t offset = (size_t)(head / (c->n_heads / c->n_kv_heads)) * head_dim, width = f->store.width;
	const float *keys = pb_kv_keys(&f->store, layer) + offset, *values = pb_kv_values(&f->store, layer) + offset;
	double *score = (double *)(void *)scratch, scale = 1 / sqrt(head_dim);
	uint32_t *slot = (uint32_t *)(score + end), above = end;

	for (const struct pb_kv *kv = block->kv; kv; kv = kv->parent) {
		for (uint32_t p = kv->start; p < above; p++)
			slot[p] = kv->slot + (p - kv->start);
		above = kv->start;
	}
	for (uint32_t i = 0; i < block->n; i++) {
		size_t at = ((size_t)(block->row + i) * c->n_heads + head) * head_dim;
		uint32_t n = before + i + 1;
		double largest = -INFINITY, total = 0;

		for (uint32_t p = 0; p < n; p++) {
			double sum = 0;

			for (uint32_t d = 0; d < head_dim; d++)
				sum += (double)f->q[at + d] * keys[slot[p] * width + d];
			score[p] = sum * scale;
			if (score[p] > largest)
				largest = score[p];
		}
		for (uint32_t p = 0; p < n; p++) {
			score[p] = exp(score[p] - largest);
			total += score[p];
		}
		weigh_values(values, width, head_dim, slot, score, n, total, f->attended + at);
	}
}

static void reference_gate(float *gate, const float *up, size_t n)
{
	for (size_t i = 0; i < n; i++)
		gate[i] = (float)(gate[i] / (1 + exp(-(double)gate[i])) * up[i]);
}

static double reference_log_sum(const float *x, uint32_t n, float *largest)
{
	double sum = 0;
	float top = x[0];

	for (uint32_t i = 1; i < n; i++)
		if (x[i] > top)
			top = x[i];
	for (uint32_t i = 0; i < n; i++)
		sum += exp((double)x[i] - top);
	*largest = top;
	return top + log(sum);
}

static const struct pb_ops reference_ops = {
	.product = reference_product,
	.attention = reference_attention,
	.gate = reference_gate,
	.log_sum = reference_log_sum,
};

static enum pb_status reference_open(struct pb_session **out, const struct pb_model *model, const void *options, struct pb_pool *pool, struct pb_error *err)
{
	(void)options;
	return pb_session_open(out, model, &reference_ops, 0, pool, err);
}

static const struct pb_option reference_options[] = { PB_OPT_END };

const struct pb_backend pb_backend_reference = {
	.name = "reference",
	.title = "Plain loops, sums in double",
	.help = "The oracle for the other backends: every product is summed in double, in order. Weights are decoded to f32 as they are "
		"used; f32 weights are used in place (kernel \"native\").",
	.abi = PB_BACKEND_ABI,
	.version = 1,
	.options = reference_options,
	.open = reference_open,
	.score = pb_session_score,
	.compare = pb_session_compare,
	.logits = pb_session_logits,
	.kernel = pb_session_kernel,
	.close = pb_session_close,
};
