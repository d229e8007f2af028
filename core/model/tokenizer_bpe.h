/* Byte-level BPE: what tokenizer.json says, ready for use. A text is cut at added tokens, normalised, cut by regular
 * expressions, and each piece is merged pair by pair from its bytes. For the files of this folder alone. */
#ifndef PB_CORE_MODEL_TOKENIZER_BPE_H
#define PB_CORE_MODEL_TOKENIZER_BPE_H

#include <pcre2.h>
#include "core/model/tokenizer_kind.h"

#define PB_BPE_MAX_SPLITS 8

/* GPT-2's way of cutting a text, in PCRE2's words but for \s, which pb_bpe_add_split replaces. */
#define PB_BPE_GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

struct pb_bpe_split {
	pcre2_code *code;
	bool removed;           /* what matches is left out; else it is a piece of its own */
	bool invert;            /* what does not match counts as what does */
};

struct pb_bpe_added {
	const char *text;
	uint32_t length;
	int32_t id;
	bool strip_left, strip_right; /* takes the white space on that side with it */
};

/* A merge, found by the pair of ids; rank UINT32_MAX: a free place. */
struct pb_bpe_merge {
	uint32_t left, right, rank;
	int32_t id;
};

struct pb_bpe {
	struct pb_bpe_split splits[PB_BPE_MAX_SPLITS]; /* one after the other, each on the pieces of the last */
	uint32_t n_splits;
	struct pb_bpe_added *added[2]; /* found in the text as it is; found in the normalised text */
	uint32_t n_added[2];
	bool begins[2][256];    /* an added token begins with the byte */
	int forms[4];           /* utf8proc's options of each normalisation */
	uint32_t n_forms;
	bool prefix_space, ignore_merges, no_jit;
	struct pb_bpe_merge *merges; /* hash table */
	uint32_t table_size;    /* a power of two */
};

enum pb_status pb_tokenizer_parse_json(struct pb_tokenizer *t, const char *name, const unsigned char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
void pb_bpe_free(struct pb_bpe *bpe);   /* the expressions; all else is the arena's */
/* PB_FORMAT without a name when it does not compile. */
enum pb_status pb_bpe_add_split(struct pb_bpe *bpe, const char *pattern, bool removed, bool invert, struct pb_error *err) PB_MUST_CHECK;
const struct pb_bpe_merge *pb_bpe_find(const struct pb_bpe *bpe, uint32_t left, uint32_t right); /* NULL: no such merge */
/* For tests: matching without the compiled machine code. */
void pb_tokenizer_use_jit(struct pb_tokenizer *t, bool on);

/* The pieces of a text before merging, in order; an added token comes as its id, with no text. */
typedef enum pb_status (*pb_bpe_emit)(void *arg, int32_t added, const char *piece, size_t n, struct pb_error *err);
enum pb_status pb_bpe_pieces(const struct pb_bpe *bpe, const char *text, size_t n, pb_bpe_emit emit, void *arg, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_bpe_encode(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err) PB_MUST_CHECK;

/* The printable characters that stand for bytes: 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF for themselves, the others in order for
 * U+0100 and on. */
uint32_t pb_byte_character(unsigned char byte);
int pb_character_byte(uint32_t character); /* -1: stands for none */

#endif
