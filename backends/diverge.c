/* With a and b the logits less the largest of their row, and P, Q the sums of exp(a), exp(b):
 *
 *   sum p (ln p - ln q) = sum exp(a) (a - b) / P - ln P + ln Q
 *
 * Two equal rows give 0 exactly. Nothing is left out: llama.cpp, whose term this is, drops tokens with ln p <= -16, as its file
 * of full-precision logits in 16 bits does not know them.
 *
 * In f64 lanes of the compiler's generic vectors, made once for each instruction set; products are not contracted into sums, so that
 * all of them give the same bits. */
#include "backends/diverge.h"

#include "backends/vector.h"

#define LANES 8
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef uint64_t bits __attribute__((vector_size(LANES * sizeof(uint64_t))));
typedef float floats __attribute__((vector_size(LANES * sizeof(float))));

/* v = exp(v) for v <= 0, within 2 units in the last place; 0 below -700; NaN stays NaN. exp(x) = 2^n exp(r), n = round(x / ln 2),
 * |r| <= ln 2 / 2; ln 2 is taken in two parts, so that n times the first is exact; the series of exp(r) up to r^13 leaves 4e-18. */
PB_INLINE void exp_lanes(lanes *v)
{
	const double shift = 6755399441055744.0;        /* 1.5 * 2^52: a sum with it has no fraction, and n in its low bits */
	static const double over[] = { 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0, 1 / 362880.0, 1 / 40320.0, 1 / 5040.0, 1 / 720.0, 1 / 120.0, 1 / 24.0, 1 / 6.0, 0.5 };
	lanes x = *v, shifted = x * 1.4426950408889634 + shift, n = shifted - shift;
	lanes r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10, p = r * (1 / 6227020800.0) + over[0];
	bits normal = ~(bits)(x < -700.0), power = ((bits)shifted + 1023) << 52;

	for (size_t k = 1; k < sizeof(over) / sizeof(over[0]); k++)
		p = p * r + over[k];
	p = (p * (r * r) + r) + 1.0;
	*v = (lanes)((bits)(p * (lanes)power) & normal);
}

/* Sums so far; of a and b each, and of exp(a) (a - b). */
struct sums {
	lanes full, quantized, apart;
};

PB_INLINE void add_terms(struct sums *s, const lanes *a, const lanes *b)
{
	lanes weight = *a, other = *b;

	exp_lanes(&weight);
	exp_lanes(&other);
	s->full += weight;
	s->quantized += other;
	s->apart += weight * (*a - *b);
}

PB_INLINE double total(const lanes *v)
{
	return (((*v)[0] + (*v)[1]) + ((*v)[2] + (*v)[3])) + (((*v)[4] + (*v)[5]) + ((*v)[6] + (*v)[7]));
}

/* The place of the first of the largest. */
PB_INLINE uint32_t top_of(const float *x, uint32_t n)
{
	uint32_t whole = n / PB_LANES * PB_LANES, top = 0;
	float largest = whole ? pb_largest(x, whole) : x[0];

	for (uint32_t i = whole; i < n; i++)
		largest = x[i] > largest ? x[i] : largest;
	while (top + 1 < n && x[top] != largest)
		top++;
	return top;
}

PB_INLINE struct pb_row_divergence diverge(const float *full, const float *quantized, uint32_t n)
{
	uint32_t top_full = top_of(full, n), top_quantized = top_of(quantized, n), whole = n / LANES * LANES;
	double largest_full = full[top_full], largest_quantized = quantized[top_quantized], last[2][LANES], sum_full, sum_quantized, kld;
	struct sums s = { { 0 }, { 0 }, { 0 } };
	lanes a, b;

	for (uint32_t i = 0; i < whole; i += LANES) {
		floats x, y;

		memcpy(&x, full + i, sizeof x);
		memcpy(&y, quantized + i, sizeof y);
		a = __builtin_convertvector(x, lanes) - largest_full;
		b = __builtin_convertvector(y, lanes) - largest_quantized;
		add_terms(&s, &a, &b);
	}
	for (uint32_t k = 0; k < LANES; k++) {
		/* Behind the end: nothing. */
		last[0][k] = whole + k < n ? full[whole + k] - largest_full : -1000;
		last[1][k] = whole + k < n ? quantized[whole + k] - largest_quantized : -1000;
	}
	memcpy(&a, last[0], sizeof a);
	memcpy(&b, last[1], sizeof b);
	add_terms(&s, &a, &b);
	sum_full = total(&s.full);
	sum_quantized = total(&s.quantized);
	kld = total(&s.apart) / sum_full - log(sum_full) + log(sum_quantized);
	return (struct pb_row_divergence){
		/* It is never negative (Gibbs): what is below 0 is rounding. NaN stays. */
		.kld = kld < 0 ? 0 : kld,
		.log_sum_full = largest_full + log(sum_full),
		.log_sum_quantized = largest_quantized + log(sum_quantized),
		.same_top = top_full == top_quantized,
	};
}

static void diverge_plain(const float *full, const float *quantized, uint32_t n, struct pb_row_divergence *out)
{
	*out = diverge(full, quantized, n);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void diverge_avx2(const float *full, const float *quantized, uint32_t n, struct pb_row_divergence *out)
{
	*out = diverge(full, quantized, n);
}

__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl"))) static void diverge_avx512(const float *full, const float *quantized, uint32_t n, struct pb_row_divergence *out)
{
	*out = diverge(full, quantized, n);
}
#endif

struct pb_row_divergence pb_diverge(const float *full, const float *quantized, uint32_t n)
{
	struct pb_row_divergence out;

#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
		diverge_avx512(full, quantized, n, &out);
		return out;
	}
	if (__builtin_cpu_supports("avx2")) {
		diverge_avx2(full, quantized, n, &out);
		return out;
	}
#endif
	diverge_plain(full, quantized, n, &out);
	return out;
}
