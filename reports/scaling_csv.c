/* fits.csv and multipliers.csv. */
#include <math.h>

#include "core/base/csv.h"
#include "reports/scaling.h"

/* --- fits.csv --- */

static void csv_identity(struct pb_text *out, const struct pb_law_fit *f)
{
	const char *const texts[] = { f->front->task, f->front->metric, f->front->protocol, f->front->backend, f->family, f->label, f->form->name, f->form->formula };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		pb_csv_text(out, *texts[i] ? texts[i] : NULL);
	pb_csv_integer(out, (long long)f->n);
	pb_csv_integer(out, (long long)f->n_sizes);
	pb_csv_integer(out, (long long)f->n_left_out);
}

static void csv_parameter(struct pb_text *out, const struct pb_law_fit *f, unsigned k)
{
	const struct pb_fit *fit = &f->fit;
	struct pb_text warnings = { 0 };
	const double numbers[] = { fit->theta[k], fit->low[k], fit->high[k], f->boot_low[k], f->boot_high[k] };
	csv_identity(out, f);
	pb_csv_text(out, f->form->parameters[k].name);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		pb_csv_number(out, pb_form_shown(f->form, k, numbers[i]));
	pb_csv_number(out, fit->objective);
	pb_csv_number(out, fit->huber);
	pb_csv_number(out, fit->deviation);
	pb_csv_integer(out, (long long)fit->n_starts);
	pb_csv_integer(out, (long long)fit->n_reached);
	pb_csv_number(out, f->aicc);
	pb_csv_number(out, f->aicc_straight);
	pb_csv_number(out, f->held.n ? f->held.largest : NAN);
	pb_csv_number(out, f->held.n ? f->held.error : NAN);
	pb_csv_number(out, f->held_straight.n ? f->held_straight.error : NAN);
	pb_csv_number(out, f->effective.share);
	pb_csv_number(out, f->effective.per_bit);
	for (unsigned bit = 0; bit < PB_FIT_WARNINGS; bit++)
		if (fit->warnings & 1u << bit)
			pb_text_printf(&warnings, "%s%s", warnings.length ? "; " : "", pb_fit_warning_text(bit));
	pb_csv_text(out, warnings.length ? pb_text_c(&warnings) : NULL);
	pb_csv_text(out, NULL);
	pb_csv_end(out);
	out->failed = out->failed || warnings.failed;
	pb_text_free(&warnings);
}

enum pb_status pb_scaling_csv(const struct pb_scaling *scaling, struct pb_text *out, struct pb_error *err)
{
	static const char *const names[] = { "task", "metric", "protocol", "backend", "model_family", "label", "form", "formula", "points", "sizes", "left_out",
		"parameter", "estimate", "low95", "high95", "bootstrap_low95", "bootstrap_high95", "objective", "huber", "deviation", "starts", "reached", "aicc", "aicc_straight",
		"held_out", "held_out_error", "held_out_error_straight", "effective_params", "effective_params_per_16_bits", "warnings", "reason" };
	const size_t n = sizeof names / sizeof *names;
	for (size_t i = 0; i < n; i++)
		pb_csv_text(out, names[i]);
	pb_csv_end(out);
	for (size_t i = 0; i < scaling->n; i++) {
		const struct pb_law_fit *f = &scaling->fits[i];
		for (unsigned k = 0; !f->reason && k < f->form->n_parameters; k++)
			csv_parameter(out, f, k);
		if (!f->reason)
			continue;
		csv_identity(out, f);
		for (size_t k = 11; k + 1 < n; k++)
			pb_csv_text(out, NULL);
		pb_csv_text(out, f->reason);
		pb_csv_end(out);
	}
	return pb_text_check(out, err);
}

/* --- multipliers.csv --- */

enum pb_status pb_multipliers_csv(const struct pb_scaling *scaling, struct pb_text *out, struct pb_error *err)
{
	static const char *const names[] = { "task", "metric", "protocol", "backend", "model_family", "label", "sizes", "effective_bits", "multiplier", "low95", "high95",
		"least", "most", "multiplier_per_16_bits", "by_precision_law", "law_low95", "law_high95" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		pb_csv_text(out, names[i]);
	pb_csv_end(out);
	for (size_t i = 0; i < scaling->n; i++) {
		const struct pb_law_fit *f = &scaling->fits[i];
		const struct pb_multiplier *m = &f->effective;
		const char *const texts[] = { f->front->task, f->front->metric, f->front->protocol, f->front->backend, f->family, f->label };
		double law = NAN, low = NAN, high = NAN;
		if (f->law != PB_LAW_LOSS || !isfinite(m->share))
			continue;
		const struct pb_law_fit *precision = pb_scaling_precision_of(scaling, f);
		if (precision)
			pb_scaling_share(precision, m->bits, &law, &low, &high);
		const double numbers[] = { m->bits, m->share, m->low, m->high, m->least, m->most, m->per_bit, law, low, high };
		for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
			pb_csv_text(out, *texts[k] ? texts[k] : NULL);
		pb_csv_integer(out, (long long)f->n_sizes);
		for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
			pb_csv_number(out, numbers[k]);
		pb_csv_end(out);
	}
	return pb_text_check(out, err);
}
