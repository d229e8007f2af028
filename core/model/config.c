/* The shape of a model: limits, Hugging Face's config.json, and our own form. */
#include "core/model/model_files.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "core/base/json.h"

/* Generous against every model there is, and small enough that products do not overflow:
 * a matrix has at most 2^42 weights, a model at most 2^57. */
#define MAX_VOCAB (1u << 26)
#define MAX_DIM (1u << 20)
#define MAX_LAYERS 4096u
#define MAX_HEADS (1u << 14)
#define MAX_HEAD_DIM (1u << 14)
#define MAX_ROWS (1u << 22)     /* heads * head_dim, and the feed-forward dimension */
#define MAX_CONTEXT (1u << 30)

static enum pb_status check_range(const char *file, const char *what, uint64_t value, uint64_t low, uint64_t high, struct pb_error *err)
{
	if (value >= low && value <= high)
		return PB_OK;
	return pb_fail(err, PB_FORMAT, "%s: %s: %" PRIu64 " is out of the range from %" PRIu64 " to %" PRIu64, file, what, value, low, high);
}

static enum pb_status check_rope(const struct pb_config *c, const char *file, struct pb_error *err)
{
	if (!isfinite(c->rope_base) || c->rope_base <= 0)
		return pb_fail(err, PB_FORMAT, "%s: rotary base: not above 0", file);
	if (c->rope_scaling == PB_ROPE_PLAIN)
		return PB_OK;
	if (!isfinite(c->rope_factor) || c->rope_factor <= 0)
		return pb_fail(err, PB_FORMAT, "%s: rotary scaling: the factor is not above 0", file);
	if (c->rope_scaling == PB_ROPE_LINEAR)
		return PB_OK;
	if (!isfinite(c->rope_low) || !isfinite(c->rope_high) || c->rope_low <= 0 || c->rope_high <= c->rope_low)
		return pb_fail(err, PB_FORMAT, "%s: rotary scaling: low and high frequency factors are not 0 < low < high", file);
	if (!isfinite(c->rope_original_context) || c->rope_original_context < 1)
		return pb_fail(err, PB_FORMAT, "%s: rotary scaling: the original context is below 1", file);
	return PB_OK;
}

enum pb_status pb_config_check(const struct pb_config *c, const char *file, struct pb_error *err)
{
	const struct {
		const char *what;
		uint64_t value, low, high;
	} ranges[] = {
		{ "vocabulary", c->n_vocab, 1, MAX_VOCAB },
		{ "dimension", c->dim, 1, MAX_DIM },
		{ "number of layers", c->n_layers, 1, MAX_LAYERS },
		{ "number of heads", c->n_heads, 1, MAX_HEADS },
		{ "number of key-value heads", c->n_kv_heads, 1, MAX_HEADS },
		{ "dimension of a head", c->head_dim, 2, MAX_HEAD_DIM },
		{ "dimension of all heads", (uint64_t)c->n_heads * c->head_dim, 1, MAX_ROWS },
		{ "feed-forward dimension", c->hidden, 1, MAX_ROWS },
		{ "context", c->context, 1, MAX_CONTEXT },
	};
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		enum pb_status status = check_range(file, ranges[i].what, ranges[i].value, ranges[i].low, ranges[i].high, err);
		if (status)
			return status;
	}
	if (c->n_heads % c->n_kv_heads != 0)
		return pb_fail(err, PB_FORMAT, "%s: %u heads are no multiple of %u key-value heads", file, c->n_heads, c->n_kv_heads);
	if (c->head_dim % 2 != 0)
		return pb_fail(err, PB_FORMAT, "%s: dimension of a head: %u is odd, and is rotated in pairs", file, c->head_dim);
	if (!isfinite(c->norm_eps) || c->norm_eps <= 0 || c->norm_eps >= 1)
		return pb_fail(err, PB_FORMAT, "%s: epsilon of the norms: not between 0 and 1", file);
	if (c->bos < -1 || c->bos >= (int64_t)c->n_vocab || c->eos < -1 || c->eos >= (int64_t)c->n_vocab)
		return pb_fail(err, PB_FORMAT, "%s: the id of BOS or EOS, %d or %d, is outside of the vocabulary of %u", file, c->bos, c->eos, c->n_vocab);
	return check_rope(c, file, err);
}

const char *pb_json_plain(const json_t *value, size_t limit)
{
	const char *s = json_string_value(value);
	size_t n = json_string_length(value);
	if (!s || n == 0 || n > limit)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return NULL;
	return s;
}

/* Reading keys: the first failure stays in `status`; an absent key or null leaves the value as it is. */
struct keys {
	const json_t *object;
	const char *file;
	enum pb_status status;
	struct pb_error *err;
};

static const json_t *get(const struct keys *k, const char *key)
{
	const json_t *value = json_object_get(k->object, key);
	return k->status || !value || json_is_null(value) ? NULL : value;
}

static void fail(struct keys *k, const char *key, const char *why)
{
	if (!k->status)
		k->status = pb_fail(k->err, PB_FORMAT, "%s: %s: %s", k->file, key, why);
}

static void require(struct keys *k, const char *key)
{
	if (!k->status && !get(k, key))
		fail(k, key, "missing");
}

static void read_u32(struct keys *k, const char *key, uint32_t *out)
{
	const json_t *value = get(k, key);
	if (!value)
		return;
	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
		fail(k, key, "not a whole number from 0 to 4294967295");
	else
		*out = (uint32_t)json_integer_value(value);
}

static void read_number(struct keys *k, const char *key, double *out)
{
	const json_t *value = get(k, key);
	if (!value)
		return;
	if (!json_is_number(value))
		fail(k, key, "not a number");
	else
		*out = json_number_value(value);
}

static void read_bool(struct keys *k, const char *key, bool *out)
{
	const json_t *value = get(k, key);
	if (!value)
		return;
	if (!json_is_boolean(value))
		fail(k, key, "neither true nor false");
	else
		*out = json_is_true(value);
}

static void read_string(struct keys *k, const char *key, const char **out)
{
	const json_t *value = get(k, key);
	if (!value)
		return;
	const char *s = pb_json_plain(value, 64);
	if (!s)
		fail(k, key, "not a name");
	else
		*out = s;
}

/* A token id; of a list (several end tokens) the first. */
static void read_id(struct keys *k, const char *key, int32_t *out)
{
	const json_t *value = get(k, key);
	if (json_is_array(value))
		value = json_array_get(value, 0);
	if (!value)
		return;
	if (!json_is_integer(value) || json_integer_value(value) < -1 || json_integer_value(value) > INT32_MAX)
		fail(k, key, "not a token id");
	else
		*out = (int32_t)json_integer_value(value);
}

static void refuse(struct keys *k, const char *key, const char *why)
{
	if (!k->status)
		k->status = pb_fail(k->err, PB_UNSUPPORTED, "%s: %s: %s", k->file, key, why);
}

/* rope_scaling, or the newer rope_parameters that may hold rope_theta too. */
static void read_rope(struct keys *k, struct pb_config *c)
{
	static const char *const places[] = { "rope_scaling", "rope_parameters" };
	double rotated = 1;
	bool has_base = get(k, "rope_theta") != NULL;
	read_number(k, "rope_theta", &c->rope_base);
	read_number(k, "partial_rotary_factor", &rotated);
	const char *place = NULL;
	for (int i = 0; i < 2; i++)
		if (get(k, places[i])) {
			if (place)
				fail(k, places[i], "given beside rope_scaling");
			place = places[i];
		}
	if (place && !k->status) {
		struct keys r = { get(k, place), k->file, PB_OK, k->err };
		const char *type = NULL;
		double base = c->rope_base;
		if (!json_is_object(r.object)) {
			fail(k, place, "not an object");
			return;
		}
		read_string(&r, "type", &type);
		read_string(&r, "rope_type", &type);
		read_number(&r, "rope_theta", &base);
		read_number(&r, "partial_rotary_factor", &rotated);
		if (has_base && base != c->rope_base)
			fail(&r, "rope_theta", "two different values");
		c->rope_base = base;
		if (!type) {
			fail(&r, place, "has no rope_type");
		} else if (!strcmp(type, "default")) {
			c->rope_scaling = PB_ROPE_PLAIN;
		} else if (!strcmp(type, "linear")) {
			c->rope_scaling = PB_ROPE_LINEAR;
			require(&r, "factor");
			read_number(&r, "factor", &c->rope_factor);
		} else if (!strcmp(type, "llama3")) {
			c->rope_scaling = PB_ROPE_LLAMA3;
			require(&r, "factor");
			read_number(&r, "factor", &c->rope_factor);
			require(&r, "low_freq_factor");
			read_number(&r, "low_freq_factor", &c->rope_low);
			require(&r, "high_freq_factor");
			read_number(&r, "high_freq_factor", &c->rope_high);
			require(&r, "original_max_position_embeddings");
			read_number(&r, "original_max_position_embeddings", &c->rope_original_context);
		} else if (!r.status) {
			r.status = pb_fail(r.err, PB_UNSUPPORTED, "%s: %s: %s is not done; default, linear and llama3 are", r.file, place, type);
		}
		k->status = r.status;
	}
	if (rotated != 1)
		refuse(k, "partial_rotary_factor", "only whole heads are rotated");
}

/* What would change the numbers and is not done. */
static void refuse_extras(struct keys *k)
{
	static const char *const switches[] = { "attention_bias", "mlp_bias", "layer_sharing" };
	const char *act = "silu";
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
		bool on = false;
		read_bool(k, switches[i], &on);
		if (on)
			refuse(k, switches[i], "true is not done");
	}
	read_string(k, "hidden_act", &act);
	if (!k->status && strcmp(act, "silu"))
		k->status = pb_fail(k->err, PB_UNSUPPORTED, "%s: hidden_act: %s is not done; silu is", k->file, act);
	if (get(k, "quantization_config"))
		refuse(k, "quantization_config", "weights that are quantized already are not read");
}

/* Mistral's class has a window of 4096 when the file does not say; null is none. */
static void refuse_window(struct keys *k, const struct pb_config *c)
{
	uint32_t window = 4096;
	if (json_is_null(json_object_get(k->object, "sliding_window")))
		return;
	read_u32(k, "sliding_window", &window);
	if (!k->status && window < c->context)
		k->status = pb_fail(k->err, PB_UNSUPPORTED, "%s: sliding_window: %u is shorter than the context of %u, and windows are not done\n"
			"with max_position_embeddings set to %u the window has no effect", k->file, window, c->context, window);
}

static void read_config(struct keys *k, struct pb_config *c)
{
	const char *type = NULL;
	double eps = 1e-6;
	bool shared = false;
	require(k, "model_type");
	read_string(k, "model_type", &type);
	bool mistral = type && !strcmp(type, "mistral");
	if (type && !mistral && strcmp(type, "llama"))
		k->status = pb_fail(k->err, PB_UNSUPPORTED, "%s: model_type: %s is not done; llama and mistral are", k->file, type);

	static const char *const required[] = { "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads" };
	for (size_t i = 0; i < sizeof required / sizeof *required; i++)
		require(k, required[i]);
	/* Class defaults of the library that made the file. */
	c->context = mistral ? 131072 : 2048;
	c->rope_base = 10000;
	c->bos = 1;
	c->eos = 2;
	read_u32(k, "vocab_size", &c->n_vocab);
	read_u32(k, "hidden_size", &c->dim);
	read_u32(k, "intermediate_size", &c->hidden);
	read_u32(k, "num_hidden_layers", &c->n_layers);
	read_u32(k, "num_attention_heads", &c->n_heads);
	c->n_kv_heads = mistral && !json_object_get(k->object, "num_key_value_heads") ? 8 : c->n_heads;
	read_u32(k, "num_key_value_heads", &c->n_kv_heads);
	read_u32(k, "max_position_embeddings", &c->context);
	read_number(k, "rms_norm_eps", &eps);
	c->norm_eps = (float)eps;
	read_id(k, "bos_token_id", &c->bos);
	read_id(k, "eos_token_id", &c->eos);
	read_bool(k, "tie_word_embeddings", &c->tied_head);
	read_bool(k, "share_embedding", &shared);
	c->tied_head |= shared;
	read_rope(k, c);
	refuse_extras(k);
	if (mistral)
		refuse_window(k, c);

	read_u32(k, "head_dim", &c->head_dim);
	if (!k->status && !get(k, "head_dim")) {
		if (c->n_heads == 0 || c->dim % c->n_heads != 0)
			fail(k, "hidden_size", "no multiple of num_attention_heads");
		else
			c->head_dim = c->dim / c->n_heads;
	}
}

enum pb_status pb_config_parse(struct pb_config *out, const char *file, const char *data, size_t size, struct pb_error *err)
{
	json_t *object = NULL;
	struct pb_config c = { .architecture = "llama" };
	enum pb_status status = pb_json_parse(&object, file, data, size, err);
	if (status)
		return status;
	struct keys k = { object, file, PB_OK, err };
	if (json_is_object(object))
		read_config(&k, &c);
	else
		k.status = pb_fail(err, PB_FORMAT, "%s: not an object", file);
	json_decref(object);
	status = k.status ? k.status : pb_config_check(&c, file, err);
	if (!status)
		*out = c;
	return status;
}

/* Our own form. */

static const char *const scaling_names[] = { [PB_ROPE_PLAIN] = "plain", [PB_ROPE_LINEAR] = "linear", [PB_ROPE_LLAMA3] = "llama3" };

json_t *pb_config_to_json(const struct pb_config *c)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:b, s:s, s:f, s:f, s:f, s:f, s:b, s:i, s:i}",
		"architecture", c->architecture, "n_vocab", (json_int_t)c->n_vocab, "dim", (json_int_t)c->dim,
		"n_layers", (json_int_t)c->n_layers, "n_heads", (json_int_t)c->n_heads, "n_kv_heads", (json_int_t)c->n_kv_heads,
		"head_dim", (json_int_t)c->head_dim, "hidden", (json_int_t)c->hidden, "context", (json_int_t)c->context,
		"norm_eps", (double)c->norm_eps, "rope_base", c->rope_base, "rope_interleaved", c->rope_interleaved,
		"rope_scaling", scaling_names[c->rope_scaling], "rope_factor", c->rope_factor, "rope_low", c->rope_low,
		"rope_high", c->rope_high, "rope_original_context", c->rope_original_context, "tied_head", c->tied_head,
		"bos", c->bos, "eos", c->eos);
}

enum pb_status pb_config_from_json(struct pb_config *out, const char *file, const json_t *object, struct pb_error *err)
{
	static const char *const names[] = { "architecture", "n_vocab", "dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "hidden",
		"context", "norm_eps", "rope_base", "rope_interleaved", "rope_scaling", "rope_factor", "rope_low", "rope_high",
		"rope_original_context", "tied_head", "bos", "eos" };
	struct pb_config c = { .architecture = "llama", .bos = -1, .eos = -1 };
	struct keys k = { object, file, PB_OK, err };
	const char *architecture = "llama", *scaling = "plain";
	double eps = 0;
	if (!json_is_object(object))
		return pb_fail(err, PB_FORMAT, "%s: config is not an object", file);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		require(&k, names[i]);
	if (!k.status && json_object_size(object) != sizeof names / sizeof *names)
		fail(&k, "config", "has keys that are not known");
	read_string(&k, "architecture", &architecture);
	read_u32(&k, "n_vocab", &c.n_vocab);
	read_u32(&k, "dim", &c.dim);
	read_u32(&k, "n_layers", &c.n_layers);
	read_u32(&k, "n_heads", &c.n_heads);
	read_u32(&k, "n_kv_heads", &c.n_kv_heads);
	read_u32(&k, "head_dim", &c.head_dim);
	read_u32(&k, "hidden", &c.hidden);
	read_u32(&k, "context", &c.context);
	read_number(&k, "norm_eps", &eps);
	read_number(&k, "rope_base", &c.rope_base);
	read_bool(&k, "rope_interleaved", &c.rope_interleaved);
	read_string(&k, "rope_scaling", &scaling);
	read_number(&k, "rope_factor", &c.rope_factor);
	read_number(&k, "rope_low", &c.rope_low);
	read_number(&k, "rope_high", &c.rope_high);
	read_number(&k, "rope_original_context", &c.rope_original_context);
	read_bool(&k, "tied_head", &c.tied_head);
	read_id(&k, "bos", &c.bos);
	read_id(&k, "eos", &c.eos);
	c.norm_eps = (float)eps;
	if (!k.status && strcmp(architecture, "llama"))
		refuse(&k, "architecture", "only llama is done");
	int i = 0;
	while (i <= PB_ROPE_LLAMA3 && strcmp(scaling, scaling_names[i]))
		i++;
	if (i > PB_ROPE_LLAMA3)
		fail(&k, "rope_scaling", "not plain, linear or llama3");
	c.rope_scaling = (enum pb_rope_scaling)i;
	if (!k.status)
		k.status = pb_config_check(&c, file, err);
	if (!k.status)
		*out = c;
	return k.status;
}
