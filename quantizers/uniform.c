#include "quantizers/uniform.h"

#include <math.h>
#include "core/base/memory.h"

#define SHRINK_SPAN 0.8 /* quant.py: maxshrink = .8 over grid = 100 steps */

const char *const pb_uniform_modes[] = { "symmetric", "asymmetric", NULL };
const char *const pb_uniform_zeros[] = { "integer", "float", NULL };
const char *const pb_uniform_dtypes[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };
static const float smallest[] = { 0x1p-24f, 0x1p-133f, 0x1p-149f }; /* positive numbers of each dtype */

enum pb_dtype pb_uniform_dtype(const struct pb_uniform *u)
{
	return dtypes[u->scale_dtype];
}

static bool has_offset(const struct pb_uniform *u)
{
	return u->mode == PB_ASYMMETRIC && u->zero == PB_ZERO_FLOAT;
}

float pb_uniform_rounded(const struct pb_uniform *u, float x)
{
	float y = x;
	pb_float_write(pb_uniform_dtype(u), &x, 1, &y);
	return pb_float_at(pb_uniform_dtype(u), &y, 0);
}

static float scale_of(const struct pb_uniform *u, double lo, double hi)
{
	float scale = pb_uniform_rounded(u, (float)((hi - lo) / ((1 << u->bits) - 1)));
	return scale > 0.0f || hi == lo ? scale : smallest[u->scale_dtype];
}

static int clamped(float code, int top)
{
	return code > 0.0f ? (code < (float)top ? (int)code : top) : 0;
}

/* The grid for the range [lo, hi] of a block, shrunk by `keep`. */
static struct pb_grid shrunk_grid(const struct pb_uniform *u, double lo, double hi, double keep)
{
	int top = (1 << u->bits) - 1;
	struct pb_grid g = { .zero = 1 << (u->bits - 1) };
	if (has_offset(u)) {
		double middle = lo + (hi - lo) / 2, half = (hi - lo) / 2 * keep;
		g.scale = scale_of(u, middle - half, middle + half);
		g.offset = pb_uniform_rounded(u, keep < 1.0 ? (float)(middle - half) : (float)lo);
		g.zero = 0;
		return g;
	}
	if (lo == 0.0 && hi == 0.0) {
		lo = -1.0;
		hi = 1.0;
	}
	lo *= keep;
	hi *= keep;
	g.scale = scale_of(u, lo, hi);
	if (u->mode == PB_ASYMMETRIC)
		g.zero = clamped(nearbyintf((float)-lo / g.scale), top);
	return g;
}

struct pb_grid pb_uniform_grid(const struct pb_uniform *u, double lo, double hi)
{
	return shrunk_grid(u, lo, hi, 1.0);
}

int pb_uniform_code(const struct pb_uniform *u, const struct pb_grid *g, float x)
{
	int top = (1 << u->bits) - 1;
	if (has_offset(u))
		return g->scale > 0.0f ? clamped(nearbyintf((x - g->offset) / g->scale), top) : 0;
	return clamped(nearbyintf(x / g->scale) + (float)g->zero, top);
}

float pb_uniform_value(const struct pb_uniform *u, const struct pb_grid *g, int code)
{
	if (has_offset(u)) {
		float scaled = (float)code * g->scale;
		return scaled + g->offset;
	}
	return (float)(code - g->zero) * g->scale;
}

static double squared_error(const struct pb_uniform *u, const struct pb_grid *g, const float *x, uint64_t n)
{
	double sum = 0.0;
	for (uint64_t i = 0; i < n; i++) {
		double d = (double)x[i] - pb_uniform_value(u, g, pb_uniform_code(u, g, x[i]));
		sum += d * d;
	}
	return sum;
}

struct pb_grid pb_uniform_fit(const struct pb_uniform *u, const float *x, uint64_t n)
{
	double lo = has_offset(u) ? x[0] : 0.0, hi = lo;
	for (uint64_t i = 0; i < n; i++) {
		lo = x[i] < lo ? x[i] : lo;
		hi = x[i] > hi ? x[i] : hi;
	}
	if (u->mode == PB_SYMMETRIC) {
		hi = -lo > hi ? -lo : hi;
		lo = -hi;
	}
	struct pb_grid best = pb_uniform_grid(u, lo, hi);
	if (!u->search)
		return best;
	double least = squared_error(u, &best, x, n);
	for (int64_t i = 1; i < u->search_steps; i++) {
		struct pb_grid g = shrunk_grid(u, lo, hi, 1.0 - SHRINK_SPAN * (double)i / (double)u->search_steps);
		double error = squared_error(u, &g, x, n);
		if (error < least) {
			least = error;
			best = g;
		}
	}
	return best;
}

double pb_uniform_paper_bits(const struct pb_uniform *u, uint32_t rows, uint32_t cols)
{
	double zero = u->mode != PB_ASYMMETRIC ? 0 : u->zero == PB_ZERO_FLOAT ? 16 : (double)u->bits;

	return (double)rows * cols * (double)u->bits + (double)pb_group_count(rows, cols, u->group_size) * (16 + zero);
}

enum pb_status pb_uniform_plan(const struct pb_uniform *u, uint32_t rows, uint32_t cols, uint64_t *bytes, struct pb_error *err)
{
	uint64_t blocks = pb_group_count(rows, cols, u->group_size), number = pb_dtype_bytes(pb_uniform_dtype(u));
	enum pb_width width;
	if (u->bits == 7)
		return pb_fail(err, PB_USAGE, "bits: 7 would be stored in 8 bits\ntake 6 or 8");
	(void)pb_width_for_levels(1u << u->bits, &width); /* 2..8 bits always have one */
	*bytes = rows * pb_packed_bytes(width, cols) + blocks * number;
	if (u->mode == PB_ASYMMETRIC)
		*bytes += u->zero == PB_ZERO_FLOAT ? blocks * number : pb_packed_bytes(width, blocks);
	return PB_OK;
}

enum pb_status pb_uniform_store(const struct pb_uniform *u, const struct pb_grid *grids, const uint8_t *codes, struct pb_encoded *m,
	struct pb_error *err)
{
	uint64_t blocks = pb_encoded_blocks(m);
	enum pb_width width;
	enum pb_dtype dtype = pb_uniform_dtype(u);
	/* "signed:4" has the zero point 2^(bits-1) in its levels, where it costs nothing */
	char signed_levels[] = { 's', 'i', 'g', 'n', 'e', 'd', ':', (char)('0' + u->bits), 0 };
	float *scales = pb_alloc(blocks, sizeof *scales), *offsets = pb_alloc(blocks, sizeof *offsets);
	uint8_t *zeros = pb_alloc(blocks, 1);
	enum pb_status status = scales && offsets && zeros ? PB_OK : pb_out_of_memory(err, "scales");

	for (uint64_t b = 0; !status && b < blocks; b++) {
		scales[b] = grids[b].scale;
		offsets[b] = grids[b].offset;
		zeros[b] = (uint8_t)grids[b].zero;
	}
	(void)pb_width_for_levels(1u << u->bits, &width);
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, u->mode == PB_SYMMETRIC ? signed_levels : "integer", NULL, 0, PB_F32, err);
	if (!status)
		status = pb_scale_set_float(m, &m->block_scale, scales, blocks, dtype, err);
	if (!status && u->mode == PB_ASYMMETRIC)
		status = u->zero == PB_ZERO_INTEGER ? pb_scale_set_zero(m, &m->block_offset, zeros, blocks, width, err) :
			pb_scale_set_float(m, &m->block_offset, offsets, blocks, dtype, err);
	if (!status)
		status = pb_encoded_set_codes(m, width, codes, err);
	pb_free(scales);
	pb_free(offsets);
	pb_free(zeros);
	return status;
}
