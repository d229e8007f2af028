#include "core/model/levels.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* bitsandbytes' get_4bit_type, by code. NF4 is kept as the library has it: recomputing it from normal
 * quantiles gives numbers some units in the last place away. */
static const float nf4[16] = {
	-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
	-0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
	0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
	0.7229568362236023f, 1.0f,
};
static const float af4[16] = { /* the library holds this one in descending order */
	1.0f, 0.72424863f, 0.55496234f, 0.42563882f, 0.31675666f, 0.21961274f, 0.12934483f, 0.04273164f,
	0.0f, -0.04934812f, -0.14982478f, -0.25607552f, -0.3736951f, -0.51243739f, -0.69441008f, -1.0f,
};
/* Magnitudes by the low three bits of the code; bit 3 is the sign. */
static const float fp4_bnb_times_12[8] = { 0.0f, 0.0625f, 8.0f, 12.0f, 4.0f, 6.0f, 2.0f, 3.0f };
static const float fp4_mx_times_6[8] = { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f };

static int compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static unsigned copy_levels(float *out, const float *levels, unsigned n)
{
	memcpy(out, levels, n * sizeof *out);
	return n;
}

static unsigned signed_magnitudes(float *out, const float magnitudes[8], float divisor)
{
	for (int i = 0; i < 8; i++) {
		out[i] = magnitudes[i] / divisor;
		out[i + 8] = -out[i];
	}
	return 16;
}

static unsigned linear_levels(float *out, unsigned bits)
{
	int top = (1 << (bits - 1)) - 1;
	for (int i = -top; i <= top; i++)
		out[i + top] = (float)i / (float)top;
	return (unsigned)(2 * top + 1);
}

/* create_fp8_map: a larger exponent field is a smaller number, and the subnormals of field 0 lie at 2^-bias. */
static unsigned float_levels(float *out, unsigned exponent_bits, unsigned mantissa_bits)
{
	int bias = 1 << (exponent_bits - 1), n_exponents = 1 << exponent_bits, n_mantissas = 1 << mantissa_bits;
	float magnitudes[PB_MAX_LEVELS / 2];
	float largest = 0.0f;
	int n = 0;
	for (int e = 0; e < n_exponents; e++)
		for (int m = 0; m < n_mantissas; m++) {
			float fraction = (float)m / (float)n_mantissas;
			float v = e == 0 ? ldexpf(fraction, -bias) : ldexpf(1.0f + fraction, bias + 1 - e);
			magnitudes[n++] = v;
			if (v > largest)
				largest = v;
		}
	qsort(magnitudes, (size_t)n, sizeof *magnitudes, compare_floats);
	for (int i = 0; i < n; i++) { /* magnitudes[0] is 0 and is there once */
		out[n - 1 + i] = magnitudes[i] / largest;
		out[n - 1 - i] = -out[n - 1 + i];
	}
	out[n - 1] = 0.0f;
	return (unsigned)(2 * n - 1);
}

/* create_dynamic_map with max_exponent_bits = bits - 1, in its float32 arithmetic. */
static unsigned dynamic_levels(float *out, unsigned bits, bool is_signed)
{
	static const float tenth_powers[7] = { 1.0f, 0.1f, 0.01f, 0.001f, 0.0001f, 0.00001f, 0.000001f };
	unsigned n_exponents = bits - 1, n = 0;
	for (unsigned i = 0; i < n_exponents; i++) {
		unsigned intervals = 1u << (is_signed ? i : i + 1);
		float power = tenth_powers[n_exponents - 1 - i], step = (1.0f - 0.1f) / (float)intervals;
		float edge = 0.1f;
		for (unsigned j = 1; j <= intervals; j++) {
			/* evenly spaced numbers are counted from the nearer end, as torch.linspace does */
			float next = j < (intervals + 1) / 2 ? 0.1f + step * (float)j : 1.0f - step * (float)(intervals - j);
			float mean = power * ((edge + next) / 2.0f);
			edge = next;
			out[n++] = mean;
			if (is_signed)
				out[n++] = -mean;
		}
	}
	out[n++] = 0.0f;
	out[n++] = 1.0f;
	qsort(out, n, sizeof *out, compare_floats);
	return n;
}

static float dynamic8[PB_MAX_LEVELS];

static void make_dynamic8(void)
{
	dynamic_levels(dynamic8, 8, true);
}

const float *pb_levels_dynamic8(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_dynamic8);
	return dynamic8;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "PREFIX" followed by a number in low..high, of one or two digits, and the end. */
static bool name_with_number(const char *name, const char *prefix, unsigned low, unsigned high, unsigned *number)
{
	size_t n = strlen(prefix);
	if (strncmp(name, prefix, n) || !is_digit(name[n]) || (name[n + 1] && (name[n] == '0' || !is_digit(name[n + 1]) || name[n + 2])))
		return false;
	*number = (unsigned)(name[n] - '0');
	if (name[n + 1])
		*number = *number * 10 + (unsigned)(name[n + 1] - '0');
	return *number >= low && *number <= high;
}

static bool float_name(const char *name, unsigned *exponent_bits, unsigned *mantissa_bits)
{
	if (strlen(name) != 9 || strncmp(name, "float:", 6) || name[7] != ':' || name[6] < '1' || name[6] > '7' ||
	    name[8] < '0' || name[8] > '6')
		return false;
	*exponent_bits = (unsigned)(name[6] - '0');
	*mantissa_bits = (unsigned)(name[8] - '0');
	return *exponent_bits + *mantissa_bits <= 7;
}

enum pb_status pb_levels_named(const char *name, float out[PB_MAX_LEVELS], unsigned *n, struct pb_error *err)
{
	unsigned bits, mantissa_bits;
	if (!strcmp(name, "integer")) {
		for (int i = 0; i < PB_MAX_LEVELS; i++)
			out[i] = (float)i;
		*n = PB_MAX_LEVELS;
	} else if (name_with_number(name, "signed:", 1, 8, &bits)) {
		*n = 1u << bits;
		for (int i = 0; i < 1 << bits; i++)
			out[i] = (float)(i - (1 << (bits - 1)));
	} else if (!strcmp(name, "sign")) {
		*n = copy_levels(out, (const float[]){ -1.0f, 1.0f }, 2);
	} else if (!strcmp(name, "sign_bit")) {
		*n = copy_levels(out, (const float[]){ 1.0f, -1.0f }, 2);
	} else if (name_with_number(name, "seq:", 2, 16, &bits)) {
		*n = bits;
		for (int i = 0; i < (int)bits; i++)
			out[i] = (float)(2 * i + 1 - (int)bits) / (float)bits;
	} else if (!strcmp(name, "ternary")) {
		*n = copy_levels(out, (const float[]){ -1.0f, 0.0f, 1.0f }, 3);
	} else if (name_with_number(name, "int:", 2, 8, &bits)) {
		*n = linear_levels(out, bits);
	} else if (float_name(name, &bits, &mantissa_bits)) {
		*n = float_levels(out, bits, mantissa_bits);
	} else if (name_with_number(name, "dynamic:", 2, 8, &bits)) {
		*n = dynamic_levels(out, bits, true);
	} else if (name_with_number(name, "dynamic_unsigned:", 2, 8, &bits)) {
		*n = dynamic_levels(out, bits, false);
	} else if (!strcmp(name, "nf4")) {
		*n = copy_levels(out, nf4, 16);
	} else if (!strcmp(name, "af4")) {
		*n = copy_levels(out, af4, 16);
	} else if (!strcmp(name, "fp4_bnb")) {
		*n = signed_magnitudes(out, fp4_bnb_times_12, 12.0f);
	} else if (!strcmp(name, "fp4_mx")) {
		*n = signed_magnitudes(out, fp4_mx_times_6, 6.0f);
	} else {
		return pb_fail(err, PB_USAGE, "levels: '%.40s': there is no table of that name", name);
	}
	return PB_OK;
}

/* The largest f32 that is not above the midpoint of a and b, so that `x > middle` is exact for every f32 x. */
static float middle_of(float a, float b)
{
	double middle = ((double)a + (double)b) / 2.0;
	float rounded = (float)middle;
	return (double)rounded > middle ? nextafterf(rounded, -INFINITY) : rounded;
}

void pb_level_search_make(struct pb_level_search *s, const float *levels, unsigned n)
{
	unsigned used = 0;
	/* Insertion from the left keeps the lowest code in front among equals; tables are small or nearly sorted. */
	for (unsigned i = 0; i < n && i < PB_MAX_LEVELS; i++) {
		unsigned at = used;
		while (at > 0 && s->sorted[at - 1] > levels[i])
			at--;
		if (at > 0 && s->sorted[at - 1] == levels[i])
			continue;
		memmove(s->sorted + at + 1, s->sorted + at, (used - at) * sizeof *s->sorted);
		memmove(s->code + at + 1, s->code + at, (used - at) * sizeof *s->code);
		s->sorted[at] = levels[i];
		s->code[at] = (uint8_t)i;
		used++;
	}
	for (unsigned i = 0; i + 1 < used; i++)
		s->middle[i] = middle_of(s->sorted[i], s->sorted[i + 1]);
	s->n = used;
}

unsigned pb_level_nearest(const struct pb_level_search *s, float x)
{
	unsigned at = 0;
	if (s->n <= 16) {
		for (unsigned i = 0; i + 1 < s->n; i++)
			at += x > s->middle[i];
		return s->code[at];
	}
	unsigned high = s->n - 1;
	while (at < high) {
		unsigned mid = (at + high) / 2;
		if (x > s->middle[mid])
			at = mid + 1;
		else
			high = mid;
	}
	return s->code[at];
}
