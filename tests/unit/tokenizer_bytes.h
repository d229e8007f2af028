/* Files of tokenizers, byte by byte, for tests: the protocol buffer of a SentencePiece model and llama2.c's tokenizer.bin. */
#ifndef PB_TESTS_UNIT_TOKENIZER_BYTES_H
#define PB_TESTS_UNIT_TOKENIZER_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include "core/model/tokenizer.h"

enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };
enum { UNIGRAM = 1, BPE, WORD, CHAR };

/* A file in the making; nothing is allocated. Too much for it ends the program. */
struct file_bytes {
	size_t n;
	unsigned char data[1 << 19];
};

void put_bytes(struct file_bytes *f, const void *p, size_t n);
void put_word(struct file_bytes *f, uint32_t word);             /* little endian */

/* Protocol buffer. */
void put_varint(struct file_bytes *f, uint64_t value);
void put_number(struct file_bytes *f, unsigned field, int64_t value);
void put_field(struct file_bytes *f, unsigned field, const void *p, size_t n);
void put_piece_bytes(struct file_bytes *f, const void *text, size_t n, float score, int type);
void put_piece(struct file_bytes *f, const char *text, float score, int type);
/* <unk>, <s>, </s>, and <0x00> to <0xFF> behind them when `bytes`. */
void put_special(struct file_bytes *f, int bytes);
/* trainer_spec. */
void put_trainer(struct file_bytes *f, int model_type, int byte_fallback);
/* normalizer_spec; charsmap may be NULL. */
void put_normalizer(struct file_bytes *f, const struct file_bytes *charsmap, int dummy_prefix, int remove_extra, int escape);

/* tokenizer.bin: a piece of it. */
void put_bin_piece(struct file_bytes *f, const void *text, size_t n, float score);
/* The longest piece, <unk>, BOS, EOS, and the byte pieces when `bytes`. */
void put_bin_start(struct file_bytes *f, uint32_t longest, int bytes);

/* The tokenizer of a file that is fine; the test fails when it is refused. */
struct pb_tokenizer *tokenizer_parsed(const struct file_bytes *f, unsigned n_vocab);
/* The test fails unless the file is refused with that status and a message that holds `text`. */
void assert_tokenizer_refused(const struct file_bytes *f, unsigned n_vocab, enum pb_status status, const char *text);

/* The ids of a text; the test fails when there are none to be had. pb_ids_free'd. */
struct pb_ids tokenizer_encoded(const struct pb_tokenizer *t, const char *text, size_t n, enum pb_special special);
/* expected: numbers with blanks between. */
void assert_ids(const struct pb_tokenizer *t, const char *text, size_t n, enum pb_special special, const char *expected);

#endif
