/* Which models of full precision have the losses of the quantized ones. */
#include <math.h>
#include <string.h>

#include "core/base/rng.h"
#include "reports/scaling.h"

/* The law of full precision that a setting is measured by: of the same family and, of a method that trains, trained on as long. */
static const struct pb_law_fit *full_of(const struct pb_law_fit *fits, size_t n, const struct pb_law_fit *f)
{
	for (size_t i = 0; i < n; i++) {
		if (!fits[i].is_full || fits[i].reason || strcmp(fits[i].family, f->family) != 0)
			continue;
		for (size_t k = 0; k < fits[i].n; k++)
			if (f->n && pb_scaling_is_reference(fits[i].items[k], f->items[0]))
				return &fits[i];
	}
	return NULL;
}

static double log_share(const double *theta, const struct pb_scaling_item *item, double loss)
{
	return log(pb_effective_parameters(theta, (double)item->point->row->params, loss));
}

/* Of one draw: a resampled law and losses with normal errors. */
static double drawn_share(const struct pb_law_fit *f, const struct pb_law_fit *full, size_t draw)
{
	struct pb_rng rng = pb_rng_make(pb_rng_stream("multipliers"), draw);
	double sum = 0.0;
	for (size_t k = 0; k < f->n; k++) {
		double error = isfinite(f->errors[k]) ? f->errors[k] : 0.0;
		sum += log_share(full->thetas + draw * full->form->n_parameters, f->items[k], f->y[k] + error * pb_rng_normal(&rng));
	}
	return exp(sum / (double)f->n);
}

static void multiply(struct pb_law_fit *f, const struct pb_law_fit *full)
{
	struct pb_multiplier m = { .least = INFINITY, .most = -INFINITY };
	double logs = 0.0, per_bit = 0.0, draws[PB_SCALING_RESAMPLES], scratch[PB_SCALING_RESAMPLES];
	for (size_t k = 0; k < f->n; k++) {
		const double log_own = log_share(full->fit.theta, f->items[k], f->y[k]), bits = f->items[k]->point->bits;
		logs += log_own / (double)f->n;
		per_bit += (log_own + log(16.0 / bits)) / (double)f->n;
		m.bits += bits / (double)f->n;
		m.least = fmin(m.least, exp(log_own));
		m.most = fmax(m.most, exp(log_own));
	}
	if (!isfinite(logs))
		return;
	size_t n_beyond = 0; /* a loss below what the drawn law can reach */
	for (size_t r = 0; r < PB_SCALING_RESAMPLES; r++) {
		draws[r] = drawn_share(f, full, r);
		n_beyond += isnan(draws[r]);
	}
	m.share = exp(logs);
	m.per_bit = exp(per_bit);
	pb_fit_percentiles(draws, PB_SCALING_RESAMPLES, 1, scratch, &m.low, &m.high);
	if (10 * n_beyond > PB_SCALING_RESAMPLES)
		m.low = m.high = NAN;
	f->effective = m;
}

void pb_scaling_multipliers(struct pb_law_fit *fits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct pb_law_fit *full = fits[i].n ? full_of(fits, n, &fits[i]) : NULL;
		if (full)
			multiply(&fits[i], full);
	}
}

const struct pb_law_fit *pb_scaling_precision_of(const struct pb_scaling *scaling, const struct pb_law_fit *setting)
{
	for (size_t i = 0; i < scaling->n; i++) {
		const struct pb_law_fit *f = &scaling->fits[i];
		if (f->law == PB_LAW_PRECISION && !f->reason && f->front == setting->front && setting->n && strcmp(f->family, setting->family) == 0 &&
		    strcmp(f->label, setting->items[0]->method) == 0)
			return f;
	}
	return NULL;
}

void pb_scaling_share(const struct pb_law_fit *precision, double bits, double *share, double *low, double *high)
{
	double draws[PB_SCALING_RESAMPLES], scratch[PB_SCALING_RESAMPLES];
	for (size_t r = 0; r < PB_SCALING_RESAMPLES; r++)
		draws[r] = pb_precision_share(precision->form, precision->thetas + r * precision->form->n_parameters, bits);
	*share = pb_precision_share(precision->form, precision->fit.theta, bits);
	pb_fit_percentiles(draws, PB_SCALING_RESAMPLES, 1, scratch, low, high);
}
