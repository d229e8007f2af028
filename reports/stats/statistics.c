#include "reports/stats/statistics.h"

#include <math.h>
#include <stdlib.h>
#include "core/base/memory.h"

#define MCNEMAR_EXACT_LIMIT 2000

double pb_stderr_binomial(double share, uint64_t n)
{
	return n > 0 && share >= 0 && share <= 1 ? sqrt(share * (1 - share) / (double)n) : NAN;
}

double pb_stderr_of_mean(const double *errors, size_t k)
{
	double sum = 0;

	for (size_t i = 0; i < k; i++)
		sum += errors[i] * errors[i];
	return k ? sqrt(sum) / (double)k : NAN;
}

static double weight(const struct pb_scores *s, size_t i)
{
	return s->weights ? s->weights[i] : 1;
}

/* Residuals of items; `by_cluster` (n, cleared) takes their sums, counts (n, cleared) how many items a cluster has. */
static void sum_clusters(const struct pb_scores *s, double value, double *by_cluster, uint32_t *counts)
{
	for (size_t i = 0; i < s->n; i++) {
		by_cluster[s->clusters[i]] += s->sums[i] - value * weight(s, i);
		counts[s->clusters[i]]++;
	}
}

enum pb_status pb_scores_mean(const struct pb_scores *s, struct pb_mean *out, struct pb_error *err)
{
	double sum = 0, weights = 0, squares = 0, cross = 0, *by_cluster;
	uint32_t *counts;
	struct pb_mean e = { .value = NAN, .stderr_value = NAN, .n = s->n, .n_units = s->n };

	for (size_t i = 0; i < s->n; i++) {
		sum += s->sums[i];
		weights += weight(s, i);
	}
	if (s->n)
		e.value = sum / weights;
	for (size_t i = 0; i < s->n; i++) {
		double r = s->sums[i] - e.value * weight(s, i);

		squares += r * r;
	}
	if (s->clusters && s->n) {
		by_cluster = pb_alloc_zero(s->n, sizeof(*by_cluster));
		counts = pb_alloc_zero(s->n, sizeof(*counts));
		if (!by_cluster || !counts) {
			pb_free(by_cluster);
			pb_free(counts);
			return pb_out_of_memory(err, "statistics");
		}
		sum_clusters(s, e.value, by_cluster, counts);
		e.n_units = 0;
		for (size_t i = 0; i < s->n; i++) {
			e.n_units += counts[i] > 0;
			cross += by_cluster[i] * by_cluster[i];
		}
		cross -= squares;
		pb_free(by_cluster);
		pb_free(counts);
	}
	/* Rounding may leave a little less than nothing. */
	if (e.n_units > 1)
		e.stderr_value = sqrt(fmax(0, squares * (double)s->n / (double)(s->n - 1) + cross)) / weights;
	*out = e;
	return PB_OK;
}

/* Acklam's rational approximation (1.15e-9 relative), then Halley's step on erfc, which makes it exact to rounding. */
double pb_normal_quantile(double p)
{
	static const double a[] = { -3.969683028665376e+01, 2.209460984245205e+02, -2.759285104469687e+02, 1.383577518672690e+02, -3.066479806614716e+01, 2.506628277459239e+00 };
	static const double b[] = { -5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01, -1.328068155288572e+01 };
	static const double c[] = { -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00, -2.549732539343734e+00, 4.374664141464968e+00, 2.938163982698783e+00 };
	static const double d[] = { 7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00 };
	double x, q, r, e, u;

	if (!(p > 0 && p < 1))
		return NAN;
	if (p > 0.5)
		return -pb_normal_quantile(1 - p);
	if (p < 0.02425) {
		q = sqrt(-2 * log(p));
		x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) / ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
	} else {
		q = p - 0.5;
		r = q * q;
		x = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q / (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
	}
	e = 0.5 * erfc(-x / M_SQRT2) - p;
	u = e * sqrt(2 * M_PI) * exp(x * x / 2);
	return x - u / (1 + x * u / 2);
}

static double log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

/* Continued fraction of the incomplete beta function (Lentz), for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
	double c = 1, d = 1 - (a + b) * x / (a + 1), h;

	d = 1 / (fabs(d) < 1e-300 ? 1e-300 : d);
	h = d;
	for (int m = 1; m <= 20000; m++) {
		double m2 = 2.0 * m, term = m * (b - m) * x / ((a + m2 - 1) * (a + m2)), step;

		d = 1 + term * d;
		c = 1 + term / c;
		d = 1 / (fabs(d) < 1e-300 ? 1e-300 : d);
		c = fabs(c) < 1e-300 ? 1e-300 : c;
		h *= d * c;
		term = -(a + m) * (a + b + m) * x / ((a + m2) * (a + m2 + 1));
		d = 1 + term * d;
		c = 1 + term / c;
		d = 1 / (fabs(d) < 1e-300 ? 1e-300 : d);
		c = fabs(c) < 1e-300 ? 1e-300 : c;
		step = d * c;
		h *= step;
		if (fabs(step - 1) < 1e-15)
			break;
	}
	return h;
}

/* ln B(a, 1/2); of large a by Stirling's series of the quotient, since their difference is all that counts. */
static double log_beta_half(double a)
{
	double quotient = a < 100 ? log_gamma(a + 0.5) - log_gamma(a) : 0.5 * log(a) - 1 / (8 * a) + 1 / (192 * a * a * a) - 1 / (640 * a * a * a * a * a);

	return log_gamma(0.5) - quotient;
}

/* I_x(a, 1/2); y = 1 - x, given so that nothing is lost near 1. */
static double incomplete_beta_half(double a, double x, double y)
{
	double front;

	if (x <= 0 || y <= 0)
		return x <= 0 ? 0 : 1;
	front = exp(a * log(x) + 0.5 * log(y) - log_beta_half(a));
	return x < (a + 1) / (a + 2.5) ? front * beta_fraction(a, 0.5, x) / a : 1 - front * beta_fraction(0.5, a, y) / 0.5;
}

/* Closed for whole degrees of freedom: e^-h times the sum of h^i / i! (from i = 0, or from 1/2 with what the normal has). */
double pb_chi2_upper(double x, unsigned df)
{
	const double h = 0.5 * x;
	double i = df % 2 ? 0.5 : 0, sum = 0;

	if (!(x > 0) || !df)
		return isnan(x) ? NAN : 1;
	for (; i + 0.5 < 0.5 * df; i++)
		sum += exp(i * log(h) - h - lgamma(i + 1));
	return fmin(1, sum + (df % 2 ? erfc(sqrt(h)) : 0));
}

double pb_t_upper(double t, double df)
{
	double half;

	if (isnan(t) || !(df > 0))
		return NAN;
	if (df > 1e8)
		return 0.5 * erfc(t / M_SQRT2);
	if (isinf(t))
		return t > 0 ? 0 : 1;
	half = 0.5 * incomplete_beta_half(df / 2, df / (df + t * t), t * t / (df + t * t));
	return t > 0 ? half : 1 - half;
}

double pb_t_quantile(double p, double df)
{
	double low = 0, high = 1;

	if (!(p > 0 && p < 1) || !(df > 0))
		return NAN;
	if (p < 0.5)
		return -pb_t_quantile(1 - p, df);
	if (df > 1e8)
		return pb_normal_quantile(p);
	while (high < 1e300 && pb_t_upper(high, df) > 1 - p)
		high *= 2;
	for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
		double middle = 0.5 * (low + high);

		if (pb_t_upper(middle, df) > 1 - p)
			low = middle;
		else
			high = middle;
	}
	return 0.5 * (low + high);
}

struct pb_test pb_test_zero(const struct pb_mean *d)
{
	struct pb_test test = { NAN, NAN, NAN };
	double df = (double)d->n_units - 1, reach;

	if (d->n_units < 2 || !isfinite(d->stderr_value))
		return test;
	if (d->stderr_value > 0) {
		reach = pb_t_quantile(0.975, df) * d->stderr_value;
		test = (struct pb_test){ d->value - reach, d->value + reach, fmin(1, 2 * pb_t_upper(fabs(d->value) / d->stderr_value, df)) };
	} else {
		test = (struct pb_test){ d->value, d->value, d->value == 0 ? 1 : exp2(-df) };
	}
	return test;
}

struct pb_mcnemar pb_mcnemar(uint64_t b, uint64_t c)
{
	uint64_t n = b + c, few = b < c ? b : c;
	double gap = fabs((double)b - (double)c) - 1, sum = 0, last = 0;
	struct pb_mcnemar m = { 1, 1, 0 };

	if (n == 0)
		return m;
	m.chi2 = gap > 0 ? gap * gap / (double)n : 0;
	if (n > MCNEMAR_EXACT_LIMIT) {
		m.p = erfc(sqrt(m.chi2 / 2));
		m.mid_p = NAN;
		return m;
	}
	for (uint64_t i = 0; i <= few; i++) {
		last = exp(log_gamma((double)n + 1) - log_gamma((double)i + 1) - log_gamma((double)(n - i) + 1) - (double)n * M_LN2);
		sum += last;
	}
	m.p = fmin(1, 2 * sum);
	m.mid_p = fmin(1, 2 * sum - last);
	return m;
}

struct pb_flips pb_flips_count(const int32_t *first, const int32_t *second, const int32_t *gold, size_t n)
{
	struct pb_flips f = { .n = n };

	for (size_t i = 0; i < n; i++) {
		f.lost += first[i] == gold[i] && second[i] != gold[i];
		f.won += first[i] != gold[i] && second[i] == gold[i];
		f.changed += first[i] != second[i];
	}
	return f;
}

struct pb_equivalence pb_equivalence_test(const struct pb_mean *d, double margin)
{
	struct pb_equivalence e = { NAN, NAN, NAN, false };
	double df = (double)d->n_units - 1, reach;

	if (d->n_units < 2 || !isfinite(d->stderr_value))
		return e;
	reach = d->stderr_value > 0 ? pb_t_quantile(0.95, df) * d->stderr_value : 0;
	e.low = d->value - reach;
	e.high = d->value + reach;
	e.equivalent = e.low > -margin && e.high < margin;
	if (d->stderr_value > 0)
		e.p = pb_t_upper((margin - fabs(d->value)) / d->stderr_value, df);
	else
		e.p = e.equivalent ? 0 : 1;
	return e;
}

struct ranked {
	double p;
	size_t place;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->p != y->p ? (x->p > y->p) - (x->p < y->p) : (x->place > y->place) - (x->place < y->place);
}

/* The tests of a family by rising p; those without a p stay out. */
static struct ranked *rank_tests(const double *p, size_t n, double *adjusted, size_t *n_tests)
{
	struct ranked *ranked = pb_alloc(n, sizeof(*ranked));

	*n_tests = 0;
	for (size_t i = 0; ranked && i < n; i++) {
		adjusted[i] = NAN;
		if (!isnan(p[i]))
			ranked[(*n_tests)++] = (struct ranked){ p[i], i };
	}
	if (ranked)
		qsort(ranked, *n_tests, sizeof(*ranked), compare_ranked);
	return ranked;
}

enum pb_status pb_adjust_holm(const double *p, size_t n, double *adjusted, struct pb_error *err)
{
	size_t m;
	struct ranked *ranked = rank_tests(p, n, adjusted, &m);
	double most = 0;

	if (!ranked)
		return pb_out_of_memory(err, "a family of tests");
	for (size_t j = 0; j < m; j++) {
		most = fmax(most, fmin(1, (double)(m - j) * ranked[j].p));
		adjusted[ranked[j].place] = most;
	}
	pb_free(ranked);
	return PB_OK;
}

enum pb_status pb_adjust_benjamini_hochberg(const double *p, size_t n, double *adjusted, struct pb_error *err)
{
	size_t m;
	struct ranked *ranked = rank_tests(p, n, adjusted, &m);
	double least = 1;

	if (!ranked)
		return pb_out_of_memory(err, "a family of tests");
	for (size_t j = m; j > 0; j--) {
		least = fmin(least, (double)m * ranked[j - 1].p / (double)j);
		adjusted[ranked[j - 1].place] = least;
	}
	pb_free(ranked);
	return PB_OK;
}

/* z of two-sided 5 % plus z of 80 %. */
static double power_reach(void)
{
	return pb_normal_quantile(0.975) + pb_normal_quantile(0.8);
}

double pb_smallest_detectable(double standard_deviation, double n)
{
	return n > 0 ? power_reach() * standard_deviation / sqrt(n) : NAN;
}

double pb_items_needed(double standard_deviation, double difference)
{
	double ratio = power_reach() * standard_deviation / difference;

	return difference != 0 ? ceil(ratio * ratio) : NAN;
}
