#include "reports/axis.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/base/text.h"

/* Labels go through the text writer, since the C library's follows the locale. */
static void label(struct pb_axis *axis, struct pb_tick *tick, const char *format, int decimals, double value, const char *unit)
{
	struct pb_text t = { 0 };
	pb_text_printf(&t, format, decimals, value);
	pb_text_string(&t, unit);
	strncpy(tick->label, pb_text_c(&t), sizeof tick->label - 1);
	axis->failed = axis->failed || t.failed;
	pb_text_free(&t);
}

static struct pb_tick *add_tick(struct pb_axis *axis, double value, bool minor)
{
	if (axis->n_ticks == PB_MAX_TICKS || value < axis->low * (1 - 1e-12 * (axis->low > 0 ? 1 : -1)) ||
	    value > axis->high * (1 + 1e-12 * (axis->high > 0 ? 1 : -1)))
		return NULL;
	struct pb_tick *tick = &axis->ticks[axis->n_ticks++];
	*tick = (struct pb_tick){ .value = value, .minor = minor };
	return tick;
}

/* The smallest of 1, 2, 5 times a power of ten that gives at most `most` steps; its number of decimals. */
static double nice_step(double span, unsigned most, int *decimals)
{
	double rough = span / most, power = pow(10.0, floor(log10(rough)));
	int exponent = (int)floor(log10(rough));
	double factor = rough / power;
	double step = factor <= 1.0 ? 1.0 : factor <= 2.0 ? 2.0 : factor <= 5.0 ? 5.0 : 10.0;
	if (step == 10.0)
		exponent++;
	*decimals = exponent < 0 ? -exponent : 0;
	return step * power;
}

static void linear_ticks(struct pb_axis *axis, unsigned most)
{
	int decimals;
	double step = nice_step(axis->high - axis->low, most, &decimals);
	if (decimals > 15)
		return;
	for (double k = ceil(axis->low / step - 1e-9); k * step <= axis->high + 1e-9 * step; k += 1.0) {
		double value = k * step;
		if (value == 0.0)
			value = 0.0; /* no minus zero */
		struct pb_tick *tick = add_tick(axis, value, false);
		if (!tick)
			continue;
		if (axis->kind == PB_AXIS_COUNT)
			pb_format_count(tick->label, value, 6);
		else if (fabs(value) >= 1e6)
			label(axis, tick, "%.*g", 6, value, "");
		else
			label(axis, tick, "%.*f", decimals, value, "");
	}
}

static void log_ticks(struct pb_axis *axis, unsigned most)
{
	static const double few[3] = { 1.0, 2.0, 5.0 };
	double decades = log10(axis->high) - log10(axis->low);
	if (decades < 0.7) {
		linear_ticks(axis, most);
		return;
	}
	int first = (int)floor(log10(axis->low)), last = (int)ceil(log10(axis->high));
	int each = (int)ceil(decades / most);
	for (int e = first; e <= last; e++)
		for (int i = 0; i < 3; i++) {
			bool labelled = decades * 3.0 <= most + 1.0 || (i == 0 && (each <= 1 || e % each == 0));
			struct pb_tick *tick = add_tick(axis, few[i] * pow(10.0, e), !labelled);
			if (tick && labelled && axis->kind == PB_AXIS_COUNT)
				pb_format_count(tick->label, tick->value, 6);
			else if (tick && labelled)
				label(axis, tick, "%.*g", 4, tick->value, "");
		}
}

static void size_label(struct pb_axis *axis, struct pb_tick *tick, int exponent)
{
	static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
	int unit = exponent / 10 < 6 ? exponent / 10 : 6;
	label(axis, tick, "%.*f", 0, ldexp(1.0, exponent - 10 * unit), units[unit]);
}

static void byte_ticks(struct pb_axis *axis, unsigned most)
{
	double octaves = log2(axis->high / axis->low);
	int each = (int)ceil(octaves / most);
	int first = (int)floor(log2(axis->low)), last = (int)ceil(log2(axis->high));
	if (each < 1)
		each = 1;
	for (int e = first; e <= last; e++) {
		double value = ldexp(1.0, e);
		struct pb_tick *tick = add_tick(axis, value, e % each != 0 || e < 0);
		if (tick && !tick->minor)
			size_label(axis, tick, e);
		for (int quarter = 1; octaves <= 8.0 && quarter < 4; quarter++)
			(void)add_tick(axis, value * (1.0 + 0.25 * quarter), true);
	}
}

void pb_axis_make(struct pb_axis *axis, enum pb_axis_kind kind, double low, double high, double floor_, double ceiling, unsigned most)
{
	*axis = (struct pb_axis){ .kind = kind };
	if (kind == PB_AXIS_LINEAR) {
		double span = high - low;
		double room = span > 0.0 ? 0.06 * span : fmax(fabs(low) * 0.1, 1e-3);
		axis->low = fmax(low - room, floor_);
		axis->high = fmin(high + room, ceiling);
		if (!(axis->low < axis->high)) {
			axis->low = low - 1.0;
			axis->high = high + 1.0;
		}
		linear_ticks(axis, most);
		return;
	}
	/* In logarithms, where no ratio overflows. */
	double bottom = log(low), top = log(high);
	double room = top > bottom ? fmax(0.06 * (top - bottom), 0.02) : 0.1;
	axis->low = exp(fmax(bottom - room, -700.0));
	axis->high = exp(fmin(top + room, 700.0));
	if (kind == PB_AXIS_BYTES) {
		if (floor(log2(axis->high)) - ceil(log2(axis->low)) < 1.0) {
			axis->low = exp2(floor(log2(axis->low)));
			axis->high = exp2(ceil(log2(axis->high)));
		}
		byte_ticks(axis, most);
	} else {
		log_ticks(axis, most);
	}
}

double pb_axis_place(const struct pb_axis *axis, double value)
{
	if (axis->kind == PB_AXIS_LINEAR)
		return (value - axis->low) / (axis->high - axis->low);
	if (!(value > 0.0))
		return NAN;
	return (log(value) - log(axis->low)) / (log(axis->high) - log(axis->low));
}
