/* What the formats of tokenizers share: pieces with scores, found by their text, and the ways of cutting a text into them.
 * For the files of this folder alone. */
#ifndef PB_CORE_MODEL_TOKENIZER_KIND_H
#define PB_CORE_MODEL_TOKENIZER_KIND_H

#include "core/base/memory.h"
#include "core/base/text.h"
#include "core/model/tokenizer.h"

#define PB_MAX_PIECES 1000000u

enum pb_piece_type { PB_PIECE_NORMAL = 1, PB_PIECE_UNKNOWN, PB_PIECE_CONTROL, PB_PIECE_USER, PB_PIECE_UNUSED, PB_PIECE_BYTE };
enum pb_segmenter { PB_SEGMENT_UNIGRAM = 1, PB_SEGMENT_BPE, PB_SEGMENT_WORD, PB_SEGMENT_CHAR };

struct pb_piece {
	const char *text;
	uint32_t length;        /* bytes */
	float score;
	enum pb_piece_type type;
	unsigned char byte;     /* that a byte piece stands for */
};

struct pb_bpe;                  /* tokenizer_bpe.h */

struct pb_tokenizer {
	struct pb_arena *arena;
	const char *format;
	struct pb_piece *pieces;
	uint32_t n;
	uint32_t *table;        /* hash table of ids + 1; 0 is free */
	uint32_t table_size;    /* a power of two */
	uint32_t longest;       /* bytes of the longest piece in the table */
	int32_t bos, eos, unk;
	bool bos_on_request;    /* there is a BOS, and it is not put in front by default */
	struct pb_bpe *bpe;     /* of a tokenizer.json, which is cut and merged by rules of its own; else NULL */
	int32_t byte_id[256];   /* -1: there is no byte piece */
	bool byte_fallback, has_unused;
	enum pb_segmenter segmenter;
	bool bytes_before_merges;   /* llama2.c: a character without a piece becomes bytes at once, and never joins */
	const char *unknown_text;   /* what the unknown piece decodes to */
	/* normalisation */
	bool dummy_prefix, remove_extra_whitespace, escape_whitespace, whitespace_suffix;
	const unsigned char *trie;  /* double array of the character map, little endian words; or NULL */
	uint32_t trie_units;
	const char *replacements;
	uint32_t replacements_size;
	/* Ids by text, for prefixes: user-defined pieces; and, for unigram models, all that text can become. */
	uint32_t *user_pieces, *sorted_pieces;
	uint32_t n_user, n_sorted;
	float lowest, highest;      /* scores of normal pieces */
	char hash[PB_HASH_HEX];
};

/* n_vocab: of the model, 0: not known. */
enum pb_status pb_tokenizer_parse_llama2c(struct pb_tokenizer *t, const char *name, const unsigned char *data, size_t size, unsigned n_vocab, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_tokenizer_parse_sentencepiece(struct pb_tokenizer *t, const char *name, const unsigned char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;

/* A copy of a piece's text, which may hold NUL bytes; one more stands behind it. NULL: out of memory. */
const char *pb_piece_text(struct pb_tokenizer *t, const unsigned char *text, size_t n);
int32_t pb_tokenizer_lookup(const struct pb_tokenizer *t, const char *text, size_t n);  /* -1: no such piece */

/* The pieces of a sorted list that a text begins with, from short to long. A byte costs two binary searches, and the
 * walk ends where no piece goes on. Start: { t, ids, 0, n_ids, text, bytes of text, 0 }. */
struct pb_prefixes {
	const struct pb_tokenizer *t;
	const uint32_t *ids;
	uint32_t low, high;         /* pieces that agree with the text so far */
	const char *text;
	size_t n, length;           /* length: of the piece found last */
};
int32_t pb_prefixes_next(struct pb_prefixes *p);        /* -1: no more */
/* Bytes of the longest user-defined piece that the text begins with, and its id; 0: none. */
size_t pb_tokenizer_user_piece(const struct pb_tokenizer *t, const char *text, size_t n, int32_t *id);

/* Normalised text to ids. */
enum pb_status pb_segment_bpe(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_segment_unigram(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_segment_char(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err) PB_MUST_CHECK;

/* A symbol that is no piece: its bytes, or one unknown for a run of them (`first`: where this text's ids begin). */
enum pb_status pb_ids_add_unknown(const struct pb_tokenizer *t, const char *text, size_t n, size_t first, struct pb_ids *ids, struct pb_error *err) PB_MUST_CHECK;

#endif
