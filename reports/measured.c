#include "reports/measured.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include "core/base/json.h"
#include "core/base/text.h"

#define LEVEL 0.05
#define ACCURACY_MARGIN 0.01    /* of equivalence: a point */
#define NLL_MARGIN 0.01         /* nats a token */
#define POINTS 1.0              /* half of the 95 % interval that a measured accuracy may have to speak of a printed one */
#define PERPLEXITY_SHARE 0.01   /* the same of a perplexity, of its value */

struct measuring {
	struct pb_claims *claims;
	struct pb_claim *claim;
	const struct pb_rows *rows;
	const struct pb_item_stores *stores;
	json_t **options;           /* of each row; NULL where there are none */
	struct pb_measured *out;
	size_t capacity;
	double *p;                  /* of each line; NaN: no test */
	struct pb_error *err;
};

static enum pb_status add_line(struct measuring *m, enum pb_reproduction verdict, double p, const char *what)
{
	struct pb_measured *out = m->out;

	if (out->n == m->capacity) {
		size_t larger = m->capacity ? 2 * m->capacity : 16;
		struct pb_measured_line *lines = pb_arena_alloc(m->claims->arena, larger, sizeof(*lines));
		double *ps = pb_arena_alloc(m->claims->arena, larger, sizeof(*ps));

		if (!lines || !ps)
			return pb_out_of_memory(m->err, "what a run says of a claim");
		if (out->n) {
			memcpy(lines, out->lines, out->n * sizeof(*lines));
			memcpy(ps, m->p, out->n * sizeof(*ps));
		}
		out->lines = lines;
		m->p = ps;
		m->capacity = larger;
	}
	if (!what)
		return pb_out_of_memory(m->err, "what a run says of a claim");
	m->p[out->n] = p;
	out->lines[out->n++] = (struct pb_measured_line){ verdict, what };
	return PB_OK;
}

/* ---- pairs ---- */

static bool same_setting(const struct pb_row *a, const struct pb_row *b)
{
	return strcmp(a->model, b->model) == 0 && strcmp(a->label, b->label) == 0 && strcmp(a->backend, b->backend) == 0 && strcmp(a->task, b->task) == 0
		&& strcmp(a->protocol, b->protocol) == 0 && strcmp(a->metric, b->metric) == 0;
}

/* All seeds of the setting of row i; n is 0 when an earlier row is of it. */
static struct pb_side side_of(const struct measuring *m, size_t i, const struct pb_row **list)
{
	struct pb_side side = { .rows = list, .stores = m->stores };
	const struct pb_row *r = &m->rows->rows[i];

	for (size_t k = 0; k < m->rows->n; k++) {
		const struct pb_row *other = &m->rows->rows[k];

		if (other->status != PB_ROW_OK || !same_setting(r, other))
			continue;
		if (k < i)
			return (struct pb_side){ .rows = list };
		list[side.n++] = other;
	}
	return side;
}

static enum pb_status judge_equivalence(struct measuring *m, const struct pb_pair *pair, const char *name)
{
	double margin = strcmp(pair->scale, "nll") == 0 ? NLL_MARGIN : ACCURACY_MARGIN, half;
	struct pb_equivalence e = pb_equivalence_test(&pair->difference, margin);
	bool apart = pair->test.low > margin || pair->test.high < -margin;
	char value[64];

	pb_format_value(value, pair->difference.value, pair->difference.stderr_value);
	half = margin - fabs(pair->difference.value);
	if (e.equivalent || apart)
		return add_line(m, e.equivalent ? PB_REPRODUCED : PB_CONTRADICTED, NAN, pb_arena_printf(m->claims->arena, "%s: %s %s, %s a margin of %g", name, pair->scale, value,
			e.equivalent ? "within" : "beyond", margin));
	if (half <= 0)
		return add_line(m, PB_UNDERPOWERED, NAN, pb_arena_printf(m->claims->arena, "%s: %s %s, at the margin of %g", name, pair->scale, value, margin));
	return add_line(m, PB_UNDERPOWERED, NAN, pb_arena_printf(m->claims->arena, "%s: %s %s, margin %g; about %.0f items would be needed, %zu are there", name, pair->scale, value, margin,
		ceil(pb_items_needed(pair->deviation, half)), pair->difference.n));
}

static enum pb_status judge_pair(struct measuring *m, const struct pb_claim_comparison *c, const struct pb_side *worse, const struct pb_side *better)
{
	const struct pb_row *a = worse->rows[0], *b = better->rows[0];
	struct pb_pair pair = {0};
	struct pb_arena *arena = m->claims->arena;
	const char *name = pb_arena_printf(arena, "%s, %s: %s against %s", b->model, b->task, b->label, a->label);
	enum pb_status st = name ? pb_pair_make(&pair, arena, worse, better, m->err) : pb_out_of_memory(m->err, "what a run says of a claim");
	bool good;
	char value[64];

	if (st)
		return st;
	if (pair.refusal)
		return add_line(m, PB_PROTOCOL_DIFFERS, NAN, pb_arena_printf(arena, "%s: not compared: %s", name, pair.refusal));
	if (c->equivalent)
		return judge_equivalence(m, &pair, name);
	good = pair.higher_is_better ? pair.difference.value > 0 : pair.difference.value < 0;
	pb_format_value(value, pair.difference.value, pair.difference.stderr_value);
	/* The verdict is that of a test that is decided; Holm's step may take it back. */
	return add_line(m, good ? PB_REPRODUCED : PB_CONTRADICTED, isfinite(pair.test.p) ? pair.test.p : 1, pb_arena_printf(arena, "%s: %s %s, p %.2g (%s); %zu items, about %.0f for 80 %% power", name,
		pair.scale, value, pair.test.p, pair.how, pair.difference.n, ceil(pb_items_needed(pair.deviation, pair.difference.value))));
}

/* Rows of a setting, by their places. */
static size_t rows_of_setting(const struct measuring *m, const struct pb_claim_comparison *c, const struct pb_yaml *setting, size_t *list)
{
	size_t n = 0;

	for (size_t i = 0; i < m->rows->n; i++) {
		const struct pb_row *r = &m->rows->rows[i];

		if (r->status == PB_ROW_OK && pb_claim_comparison_has_metric(c, r->metric) && pb_setting_fits(setting, r, m->options[i]))
			list[n++] = i;
	}
	return n;
}

static bool same_cells(const struct pb_row *a, const struct pb_row *b)
{
	return strcmp(a->model, b->model) == 0 && strcmp(a->task, b->task) == 0 && strcmp(a->metric, b->metric) == 0 && strcmp(a->backend, b->backend) == 0 && !same_setting(a, b);
}

static enum pb_status compare(struct measuring *m, const struct pb_claim_comparison *c)
{
	size_t n = m->rows->n, n_better, n_worse;
	struct pb_arena *arena = m->claims->arena;
	const struct pb_row **first = pb_arena_alloc(arena, n + 1, sizeof(struct pb_row *)), **second = pb_arena_alloc(arena, n + 1, sizeof(struct pb_row *));
	size_t *better_rows = pb_arena_alloc(arena, n + 1, sizeof(size_t)), *worse_rows = pb_arena_alloc(arena, n + 1, sizeof(size_t));
	enum pb_status st = PB_OK;

	if (!first || !second || !better_rows || !worse_rows)
		return pb_out_of_memory(m->err, "what a run says of a claim");
	n_better = rows_of_setting(m, c, c->better, better_rows);
	n_worse = rows_of_setting(m, c, c->worse, worse_rows);
	for (size_t i = 0; !st && i < n_better; i++) {
		const size_t at = better_rows[i];
		const struct pb_row *b = &m->rows->rows[at];
		struct pb_side better = side_of(m, at, second);

		for (size_t k = 0; !st && better.n && k < n_worse; k++) {
			const size_t other = worse_rows[k];
			const struct pb_row *a = &m->rows->rows[other];
			struct pb_side worse;

			if (!same_cells(a, b) || !pb_claim_comparison_alike(c, a, m->options[other], b, m->options[at]))
				continue;
			if ((worse = side_of(m, other, first)).n)
				st = judge_pair(m, c, &worse, &better);
		}
	}
	return st;
}

/* ---- numbers ---- */

/* Letters and digits, in lower case: "LLaMA-2-7B" is llama27b. */
static bool same_name(const char *a, const char *b)
{
	while (true) {
		while (*a && !isalnum((unsigned char)*a))
			a++;
		while (*b && !isalnum((unsigned char)*b))
			b++;
		if (!*a || !*b)
			return *a == *b;
		if (tolower((unsigned char)*a++) != tolower((unsigned char)*b++))
			return false;
	}
}

static bool same_task(const struct pb_number *r, const struct pb_row *row)
{
	static const struct { const char *published, *measured; } names[] = {
		{ "wikitext2", "wikitext_gptq" }, { "c4", "c4_gptq" }, { "c4", "c4_new_gptq" }, { "ptb", "ptb_gptq" }, { "ptb", "ptb_new_gptq" },
	};

	if (strcmp(r->text[PB_NUMBER_TASK], row->task) == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(r->text[PB_NUMBER_TASK], names[i].published) == 0 && strcmp(row->task, names[i].measured) == 0)
			return true;
	return false;
}

static bool is_counterpart(const struct pb_number *r, const struct pb_row *row, const json_t *options)
{
	const char *metric = r->text[PB_NUMBER_METRIC], *method = r->text[PB_NUMBER_METHOD];
	bool full = r->column[PB_NUMBER_WBITS] == 16, normed = strstr(r->text[PB_NUMBER_NOTE], "length-normalised") != NULL;
	double group;

	if (row->status != PB_ROW_OK || isnan(r->value) || !same_name(r->text[PB_NUMBER_MODEL], row->model) || !same_task(r, row))
		return false;
	if (strcmp(metric, "perplexity") == 0 ? strcmp(row->metric, "ppl_token") != 0 : strcmp(metric, "accuracy") != 0 || strcmp(row->metric, normed ? "acc_norm" : "acc") != 0)
		return false;
	if (full)
		return strcmp(row->quantizer, "identity") == 0;
	if (!same_name(method, row->quantizer) || !(fabs(row->wbits - r->column[PB_NUMBER_WBITS]) < 0.005))
		return false;
	if (pb_parse_double(r->text[PB_NUMBER_GROUP], &group))
		return json_number_value(json_object_get(options, "group_size")) == group;
	return true;
}

/* Protocols whose windows are those of gptq-wt2 go by their own names, too. */
static const char *rule_of(const char *protocol, size_t n)
{
	static const char *const names[] = { "squeezellm", "vptq", "onebit", "mobilellm" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && strncmp(protocol, names[i], n) == 0)
			return "gptq-wt2";
	return NULL;
}

/* Whether the claim's protocol names that of the row; a claim that names none leaves it open. */
static bool same_protocol(const struct pb_claim *c, const struct pb_number *r, const struct pb_row *row)
{
	const char *p = c->protocol, *at = strchr(row->protocol, '@');
	size_t length = at ? (size_t)(at - row->protocol) : strlen(row->protocol);
	const char *rule = rule_of(row->protocol, length);
	double context = at ? strtod(at + 1, NULL) : 2048;
	bool named = p[0] == '\0';

	while (*p && !named) {
		size_t n = strcspn(p, " ,;@");
		const char *other = rule_of(p, n);

		named = (n == length && strncmp(p, row->protocol, n) == 0) || (rule && n == strlen(rule) && strncmp(p, rule, n) == 0)
			|| (other && strlen(other) == length && strncmp(other, row->protocol, length) == 0) || (rule && other);
		p += n;
		p += strspn(p, " ,;@");
	}
	return named && (isnan(r->column[PB_NUMBER_CTX]) || strcmp(row->metric, "ppl_token") != 0 || r->column[PB_NUMBER_CTX] == context);
}

static enum pb_status judge_number(struct measuring *m, const struct pb_number *r, const struct pb_row *row)
{
	bool percent = strcmp(r->text[PB_NUMBER_UNIT], "%") == 0;
	double scale = percent ? 100 : 1, off = scale * row->value - r->value, error = scale * row->stderr_value;
	double margin = percent ? POINTS : PERPLEXITY_SHARE * fabs(r->value);
	const char *id = r->text[PB_NUMBER_ID];
	char value[64];

	if (!same_protocol(m->claim, r, row))
		return add_line(m, PB_PROTOCOL_DIFFERS, NAN, pb_arena_printf(m->claims->arena, "%s: measured by %s, the claim's protocol is %s%s%s", id, row->protocol,
			m->claim->protocol[0] ? m->claim->protocol : "another", r->text[PB_NUMBER_CTX][0] ? ", context " : "", r->text[PB_NUMBER_CTX]));
	if (!(error > 0))
		error = 0;
	pb_format_value(value, scale * row->value, error > 0 ? error : NAN);
	/* An error that hides what the claim is about reproduces nothing. */
	if (1.96 * error > margin && fabs(off) <= r->half + 1.96 * error)
		return add_line(m, PB_UNDERPOWERED, NAN, pb_arena_printf(m->claims->arena, "%s: %s printed, %s measured (%s, %s); about %.0f items would be needed for ± %.2g, %lld are there", id,
			r->text[PB_NUMBER_VALUE], value, row->model, row->label, ceil((double)row->n * pow(1.96 * error / margin, 2)), margin, (long long)row->n));
	return add_line(m, fabs(off) <= r->half + 1.96 * error ? PB_REPRODUCED : PB_OFF_BY, NAN, pb_arena_printf(m->claims->arena, "%s: %s printed, %s measured (%s, %s), off by %+.4g", id,
		r->text[PB_NUMBER_VALUE], value, row->model, row->label, off));
}

static enum pb_status compare_numbers(struct measuring *m)
{
	const struct pb_number **numbers;
	size_t n;
	enum pb_status st = pb_claim_numbers(m->claim, m->claims->arena, &numbers, &n, m->err);

	for (size_t i = 0; !st && i < n; i++)
		for (size_t k = 0; !st && k < m->rows->n; k++)
			if (is_counterpart(numbers[i], &m->rows->rows[k], m->options[k]))
				st = judge_number(m, numbers[i], &m->rows->rows[k]);
	return st;
}

/* ---- together ---- */

/* A test that Holm's step over all tests of the claim leaves undecided is one with too few items. */
static enum pb_status adjust(struct measuring *m)
{
	double *adjusted = pb_arena_alloc(m->claims->arena, m->out->n + 1, sizeof(*adjusted));
	enum pb_status st = adjusted ? pb_adjust_holm(m->p, m->out->n, adjusted, m->err) : pb_out_of_memory(m->err, "what a run says of a claim");

	for (size_t i = 0; !st && i < m->out->n; i++)
		if (!isnan(m->p[i]) && !(adjusted[i] < LEVEL))
			m->out->lines[i].verdict = PB_UNDERPOWERED;
	return st;
}

static enum pb_status conclude(struct measuring *m)
{
	static const enum pb_reproduction order[] = { PB_CONTRADICTED, PB_OFF_BY, PB_UNDERPOWERED, PB_REPRODUCED, PB_PROTOCOL_DIFFERS };
	struct pb_measured *out = m->out;
	struct pb_text t = {0};
	size_t n[PB_REPRODUCTIONS] = {0};

	for (size_t i = 0; i < out->n; i++)
		n[out->lines[i].verdict]++;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (!n[order[i]])
			continue;
		if (!t.length)
			out->verdict = order[i];
		pb_text_printf(&t, "%s%zu of %zu %s", t.length ? ", " : "", n[order[i]], out->n, pb_reproduction_name(order[i]));
	}
	out->reason = t.failed ? NULL : pb_arena_strdup(m->claims->arena, pb_text_c(&t));
	pb_text_free(&t);
	return out->reason ? PB_OK : pb_out_of_memory(m->err, "what a run says of a claim");
}

enum pb_status pb_measure_claim(struct pb_claims *claims, struct pb_claim *claim, const struct pb_rows *rows, const struct pb_item_stores *stores, struct pb_error *err)
{
	struct pb_measured *out = pb_arena_alloc(claims->arena, 1, sizeof(*out));
	struct measuring m = { .claims = claims, .claim = claim, .rows = rows, .stores = stores, .out = out, .err = err, .options = pb_alloc_zero(rows->n + 1, sizeof(json_t *)) };
	enum pb_status st = out && m.options ? PB_OK : pb_out_of_memory(err, "what a run says of a claim");

	for (size_t i = 0; !st && i < rows->n; i++)
		if (rows->rows[i].options[0])
			st = pb_json_parse(&m.options[i], "options", rows->rows[i].options, strlen(rows->rows[i].options), err);
	if (!st && claim->has_comparison)
		st = compare(&m, &claim->comparison);
	if (!st)
		st = compare_numbers(&m);
	if (!st && out->n)
		st = adjust(&m);
	if (!st)
		st = conclude(&m);
	for (size_t i = 0; m.options && i < rows->n; i++)
		json_decref(m.options[i]);
	pb_free(m.options);
	if (!st)
		claim->measured = out;
	return st;
}
