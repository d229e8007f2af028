#include "reports/stats/forms.h"

#include <math.h>
#include <string.h>

double pb_form_transform(enum pb_transform transform, double value)
{
	double t = transform == PB_LN ? log(value) : transform == PB_LOG2 ? log2(value) : transform == PB_LN_LOG2 ? log(log2(value)) : value;
	return isfinite(t) ? t : NAN;
}

double pb_form_shown(const struct pb_form *form, unsigned parameter, double theta)
{
	return form->parameters[parameter].is_log ? exp(theta) : theta;
}

const struct pb_form *pb_form_find(const char *name)
{
	for (size_t i = 0; i < pb_n_forms; i++)
		if (strcmp(pb_forms[i]->name, name) == 0)
			return pb_forms[i];
	return NULL;
}

static double mean_of(const struct pb_form_data *d, unsigned n_variables, unsigned k)
{
	double sum = 0.0;
	for (size_t i = 0; i < d->n; i++)
		sum += d->x[i * n_variables + k];
	return sum / (double)d->n;
}

static double least_of(const double *values, size_t n, size_t step)
{
	double least = values[0];
	for (size_t i = 1; i < n; i++)
		least = fmin(least, values[i * step]);
	return least;
}

static double mean_target(const struct pb_form_data *d)
{
	double sum = 0.0;
	for (size_t i = 0; i < d->n; i++)
		sum += d->target[i];
	return sum / (double)d->n;
}

/* ln of a sum of exponentials of `terms`; shares[i] = its derivative by term i. */
static double log_sum_exp(const double *terms, unsigned n, double *shares)
{
	double most = terms[0], sum = 0.0;
	for (unsigned i = 1; i < n; i++)
		most = fmax(most, terms[i]);
	for (unsigned i = 0; i < n; i++)
		sum += shares[i] = exp(terms[i] - most);
	for (unsigned i = 0; i < n; i++)
		shares[i] /= sum;
	return most + log(sum);
}

/* --- linear in the logarithms --- */

/* theta[0] + sum of sign * theta[k + 1] * x[order[k]] */
struct term {
	unsigned variable;
	double sign;
};

static double linear(const double *theta, const double *x, const struct term *terms, unsigned n, double *gradient)
{
	double sum = theta[0];
	for (unsigned k = 0; k < n; k++)
		sum += terms[k].sign * theta[k + 1] * x[terms[k].variable];
	if (gradient) {
		gradient[0] = 1.0;
		for (unsigned k = 0; k < n; k++)
			gradient[k + 1] = terms[k].sign * x[terms[k].variable];
	}
	return sum;
}

static double predict_straight(const double *theta, const double *x, double *gradient)
{
	static const struct term terms[] = { { 0, -1.0 } };
	return linear(theta, x, terms, 1, gradient);
}

static double predict_falling(const double *theta, const double *x, double *gradient)
{
	static const struct term terms[] = { { 0, -1.0 }, { 1, -1.0 } };
	return linear(theta, x, terms, 2, gradient);
}

static double predict_degradation(const double *theta, const double *x, double *gradient)
{
	static const struct term terms[] = { { 1, 1.0 }, { 0, -1.0 }, { 2, -1.0 } };
	return linear(theta, x, terms, 3, gradient);
}

static double predict_qat(const double *theta, const double *x, double *gradient)
{
	static const struct term terms[] = { { 1, 1.0 }, { 2, 1.0 }, { 0, -1.0 } };
	return linear(theta, x, terms, 3, gradient);
}

/* One start: the objective is convex. */
static void start_linear(const struct pb_form_data *data, size_t index, double *theta)
{
	(void)index;
	theta[0] = mean_target(data);
	for (unsigned k = 1; k < PB_FORM_PARAMETERS; k++)
		theta[k] = 0.0;
}

/* The last parameter is ln gamma. */
static double predict_degradation_bits_exp(const double *theta, const double *x, double *gradient)
{
	static const struct term terms[] = { { 0, -1.0 } };
	double rate = exp(-theta[2]), sum = linear(theta, x, terms, 1, gradient) - x[1] * rate;
	if (gradient)
		gradient[2] = x[1] * rate;
	return sum;
}

static double predict_degradation_exp(const double *theta, const double *x, double *gradient)
{
	static const struct term terms[] = { { 1, 1.0 }, { 0, -1.0 } };
	double rate = exp(-theta[3]), sum = linear(theta, x, terms, 2, gradient) - x[2] * rate;
	if (gradient)
		gradient[3] = x[2] * rate;
	return sum;
}

static const double decay_starts[] = { 0.2, 0.5, 1.0, 2.0 };

static void start_degradation_bits_exp(const struct pb_form_data *data, size_t index, double *theta)
{
	theta[2] = log(decay_starts[index]);
	theta[1] = 0.0;
	theta[0] = mean_target(data) + mean_of(data, 2, 1) / decay_starts[index];
}

static void start_degradation_exp(const struct pb_form_data *data, size_t index, double *theta)
{
	theta[3] = log(decay_starts[index]);
	theta[1] = theta[2] = 0.0;
	theta[0] = mean_target(data) + mean_of(data, 3, 2) / decay_starts[index];
}

/* --- sums of power laws --- */

static double predict_power(const double *theta, const double *x, double *gradient)
{
	const double terms[] = { theta[0] - theta[2] * x[0], theta[1] };
	double p[2], value = log_sum_exp(terms, 2, p);
	if (gradient) {
		gradient[0] = p[0];
		gradient[1] = p[1];
		gradient[2] = -p[0] * x[0];
	}
	return value;
}

/* ln A so that A / N^alpha fills what is left above E in the mean. */
static double level_above(const struct pb_form_data *data, double offset)
{
	double sum = 0.0;
	for (size_t i = 0; i < data->n; i++)
		sum += log(exp(data->target[i]) - offset);
	return sum / (double)data->n;
}

static void start_power(const struct pb_form_data *data, size_t index, double *theta)
{
	static const double alphas[] = { 0.05, 0.2, 0.5, 1.0, 2.0 }, shares[] = { 0.01, 0.3, 0.6, 0.9 };
	double offset = shares[index % 4] * exp(least_of(data->target, data->n, 1));
	theta[2] = alphas[index / 4];
	theta[1] = log(offset);
	theta[0] = level_above(data, offset) + theta[2] * mean_of(data, 1, 0);
}

static double predict_chinchilla(const double *theta, const double *x, double *gradient)
{
	const double terms[] = { theta[0] - theta[3] * x[0], theta[1] - theta[4] * x[1], theta[2] };
	double p[3], value = log_sum_exp(terms, 3, p);
	if (gradient) {
		gradient[0] = p[0];
		gradient[1] = p[1];
		gradient[2] = p[2];
		gradient[3] = -p[0] * x[0];
		gradient[4] = -p[1] * x[1];
	}
	return value;
}

/* The 4500 starts of Hoffmann et al., appendix D.2. */
static void start_chinchilla(const struct pb_form_data *data, size_t index, double *theta)
{
	(void)data;
	theta[0] = 5.0 * (double)(index % 6);
	theta[1] = 5.0 * (double)(index / 6 % 6);
	theta[2] = 0.5 * (double)(index / 36 % 5) - 1.0;
	theta[3] = 0.5 * (double)(index / 180 % 5);
	theta[4] = 0.5 * (double)(index / 900);
}

/* ln of the share of the parameters that P bits leave, 1 - exp(-(P - P0) / gamma), and its derivatives by P0 and ln gamma. */
static double log_effective(double bits, double p0, double log_gamma, double *by_p0, double *by_log_gamma)
{
	double gamma = exp(log_gamma), u = (bits - p0) / gamma, slope = 1.0 / expm1(u);
	*by_p0 = -slope / gamma;
	*by_log_gamma = -slope * u;
	return log(-expm1(-u));
}

static double predict_precision(const double *theta, const double *x, double *gradient)
{
	double by_p0, by_gamma, n_eff = x[0] + log_effective(x[1], theta[3], theta[4], &by_p0, &by_gamma);
	const double terms[] = { theta[0] - theta[2] * n_eff, theta[1] };
	double p[2], value = log_sum_exp(terms, 2, p);
	if (gradient) {
		gradient[0] = p[0];
		gradient[1] = p[1];
		gradient[2] = -p[0] * n_eff;
		gradient[3] = -p[0] * theta[2] * by_p0;
		gradient[4] = -p[0] * theta[2] * by_gamma;
	}
	return value;
}

/* No model may have bits at which its parameters count for nothing. */
static void bound_p0(const struct pb_form_data *data, unsigned n_variables, unsigned bits, double *upper)
{
	*upper = least_of(data->x + bits, data->n, n_variables) * 0.999;
}

static void bounds_precision(const struct pb_form_data *data, double *lower, double *upper)
{
	(void)lower;
	bound_p0(data, 2, 1, &upper[3]);
}

static void start_precision(const struct pb_form_data *data, size_t index, double *theta)
{
	static const double alphas[] = { 0.1, 0.4, 1.0 }, shares[] = { 0.01, 0.5, 0.9 }, gammas[] = { 0.3, 1.0, 3.0 }, zeros[] = { 0.0, 0.5, 0.9 };
	double offset = shares[index / 3 % 3] * exp(least_of(data->target, data->n, 1));
	theta[2] = alphas[index % 3];
	theta[1] = log(offset);
	theta[0] = level_above(data, offset) + theta[2] * mean_of(data, 2, 0);
	theta[3] = zeros[index / 27] * least_of(data->x + 1, data->n, 2);
	theta[4] = log(gammas[index / 9 % 3]);
}

static double predict_precision_data(const double *theta, const double *x, double *gradient)
{
	double by_p0, by_gamma, n_eff = x[0] + log_effective(x[2], theta[4], theta[5], &by_p0, &by_gamma);
	const double terms[] = { theta[0] - theta[3] * n_eff, theta[1] - theta[3] * x[1], theta[2] };
	double p[3], value = log_sum_exp(terms, 3, p);
	if (gradient) {
		gradient[0] = p[0];
		gradient[1] = p[1];
		gradient[2] = p[2];
		gradient[3] = -p[0] * n_eff - p[1] * x[1];
		gradient[4] = -p[0] * theta[3] * by_p0;
		gradient[5] = -p[0] * theta[3] * by_gamma;
	}
	return value;
}

static void bounds_precision_data(const struct pb_form_data *data, double *lower, double *upper)
{
	(void)lower;
	bound_p0(data, 3, 2, &upper[4]);
}

static void start_precision_data(const struct pb_form_data *data, size_t index, double *theta)
{
	static const double alphas[] = { 0.1, 0.3, 0.6 }, shares[] = { 0.01, 0.5, 0.9 }, gammas[] = { 0.3, 1.0, 3.0 }, zeros[] = { 0.0, 0.5, 0.9 };
	double offset = shares[index / 3 % 3] * exp(least_of(data->target, data->n, 1)), level = level_above(data, offset) - log(2.0);
	theta[3] = alphas[index % 3];
	theta[2] = log(offset);
	theta[0] = level + theta[3] * mean_of(data, 3, 0);
	theta[1] = level + theta[3] * mean_of(data, 3, 1);
	theta[4] = zeros[index / 27] * least_of(data->x + 2, data->n, 3);
	theta[5] = log(gammas[index / 9 % 3]);
}

/* --- accuracy --- */

/* theta = (c1, x0, ln w); x = (log2 of the bits, chance) */
static double predict_saturating(const double *theta, const double *x, double *gradient)
{
	double w = exp(theta[2]), u = (x[0] - theta[1]) / w, s = 1.0 / (1.0 + exp(-u)), slope = (theta[0] - x[1]) * s * (1.0 - s);
	if (gradient) {
		gradient[0] = s;
		gradient[1] = -slope / w;
		gradient[2] = -slope * u;
	}
	return x[1] + (theta[0] - x[1]) * s;
}

static void start_saturating(const struct pb_form_data *data, size_t index, double *theta)
{
	static const double places[] = { 0.1, 0.5, 0.9 }, widths[] = { 0.3, 0.8, 2.0 };
	double low = data->x[0], high = data->x[0], most = data->target[0];
	for (size_t i = 1; i < data->n; i++) {
		low = fmin(low, data->x[2 * i]);
		high = fmax(high, data->x[2 * i]);
		most = fmax(most, data->target[i]);
	}
	theta[0] = fmin(1.0, most + 0.1 * (double)(index / 9));
	theta[1] = low + places[index % 3] * (high - low);
	theta[2] = log(widths[index / 3 % 3]);
}

/* theta = (c0, c1, x0, ln w) */
static double predict_saturating_free(const double *theta, const double *x, double *gradient)
{
	const double at[] = { x[0], theta[0] };
	double value = predict_saturating(theta + 1, at, gradient ? gradient + 1 : NULL);
	if (gradient)
		gradient[0] = 1.0 - gradient[1];
	return value;
}

static void start_saturating_free(const struct pb_form_data *data, size_t index, double *theta)
{
	static const double places[] = { 0.1, 0.5, 0.9 }, widths[] = { 0.3, 0.8, 2.0 };
	double low = data->x[0], high = data->x[0], least = least_of(data->target, data->n, 1), most = data->target[0];
	for (size_t i = 1; i < data->n; i++) {
		low = fmin(low, data->x[i]);
		high = fmax(high, data->x[i]);
		most = fmax(most, data->target[i]);
	}
	theta[0] = fmax(0.0, least - 0.05);
	theta[1] = fmin(1.0, most + 0.1 * (double)(index / 9));
	theta[2] = low + places[index % 3] * (high - low);
	theta[3] = log(widths[index / 3 % 3]);
}

void pb_chinchilla_optimum(const double *theta, double compute, double *params, double *tokens)
{
	double alpha = theta[3], beta = theta[4];
	double log_g = (log(alpha) + theta[0] - log(beta) - theta[1]) / (alpha + beta), log_c = log(compute / 6.0);
	*params = exp(log_g + log_c * beta / (alpha + beta));
	*tokens = exp(-log_g + log_c * alpha / (alpha + beta));
}

double pb_effective_parameters(const double *theta, double params, double loss)
{
	double above = loss - exp(theta[1]);
	return above > 0.0 ? exp((theta[0] - log(above)) / theta[2]) / params : NAN;
}

double pb_precision_share(const struct pb_form *form, const double *theta, double bits)
{
	const double *last = theta + form->n_parameters - 2; /* P0 and ln gamma */
	return -expm1(-(bits - last[0]) / exp(last[1]));
}

#define POSITIVE(name_, low, high) { .name = name_, .is_log = true, .lower = low, .upper = high }
#define PLAIN(name_, low, high) { .name = name_, .lower = low, .upper = high }
#define PARAMS { "params", PB_LN }
#define TOKENS { "tokens", PB_LN }

static const struct pb_form form_chinchilla = {
	.name = "chinchilla", .formula = "L = E + A / N^alpha + B / D^beta", .source = "Hoffmann et al., arXiv 2203.15556",
	.n_variables = 2, .variables = { PARAMS, TOKENS }, .is_log = true,
	.n_parameters = 5, .parameters = { POSITIVE("A", -30, 80), POSITIVE("B", -30, 80), POSITIVE("E", -30, 10), PLAIN("alpha", 0, 4), PLAIN("beta", 0, 4) },
	.predict = predict_chinchilla, .n_starts = 4500, .start = start_chinchilla,
};

static const struct pb_form form_degradation = {
	.name = "degradation", .formula = "delta = k * D^beta / (N^alpha * P^gamma)", .source = "Ouyang et al., arXiv 2411.17691",
	.n_variables = 3, .variables = { PARAMS, TOKENS, { "bits", PB_LN } }, .is_log = true,
	.n_parameters = 4, .parameters = { POSITIVE("k", -100, 100), PLAIN("beta", -10, 10), PLAIN("alpha", -10, 10), PLAIN("gamma", -40, 40) },
	.predict = predict_degradation, .n_starts = 1, .start = start_linear,
};

static const struct pb_form form_degradation_bits = {
	.name = "degradation_bits", .formula = "delta = k / (N^alpha * P^gamma)", .source = "Ouyang et al., arXiv 2411.17691, at one number of tokens",
	.n_variables = 2, .variables = { PARAMS, { "bits", PB_LN } }, .is_log = true,
	.n_parameters = 3, .parameters = { POSITIVE("k", -100, 100), PLAIN("alpha", -10, 10), PLAIN("gamma", -40, 40) },
	.predict = predict_falling, .n_starts = 1, .start = start_linear,
};

static const struct pb_form form_degradation_bits_exp = {
	.name = "degradation_bits_exp", .formula = "delta = C / N^gamma_N * exp(-P / gamma)", .source = "Kumar et al., arXiv 2411.04330, at one number of tokens",
	.n_variables = 2, .variables = { PARAMS, { "bits", PB_PLAIN } }, .is_log = true,
	.n_parameters = 3, .parameters = { POSITIVE("C", -100, 100), PLAIN("gamma_N", -10, 10), POSITIVE("gamma", -5, 5) },
	.predict = predict_degradation_bits_exp, .n_starts = 4, .start = start_degradation_bits_exp,
};

static const struct pb_form form_degradation_exp = {
	.name = "degradation_exp", .formula = "delta = C * D^gamma_D / N^gamma_N * exp(-P / gamma)", .source = "Kumar et al., arXiv 2411.04330; C holds exp(b)",
	.n_variables = 3, .variables = { PARAMS, TOKENS, { "bits", PB_PLAIN } }, .is_log = true,
	.n_parameters = 4, .parameters = { POSITIVE("C", -100, 100), PLAIN("gamma_D", -10, 10), PLAIN("gamma_N", -10, 10), POSITIVE("gamma", -5, 5) },
	.predict = predict_degradation_exp, .n_starts = 4, .start = start_degradation_exp,
};

static const struct pb_form form_power = {
	.name = "power", .formula = "L = E + A / N^alpha", .source = "Hoffmann et al., arXiv 2203.15556, at one number of tokens",
	.n_variables = 1, .variables = { PARAMS }, .is_log = true,
	.n_parameters = 3, .parameters = { POSITIVE("A", -30, 80), POSITIVE("E", -30, 10), PLAIN("alpha", 0, 4) },
	.predict = predict_power, .n_starts = 20, .start = start_power,
};

static const struct pb_form form_precision = {
	.name = "precision", .formula = "L = E + A / N_eff^alpha, N_eff = N * (1 - exp(-(P - P0) / gamma))", .source = "Kumar et al., arXiv 2411.04330, at one number of tokens; P0 = gamma * n",
	.n_variables = 2, .variables = { PARAMS, { "bits", PB_PLAIN } }, .is_log = true,
	.n_parameters = 5, .parameters = { POSITIVE("A", -30, 80), POSITIVE("E", -30, 10), PLAIN("alpha", 0, 4), PLAIN("P0", -20, 16), POSITIVE("gamma", -5, 4) },
	.predict = predict_precision, .n_starts = 81, .start = start_precision, .bounds = bounds_precision,
};

static const struct pb_form form_precision_data = {
	.name = "precision_data", .formula = "L = E + A / N_eff^alpha + B / D^alpha, N_eff = N * (1 - exp(-(P - P0) / gamma))",
	.source = "Kumar et al., arXiv 2411.04330, table 2; P0 = gamma * n",
	.n_variables = 3, .variables = { PARAMS, TOKENS, { "bits", PB_PLAIN } }, .is_log = true,
	.n_parameters = 6, .parameters = { POSITIVE("A", -30, 80), POSITIVE("B", -30, 80), POSITIVE("E", -30, 10), PLAIN("alpha", 0, 4), PLAIN("P0", -20, 16), POSITIVE("gamma", -5, 4) },
	.predict = predict_precision_data, .n_starts = 81, .start = start_precision_data, .bounds = bounds_precision_data,
};

static const struct pb_form form_qat = {
	.name = "qat", .formula = "delta = k * D^gamma_D * (log2 G)^gamma_G / N^gamma_N", .source = "arXiv 2505.14302",
	.n_variables = 3, .variables = { PARAMS, TOKENS, { "group_size", PB_LN_LOG2 } }, .is_log = true,
	.n_parameters = 4, .parameters = { POSITIVE("k", -100, 100), PLAIN("gamma_D", -10, 10), PLAIN("gamma_G", -10, 10), PLAIN("gamma_N", -10, 10) },
	.predict = predict_qat, .n_starts = 1, .start = start_linear,
};

static const struct pb_form form_saturating = {
	.name = "saturating", .formula = "acc = c0 + (c1 - c0) / (1 + exp(-(log2(bits) - x0) / w)), c0 = chance", .source = "ours",
	.n_variables = 2, .variables = { { "total_bits", PB_LOG2 }, { "chance", PB_PLAIN } },
	.n_parameters = 3, .parameters = { PLAIN("c1", 0, 1), PLAIN("x0", -20, 80), POSITIVE("w", -3, 3) },
	.predict = predict_saturating, .n_starts = 18, .start = start_saturating,
};

static const struct pb_form form_saturating_free = {
	.name = "saturating_free", .formula = "acc = c0 + (c1 - c0) / (1 + exp(-(log2(bits) - x0) / w))", .source = "ours, where chance is not known",
	.n_variables = 1, .variables = { { "total_bits", PB_LOG2 } },
	.n_parameters = 4, .parameters = { PLAIN("c0", 0, 1), PLAIN("c1", 0, 1), PLAIN("x0", -20, 80), POSITIVE("w", -3, 3) },
	.predict = predict_saturating_free, .n_starts = 18, .start = start_saturating_free,
};

static const struct pb_form form_saturating_params = {
	.name = "saturating_params", .formula = "acc = c0 + (c1 - c0) / (1 + exp(-(log2(N) - x0) / w))", .source = "ours, where sizes and chance are not known",
	.n_variables = 1, .variables = { { "params", PB_LOG2 } },
	.n_parameters = 4, .parameters = { PLAIN("c0", 0, 1), PLAIN("c1", 0, 1), PLAIN("x0", -20, 80), POSITIVE("w", -3, 3) },
	.predict = predict_saturating_free, .n_starts = 18, .start = start_saturating_free,
};

static const struct pb_form form_straight = {
	.name = "straight", .formula = "L = A / N^alpha", .source = "a straight line in log-log, for comparison",
	.n_variables = 1, .variables = { PARAMS }, .is_log = true,
	.n_parameters = 2, .parameters = { POSITIVE("A", -100, 100), PLAIN("alpha", -10, 10) },
	.predict = predict_straight, .n_starts = 1, .start = start_linear,
};

static const struct pb_form form_straight_data = {
	.name = "straight_data", .formula = "L = A / (N^alpha * D^beta)", .source = "a plane in log-log, for comparison",
	.n_variables = 2, .variables = { PARAMS, TOKENS }, .is_log = true,
	.n_parameters = 3, .parameters = { POSITIVE("A", -100, 100), PLAIN("alpha", -10, 10), PLAIN("beta", -10, 10) },
	.predict = predict_falling, .n_starts = 1, .start = start_linear,
};

const struct pb_form *const pb_forms[] = { &form_chinchilla, &form_degradation, &form_degradation_bits, &form_degradation_bits_exp, &form_degradation_exp, &form_power, &form_precision, &form_precision_data, &form_qat,
	&form_saturating, &form_saturating_free, &form_saturating_params, &form_straight, &form_straight_data };
const size_t pb_n_forms = sizeof pb_forms / sizeof *pb_forms;
