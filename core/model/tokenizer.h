/* Tokenizers: text to ids and back. Formats: llama2.c tokenizer.bin, SentencePiece .model, tokenizer.json (byte-level BPE). */
#ifndef PB_CORE_MODEL_TOKENIZER_H
#define PB_CORE_MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/hash.h"
#include "core/base/status.h"

struct pb_tokenizer;

/* n_vocab: of the model, needed for tokenizer.bin, whose file does not say it; 0: take what the file holds.
 * A tokenizer with another number of pieces than n_vocab (when both are known) is refused; a tokenizer.json may have fewer, as
 * models of its kind pad their vocabulary. */
enum pb_status pb_tokenizer_open(struct pb_tokenizer **out, const char *path, unsigned n_vocab, struct pb_error *err) PB_MUST_CHECK;
/* From bytes; kind by content. name: for messages. */
enum pb_status pb_tokenizer_parse(struct pb_tokenizer **out, const char *name, const void *data, size_t size, unsigned n_vocab, struct pb_error *err) PB_MUST_CHECK;
void pb_tokenizer_free(struct pb_tokenizer *t);

const char *pb_tokenizer_format(const struct pb_tokenizer *t);  /* "llama2.c", "sentencepiece", "tokenizer.json" */
const char *pb_tokenizer_file_name(const struct pb_tokenizer *t); /* by which it is found beside a model */
unsigned pb_tokenizer_size(const struct pb_tokenizer *t);       /* pieces */
int32_t pb_tokenizer_bos(const struct pb_tokenizer *t);         /* -1 when there is none */
int32_t pb_tokenizer_eos(const struct pb_tokenizer *t);
bool pb_tokenizer_adds_bos(const struct pb_tokenizer *t);       /* "default special tokens" put BOS in front */
const char *pb_tokenizer_hash(const struct pb_tokenizer *t);    /* SHA-256 of the file, hex */

/* A growing list of ids; start with {0}. */
struct pb_ids {
	int32_t *data;
	size_t n, capacity;
};
void pb_ids_free(struct pb_ids *ids);
enum pb_status pb_ids_add(struct pb_ids *ids, int32_t id, struct pb_error *err) PB_MUST_CHECK;

enum pb_special { PB_SPECIAL_DEFAULT, PB_SPECIAL_NONE, PB_SPECIAL_BOS };
/* Appends the ids of n bytes of text (UTF-8; malformed bytes are treated as the format's reference does). Thread-safe. */
enum pb_status pb_tokenizer_encode(const struct pb_tokenizer *t, const char *text, size_t n, enum pb_special special,
	struct pb_ids *ids, struct pb_error *err) PB_MUST_CHECK;
/* Appends the text of the ids, without special pieces. `text` is a struct pb_text. */
struct pb_text;
enum pb_status pb_tokenizer_decode(const struct pb_tokenizer *t, const int32_t *ids, size_t n, struct pb_text *text, struct pb_error *err) PB_MUST_CHECK;

#endif
