/* What expressions can call. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/text.h"
#include "reports/claims/syntax.h"

static enum pb_status need_numbers(struct pb_evaluation *ev, const struct pb_value *args, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (args[i].kind != PB_VALUE_NUMBER)
			return pb_fail(ev->err, PB_USAGE, "%s is of numbers", name);
	return PB_OK;
}

static enum pb_status need_same_length(struct pb_evaluation *ev, const struct pb_value *a, const struct pb_value *b, const char *name)
{
	return a->n == b->n ? PB_OK : pb_fail(ev->err, PB_USAGE, "%s: lists of %zu and %zu values", name, a->n, b->n);
}

static enum pb_status one_number(struct pb_evaluation *ev, struct pb_interval value, struct pb_value *out)
{
	struct pb_interval *x;
	enum pb_status st = isfinite(value.middle) ? pb_value_new(ev, PB_VALUE_NUMBER, 1, out, &x) : pb_fail(ev->err, PB_NUMERIC, "a number that is not finite");

	if (!st)
		x[0] = value;
	return st;
}

static enum pb_status one_truth(struct pb_evaluation *ev, enum pb_truth value, struct pb_value *out)
{
	enum pb_truth *t;
	enum pb_status st = pb_value_new(ev, PB_VALUE_TRUTH, 1, out, &t);

	if (!st)
		t[0] = value;
	return st;
}

/* ---- of whole lists ---- */

static struct pb_interval total(const struct pb_value *v)
{
	struct pb_interval sum = pb_exact(0);

	for (size_t i = 0; i < v->n; i++)
		sum = pb_interval_add(sum, v->numbers[i]);
	return sum;
}

static enum pb_status call_sum(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	enum pb_status st = need_numbers(ev, args, n, "sum");

	return st ? st : one_number(ev, total(&args[0]), out);
}

static enum pb_status call_mean(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	enum pb_status st = need_numbers(ev, args, n, "mean");

	return st ? st : one_number(ev, pb_interval_multiply(total(&args[0]), pb_exact(1.0 / (double)args[0].n)), out);
}

/* Keeps the row of the extreme: `max` says whose it is. */
static enum pb_status extreme(struct pb_evaluation *ev, const struct pb_value *args, size_t n, bool largest, struct pb_value *out)
{
	struct pb_interval best = pb_exact(0);
	const struct pb_number **row = pb_arena_alloc(ev->arena, 1, sizeof(struct pb_number *));
	bool any = false;
	enum pb_status st = need_numbers(ev, args, n, largest ? "max" : "min");

	if (!row)
		return pb_out_of_memory(ev->err, "the value of an expression");
	for (size_t i = 0; !st && i < n; i++)
		for (size_t k = 0; k < args[i].n; k++) {
			struct pb_interval x = args[i].numbers[k];

			if (!any || (largest ? x.middle > best.middle : x.middle < best.middle))
				row[0] = args[i].rows ? args[i].rows[k] : NULL;
			best = !any ? x : (largest ? pb_interval_larger : pb_interval_smaller)(best, x);
			any = true;
		}
	if (!st)
		st = one_number(ev, best, out);
	if (!st && row[0])
		out->rows = row;
	return st;
}

static enum pb_status call_max(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	return extreme(ev, args, n, true, out);
}

static enum pb_status call_min(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	return extreme(ev, args, n, false, out);
}

static enum pb_status call_n(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	(void)n;
	return one_number(ev, pb_exact((double)args[0].n), out);
}

static enum pb_status call_only(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	(void)n;
	if (args[0].n != 1)
		return pb_fail(ev->err, PB_USAGE, "only: %zu values", args[0].n);
	*out = args[0];
	return PB_OK;
}

static enum pb_status tally(struct pb_evaluation *ev, const struct pb_value *v, const char *name, size_t counts[3])
{
	counts[0] = counts[1] = counts[2] = 0;
	if (v->kind != PB_VALUE_TRUTH)
		return pb_fail(ev->err, PB_USAGE, "%s is of statements", name);
	for (size_t i = 0; i < v->n; i++)
		counts[v->truths[i]]++;
	return PB_OK;
}

static enum pb_status call_count(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	size_t c[3];
	enum pb_status st = tally(ev, &args[0], "count", c);

	(void)n;
	return st ? st : one_number(ev, (struct pb_interval){ (double)c[PB_TRUE], (double)c[PB_TRUE], (double)(c[PB_TRUE] + c[PB_OPEN]) }, out);
}

static enum pb_status call_all(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	size_t c[3];
	enum pb_status st = tally(ev, &args[0], "all", c);

	(void)n;
	return st ? st : one_truth(ev, c[PB_FALSE] ? PB_FALSE : c[PB_OPEN] ? PB_OPEN : PB_TRUE, out);
}

static enum pb_status call_any(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	size_t c[3];
	enum pb_status st = tally(ev, &args[0], "any", c);

	(void)n;
	return st ? st : one_truth(ev, c[PB_TRUE] ? PB_TRUE : c[PB_OPEN] ? PB_OPEN : PB_FALSE, out);
}

struct point {
	struct pb_interval x, y;
	size_t index;
};

static int by_x(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	if (p->x.middle != q->x.middle)
		return p->x.middle < q->x.middle ? -1 : 1;
	return p->index < q->index ? -1 : 1;
}

/* Points (x, y) by rising x; in their order when x is NULL. */
static enum pb_status points(struct pb_evaluation *ev, const struct pb_value *x, const struct pb_value *y, const char *name, struct point **out)
{
	struct point *p;
	enum pb_status st = need_numbers(ev, y, 1, name);

	if (!st && x)
		st = need_numbers(ev, x, 1, name);
	if (!st && x)
		st = need_same_length(ev, x, y, name);
	if (st)
		return st;
	if (!(p = pb_arena_alloc(ev->arena, y->n, sizeof(*p))))
		return pb_out_of_memory(ev->err, "the value of an expression");
	for (size_t i = 0; i < y->n; i++)
		p[i] = (struct point){ x ? x->numbers[i] : pb_exact((double)i), y->numbers[i], i };
	qsort(p, y->n, sizeof(*p), by_x);
	*out = p;
	return PB_OK;
}

static enum pb_status monotone(struct pb_evaluation *ev, const struct pb_value *args, size_t n, bool rising, struct pb_value *out)
{
	struct point *p;
	enum pb_truth all = PB_TRUE;
	enum pb_status st = points(ev, n == 2 ? &args[1] : NULL, &args[0], rising ? "rising" : "falling", &p);

	for (size_t i = 1; !st && i < args[0].n; i++)
		if (p[i].x.middle != p[i - 1].x.middle)
			all = pb_truth_and(all, rising ? pb_interval_less(p[i - 1].y, p[i].y) : pb_interval_less(p[i].y, p[i - 1].y));
	return st ? st : one_truth(ev, all, out);
}

static enum pb_status call_rising(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	return monotone(ev, args, n, true, out);
}

static enum pb_status call_falling(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	return monotone(ev, args, n, false, out);
}

/* By the numbers as printed. Equal size and equal score: both are on it; equal size, lower score: not. */
static enum pb_status call_front(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	struct point *p;
	enum pb_truth *t;
	double best = -INFINITY;
	enum pb_status st = points(ev, &args[0], &args[1], "front", &p);

	(void)n;
	if (!st)
		st = pb_value_new(ev, PB_VALUE_TRUTH, args[1].n, out, &t);
	if (st)
		return st;
	out->rows = args[1].rows;
	for (size_t i = 0, end; i < args[1].n; i = end) {
		double top = -INFINITY;

		for (end = i; end < args[1].n && p[end].x.middle == p[i].x.middle; end++)
			top = fmax(top, p[end].y.middle);
		for (size_t k = i; k < end; k++)
			t[p[k].index] = p[k].y.middle == top && top > best ? PB_TRUE : PB_FALSE;
		best = fmax(best, top);
	}
	return PB_OK;
}

static enum pb_status call_hypervolume(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	struct point *p;
	double area = 0, x_limit, y_best;
	enum pb_status st = points(ev, &args[0], &args[1], "hypervolume", &p);

	if (!st)
		st = need_numbers(ev, args, n, "hypervolume");
	if (st)
		return st;
	x_limit = args[2].numbers[0].middle;
	y_best = args[3].numbers[0].middle;
	for (size_t i = 0; i < args[0].n && p[i].x.middle < x_limit; i++)
		if (p[i].y.middle < y_best) {
			area += (x_limit - p[i].x.middle) * (y_best - p[i].y.middle);
			y_best = p[i].y.middle;
		}
	return one_number(ev, pb_exact(area), out);
}

static enum pb_status call_interpolate(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	struct point *p;
	struct pb_interval *x;
	size_t count = args[0].n;
	enum pb_status st = points(ev, &args[0], &args[1], "interpolate", &p);

	if (!st)
		st = need_numbers(ev, args, n, "interpolate");
	if (!st)
		st = pb_value_new(ev, PB_VALUE_NUMBER, args[2].n, out, &x);
	if (st)
		return st;
	out->rows = args[2].rows;
	for (size_t i = 0; i < args[2].n; i++) {
		double at = args[2].numbers[i].middle, part;
		size_t k = 1;

		if (count < 2 || at < p[0].x.middle || at > p[count - 1].x.middle)
			return pb_fail(ev->err, PB_MISSING, "interpolate: %g is outside of the %zu points", at, count);
		while (k + 1 < count && p[k].x.middle < at)
			k++;
		part = p[k].x.middle > p[k - 1].x.middle ? (at - p[k - 1].x.middle) / (p[k].x.middle - p[k - 1].x.middle) : 0;
		x[i] = pb_interval_add(pb_interval_multiply(p[k - 1].y, pb_exact(1 - part)), pb_interval_multiply(p[k].y, pb_exact(part)));
	}
	return PB_OK;
}

static enum pb_status call_where(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	struct pb_interval *x;
	const struct pb_number **rows;
	size_t kept = 0;
	enum pb_status st = need_numbers(ev, args, 1, "where");

	(void)n;
	if (!st && args[1].kind != PB_VALUE_TRUTH)
		st = pb_fail(ev->err, PB_USAGE, "where(LIST, CONDITION): the condition is a list of statements");
	if (!st)
		st = need_same_length(ev, &args[0], &args[1], "where");
	for (size_t i = 0; !st && i < args[0].n; i++)
		kept += args[1].truths[i] == PB_TRUE;
	if (!st && kept == 0) {
		ev->lacking = true;
		return pb_fail(ev->err, PB_MISSING, "where: nothing is left of %zu values", args[0].n);
	}
	if (!st)
		st = pb_value_new(ev, PB_VALUE_NUMBER, kept, out, &x);
	if (st)
		return st;
	if (!(rows = pb_arena_alloc(ev->arena, kept, sizeof(struct pb_number *))))
		return pb_out_of_memory(ev->err, "the value of an expression");
	for (size_t i = 0, k = 0; i < args[0].n; i++)
		if (args[1].truths[i] == PB_TRUE) {
			rows[k] = args[0].rows ? args[0].rows[i] : NULL;
			x[k++] = args[0].numbers[i];
		}
	if (args[0].rows)
		out->rows = rows;
	return PB_OK;
}

/* ---- entry by entry ---- */

static enum pb_status map(struct pb_evaluation *ev, const struct pb_value *args, const char *name, bool (*f)(struct pb_interval, struct pb_interval *), struct pb_value *out)
{
	struct pb_interval *x;
	enum pb_status st = need_numbers(ev, args, 1, name);

	if (!st)
		st = pb_value_new(ev, PB_VALUE_NUMBER, args[0].n, out, &x);
	if (st)
		return st;
	out->rows = args[0].rows;
	for (size_t i = 0; i < args[0].n; i++)
		if (!f(args[0].numbers[i], &x[i]) || !isfinite(x[i].middle))
			return pb_fail(ev->err, PB_NUMERIC, "%s of %g", name, args[0].numbers[i].middle);
	return PB_OK;
}

static bool absolute(struct pb_interval a, struct pb_interval *out)
{
	*out = pb_interval_absolute(a);
	return true;
}

static bool as_printed(struct pb_interval a, struct pb_interval *out)
{
	*out = pb_exact(a.middle);
	return true;
}

static bool square_root(struct pb_interval a, struct pb_interval *out)
{
	return a.low >= 0 && (*out = pb_interval_rising(sqrt, a), true);
}

static bool exponential(struct pb_interval a, struct pb_interval *out)
{
	*out = pb_interval_rising(exp, a);
	return true;
}

static bool of_positive(double (*f)(double), struct pb_interval a, struct pb_interval *out)
{
	return a.low > 0 && (*out = pb_interval_rising(f, a), true);
}

static bool natural(struct pb_interval a, struct pb_interval *out)
{
	return of_positive(log, a, out);
}

static bool binary(struct pb_interval a, struct pb_interval *out)
{
	return of_positive(log2, a, out);
}

static bool rounded_up(struct pb_interval a, struct pb_interval *out)
{
	*out = pb_interval_rising(ceil, a);
	return true;
}

#define MAPPED(name, f) \
	static enum pb_status call_##name(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out) \
	{ \
		(void)n; \
		return map(ev, args, #name, f, out); \
	}
MAPPED(abs, absolute)
MAPPED(printed, as_printed)
MAPPED(sqrt, square_root)
MAPPED(exp, exponential)
MAPPED(ln, natural)
MAPPED(log2, binary)
MAPPED(ceil, rounded_up)

/* ln(e^a + e^b + ...), shifted by the largest; lists of one length or single values. */
static enum pb_status call_logsumexp(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	struct pb_interval *x;
	size_t length = 1;
	enum pb_status st = need_numbers(ev, args, n, "logsumexp");

	for (size_t i = 0; !st && i < n; i++) {
		if (args[i].n != 1 && length != 1 && args[i].n != length)
			st = need_same_length(ev, &args[i], &args[0], "logsumexp");
		length = args[i].n > length ? args[i].n : length;
	}
	if (!st)
		st = pb_value_new(ev, PB_VALUE_NUMBER, length, out, &x);
	for (size_t i = 0; !st && i < length; i++) {
		double top = -INFINITY, sum = 0;

		for (size_t k = 0; k < n; k++)
			top = fmax(top, args[k].numbers[args[k].n == 1 ? 0 : i].middle);
		for (size_t k = 0; k < n; k++)
			sum += exp(args[k].numbers[args[k].n == 1 ? 0 : i].middle - top);
		x[i] = pb_exact(top + log(sum));
	}
	return st;
}

static enum pb_status call_huber(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	struct pb_interval *x;
	double delta;
	enum pb_status st = need_numbers(ev, args, n, "huber");

	if (!st && args[1].n != 1)
		st = pb_fail(ev->err, PB_USAGE, "huber(LIST, DELTA): one delta");
	if (!st)
		st = pb_value_new(ev, PB_VALUE_NUMBER, args[0].n, out, &x);
	if (st)
		return st;
	delta = args[1].numbers[0].middle;
	for (size_t i = 0; i < args[0].n; i++) {
		double r = fabs(args[0].numbers[i].middle);

		x[i] = pb_exact(r <= delta ? r * r / 2 : delta * (r - delta / 2));
	}
	return PB_OK;
}

/* The number behind a text in a column: number(x.note, 'stderr ') */
static enum pb_status call_number(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	struct pb_interval *x;
	enum pb_status st;

	(void)n;
	if (args[0].kind != PB_VALUE_TEXT || args[1].kind != PB_VALUE_TEXT || args[1].n != 1)
		return pb_fail(ev->err, PB_USAGE, "number(TEXTS, BEHIND) is of texts");
	if ((st = pb_value_new(ev, PB_VALUE_NUMBER, args[0].n, out, &x)))
		return st;
	out->rows = args[0].rows;
	for (size_t i = 0; i < args[0].n; i++) {
		const char *found = strstr(args[0].texts[i], args[1].texts[0]);
		char digits[48];
		size_t length = 0;
		double value;

		found = found ? found + strlen(args[1].texts[0]) : "";
		length = strspn(found, "+-.0123456789eE");
		if (length >= sizeof(digits))
			length = sizeof(digits) - 1;
		memcpy(digits, found, length);
		digits[length] = '\0';
		if (!pb_parse_double(digits, &value))
			return pb_fail(ev->err, PB_MISSING, "no number behind '%s' in '%s'", args[1].texts[0], args[0].texts[i]);
		x[i] = pb_around(value, pb_printed_half(digits));
	}
	return PB_OK;
}

static enum pb_status call_fits(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	enum pb_truth *t;
	enum pb_status st;

	(void)n;
	if (args[0].kind != PB_VALUE_TEXT || args[1].kind != PB_VALUE_TEXT || args[1].n != 1)
		return pb_fail(ev->err, PB_USAGE, "fits(TEXTS, PATTERN) is of texts");
	if ((st = pb_value_new(ev, PB_VALUE_TRUTH, args[0].n, out, &t)))
		return st;
	out->rows = args[0].rows;
	for (size_t i = 0; i < args[0].n; i++)
		t[i] = pb_matches(args[1].texts[0], args[0].texts[i]) ? PB_TRUE : PB_FALSE;
	return PB_OK;
}

const struct pb_function pb_functions[] = {
	{ "mean", "LIST", "plain mean", 1, 1, true, false, call_mean },
	{ "sum", "LIST", "the sum", 1, 1, true, false, call_sum },
	{ "max", "LIST, ...", "the largest of all", 1, 8, true, false, call_max },
	{ "min", "LIST, ...", "the smallest of all", 1, 8, true, false, call_min },
	{ "n", "LIST", "how many entries", 1, 1, true, false, call_n },
	{ "count", "STATEMENTS", "how many are true; an interval when some are open", 1, 1, true, false, call_count },
	{ "all", "STATEMENTS", "whether all are true", 1, 1, true, false, call_all },
	{ "any", "STATEMENTS", "whether one is true", 1, 1, true, false, call_any },
	{ "only", "ROWS", "the one row of that name, also in `by`", 1, 1, true, true, call_only },
	{ "rising", "LIST[, ALONG]", "whether each entry is above the one before, in the order of ALONG", 1, 2, true, false, call_rising },
	{ "falling", "LIST[, ALONG]", "whether each entry is below the one before", 1, 2, true, false, call_falling },
	{ "front", "SIZES, SCORES", "of each point, whether no other is as small and better (numbers as printed)", 2, 2, true, false, call_front },
	{ "hypervolume", "X, Y, X0, Y0", "area that the points dominate below (X0, Y0), both to be small", 4, 4, true, false, call_hypervolume },
	{ "interpolate", "X, Y, AT", "on the line through the points, by rising X; nothing outside of them", 3, 3, true, false, call_interpolate },
	{ "where", "LIST, STATEMENTS", "the entries for which it is true", 2, 2, true, false, call_where },
	{ "abs", "X", "without its sign", 1, 1, false, false, call_abs },
	{ "sqrt", "X", "square root", 1, 1, false, false, call_sqrt },
	{ "exp", "X", "e to the power of X", 1, 1, false, false, call_exp },
	{ "ln", "X", "natural logarithm", 1, 1, false, false, call_ln },
	{ "log2", "X", "binary logarithm", 1, 1, false, false, call_log2 },
	{ "ceil", "X", "the next whole number", 1, 1, false, false, call_ceil },
	{ "printed", "X", "the number as printed, without its interval", 1, 1, false, false, call_printed },
	{ "huber", "X, DELTA", "Huber's loss (numbers as printed)", 2, 2, false, false, call_huber },
	{ "logsumexp", "A, B, ...", "ln(e^A + e^B + ...) (numbers as printed)", 1, 8, false, false, call_logsumexp },
	{ "number", "TEXTS, BEHIND", "the number behind a text: number(x.note, 'stderr ')", 2, 2, false, false, call_number },
	{ "fits", "TEXTS, PATTERN", "whether a text fits a pattern with *", 2, 2, false, false, call_fits },
	{ "vptq_bits", "ROWS", "bits a weight of VPTQ's setting in `group`, for the shape of the row's model", 1, 1, false, false, pb_size_vptq },
	{ "vptq_label", "ROWS", "index bits a weight of that setting alone", 1, 1, false, false, pb_size_vptq_label },
	{ "gguf_bits", "ROWS", "bits a weight of llama.cpp's file type in `method`, whole model", 1, 1, false, false, pb_size_gguf },
};
const size_t pb_n_functions = sizeof(pb_functions) / sizeof(pb_functions[0]);

void pb_expression_help(struct pb_text *out)
{
	pb_text_string(out, "claims: the language that they are tested in\n\n"
		"  new > old                                        names are rows of published numbers; a row alone is its value\n"
		"  new.params / old.params == 0.2                   other columns by their names; sizes of the model's shape, too\n"
		"  mean(tasks) == average by model, method          once for each row of `average`, with the tasks of the same model and method\n"
		"  all(ours < theirs by model if ours.wbits == 3)   pairs of rows that have the same model\n\n"
		"A printed number stands for half a unit of its last digit on either side; `==` asks whether two can be the same. A statement\n"
		"is true, false, or open when the digits that were not printed decide. Operators: or; and; not; < <= > >= == !=; + -; * /; -; ^; .\n"
		"Columns: ");
	for (size_t i = 0; i < PB_NUMBER_COLUMNS; i++)
		pb_text_printf(out, "%s%s", i ? " " : "", pb_number_columns[i]);
	pb_text_string(out, "\nShapes: ");
	for (size_t i = 0; i < pb_n_shape_columns; i++)
		pb_text_printf(out, "%s%s", i ? " " : "", pb_shape_columns[i]);
	pb_text_string(out, "\n\n");
	for (size_t i = 0; i < pb_n_functions; i++) {
		char call[64];

		snprintf(call, sizeof(call), "%s(%s)", pb_functions[i].name, pb_functions[i].arguments);
		pb_text_printf(out, "  %-26s %s\n", call, pb_functions[i].help);
	}
	pb_text_printf(out, "  %-26s %s\n", "root(t, LOW, HIGH, EXPR)", "where EXPR of t is zero");
}
