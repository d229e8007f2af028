/* divergence: how far the quantized model's distributions over the next token are from those of the full-precision model, at each
 * position that a perplexity of the same protocol scores (kinds documents, loglikelihood_rolling and window, whose data, windows and
 * protocols these are). p: full precision, q: quantized; nats; the names are those of llama.cpp's --kl-divergence:
 *
 *   kld          mean over tokens of sum p (ln p - ln q), over the whole vocabulary
 *   kld_median, kld_p99, kld_p999, kld_max   of the same over tokens
 *   same_top     share of tokens before which both have the same most likely token
 *   delta_nll    mean of -ln q(token) + ln p(token): the logarithm of the ratio of the perplexities
 *   delta_p_rms  root of the mean of (q(token) - p(token))^2, a fraction
 *
 * Means and shares are ratios of sums over texts (or windows), whose standard errors take a text as one unit; those of quantiles are
 * Woodruff's, by the same units. The largest has none. Other than in llama.cpp no token of the vocabulary is left out, nothing is
 * rounded to 16 bits, and errors do not take the tokens of a text as independent. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tasks/estimate.h"
#include "tasks/kind.h"

static const struct pb_task_kind *base_of(const struct pb_definition *d)
{
	static const struct pb_task_kind *const bases[] = { &pb_task_kind_documents, &pb_task_kind_rolling, &pb_task_kind_window };

	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++)
		for (size_t k = 0; bases[i]->protocols[k]; k++)
			if (strcmp(bases[i]->protocols[k], d->protocol_id) == 0)
				return bases[i];
	return NULL;
}

static enum pb_status divergence_check(const struct pb_definition *d, const struct pb_yaml *root, struct pb_error *err)
{
	return d->target ? PB_OK : pb_yaml_fail(root, err, "the key 'doc_to_target' is missing");
}

static enum pb_status divergence_read(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err)
{
	return base_of(task->definition)->read(data, task, path, err);
}

static enum pb_status divergence_make(struct pb_task_requests *out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
{
	const struct pb_task_kind *base = base_of(task->definition);
	enum pb_status st;

	if (task->definition->detokenize && base != &pb_task_kind_rolling)
		return pb_fail(err, PB_USAGE, "%s: protocol %s takes texts as they are; its definition has a detokenizer, which is for lmeh-word", task->name, task->protocol);
	if ((st = base->make(out, task, data, tokenizer, context, err)))
		return st;
	for (size_t i = 0; i < out->n_requests; i++) {
		struct pb_request *r = &out->requests[i];

		if (!(r->divergence = pb_arena_alloc(out->arena, r->n - r->first, sizeof(*r->divergence))))
			return pb_out_of_memory(err, "requests");
		/* What is not filled must not look like no divergence. */
		for (uint32_t t = 0; t < r->n - r->first; t++)
			r->divergence[t].kld = NAN;
	}
	return PB_OK;
}

struct token {
	double kld;
	uint32_t unit;
};

/* Sums over each unit, and all tokens. */
struct units {
	size_t n, n_tokens;
	double *sums[PB_DIVERGENCE_SUMS], *squares, *tokens, *scratch;  /* (n) */
	struct token *all;          /* (n_tokens) */
	double *sorted;             /* (n_tokens) of them, ascending, ... */
	uint32_t *unit;             /* ... and their units */
};

static enum pb_status make_units(struct units *u, struct pb_arena *arena, const struct pb_task_requests *requests, struct pb_error *err)
{
	bool ok = true;

	*u = (struct units){ .n = requests->first ? requests->n_units : requests->n_requests };
	for (size_t i = 0; i < requests->n_requests; i++)
		u->n_tokens += requests->requests[i].n - requests->requests[i].first;
	for (unsigned k = 0; k < PB_DIVERGENCE_SUMS; k++)
		ok = (u->sums[k] = pb_arena_alloc(arena, u->n, sizeof(double))) && ok;
	u->squares = pb_arena_alloc(arena, u->n, sizeof(double));
	u->tokens = pb_arena_alloc(arena, u->n, sizeof(double));
	u->scratch = pb_arena_alloc(arena, u->n, sizeof(double));
	u->all = pb_arena_alloc(arena, u->n_tokens, sizeof(*u->all));
	u->sorted = pb_arena_alloc(arena, u->n_tokens, sizeof(*u->sorted));
	u->unit = pb_arena_alloc(arena, u->n_tokens, sizeof(*u->unit));
	return ok && u->squares && u->tokens && u->scratch && u->all && u->sorted && u->unit ? PB_OK : pb_out_of_memory(err, "a result");
}

/* Adds the tokens of one request to its unit; n: tokens so far. */
static enum pb_status add_request(struct units *u, size_t unit, const struct pb_request *r, size_t *n, struct pb_error *err)
{
	for (uint32_t t = 0; t < r->n - r->first; t++) {
		const struct pb_divergence *d = &r->divergence[t];
		double step = exp(d->quantized) - exp(d->full);

		if (!isfinite(d->kld) || !isfinite(d->full) || !isfinite(d->quantized))
			return pb_fail(err, PB_NUMERIC, "the divergence at position %u is not finite", r->first + t);
		u->sums[PB_SUM_KLD][unit] += d->kld;
		u->sums[PB_SUM_SAME_TOP][unit] += d->same_top;
		u->sums[PB_SUM_DELTA_NLL][unit] += d->full - d->quantized;
		u->squares[unit] += step * step;
		u->tokens[unit]++;
		u->all[(*n)++] = (struct token){ d->kld, (uint32_t)unit };
	}
	return PB_OK;
}

static int by_kld(const void *pa, const void *pb)
{
	const struct token *a = pa, *b = pb;
	int c = (a->kld > b->kld) - (a->kld < b->kld);

	return c ? c : (a->unit > b->unit) - (a->unit < b->unit);
}

static void sort_tokens(struct units *u)
{
	if (u->n_tokens > 1)
		qsort(u->all, u->n_tokens, sizeof(*u->all), by_kld);
	for (size_t i = 0; i < u->n_tokens; i++) {
		u->sorted[i] = u->all[i].kld;
		u->unit[i] = u->all[i].unit;
	}
}

static void add_metrics(struct pb_task_result *result, const struct pb_task *task, const struct units *u)
{
	static const struct { const char *name; enum pb_divergence_sum sum; bool higher; } means[] = {
		{ "kld", PB_SUM_KLD, false }, { "same_top", PB_SUM_SAME_TOP, true }, { "delta_nll", PB_SUM_DELTA_NLL, false },
	};
	static const struct { const char *name; double share; } quantiles[] = { { "kld_median", 0.5 }, { "kld_p99", 0.99 }, { "kld_p999", 0.999 } };
	const struct pb_pooled pooled = { u->sorted, u->unit, u->n_tokens, u->tokens, u->n };

	for (size_t i = 0; i < sizeof(means) / sizeof(*means); i++)
		if (pb_task_wants(task, means[i].name))
			pb_metric_add(result, means[i].name, pb_estimate_ratio(u->sums[means[i].sum], u->tokens, u->n), u->n_tokens, means[i].higher);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++)
		if (pb_task_wants(task, quantiles[i].name))
			pb_metric_add(result, quantiles[i].name, pb_estimate_quantile(&pooled, quantiles[i].share, u->scratch), u->n_tokens, false);
	if (pb_task_wants(task, "kld_max"))
		pb_metric_add(result, "kld_max", (struct pb_estimate){ u->sorted[u->n_tokens - 1], NAN }, u->n_tokens, false);
	if (pb_task_wants(task, "delta_p_rms"))
		pb_metric_add(result, "delta_p_rms", pb_estimate_root(pb_estimate_ratio(u->squares, u->tokens, u->n)), u->n_tokens, false);
}

/* Units without a token (empty texts) are items all the same, as those of a perplexity are. */
static enum pb_status add_items(struct pb_task_result *result, const struct units *u, struct pb_error *err)
{
	struct pb_item *items = pb_arena_alloc(result->arena, u->n, sizeof(*items));
	double *values = pb_arena_alloc(result->arena, u->n, PB_DIVERGENCE_SUMS * sizeof(*values));

	if (!items || !values)
		return pb_out_of_memory(err, "a result");
	for (size_t i = 0; i < u->n; i++, values += PB_DIVERGENCE_SUMS) {
		for (unsigned k = 0; k < PB_DIVERGENCE_SUMS; k++)
			values[k] = u->sums[k][i];
		items[i] = (struct pb_item){ .index = (uint32_t)i, .n_values = PB_DIVERGENCE_SUMS, .values = values, .weight = u->tokens[i],
			.gold = -1, .chosen = -1, .chosen_norm = -1 };
	}
	result->items = items;
	result->n_items = u->n;
	return PB_OK;
}

static enum pb_status divergence_score(struct pb_task_result *result, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_task_requests *requests, struct pb_error *err)
{
	struct units u;
	size_t n = 0;
	enum pb_status st = make_units(&u, result->arena, requests, err);

	(void)data;
	for (size_t i = 0; i < u.n && !st; i++) {
		size_t from = requests->first ? requests->first[i] : i, to = requests->first ? requests->first[i + 1] : i + 1;

		for (size_t k = from; k < to && !st; k++)
			if ((st = add_request(&u, i, &requests->requests[k], &n, err)))
				pb_fail_prefix(err, "%s: text or window %zu", task->name, i);
	}
	if (st)
		return st;
	sort_tokens(&u);
	add_metrics(result, task, &u);
	return add_items(result, &u, err);
}

static const char *const keys[] = { "doc_to_target", "detokenizer", NULL };
static const char *const protocols[] = { "documents", "gptq-c4", "gptq-c4-new", "gptq-ptb", "gptq-ptb-new", "gptq-wt2", "llamacpp", "lmeh-word", "lmeh-word-one-bos",
	"mobilellm", "onebit", "onebit-c4", "paretoq", "squeezellm", "vptq", "vptq-c4", NULL };
static const char *const metrics[] = { "kld", "same_top", "delta_nll", "kld_median", "kld_p99", "kld_p999", "kld_max", "delta_p_rms", NULL };

const struct pb_task_kind pb_task_kind_divergence = {
	.name = "divergence",
	.help = "next-token distributions beside those of full precision: KL divergence, same most likely token",
	.keys = keys,
	.protocols = protocols,
	.metrics = metrics,
	.default_metrics = 255,
	.compares = true,
	.check = divergence_check,
	.read = divergence_read,
	.make = divergence_make,
	.score = divergence_score,
};
