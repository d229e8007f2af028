#include "backends/calibrate.h"

#include <cblas.h>
#include <math.h>
#include <string.h>
#include "core/base/memory.h"

#define TILE 128u               /* rows and columns of the sums that one task makes */
#define ROWS_TASK 64u           /* rows of one task of what goes row by row */

struct sums {
	uint32_t cols;
	double *products;       /* (cols, cols): sum of x x^T, tiles of the lower triangle */
	double *magnitudes;     /* (cols): sum of |x| */
	double *cross;          /* (cols, cols): sum of (x' - x) x^T, or NULL */
};

/* The model that is followed, one batch ahead of the other. */
struct followed {
	struct pb_forward *forward;
	float *states;                  /* (n_samples * seq_len, dim) */
	float *rows[PB_INPUTS];         /* (PB_BATCH_TOKENS, cols): inputs of the batch */
	struct pb_kv nodes[PB_BATCH_TOKENS];
	struct pb_span spans[PB_BATCH_TOKENS];
};

struct pb_calibrator {
	const struct pb_model *model;
	const int32_t *tokens;
	uint32_t n_samples, seq_len;
	struct pb_pool *pool;
	pb_progress_fn progress;
	void *arg;
	struct pb_forward *forward;
	uint32_t layer;                 /* the next to measure, or measured and not advanced over */
	float *states;                  /* (n_samples * seq_len, dim): what the layer gets; not used for the first one */
	double *x;                      /* (PB_BATCH_TOKENS, widest input): the rows of one call of the hook */
	double *difference;             /* the same, of the model that is followed less this one */
	unsigned inputs;                /* that are measured: a sum of 1 << enum pb_input */
	struct sums sums[PB_INPUTS];
	struct pb_moments moments[PB_INPUTS];
	struct followed *followed;      /* or NULL */
	struct pb_kv nodes[PB_BATCH_TOKENS];
	struct pb_span spans[PB_BATCH_TOKENS];
};

static inline uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t chunks(uint32_t n, uint32_t size)
{
	return n / size + (n % size != 0);
}

uint32_t pb_input_cols(const struct pb_config *c, enum pb_input input)
{
	return input == PB_INPUT_O ? c->n_heads * c->head_dim : input == PB_INPUT_DOWN ? c->hidden : c->dim;
}

/* ---- sums over the rows of a batch ---- */

struct rows {
	struct pb_calibrator *c;
	const struct sums *sums;
	const float *x;
	const float *followed;  /* the same rows in the model that is followed, or NULL */
	uint32_t n;
};

static void widen_task(void *arg, size_t task, unsigned worker)
{
	const struct rows *r = arg;
	size_t first = task * ROWS_TASK * r->sums->cols, end = (size_t)least((uint32_t)(task + 1) * ROWS_TASK, r->n) * r->sums->cols;

	(void)worker;
	for (size_t i = first; i < end; i++)
		r->c->x[i] = r->x[i];
	for (size_t i = first; r->followed && i < end; i++)
		r->c->difference[i] = (double)r->followed[i] - r->x[i];
}

static void tile_task(void *arg, size_t task, unsigned worker)
{
	const struct rows *r = arg;
	const struct sums *s = r->sums;
	const double *x = r->c->x;
	size_t below = 0;

	(void)worker;
	/* Tiles of the lower triangle, row by row: row k has k + 1 of them. */
	while (task > below) {
		task -= below + 1;
		below++;
	}
	uint32_t row = (uint32_t)below * TILE, col = (uint32_t)task * TILE, m = least(TILE, s->cols - row), n = least(TILE, s->cols - col);

	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)r->n, 1, x + row, (blasint)s->cols, x + col, (blasint)s->cols,
		1, s->products + (size_t)row * s->cols + col, (blasint)s->cols);
	for (uint32_t t = 0; row == col && t < r->n; t++)
		for (uint32_t i = row; i < row + m; i++)
			s->magnitudes[i] += fabs(x[(size_t)t * s->cols + i]);
}

static void cross_task(void *arg, size_t task, unsigned worker)
{
	const struct rows *r = arg;
	const struct sums *s = r->sums;
	uint32_t tiles = chunks(s->cols, TILE), row = (uint32_t)task / tiles * TILE, col = (uint32_t)task % tiles * TILE;

	(void)worker;
	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)least(TILE, s->cols - row), (blasint)least(TILE, s->cols - col), (blasint)r->n, 1,
		r->c->difference + row, (blasint)s->cols, r->c->x + col, (blasint)s->cols, 1, s->cross + (size_t)row * s->cols + col, (blasint)s->cols);
}

static void add_rows(void *arg, enum pb_input input, const float *x, uint32_t n, uint32_t cols)
{
	struct pb_calibrator *c = arg;
	struct rows rows = { c, &c->sums[input], x, c->followed ? c->followed->rows[input] : NULL, n };
	size_t tiles = chunks(cols, TILE);

	if (!(c->inputs >> input & 1))
		return;
	pb_pool_run(c->pool, chunks(n, ROWS_TASK), widen_task, &rows);
	pb_pool_run(c->pool, tiles * (tiles + 1) / 2, tile_task, &rows);
	if (rows.followed)
		pb_pool_run(c->pool, tiles * tiles, cross_task, &rows);
}

static void keep_rows(void *arg, enum pb_input input, const float *x, uint32_t n, uint32_t cols)
{
	struct pb_calibrator *c = arg;

	if (c->inputs >> input & 1)
		memcpy(c->followed->rows[input], x, (size_t)n * cols * sizeof *x);
}

struct means {
	const struct sums *sums;
	const struct pb_moments *moments;
	double count;
};

/* Rows of the means, from the lower triangle alone. */
static void mean_task(void *arg, size_t task, unsigned worker)
{
	const struct means *m = arg;
	uint32_t cols = m->sums->cols, end = least((uint32_t)(task + 1) * ROWS_TASK, cols);
	const double *products = m->sums->products;

	(void)worker;
	for (uint32_t i = (uint32_t)task * ROWS_TASK; i < end; i++) {
		float *row = m->moments->second_moment + (size_t)i * cols;

		for (uint32_t j = 0; j < cols; j++)
			row[j] = (float)((j <= i ? products[(size_t)i * cols + j] : products[(size_t)j * cols + i]) / m->count);
		for (uint32_t j = 0; m->sums->cross && j < cols; j++)
			m->moments->cross_moment[(size_t)i * cols + j] = (float)(m->sums->cross[(size_t)i * cols + j] / m->count);
		m->moments->mean_abs[i] = (float)(m->sums->magnitudes[i] / m->count);
	}
}

static enum pb_status make_means(struct pb_calibrator *c, struct pb_error *err)
{
	static const enum pb_slot first[PB_INPUTS] = { [PB_INPUT_ATTENTION] = PB_Q, [PB_INPUT_O] = PB_O, [PB_INPUT_FFN] = PB_GATE, [PB_INPUT_DOWN] = PB_DOWN };

	for (int i = 0; i < PB_INPUTS; i++) {
		const struct pb_moments *m = &c->moments[i];
		struct means means = { &c->sums[i], m, (double)c->n_samples * c->seq_len };

		if (!(c->inputs >> i & 1))
			continue;
		pb_pool_run(c->pool, chunks(m->cols, ROWS_TASK), mean_task, &means);
		if (pb_count_not_finite(m->mean_abs, m->cols) || pb_count_not_finite(m->second_moment, (uint64_t)m->cols * m->cols) ||
		    (m->cross_moment && pb_count_not_finite(m->cross_moment, (uint64_t)m->cols * m->cols)))
			return pb_fail(err, PB_NUMERIC, "%s: its inputs on the calibration data are not finite, or their squares are not",
				c->model->matrices[(size_t)c->layer * PB_SLOTS + first[i]].name);
	}
	return PB_OK;
}

/* ---- passes over all samples ---- */

/* One batch through the layer, from its states and, with `advance`, to those behind it. */
static void run_batch(struct pb_calibrator *c, struct pb_forward *f, const struct pb_span *spans, uint32_t n_spans, float *states,
	const struct pb_input_hook *hook, bool advance)
{
	size_t dim = c->model->config.dim;

	pb_forward_begin(f, spans, n_spans);
	if (c->layer) {
		memcpy(f->x, states, f->n * dim * sizeof(float));
		pb_forward_enter(f, c->layer);
	}
	pb_forward_layer(f, c->layer, hook);
	if (advance)
		memcpy(states, f->x, f->n * dim * sizeof(float));
}

/* Room for n sequences. */
static void take_nodes(struct pb_forward *f, struct pb_kv *nodes, uint32_t n, uint32_t length)
{
	pb_kv_keep(&f->store, NULL, 0);
	for (uint32_t i = 0; i < n; i++)
		pb_kv_take(&f->store, &nodes[i], NULL, 0, length);
}

/* begin, end: the shares done before and after the pass. */
static enum pb_status run_layer(struct pb_calibrator *c, const struct pb_input_hook *hook, bool advance, double begin, double end, struct pb_error *err)
{
	uint32_t batch = c->seq_len < PB_BATCH_TOKENS ? PB_BATCH_TOKENS / c->seq_len : 1;
	struct pb_input_hook keep = { c, keep_rows };
	struct followed *followed = c->followed;

	for (uint32_t first = 0, n; first < c->n_samples; first += n) {
		size_t at = (size_t)first * c->seq_len;

		if (c->progress && c->progress(c->arg, begin + (end - begin) * first / c->n_samples))
			return pb_fail(err, PB_INTERRUPTED, "calibration: stopped");
		n = least(batch, c->n_samples - first);
		take_nodes(c->forward, c->nodes, n, c->seq_len);
		if (followed)
			take_nodes(followed->forward, followed->nodes, n, c->seq_len);
		/* A sample that is longer than a batch comes in parts, alone. */
		for (uint32_t start = 0, part; start < c->seq_len; start += part) {
			size_t place = (at + start) * c->model->config.dim;

			part = least(c->seq_len - start, PB_BATCH_TOKENS);
			for (uint32_t i = 0; i < n; i++)
				c->spans[i] = (struct pb_span){ &c->nodes[i], c->tokens + at + (size_t)i * c->seq_len + start, part };
			for (uint32_t i = 0; followed && i < n; i++) {
				followed->spans[i] = c->spans[i];
				followed->spans[i].kv = &followed->nodes[i];
			}
			if (followed)
				run_batch(c, followed->forward, followed->spans, n, followed->states + place, hook ? &keep : NULL, advance);
			run_batch(c, c->forward, c->spans, n, c->states + place, hook, advance);
		}
	}
	return PB_OK;
}

/* Weights are decoded as they are used: none is kept. */
static enum pb_status open_forward(struct pb_calibrator *c, struct pb_error *err)
{
	enum pb_status st;

	pb_forward_close(c->forward);
	c->forward = NULL;
	st = pb_forward_open(&c->forward, c->model, pb_blas_ops(), 0, c->pool, err);
	return st ? st : pb_forward_reserve(c->forward, c->seq_len, err);
}

/* inputs: which. begin, end: shares of the layer. */
static enum pb_status measure(struct pb_calibrator *c, unsigned inputs, bool advance, double begin, double end, struct pb_error *err)
{
	struct pb_input_hook hook = { c, add_rows };
	double n_layers = c->model->config.n_layers;
	enum pb_status st;

	c->inputs = inputs;
	for (int i = 0; i < PB_INPUTS; i++) {
		struct sums *s = &c->sums[i];

		memset(s->products, 0, (size_t)s->cols * s->cols * sizeof *s->products);
		memset(s->magnitudes, 0, s->cols * sizeof *s->magnitudes);
		if (s->cross)
			memset(s->cross, 0, (size_t)s->cols * s->cols * sizeof *s->cross);
	}
	st = run_layer(c, &hook, advance, (c->layer + begin) / n_layers, (c->layer + end) / n_layers, err);
	if (!st)
		st = make_means(c, err);
	if (!st && advance)
		c->layer++;
	return st;
}

enum pb_status pb_calibrator_measure(struct pb_calibrator *c, bool advance, struct pb_error *err)
{
	return measure(c, (1u << PB_INPUTS) - 1, advance, 0, advance ? 1 : 0.5, err);
}

enum pb_status pb_calibrator_measure_input(struct pb_calibrator *c, enum pb_input input, struct pb_error *err)
{
	enum pb_status st = open_forward(c, err);

	return st ? st : measure(c, 1u << input, false, 0.5 * input / PB_INPUTS, 0.5 * (input + 1) / PB_INPUTS, err);
}

enum pb_status pb_calibrator_advance(struct pb_calibrator *c, struct pb_error *err)
{
	double n_layers = c->model->config.n_layers;
	enum pb_status st = open_forward(c, err);

	if (!st)
		st = run_layer(c, NULL, true, (c->layer + 0.5) / n_layers, (c->layer + 1) / n_layers, err);
	if (!st)
		c->layer++;
	return st;
}

const struct pb_moments *pb_calibrator_moments(const struct pb_calibrator *c, enum pb_input input)
{
	return &c->moments[input];
}

/* ---- opening ---- */

static enum pb_status open_sums(struct pb_calibrator *c, struct pb_error *err)
{
	uint32_t widest = 0;

	for (int i = 0; i < PB_INPUTS; i++) {
		uint32_t cols = pb_input_cols(&c->model->config, (enum pb_input)i);
		struct sums *s = &c->sums[i];
		struct pb_moments *m = &c->moments[i];

		s->cols = m->cols = cols;
		s->products = pb_alloc(cols, cols * sizeof *s->products);
		s->magnitudes = pb_alloc(cols, sizeof *s->magnitudes);
		m->second_moment = pb_alloc(cols, cols * sizeof *m->second_moment);
		m->mean_abs = pb_alloc(cols, sizeof *m->mean_abs);
		if (!s->products || !s->magnitudes || !m->second_moment || !m->mean_abs)
			return pb_out_of_memory(err, "the moments of inputs");
		widest = cols > widest ? cols : widest;
	}
	c->x = pb_alloc(PB_BATCH_TOKENS, widest * sizeof *c->x);
	c->states = pb_alloc((size_t)c->n_samples * c->seq_len, c->model->config.dim * sizeof *c->states);
	return c->x && c->states ? PB_OK : pb_out_of_memory(err, "the states of calibration samples");
}

enum pb_status pb_calibrator_open(struct pb_calibrator **out, const struct pb_model *model, const int32_t *tokens, uint32_t n_samples, uint32_t seq_len,
	struct pb_pool *pool, pb_progress_fn progress, void *arg, struct pb_error *err)
{
	struct pb_calibrator *c = pb_alloc_zero(1, sizeof *c);
	enum pb_status st;

	if (!c)
		return pb_out_of_memory(err, "calibration");
	c->model = model;
	c->tokens = tokens;
	c->n_samples = n_samples;
	c->seq_len = seq_len;
	c->pool = pool;
	c->progress = progress;
	c->arg = arg;
	st = open_sums(c, err);
	if (!st)
		st = open_forward(c, err);
	if (st)
		pb_calibrator_close(c);
	else
		*out = c;
	return st;
}

/* Its forward pass holds the weights that the model has now. */
enum pb_status pb_calibrator_follow(struct pb_calibrator *c, struct pb_error *err)
{
	struct followed *f = c->followed = pb_alloc_zero(1, sizeof *f);
	uint32_t widest = 0;
	enum pb_status st;

	if (!f)
		return pb_out_of_memory(err, "the model as it is");
	for (int i = 0; i < PB_INPUTS; i++) {
		uint32_t cols = c->sums[i].cols;

		f->rows[i] = pb_alloc(PB_BATCH_TOKENS, cols * sizeof *f->rows[i]);
		c->sums[i].cross = pb_alloc(cols, cols * sizeof *c->sums[i].cross);
		c->moments[i].cross_moment = pb_alloc(cols, cols * sizeof *c->moments[i].cross_moment);
		if (!f->rows[i] || !c->sums[i].cross || !c->moments[i].cross_moment)
			return pb_out_of_memory(err, "the moments of inputs");
		widest = cols > widest ? cols : widest;
	}
	c->difference = pb_alloc(PB_BATCH_TOKENS, widest * sizeof *c->difference);
	f->states = pb_alloc((size_t)c->n_samples * c->seq_len, c->model->config.dim * sizeof *f->states);
	if (!c->difference || !f->states)
		return pb_out_of_memory(err, "the states of calibration samples");
	st = pb_forward_open(&f->forward, c->model, pb_blas_ops(), 0, c->pool, err);
	return st ? st : pb_forward_reserve(f->forward, c->seq_len, err);
}

static void close_followed(struct followed *f)
{
	if (!f)
		return;
	for (int i = 0; i < PB_INPUTS; i++)
		pb_free(f->rows[i]);
	pb_free(f->states);
	pb_forward_close(f->forward);
	pb_free(f);
}

void pb_calibrator_close(struct pb_calibrator *c)
{
	if (!c)
		return;
	close_followed(c->followed);
	pb_free(c->difference);
	for (int i = 0; i < PB_INPUTS; i++) {
		pb_free(c->sums[i].products);
		pb_free(c->sums[i].magnitudes);
		pb_free(c->sums[i].cross);
		pb_free(c->moments[i].cross_moment);
		pb_free(c->moments[i].second_moment);
		pb_free(c->moments[i].mean_abs);
	}
	pb_free(c->x);
	pb_free(c->states);
	pb_forward_close(c->forward);
	pb_free(c);
}
