#include "reports/claims/interval.h"

#include <math.h>

/* Sums of printed numbers are binary fractions: 62.7 - 0.05 is not exactly 62.6 + 0.05. */
#define SLACK 1e-9

struct pb_interval pb_exact(double value)
{
	return (struct pb_interval){ value, value, value };
}

struct pb_interval pb_around(double value, double half)
{
	return (struct pb_interval){ value - half, value, value + half };
}

struct pb_interval pb_interval_add(struct pb_interval a, struct pb_interval b)
{
	return (struct pb_interval){ a.low + b.low, a.middle + b.middle, a.high + b.high };
}

struct pb_interval pb_interval_subtract(struct pb_interval a, struct pb_interval b)
{
	return (struct pb_interval){ a.low - b.high, a.middle - b.middle, a.high - b.low };
}

/* 0 times an end that is unbounded is 0: the end stands for values as large as any, all of them finite. */
static double product(double a, double b)
{
	return a == 0 || b == 0 ? 0 : a * b;
}

static struct pb_interval of_corners(double middle, double a, double b, double c, double d)
{
	return (struct pb_interval){ fmin(fmin(a, b), fmin(c, d)), middle, fmax(fmax(a, b), fmax(c, d)) };
}

struct pb_interval pb_interval_multiply(struct pb_interval a, struct pb_interval b)
{
	return of_corners(product(a.middle, b.middle), product(a.low, b.low), product(a.low, b.high), product(a.high, b.low), product(a.high, b.high));
}

bool pb_interval_divide(struct pb_interval a, struct pb_interval b, struct pb_interval *out)
{
	if (b.middle == 0)
		return false;
	if (b.low <= 0 && b.high >= 0) {
		*out = (struct pb_interval){ -INFINITY, a.middle / b.middle, INFINITY };
		return true;
	}
	*out = pb_interval_multiply(a, (struct pb_interval){ 1 / b.high, 1 / b.middle, 1 / b.low });
	out->middle = a.middle / b.middle;
	return true;
}

bool pb_interval_power(struct pb_interval a, struct pb_interval b, struct pb_interval *out)
{
	bool whole = b.low == b.high && b.low == floor(b.low);

	if ((a.low < 0 && !whole) || (a.low <= 0 && a.high >= 0 && b.low < 0))
		return false;
	*out = of_corners(pow(a.middle, b.middle), pow(a.low, b.low), pow(a.low, b.high), pow(a.high, b.low), pow(a.high, b.high));
	if (a.low < 0 && a.high > 0 && fmod(b.low, 2) == 0)
		out->low = 0;
	return true;
}

struct pb_interval pb_interval_rising(double (*f)(double), struct pb_interval a)
{
	return (struct pb_interval){ f(a.low), f(a.middle), f(a.high) };
}

struct pb_interval pb_interval_absolute(struct pb_interval a)
{
	if (a.low >= 0)
		return a;
	if (a.high <= 0)
		return (struct pb_interval){ -a.high, -a.middle, -a.low };
	return (struct pb_interval){ 0, fabs(a.middle), fmax(-a.low, a.high) };
}

struct pb_interval pb_interval_smaller(struct pb_interval a, struct pb_interval b)
{
	return (struct pb_interval){ fmin(a.low, b.low), fmin(a.middle, b.middle), fmin(a.high, b.high) };
}

struct pb_interval pb_interval_larger(struct pb_interval a, struct pb_interval b)
{
	return (struct pb_interval){ fmax(a.low, b.low), fmax(a.middle, b.middle), fmax(a.high, b.high) };
}

static double slack(double a, double b)
{
	double size = fmax(fabs(a), fabs(b));

	return isfinite(size) ? SLACK * fmax(1e-3, size) : 0;
}

enum pb_truth pb_interval_less(struct pb_interval a, struct pb_interval b)
{
	if (a.low >= b.high - slack(a.low, b.high))
		return PB_FALSE;
	return a.high <= b.low + slack(a.high, b.low) ? PB_TRUE : PB_OPEN;
}

enum pb_truth pb_interval_agree(struct pb_interval a, struct pb_interval b)
{
	bool exact = a.low == a.high || b.low == b.high;
	double low = fmax(a.low, b.low), high = fmin(a.high, b.high), tolerance = slack(low, high);

	return low < high - tolerance || (exact && low <= high + tolerance) ? PB_TRUE : PB_FALSE;
}

enum pb_truth pb_truth_not(enum pb_truth a)
{
	return a == PB_TRUE ? PB_FALSE : a == PB_FALSE ? PB_TRUE : PB_OPEN;
}

enum pb_truth pb_truth_and(enum pb_truth a, enum pb_truth b)
{
	return a < b ? a : b;
}

enum pb_truth pb_truth_or(enum pb_truth a, enum pb_truth b)
{
	return a > b ? a : b;
}
