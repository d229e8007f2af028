/* tokenizer.bin of llama2.c: longest piece, then score, length and bytes of each piece; how many is not said. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/model/tokenizer_kind.h"

static uint32_t word_at(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float float_at(const unsigned char *p)
{
	uint32_t bits = word_at(p);
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* One pass over the file; pieces NULL: only counts. */
static enum pb_status walk(struct pb_tokenizer *t, const char *name, const unsigned char *data, size_t size, uint32_t longest, unsigned n_vocab, struct pb_error *err)
{
	size_t at = 4;
	uint32_t n = 0;

	while (at < size) {
		uint32_t length = size - at < 8 ? 0 : word_at(data + at + 4);

		if (n_vocab && n == n_vocab && (size - at < 8 || length > size - at - 8))
			return pb_fail(err, PB_FORMAT, "%s: %zu bytes behind the last of the %u pieces that the model's vocabulary has", name, size - at, n);
		if (size - at < 8)
			return pb_fail(err, PB_FORMAT, "%s: ends in the middle of piece %u", name, n);
		if (length > size - at - 8)
			return pb_fail(err, PB_FORMAT, "%s: not a tokenizer.bin: piece %u says it has %u bytes, the file has %zu left", name, n, length, size - at - 8);
		if (length > longest)
			return pb_fail(err, PB_FORMAT, "%s: not a tokenizer.bin: piece %u has %u bytes, the longest is said to have %u", name, n, length, longest);
		if (n == PB_MAX_PIECES)
			return pb_fail(err, PB_LIMIT, "%s: more than %u pieces", name, PB_MAX_PIECES);
		if (t->pieces) {
			struct pb_piece *p = &t->pieces[n];

			p->score = float_at(data + at);
			p->length = length;
			p->type = n == 0 ? PB_PIECE_UNKNOWN : n <= 2 ? PB_PIECE_CONTROL : PB_PIECE_NORMAL;
			p->text = pb_piece_text(t, data + at + 8, length);
			if (!p->text)
				return pb_out_of_memory(err, name);
			if (!isfinite(p->score))
				return pb_fail(err, PB_FORMAT, "%s: the score of piece %u is not a finite number", name, n);
		}
		at += 8 + (size_t)length;
		n++;
	}
	t->n = n;
	return PB_OK;
}

/* Byte pieces, when there are some, are <0x00> to <0xFF> at 3 to 258. */
static void find_bytes(struct pb_tokenizer *t)
{
	char text[8];

	for (unsigned b = 0; b < 256; b++)
		t->byte_id[b] = -1;
	if (t->n < 259)
		return;
	for (unsigned b = 0; b < 256; b++) {
		snprintf(text, sizeof(text), "<0x%02X>", b);
		if (t->pieces[3 + b].length != 6 || memcmp(t->pieces[3 + b].text, text, 6) != 0)
			return;
	}
	for (unsigned b = 0; b < 256; b++) {
		t->byte_id[b] = (int32_t)(3 + b);
		t->pieces[3 + b].type = PB_PIECE_BYTE;
		t->pieces[3 + b].byte = (unsigned char)b;
	}
	t->byte_fallback = true;
}

enum pb_status pb_tokenizer_parse_llama2c(struct pb_tokenizer *t, const char *name, const unsigned char *data, size_t size, unsigned n_vocab, struct pb_error *err)
{
	uint32_t longest = word_at(data);
	enum pb_status st;

	if (longest == 0)
		return pb_fail(err, PB_FORMAT, "%s: not a tokenizer.bin: the longest piece is said to have no bytes", name);
	st = walk(t, name, data, size, longest, n_vocab, err);
	if (!st && t->n < 3)
		st = pb_fail(err, PB_FORMAT, "%s: %u pieces; unknown, BOS and EOS are the least", name, t->n);
	if (st)
		return st;
	t->pieces = pb_arena_alloc(t->arena, t->n, sizeof(*t->pieces));
	if (!t->pieces)
		return pb_out_of_memory(err, name);
	st = walk(t, name, data, size, longest, n_vocab, err);
	if (st)
		return st;
	t->format = "llama2.c";
	t->unk = 0;
	t->bos = 1;
	t->eos = 2;
	t->segmenter = PB_SEGMENT_BPE;
	t->bytes_before_merges = true;
	t->dummy_prefix = true;
	t->unknown_text = t->pieces[0].text;
	find_bytes(t);
	return PB_OK;
}
