#include "core/base/text.h"
#include "tests/unit/tokenizer_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void put_bytes(struct file_bytes *f, const void *p, size_t n)
{
	if (n > sizeof f->data - f->n)
		abort();
	if (n > 0)
		memcpy(f->data + f->n, p, n);
	f->n += n;
}

void put_word(struct file_bytes *f, uint32_t word)
{
	unsigned char b[4] = { word & 255, word >> 8 & 255, word >> 16 & 255, word >> 24 };
	put_bytes(f, b, 4);
}

static void put_float(struct file_bytes *f, float value)
{
	uint32_t word;
	memcpy(&word, &value, sizeof word);
	put_word(f, word);
}

void put_varint(struct file_bytes *f, uint64_t value)
{
	unsigned char b[10];
	size_t n = 0;
	do {
		b[n++] = (value & 127) | (value > 127 ? 128 : 0);
		value >>= 7;
	} while (value != 0);
	put_bytes(f, b, n);
}

void put_number(struct file_bytes *f, unsigned field, int64_t value)
{
	put_varint(f, (uint64_t)field << 3);
	put_varint(f, (uint64_t)value);
}

void put_field(struct file_bytes *f, unsigned field, const void *p, size_t n)
{
	put_varint(f, (uint64_t)field << 3 | 2);
	put_varint(f, n);
	put_bytes(f, p, n);
}

/* Bytes of a length as put_varint writes it. */
static size_t varint_bytes(size_t value)
{
	size_t n = 1;
	while (value > 127) {
		value >>= 7;
		n++;
	}
	return n;
}

void put_piece_bytes(struct file_bytes *f, const void *text, size_t n, float score, int type)
{
	put_varint(f, 1 << 3 | 2);
	put_varint(f, 1 + varint_bytes(n) + n + 5 + (type != NORMAL ? 2 : 0));
	put_field(f, 1, text, n);
	put_varint(f, 2 << 3 | 5);
	put_float(f, score);
	if (type != NORMAL)
		put_number(f, 3, type);
}

void put_piece(struct file_bytes *f, const char *text, float score, int type)
{
	put_piece_bytes(f, text, strlen(text), score, type);
}

void put_special(struct file_bytes *f, int bytes)
{
	char text[8];
	put_piece(f, "<unk>", 0, UNKNOWN);
	put_piece(f, "<s>", 0, CONTROL);
	put_piece(f, "</s>", 0, CONTROL);
	for (unsigned b = 0; bytes && b < 256; b++) {
		snprintf(text, sizeof text, "<0x%02X>", b);
		put_piece(f, text, 0, BYTE);
	}
}

void put_trainer(struct file_bytes *f, int model_type, int byte_fallback)
{
	static struct file_bytes t;
	t.n = 0;
	put_number(&t, 3, model_type);
	put_number(&t, 35, byte_fallback);
	put_number(&t, 40, 0);
	put_number(&t, 41, 1);
	put_number(&t, 42, 2);
	put_number(&t, 43, -1);
	put_field(f, 2, t.data, t.n);
}

void put_normalizer(struct file_bytes *f, const struct file_bytes *charsmap, int dummy_prefix, int remove_extra, int escape)
{
	static struct file_bytes t;
	t.n = 0;
	if (charsmap != NULL)
		put_field(&t, 2, charsmap->data, charsmap->n);
	put_number(&t, 3, dummy_prefix);
	put_number(&t, 4, remove_extra);
	put_number(&t, 5, escape);
	put_field(f, 3, t.data, t.n);
}

void put_bin_piece(struct file_bytes *f, const void *text, size_t n, float score)
{
	put_float(f, score);
	put_word(f, (uint32_t)n);
	put_bytes(f, text, n);
}

void put_bin_start(struct file_bytes *f, uint32_t longest, int bytes)
{
	char text[8];
	put_word(f, longest);
	put_bin_piece(f, "<unk>", 5, 0);
	put_bin_piece(f, "\n<s>\n", 5, 0);
	put_bin_piece(f, "\n</s>\n", 6, 0);
	for (unsigned b = 0; bytes && b < 256; b++) {
		snprintf(text, sizeof text, "<0x%02X>", b);
		put_bin_piece(f, text, 6, 0);
	}
}

struct pb_tokenizer *tokenizer_parsed(const struct file_bytes *f, unsigned n_vocab)
{
	struct pb_tokenizer *t = NULL;
	struct pb_error err;
	if (pb_tokenizer_parse(&t, "file", f->data, f->n, n_vocab, &err) != PB_OK)
		fail_msg("%s", err.text);
	return t;
}

void assert_tokenizer_refused(const struct file_bytes *f, unsigned n_vocab, enum pb_status status, const char *text)
{
	struct pb_tokenizer *t = NULL;
	struct pb_error err;
	assert_int_equal(pb_tokenizer_parse(&t, "file", f->data, f->n, n_vocab, &err), status);
	assert_null(t);
	if (strstr(err.text, text) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, text);
}

struct pb_ids tokenizer_encoded(const struct pb_tokenizer *t, const char *text, size_t n, enum pb_special special)
{
	struct pb_ids ids = {0};
	struct pb_error err;
	if (pb_tokenizer_encode(t, text, n, special, &ids, &err) != PB_OK)
		fail_msg("%s", err.text);
	return ids;
}

void assert_ids(const struct pb_tokenizer *t, const char *text, size_t n, enum pb_special special, const char *expected)
{
	struct pb_ids ids = tokenizer_encoded(t, text, n, special);
	struct pb_text got = {0};
	for (size_t i = 0; i < ids.n; i++)
		pb_text_printf(&got, i ? " %d" : "%d", ids.data[i]);
	if (strcmp(pb_text_c(&got), expected) != 0)
		fail_msg("'%.*s': %s, expected %s", (int)n, text, pb_text_c(&got), expected);
	pb_text_free(&got);
	pb_ids_free(&ids);
}
