/* gptq: columns are rounded one after another to uniform grids, and the columns still to come make up for the error of each,
 * as second moments H of the inputs say, so that tr((W - W^) H (W - W^)^T) stays small. With the columns in their order of
 * work and U of quantizers/hessian.h, H'^-1 = U^T U, for each row and p = 0, 1, ...:
 *
 *   w^_p = the grid's nearest value to w_p;   e_p = (w_p - w^_p) / U_pp;   w_q -= e_p U_pq for all q > p
 *
 * at once inside of a block of block_size places, and for all later blocks by one product a block ("lazy batch updates").
 * The grids and what is stored are those of quantizers/uniform.h, in the matrix's own order of columns.
 *
 * groups   lazy: a group's grid is fitted when its first place is reached, to weights that know of the errors of earlier
 *          blocks alone, as in the reference; fresh: blocks end where groups end, so that they know of all errors;
 *          static: fitted to the given weights. One grid a row or matrix is always fitted so.
 * act_order  none; all: by falling H_ii, equals by column, which with groups needs static ones, as no order is stored;
 *          group: groups by their largest H_ii, and so inside of each (GPTQModel's act_group_aware).
 *
 * Columns whose input was always 0 (dead) have their weights set to 0. With `sequential` H is of the model whose earlier
 * layers are quantized already, as in the paper; all matrices of a layer have their H from the same pass. With
 * `true_sequential` there are four: q, k, v, then o, then gate, up, then down. With `qep` the weights are first moved to
 * make up for the error of the inputs (quantizers/qep.h), those of down_proj not, as in its reference.
 *
 * Rows know nothing of each other, so strips of STRIP rows are the tasks of the job's pool.
 *
 * Scratch: 12 cols^2 bytes while the factor is made, then 4 cols^2 + 5 rows cols and 4 STRIP block_size a thread; qep: before that
 * 8 cols^2 + 20 rows cols.
 *
 * Source: arXiv 2210.17323; IST-DASLab/gptq 2d65066 (gptq.py). Deviations: the factor is made in double; dead columns get
 * the mean of the other diagonals, where the reference puts 1 and so makes the damping depend on the inputs' unit; those of
 * uniform.h. */
#include "quantizers/quantizer.h"

#include <cblas.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "backends/vector.h"
#include "quantizers/hessian.h"
#include "quantizers/qep.h"
#include "quantizers/shape.h"
#include "quantizers/uniform.h"

#define VECTORS 4                       /* of PB_LANES rows, side by side: hides the latency of a sum */
#define ROWS (VECTORS * PB_LANES)       /* of a tile */
#define STRIP 512u                      /* rows of a task: they go through all columns on their own */

enum { GROUPS_LAZY, GROUPS_FRESH, GROUPS_STATIC };
enum { ORDER_NONE, ORDER_ALL, ORDER_GROUP };
static const char *const group_names[] = { "lazy", "fresh", "static", NULL };
static const char *const order_names[] = { "none", "all", "group", NULL };

struct gptq_options {
	struct pb_uniform grid;
	int groups, act_order;
	double percdamp;
	int64_t block_size;
	bool sequential, true_sequential;
	double qep;
};

static const struct pb_option gptq_options[] = {
	PB_UNIFORM_OPTIONS,
	PB_UNIFORM_SEARCH_OPTIONS,
	PB_OPT_CHOICE(struct gptq_options, groups, group_names, "lazy", "when the grid of a group is fitted: as in the reference, to weights that know of all errors, or at the start"),
	PB_OPT_CHOICE(struct gptq_options, act_order, order_names, "none", "order of the columns: as they are, by falling second moment, or so by groups and inside of them"),
	PB_OPT_REAL(struct gptq_options, percdamp, 0, 100, 0.01, "damping, as a share of the mean second moment of an input"),
	PB_OPT_INT(struct gptq_options, block_size, 1, 1024, 128, "columns between two updates of all later ones"),
	PB_OPT_BOOL(struct gptq_options, sequential, 1, "second moments of a model whose earlier layers are quantized already; no: of the model as it is"),
	PB_OPT_BOOL(struct gptq_options, true_sequential, 0, "with sequential: inside of a layer too, four passes over it in place of one"),
	PB_OPT_REAL(struct gptq_options, qep, 0, 1, 0, "with sequential: share of QEP's correction for the error of the inputs (its reference: 0.5)"),
	PB_OPT_END
};

/* The work on one matrix. */
struct gptq {
	const struct gptq_options *o;
	const struct pb_quantize_job *job;
	const struct pb_encoded *m;
	uint64_t row_grids;     /* grids of a row, 0: one for the matrix */
	uint32_t *order;        /* (cols) column at each place */
	float *u;               /* (cols, cols) U, by places */
	float *triangles;       /* (cols, block) where a block begins: its (width, width) of U, transposed: what place j takes off lies together */
	float *w;               /* (rows, cols) by places; past the block in work it knows of earlier blocks' errors */
	struct pb_grid *grids;  /* one a block of the matrix */
	uint8_t *codes;         /* (rows, cols) by columns */
	atomic_bool no_memory;
};

/* The work on the rows of a task, in one block of places. */
struct gptq_strip {
	struct gptq *g;
	uint64_t row, rows;
	uint32_t first, width;  /* the block's places */
	const float *triangle;  /* (width, width) */
	float *errors;          /* (block, rows) e */
	float *tile;            /* (block, ROWS) w until a place is done, then e */
	uint8_t *tile_codes;    /* (block, ROWS) */
	float *places;          /* (cols) a row on its way from columns to places */
};

/* The grids of ROWS rows, for one column. */
struct gptq_lanes {
	pb_lanes scale[VECTORS], divisor[VECTORS], offset[VECTORS], low[VECTORS], high[VECTORS];
};

static uint64_t gptq_strip_end(const struct gptq *g, size_t task)
{
	uint64_t end = (task + 1) * (uint64_t)STRIP;
	return end < g->job->rows ? end : g->job->rows;
}

/* places of the longest block */
static size_t gptq_block_size(const struct gptq *g)
{
	return g->job->cols < (uint64_t)g->o->block_size ? g->job->cols : (size_t)g->o->block_size;
}

static uint32_t gptq_group(const struct gptq *g, uint32_t place)
{
	return g->o->grid.group_size > 0 ? g->order[place] / (uint32_t)g->o->grid.group_size : 0;
}

/* ---- order ---- */

struct gptq_key {
	float group_moment, moment;
	uint32_t group, column;
};

static int gptq_compare(const void *a, const void *b)
{
	const struct gptq_key *x = a, *y = b;
	if (x->group_moment != y->group_moment)
		return x->group_moment > y->group_moment ? -1 : 1;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->moment != y->moment)
		return x->moment > y->moment ? -1 : 1;
	return x->column < y->column ? -1 : 1;
}

static enum pb_status gptq_order(struct gptq *g, struct pb_error *err)
{
	uint32_t cols = g->job->cols, size = g->o->act_order == ORDER_GROUP && g->o->grid.group_size > 0 ? (uint32_t)g->o->grid.group_size : cols;
	struct gptq_key *keys = NULL;

	for (uint32_t c = 0; c < cols; c++)
		g->order[c] = c;
	if (g->o->act_order == ORDER_NONE)
		return PB_OK;
	keys = pb_alloc(cols, sizeof *keys);
	if (!keys)
		return pb_out_of_memory(err, "order of the columns");
	for (uint32_t c = 0; c < cols; c++)
		keys[c] = (struct gptq_key){ .moment = g->job->second_moment[(size_t)c * cols + c], .group = c / size, .column = c };
	for (uint32_t c = 0, first = 0; c < cols; c++) {
		if (keys[c].group != keys[first].group)
			first = c;
		if (keys[c].moment > keys[first].group_moment)
			keys[first].group_moment = keys[c].moment;
	}
	for (uint32_t c = 1; c < cols; c++)
		if (keys[c].group == keys[c - 1].group)
			keys[c].group_moment = keys[c - 1].group_moment;
	qsort(keys, cols, sizeof *keys, gptq_compare);
	for (uint32_t c = 0; c < cols; c++)
		g->order[c] = keys[c].column;
	pb_free(keys);
	return PB_OK;
}

/* ---- grids ---- */

static bool gptq_is_static(const struct gptq_options *o)
{
	return o->groups == GROUPS_STATIC || o->grid.group_size <= 0;
}

static bool gptq_is_corrected(const struct gptq *g)
{
	return g->o->qep > 0 && g->job->slot != PB_DOWN;
}

/* The given weights, or the corrected ones that are there, without the dead columns. */
static void gptq_load_task(void *arg, size_t task, unsigned worker)
{
	struct gptq *g = arg;
	uint64_t cols = g->job->cols, first = task * STRIP, end = gptq_strip_end(g, task);

	(void)worker;
	if (!gptq_is_corrected(g))
		memcpy(g->w + first * cols, g->job->weights + first * cols, (end - first) * cols * sizeof *g->w);
	for (uint64_t c = 0; c < cols; c++) {
		if (g->job->second_moment[c * cols + c] > 0.0f)
			continue;
		for (uint64_t r = first; r < end; r++)
			g->w[r * cols + c] = 0.0f;
	}
}

static void gptq_fit_blocks(struct gptq *g, uint64_t first, uint64_t end)
{
	uint64_t at, n;
	for (uint64_t b = first; b < end; b++) {
		pb_encoded_block(g->m, b, &at, &n);
		g->grids[b] = pb_uniform_fit(&g->o->grid, g->w + at, n);
	}
}

/* Grids of the groups that begin in the block. */
static void gptq_fit_groups(const struct gptq_strip *s)
{
	const struct gptq *g = s->g;
	uint32_t cols = g->job->cols;
	for (uint32_t p = s->first; p < s->first + s->width; p++) {
		uint32_t group = gptq_group(g, p), next = p + 1;
		if (p > 0 && gptq_group(g, p - 1) == group)
			continue;
		while (next < cols && gptq_group(g, next) == group)
			next++;
		for (uint64_t r = s->row; r < s->row + s->rows; r++)
			g->grids[r * g->row_grids + group] = pb_uniform_fit(&g->o->grid, g->w + r * cols + p, next - p);
	}
}

/* Rows that a tile has too many get the grid of its last one. */
static void gptq_load_grids(const struct gptq *g, uint64_t row, uint32_t group, struct gptq_lanes *out)
{
	float top = (float)((1 << g->o->grid.bits) - 1);
	for (uint64_t k = 0; k < ROWS; k++) {
		uint64_t r = row + k < g->job->rows ? row + k : g->job->rows - 1;
		const struct pb_grid *grid = &g->grids[r * g->row_grids + group];
		size_t v = k / PB_LANES, lane = k % PB_LANES;
		out->scale[v][lane] = grid->scale;
		out->divisor[v][lane] = grid->scale > 0.0f ? grid->scale : 1.0f;
		out->offset[v][lane] = grid->offset;
		out->low[v][lane] = (float)-grid->zero;
		out->high[v][lane] = grid->scale > 0.0f ? top - (float)grid->zero : 0.0f; /* a scale of 0 has one value */
	}
}

/* ---- one block of places, 64 rows ---- */

static void gptq_load_tile(const struct gptq_strip *s, uint64_t row, uint64_t rows)
{
	for (uint64_t k = 0; k < rows; k++) {
		const float *w = s->g->w + (row + k) * s->g->job->cols + s->first;
		for (uint32_t j = 0; j < s->width; j++)
			s->tile[j * ROWS + k] = w[j];
	}
}

static void gptq_store_tile(const struct gptq_strip *s, uint64_t row, uint64_t rows)
{
	const struct gptq *g = s->g;
	for (uint32_t j = 0; j < s->width; j++)
		memcpy(s->errors + j * s->rows + (row - s->row), s->tile + j * ROWS, rows * sizeof *s->errors);
	for (uint64_t k = 0; k < rows; k++)
		for (uint32_t j = 0; j < s->width; j++)
			g->codes[(row + k) * g->job->cols + g->order[s->first + j]] = s->tile_codes[j * ROWS + k];
}

/* pb_uniform_code and pb_uniform_value in lanes: clamped first, rounded then, which is the same as the bounds are whole
 * numbers. */
PB_INLINE void gptq_round(const struct gptq_lanes *grid, const pb_lanes w[VECTORS], float diagonal, float *errors, uint8_t *codes)
{
	const float shift = 12582912.0f; /* 1.5 * 2^23: a sum with it has no fraction */
	for (size_t v = 0; v < VECTORS; v++) {
		pb_lanes x = (w[v] - grid->offset[v]) / grid->divisor[v], e;
		pb_bits below = (pb_bits)(x < grid->high[v]), above;
		pb_select(&below, &x, &grid->high[v], &x);
		above = (pb_bits)(x > grid->low[v]);
		pb_select(&above, &x, &grid->low[v], &x);
		x = (x + shift) - shift;
		e = (w[v] - (x * grid->scale[v] + grid->offset[v])) / diagonal;
		memcpy(errors + v * PB_LANES, &e, sizeof e);
		x -= grid->low[v];
		for (size_t k = 0; k < PB_LANES; k++)
			codes[v * PB_LANES + k] = (uint8_t)x[k];
	}
}

PB_INLINE void gptq_tile(const struct gptq_strip *s, uint64_t row)
{
	struct gptq_lanes grid;
	pb_lanes w[VECTORS], e;

	for (uint32_t j = 0; j < s->width; j++) {
		const float *u = s->triangle + (size_t)j * s->width;
		uint32_t group = gptq_group(s->g, s->first + j);
		if (j == 0 || group != gptq_group(s->g, s->first + j - 1))
			gptq_load_grids(s->g, row, group, &grid);
		for (size_t v = 0; v < VECTORS; v++)
			pb_load(&w[v], s->tile + j * ROWS + v * PB_LANES);
		for (uint32_t i = 0; i < j; i++)
			for (size_t v = 0; v < VECTORS; v++) {
				pb_load(&e, s->tile + i * ROWS + v * PB_LANES);
				w[v] -= e * u[i];
			}
		gptq_round(&grid, w, u[j], s->tile + j * ROWS, s->tile_codes + j * ROWS);
	}
}

typedef void (*gptq_tile_fn)(const struct gptq_strip *s, uint64_t row);

#define GPTQ_TILE(set, target) \
	target static void gptq_tile_##set(const struct gptq_strip *s, uint64_t row) \
	{ \
		gptq_tile(s, row); \
	}

GPTQ_TILE(plain, )
#ifdef __x86_64__
GPTQ_TILE(avx2, __attribute__((target("avx2"))))
GPTQ_TILE(avx512, __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl"))))
#endif

static gptq_tile_fn gptq_fastest(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
		return gptq_tile_avx512;
	if (__builtin_cpu_supports("avx2"))
		return gptq_tile_avx2;
#endif
	return gptq_tile_plain;
}

/* ---- a strip of rows ---- */

static uint32_t gptq_block_end(const struct gptq *g, uint32_t first)
{
	uint32_t cols = g->job->cols, end = first + 1;
	while (end < cols && end - first < g->o->block_size && (g->o->groups != GROUPS_FRESH || gptq_group(g, end) == gptq_group(g, end - 1)))
		end++;
	return end;
}

static void gptq_to_places(const struct gptq_strip *s)
{
	uint64_t cols = s->g->job->cols;
	for (uint64_t r = s->row; r < s->row + s->rows; r++) {
		float *w = s->g->w + r * cols;
		memcpy(s->places, w, cols * sizeof *w);
		for (uint64_t p = 0; p < cols; p++)
			w[p] = s->places[s->g->order[p]];
	}
}

static void gptq_blocks(struct gptq_strip *s)
{
	struct gptq *g = s->g;
	uint32_t cols = g->job->cols;
	gptq_tile_fn tile = gptq_fastest();

	for (uint32_t end; s->first < cols; s->first = end) {
		end = gptq_block_end(g, s->first);
		s->width = end - s->first;
		s->triangle = g->triangles + (size_t)s->first * gptq_block_size(g);
		if (!gptq_is_static(g->o))
			gptq_fit_groups(s);
		for (uint64_t row = s->row; row < s->row + s->rows; row += ROWS) {
			uint64_t n = s->row + s->rows - row < ROWS ? s->row + s->rows - row : ROWS;
			gptq_load_tile(s, row, n);
			tile(s, row);
			gptq_store_tile(s, row, n);
		}
		if (end < cols)
			cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)s->rows, (blasint)(cols - end), (blasint)s->width, -1, s->errors, (blasint)s->rows,
				g->u + (size_t)s->first * cols + end, (blasint)cols, 1, g->w + s->row * cols + end, (blasint)cols);
	}
}

static void gptq_strip_task(void *arg, size_t task, unsigned worker)
{
	struct gptq *g = arg;
	uint64_t row = task * STRIP, rows = gptq_strip_end(g, task) - row;
	size_t block = gptq_block_size(g);
	struct gptq_strip s = { .g = g, .row = row, .rows = rows, .errors = pb_alloc(rows * block, sizeof *s.errors),
		.tile = pb_alloc_aligned(block * ROWS, sizeof *s.tile), .tile_codes = pb_alloc_aligned(block * ROWS, 1), .places = pb_alloc(g->job->cols, sizeof *s.places) };

	(void)worker;
	if (s.errors && s.tile && s.tile_codes && s.places) {
		memset(s.tile, 0, block * ROWS * sizeof *s.tile);
		if (gptq_is_static(g->o) && g->row_grids)
			gptq_fit_blocks(g, row * g->row_grids, (row + rows) * g->row_grids);
		if (g->o->act_order != ORDER_NONE)
			gptq_to_places(&s);
		gptq_blocks(&s);
	} else {
		atomic_store(&g->no_memory, true);
	}
	pb_free(s.errors);
	pb_free(s.tile);
	pb_free(s.tile_codes);
	pb_free(s.places);
}

/* ---- the whole matrix ---- */

static void gptq_load_triangles(struct gptq *g)
{
	uint32_t cols = g->job->cols;
	for (uint32_t first = 0, end; first < cols; first = end) {
		float *triangle = g->triangles + (size_t)first * gptq_block_size(g);
		end = gptq_block_end(g, first);
		for (uint32_t j = 0; j < end - first; j++)
			for (uint32_t i = 0; i <= j; i++)
				triangle[(size_t)j * (end - first) + i] = g->u[(size_t)(first + i) * cols + first + j];
	}
}

static enum pb_status gptq_fill(struct gptq *g, struct pb_encoded *m, struct pb_error *err)
{
	const struct pb_quantize_job *job = g->job;
	size_t rows = job->rows, cols = job->cols, strips = (rows + STRIP - 1) / STRIP;
	enum pb_status status = pb_hessian_check(job->second_moment, job->cols, err);

	if (status)
		return status;
	g->order = pb_alloc(cols, sizeof *g->order);
	g->u = pb_alloc(cols * cols, sizeof *g->u);
	if (!g->order || !g->u)
		return pb_out_of_memory(err, "Cholesky factor");
	status = gptq_order(g, err);
	if (!status)
		status = pb_hessian_factor(job->second_moment, job->cols, g->order, g->o->percdamp, g->u, job->pool, err);
	if (status)
		return status;
	g->triangles = pb_alloc_aligned(cols * gptq_block_size(g), sizeof *g->triangles);
	g->w = pb_alloc(rows * cols, sizeof *g->w);
	g->grids = pb_alloc(pb_encoded_blocks(m), sizeof *g->grids);
	g->codes = pb_alloc(rows * cols, 1);
	if (!g->triangles || !g->w || !g->grids || !g->codes)
		return pb_out_of_memory(err, "weights");
	gptq_load_triangles(g);
	if (gptq_is_corrected(g)) {
		memcpy(g->w, job->weights, rows * cols * sizeof *g->w);
		status = pb_qep_correct(g->w, job->rows, job->cols, job->cross_moment, job->second_moment, g->o->qep, err);
		if (status)
			return status;
	}
	pb_pool_run(job->pool, strips, gptq_load_task, g);
	if (!g->row_grids)
		gptq_fit_blocks(g, 0, 1);
	pb_pool_run(job->pool, strips, gptq_strip_task, g);
	return g->no_memory ? pb_out_of_memory(err, "weights") : pb_uniform_store(&g->o->grid, g->grids, g->codes, m, err);
}

static void gptq_free(struct gptq *g)
{
	void *const parts[] = { g->order, g->u, g->triangles, g->w, g->grids, g->codes };
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		pb_free(parts[i]);
}

/* ---- hooks ---- */

static unsigned gptq_needs(const void *options)
{
	const struct gptq_options *o = options;
	return PB_NEEDS_ACTIVATIONS | (o->sequential ? PB_NEEDS_SEQUENTIAL : PB_NEEDS_NOTHING) | (o->true_sequential ? PB_NEEDS_STEPWISE : PB_NEEDS_NOTHING) |
		(o->qep > 0 ? PB_NEEDS_CROSS : PB_NEEDS_NOTHING);
}

static double gptq_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return (double)((const struct gptq_options *)options)->grid.bits;
}

static enum pb_status gptq_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	const struct gptq_options *o = options;
	(void)source_dtype;
	if (!o->sequential && (o->true_sequential || o->qep > 0))
		return pb_fail(err, PB_USAGE, "%s: without sequential=true there are no quantized layers before", o->true_sequential ? "true_sequential=true" : "qep");
	if (o->act_order == ORDER_ALL && !gptq_is_static(o) && o->grid.group_size < cols)
		return pb_fail(err, PB_UNSUPPORTED, "act_order=all: groups of columns in that order would need the order stored\ntake groups=static or act_order=group");
	return pb_uniform_plan(&o->grid, rows, cols, bytes, err);
}

static enum pb_status gptq_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct gptq g = { .o = options, .job = job };
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);

	if (status)
		return status;
	g.m = m;
	pb_encoded_set_groups(m, g.o->grid.group_size);
	g.row_grids = g.o->grid.group_size ? pb_encoded_blocks(m) / job->rows : 0;
	status = gptq_fill(&g, m, err);
	gptq_free(&g);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static double gptq_paper_bits(const void *options, uint32_t rows, uint32_t cols)
{
	return pb_uniform_paper_bits(options, rows, cols);
}

static double gptq_paper_bytes(const void *options, const struct pb_config *config)
{
	return pb_paper_bytes(config, gptq_paper_bits, options);
}

const struct pb_quantizer pb_quantizer_gptq = {
	.name = "gptq",
	.title = "GPTQ",
	.source = "arXiv:2210.17323",
	.family = "other",
	.help = "Uniform integers whose rounding errors are made up for by the columns that follow, by the second moments of the inputs. "
		"Same storage as rtn at the same bits and group size.",
	.abi = PB_QUANTIZER_ABI,
	.version = 2,
	.needs = gptq_needs,
	.options = gptq_options,
	.options_size = sizeof(struct gptq_options),
	.wbits = gptq_wbits,
	.plan = gptq_plan,
	.quantize = gptq_quantize,
	.paper_bytes = gptq_paper_bytes,
};
