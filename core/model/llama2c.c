/* llama2.c checkpoints, all little-endian, f32 weights, each kind of tensor for all layers before the next.
 *
 * Version 0: seven int32 (dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len; a negative vocab_size
 * means a head of its own at the end), then embedding, attention norms, q, k, v, o, ffn norms, gate, down, up, final
 * norm, 2 * seq_len * head_size / 2 rotary numbers that nobody needs, head.
 * Version 1: "ak42", int32 1, the seven, a byte for a shared head, zeros up to 256 bytes, then attention norms, ffn
 * norms, final norm, embedding, q, k, v, o, gate, down, up, head.
 * The file's length must be that of its header. Fixed: eps 1e-5, rotary base 10000 on adjacent pairs, BOS 1, EOS 2. */
#include <inttypes.h>
#include <string.h>
#include "core/model/model_files.h"

#define MAGIC 0x616b3432u
#define V0_HEADER_BYTES 28u
#define V1_HEADER_BYTES 256u
#define V1_NUMBERS_BYTES 36u    /* magic, version, seven numbers; the flag follows */

/* Walks through the data, which is known to be long enough. */
struct cursor {
	const unsigned char *p;
};

static struct pb_tensor take(struct cursor *c, uint32_t rows, uint32_t cols)
{
	struct pb_tensor t = { .dtype = PB_F32, .n_dims = rows ? 2 : 1, .data = c->p };
	t.shape[0] = rows ? rows : cols;
	t.shape[1] = rows ? cols : 0;
	t.bytes = sizeof(float) * (uint64_t)cols * (rows ? rows : 1);
	c->p += t.bytes;
	return t;
}

static void take_norms(struct cursor *c, struct pb_model *model, struct pb_tensor *norms)
{
	for (uint32_t layer = 0; layer < model->config.n_layers; layer++)
		norms[layer] = take(c, 0, model->config.dim);
}

static void take_matrices(struct cursor *c, struct pb_model *model, const enum pb_slot *slots, unsigned n)
{
	for (unsigned s = 0; s < n; s++)
		for (uint32_t layer = 0; layer < model->config.n_layers; layer++) {
			struct pb_matrix *x = &model->matrices[layer * PB_SLOTS + slots[s]];
			x->source = take(c, x->rows, x->cols);
		}
}

static const enum pb_slot attention[] = { PB_Q, PB_K, PB_V, PB_O };
static const enum pb_slot feed_forward[] = { PB_GATE, PB_DOWN, PB_UP };

static void take_v0(struct cursor *c, struct pb_model *model)
{
	const struct pb_config *k = &model->config;
	model->embedding = take(c, k->n_vocab, k->dim);
	take_norms(c, model, model->attention_norm);
	take_matrices(c, model, attention, 4);
	take_norms(c, model, model->ffn_norm);
	take_matrices(c, model, feed_forward, 3);
	model->final_norm = take(c, 0, k->dim);
	take(c, k->context, k->head_dim); /* rotary tables */
}

static void take_v1(struct cursor *c, struct pb_model *model)
{
	const struct pb_config *k = &model->config;
	take_norms(c, model, model->attention_norm);
	take_norms(c, model, model->ffn_norm);
	model->final_norm = take(c, 0, k->dim);
	model->embedding = take(c, k->n_vocab, k->dim);
	take_matrices(c, model, attention, 4);
	take_matrices(c, model, feed_forward, 3);
}

static enum pb_status read_numbers(struct pb_config *c, const char *file, const unsigned char *p, bool negative_vocab, struct pb_error *err)
{
	static const char *const names[7] = { "dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len" };
	int32_t n[7];
	memcpy(n, p, sizeof n);
	if (negative_vocab && n[5] < 0 && n[5] != INT32_MIN) {
		n[5] = -n[5];
		c->tied_head = false;
	}
	for (int i = 0; i < 7; i++)
		if (n[i] <= 0)
			return pb_fail(err, PB_FORMAT, "%s: not a llama2.c checkpoint: %s is %d in its header", file, names[i], n[i]);
	c->dim = (uint32_t)n[0];
	c->hidden = (uint32_t)n[1];
	c->n_layers = (uint32_t)n[2];
	c->n_heads = (uint32_t)n[3];
	c->n_kv_heads = (uint32_t)n[4];
	c->n_vocab = (uint32_t)n[5];
	c->context = (uint32_t)n[6];
	if (c->dim % c->n_heads != 0)
		return pb_fail(err, PB_FORMAT, "%s: dim %u is no multiple of n_heads %u in its header", file, c->dim, c->n_heads);
	c->head_dim = c->dim / c->n_heads;
	c->bos = c->n_vocab > 1 ? 1 : -1;
	c->eos = c->n_vocab > 2 ? 2 : -1;
	return pb_config_check(c, file, err);
}

static enum pb_status read_v1_header(struct pb_config *c, const char *file, const unsigned char *p, size_t size, struct pb_error *err)
{
	int32_t version;
	memcpy(&version, p + 4, sizeof version);
	if (version == 2)
		return pb_fail(err, PB_UNSUPPORTED, "%s: version 2 of llama2.c's format (int8 groups) is not read\nexport the model as version 0 or 1", file);
	if (version != 1)
		return pb_fail(err, PB_FORMAT, "%s: version %d of llama2.c's format is not known", file, version);
	if (size < V1_HEADER_BYTES)
		return pb_fail(err, PB_FORMAT, "%s: truncated: the header has %u bytes, the file %zu", file, V1_HEADER_BYTES, size);
	if (p[V1_NUMBERS_BYTES] > 1)
		return pb_fail(err, PB_FORMAT, "%s: the flag of a shared head is %d, neither 0 nor 1", file, p[V1_NUMBERS_BYTES]);
	c->tied_head = p[V1_NUMBERS_BYTES];
	for (unsigned i = V1_NUMBERS_BYTES + 1; i < V1_HEADER_BYTES; i++)
		if (p[i])
			return pb_fail(err, PB_FORMAT, "%s: the header's padding is not zero at byte %u", file, i);
	return read_numbers(c, file, p + 8, false, err);
}

enum pb_status pb_llama2c_read(struct pb_model *model, const void *data, size_t size, struct pb_error *err)
{
	const char *file = model->path;
	struct pb_config *c = &model->config;
	uint32_t magic;
	if (size < V0_HEADER_BYTES)
		return pb_fail(err, PB_FORMAT, "%s: truncated: the header has %u bytes, the file %zu", file, V0_HEADER_BYTES, size);
	memcpy(&magic, data, sizeof magic);
	if (!memcmp(data, "PK\3\4", 4) || !memcmp(data, "\x80\2\x8a\n", 4))
		return pb_fail(err, PB_UNSUPPORTED, "%s: a PyTorch file is not read\nconvert the model to safetensors", file);

	*c = (struct pb_config){ .architecture = "llama", .norm_eps = 1e-5f, .rope_base = 10000, .rope_interleaved = true, .tied_head = true };
	bool v1 = magic == MAGIC;
	enum pb_status status = v1 ? read_v1_header(c, file, data, size, err) : read_numbers(c, file, data, true, err);
	if (!status)
		status = pb_model_make_lists(model, err);
	if (status)
		return status;

	uint64_t header = v1 ? V1_HEADER_BYTES : V0_HEADER_BYTES, rotary = v1 ? 0 : (uint64_t)c->context * c->head_dim;
	uint64_t wanted = header + sizeof(float) * (model->parameters + rotary);
	if (size != wanted)
		return pb_fail(err, PB_FORMAT, "%s: %s: header asks for %" PRIu64 " bytes, the file has %zu", file,
			size < wanted ? "truncated" : "too long", wanted, size);
	struct cursor cursor = { (const unsigned char *)data + header };
	if (v1)
		take_v1(&cursor, model);
	else
		take_v0(&cursor, model);
	model->head = c->tied_head ? model->embedding : take(&cursor, c->n_vocab, c->dim);
	return PB_OK;
}
