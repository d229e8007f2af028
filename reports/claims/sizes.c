/* Sizes that need more than a formula of counts: VPTQ's settings, and the mixes of llama.cpp's file types. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "reports/claims/sizes.h"
#include "reports/claims/syntax.h"

static enum pb_status sizes(struct pb_evaluation *ev, const struct pb_value *rows, const char *name, bool (*f)(const struct pb_number *, const struct pb_model_shape *, double *),
	bool shaped, struct pb_value *out)
{
	struct pb_interval *x;
	enum pb_status st;

	if (!rows->rows)
		return pb_fail(ev->err, PB_USAGE, "%s is of rows", name);
	if ((st = pb_value_new(ev, PB_VALUE_NUMBER, rows->n, out, &x)))
		return st;
	out->rows = rows->rows;
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_number *r = rows->rows[i];
		const struct pb_model_shape *shape = r && ev->scope->shapes ? pb_shape_find(ev->scope->shapes, r->text[PB_NUMBER_MODEL]) : NULL;
		double bits;

		if (!r || (shaped && !shape))
			return pb_fail(ev->err, PB_MISSING, "%s: the shape of %s is not known", name, r ? r->text[PB_NUMBER_MODEL] : "a row");
		if (!f(r, shape, &bits))
			return pb_fail(ev->err, PB_MISSING, "%s: %s does not say the setting ('%s', '%s')", name, r->text[PB_NUMBER_ID], r->text[PB_NUMBER_METHOD], r->text[PB_NUMBER_GROUP]);
		x[i] = pb_exact(bits);
	}
	return PB_OK;
}

/* ---- VPTQ ---- */

/* "N1;v0=4-k0=8192;v12-k4096-4096;g4": outlier columns in per cent with their codebook, vector length, main and residual centroids,
 * groups of columns. All but the vector and the main codebook may be left out. */
struct vptq_setting {
	double outliers, v0, k0, v, k1, k2, groups;
};

static bool parse_vptq(const char *text, struct vptq_setting *s)
{
	const char *p = text;
	char *end;

	*s = (struct vptq_setting){ .groups = 1 };
	while (*p) {
		if (*p == 'N')
			s->outliers = strtod(p + 1, &end) / 100;
		else if (strncmp(p, "v0=", 3) == 0) {
			s->v0 = strtod(p + 3, &end);
			if (strncmp(end, "-k0=", 4) == 0)
				s->k0 = strtod(end + 4, &end);
		} else if (*p == 'v') {
			s->v = strtod(p + 1, &end);
			if (strncmp(end, "-k", 2) == 0)
				s->k1 = strtod(end + 2, &end);
			if (*end == '-')
				s->k2 = strtod(end + 1, &end);
		} else if (*p == 'g')
			s->groups = strtod(p + 1, &end);
		else
			return false;
		if (end == p + 1 || (*end && *end != ';'))
			return false;
		p = *end ? end + 1 : end;
	}
	return s->v >= 1 && s->k1 >= 2 && s->groups >= 1 && s->outliers >= 0 && s->outliers < 1 && (s->outliers == 0 || (s->v0 >= 1 && s->k0 >= 2));
}

static double index_bits(const struct vptq_setting *s)
{
	return (log2(s->k1) + (s->k2 > 1 ? log2(s->k2) : 0)) / s->v;
}

static bool vptq_bits(const struct pb_number *r, const struct pb_model_shape *shape, double *bits)
{
	struct pb_linear m[7];
	struct vptq_setting s;
	size_t n = pb_shape_linears(shape, m);
	double weights = 0, inputs = 0, codebook;

	if (!parse_vptq(r->text[PB_NUMBER_GROUP], &s))
		return false;
	for (size_t i = 0; i < n; i++) {
		weights += (double)m[i].out * (double)m[i].in;
		inputs += (double)m[i].in;
	}
	codebook = 16 * (s.groups * s.v * (s.k1 + s.k2) + (s.outliers > 0 ? s.v0 * s.k0 : 0));
	*bits = (s.outliers > 0 ? s.outliers * log2(s.k0) / s.v0 : 0) + (1 - s.outliers) * index_bits(&s) + ((double)n * codebook + 48 * inputs) / weights;
	return true;
}

static bool vptq_label(const struct pb_number *r, const struct pb_model_shape *shape, double *bits)
{
	struct vptq_setting s;

	(void)shape;
	if (!parse_vptq(r->text[PB_NUMBER_GROUP], &s))
		return false;
	*bits = index_bits(&s);
	return true;
}

enum pb_status pb_size_vptq(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	(void)n;
	return sizes(ev, &args[0], "vptq_bits", vptq_bits, true, out);
}

enum pb_status pb_size_vptq_label(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	(void)n;
	return sizes(ev, &args[0], "vptq_label", vptq_label, false, out);
}

/* ---- SqueezeLLM: levels of 16 bits for every row, 48 bits for a sparse value ---- */

static bool squeezellm_bits(const struct pb_number *r, const struct pb_model_shape *shape, double *bits)
{
	static const char name[] = "SqueezeLLM";
	const char *p = r->text[PB_NUMBER_METHOD];
	double levels = exp2(r->column[PB_NUMBER_WBITS]), sparse = 0;
	char *end;

	if (strncmp(p, name, sizeof(name) - 1) != 0 || strcmp(r->text[PB_NUMBER_GROUP], "channel") != 0 || isnan(levels))
		return false;
	if (*(p += sizeof(name) - 1)) {
		sparse = strtod(p, &end);
		if (end == p || strcmp(end, "%") != 0)
			return false;
	}
	*bits = r->column[PB_NUMBER_WBITS] + 16 * levels * pb_shape_column(shape, 1) / pb_shape_column(shape, 0) + 48 * sparse / 100;
	return true;
}

bool pb_size_of_row(const struct pb_number *row, const struct pb_model_shape *shape, double *bits)
{
	if (row->text[PB_NUMBER_METHOD][0] == 'V' && row->text[PB_NUMBER_GROUP][0] == 'N')
		return vptq_bits(row, shape, bits);
	return squeezellm_bits(row, shape, bits);
}

/* ---- llama.cpp ---- */

enum block { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K };
static const double block_bits[] = { 2.625, 3.4375, 4.5, 5.5, 6.5625 };

/* Types of a mix: of everything not listed, of attn_v, of attn_output and of ffn_down in layer i of n. The output head is Q6_K. */
static bool mix(const char *method, const struct pb_model_shape *s, int64_t i, enum block *base, enum block *v, enum block *o, enum block *down)
{
	static const char *const names[] = { "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K" };
	static const enum block bases[] = { Q2_K, Q3_K, Q3_K, Q3_K, Q4_K, Q4_K, Q5_K, Q5_K, Q6_K };
	int64_t n = s->layers;
	bool more = i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2, large = s->layers == 80 && s->heads / s->kv_heads == 8;
	size_t k = 0;

	if (strncmp(method, "gguf-", 5) == 0)
		method += 5;
	while (k < sizeof(names) / sizeof(names[0]) && strcmp(names[k], method) != 0)
		k++;
	if (k == sizeof(names) / sizeof(names[0]))
		return false;
	*base = *v = *o = *down = bases[k];
	switch (k) {
	case 0:
		*v = s->heads / s->kv_heads >= 4 ? Q4_K : Q3_K;
		*o = *down = Q3_K;
		break;
	case 2:
		*v = i < 2 ? Q5_K : Q4_K;
		*down = i < n / 16 ? Q5_K : Q4_K;
		*o = Q4_K;
		break;
	case 3:
		*v = *down = *o = Q5_K;
		break;
	case 4:
		*v = i < 4 ? Q5_K : Q4_K;
		*down = i < n / 8 ? Q5_K : Q4_K;
		break;
	case 5:
	case 7:
		*v = *down = more ? Q6_K : bases[k];
		break;
	default:
		break;
	}
	if (large && (*v == Q3_K || *v == Q4_K))
		*v = Q5_K;
	return true;
}

static bool gguf_bits(const struct pb_number *r, const struct pb_model_shape *s, double *bits)
{
	double kv = (double)(s->kv_heads * s->head_dim), q = (double)(s->heads * s->head_dim), h = (double)s->hidden, ffn = (double)s->ffn;
	double norms = pb_shape_column(s, 4), embedding = (double)s->vocab * h, sum = 32 * norms, weights = norms;
	enum block base, v, o, down;

	if (!s->gated || s->tied || !mix(r->text[PB_NUMBER_METHOD], s, 0, &base, &v, &o, &down))
		return false;
	sum += embedding * (block_bits[base] + block_bits[Q6_K]);
	weights += 2 * embedding;
	for (int64_t i = 0; i < s->layers; i++) {
		mix(r->text[PB_NUMBER_METHOD], s, i, &base, &v, &o, &down);
		sum += block_bits[base] * (q * h + kv * h + 2 * h * ffn) + block_bits[v] * kv * h + block_bits[o] * q * h + block_bits[down] * ffn * h;
		weights += 2 * q * h + 2 * kv * h + 3 * h * ffn;
	}
	*bits = sum / weights;
	return true;
}

enum pb_status pb_size_gguf(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out)
{
	(void)n;
	return sizes(ev, &args[0], "gguf_bits", gguf_bits, true, out);
}
