/* SentencePiece models: a protocol buffer with pieces, the trainer's settings and those of the normaliser. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/model/tokenizer_kind.h"

/* A stretch of the file. */
struct wire {
	const unsigned char *at, *end;
};

struct field {
	uint32_t number;
	unsigned type;          /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
	uint64_t value;
	struct wire bytes;
};

static bool read_varint(struct wire *w, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70 && w->at < w->end; shift += 7) {
		unsigned char b = *w->at++;

		if (shift < 64)
			v |= (uint64_t)(b & 0x7F) << shift;
		if (!(b & 0x80)) {
			*out = v;
			return true;
		}
	}
	return false;
}

/* The next field; false at the end and, with *bad, when the bytes are none. */
static bool next_field(struct wire *w, struct field *f, bool *bad)
{
	uint64_t tag, n = 0;
	size_t left;

	if (w->at == w->end)
		return false;
	*bad = true;
	if (!read_varint(w, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
		return false;
	f->number = (uint32_t)(tag >> 3);
	f->type = tag & 7;
	left = (size_t)(w->end - w->at);
	switch (f->type) {
	case 0:
		if (!read_varint(w, &f->value))
			return false;
		*bad = false;
		return true;
	case 1:
		n = 8;
		break;
	case 2:
		if (!read_varint(w, &n))
			return false;
		left = (size_t)(w->end - w->at);
		break;
	case 5:
		n = 4;
		break;
	default:
		return false;
	}
	if (n > left)
		return false;
	f->bytes = (struct wire){ w->at, w->at + n };
	f->value = 0;
	for (size_t i = 0; f->type != 2 && i < n; i++)
		f->value |= (uint64_t)w->at[i] << (8 * i);
	w->at += n;
	*bad = false;
	return true;
}

static enum pb_status broken(const char *name, const char *what, struct pb_error *err)
{
	return pb_fail(err, PB_FORMAT, "%s: not a SentencePiece model: %s is broken", name, what);
}

static enum pb_status read_piece(struct pb_tokenizer *t, const char *name, struct wire w, struct pb_error *err)
{
	struct pb_piece *p = &t->pieces[t->n];
	struct field f;
	bool bad = false;

	p->type = PB_PIECE_NORMAL;
	p->text = "";
	while (next_field(&w, &f, &bad)) {
		if (f.number == 1 && f.type == 2) {
			p->length = (uint32_t)(f.bytes.end - f.bytes.at);
			p->text = pb_arena_strndup(t->arena, (const char *)f.bytes.at, p->length);
			if (!p->text)
				return pb_out_of_memory(err, name);
		} else if (f.number == 2 && f.type == 5) {
			uint32_t bits = (uint32_t)f.value;

			memcpy(&p->score, &bits, sizeof(bits));
		} else if (f.number == 3 && f.type == 0) {
			if (f.value < 1 || f.value > 6)
				return pb_fail(err, PB_FORMAT, "%s: piece %u has the unknown type %llu", name, t->n, (unsigned long long)f.value);
			p->type = (enum pb_piece_type)f.value;
		}
	}
	if (bad)
		return broken(name, "a piece", err);
	if (isnan(p->score))
		return pb_fail(err, PB_FORMAT, "%s: the score of piece %u is not a number", name, t->n);
	t->has_unused = t->has_unused || p->type == PB_PIECE_UNUSED;
	t->n++;
	return PB_OK;
}

static enum pb_status read_trainer(struct pb_tokenizer *t, const char *name, struct wire w, struct pb_error *err)
{
	struct field f;
	bool bad = false;

	while (next_field(&w, &f, &bad)) {
		if (f.type != 0)
			continue;
		if (f.number == 3) {
			if (f.value < 1 || f.value > 4)
				return pb_fail(err, PB_FORMAT, "%s: unknown model type %llu", name, (unsigned long long)f.value);
			t->segmenter = (enum pb_segmenter)f.value;
		} else if (f.number == 24)
			t->whitespace_suffix = f.value != 0;
		else if (f.number == 35)
			t->byte_fallback = f.value != 0;
		else if (f.number == 40)
			t->unk = (int32_t)f.value;
		else if (f.number == 41)
			t->bos = (int32_t)f.value;
		else if (f.number == 42)
			t->eos = (int32_t)f.value;
	}
	return bad ? broken(name, "the trainer's part", err) : PB_OK;
}

/* The character map: size of the trie in bytes, the trie, then NUL-terminated replacements. */
static enum pb_status read_charsmap(struct pb_tokenizer *t, const char *name, struct wire w, struct pb_error *err)
{
	size_t size = (size_t)(w.end - w.at), trie;
	unsigned char *copy;

	if (size == 0)
		return PB_OK;
	if (size < 4)
		return broken(name, "the character map", err);
	trie = (size_t)w.at[0] | (size_t)w.at[1] << 8 | (size_t)w.at[2] << 16 | (size_t)w.at[3] << 24;
	if (trie > size - 4 || trie % 4 != 0 || trie == 0 || size == 4 + trie || w.end[-1] != '\0')
		return broken(name, "the character map", err);
	copy = pb_arena_alloc(t->arena, size - 4, 1);
	if (!copy)
		return pb_out_of_memory(err, name);
	memcpy(copy, w.at + 4, size - 4);
	t->trie = copy;
	t->trie_units = (uint32_t)(trie / 4);
	t->replacements = (const char *)copy + trie;
	t->replacements_size = (uint32_t)(size - 4 - trie);
	return PB_OK;
}

static enum pb_status read_normalizer(struct pb_tokenizer *t, const char *name, struct wire w, struct pb_error *err)
{
	struct field f;
	bool bad = false;
	enum pb_status st = PB_OK;

	while (!st && next_field(&w, &f, &bad)) {
		if (f.number == 2 && f.type == 2)
			st = read_charsmap(t, name, f.bytes, err);
		else if (f.number == 3 && f.type == 0)
			t->dummy_prefix = f.value != 0;
		else if (f.number == 4 && f.type == 0)
			t->remove_extra_whitespace = f.value != 0;
		else if (f.number == 5 && f.type == 0)
			t->escape_whitespace = f.value != 0;
	}
	return st ? st : bad ? broken(name, "the normaliser's part", err) : PB_OK;
}

static int longest_first(const void *a, const void *b, void *arg)
{
	const struct pb_tokenizer *t = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (t->pieces[x].length != t->pieces[y].length)
		return t->pieces[x].length > t->pieces[y].length ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Byte pieces, user-defined pieces, range of scores, control ids. */
static enum pb_status sort_pieces(struct pb_tokenizer *t, const char *name, struct pb_error *err)
{
	bool first = true;

	for (unsigned b = 0; b < 256; b++)
		t->byte_id[b] = -1;
	t->user_pieces = pb_arena_alloc(t->arena, t->n, sizeof(*t->user_pieces));
	if (!t->user_pieces)
		return pb_out_of_memory(err, name);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct pb_piece *p = &t->pieces[i];
		unsigned byte;

		if (p->length == 0)
			return pb_fail(err, PB_FORMAT, "%s: piece %u is empty", name, i);
		if (p->type == PB_PIECE_USER)
			t->user_pieces[t->n_user++] = i;
		if (p->type == PB_PIECE_BYTE) {
			if (p->length != 6 || sscanf(p->text, "<0x%2X>", &byte) != 1)
				return pb_fail(err, PB_FORMAT, "%s: byte piece %u is '%s'", name, i, p->text);
			t->byte_id[byte & 255] = (int32_t)i;
		}
		if (p->type == PB_PIECE_NORMAL) {
			t->lowest = first || p->score < t->lowest ? p->score : t->lowest;
			t->highest = first || p->score > t->highest ? p->score : t->highest;
			first = false;
		}
	}
	qsort_r(t->user_pieces, t->n_user, sizeof(*t->user_pieces), longest_first, t);
	if (t->unk < 0 || (uint32_t)t->unk >= t->n || t->pieces[t->unk].type != PB_PIECE_UNKNOWN)
		return pb_fail(err, PB_FORMAT, "%s: piece %d, the unknown one, is none", name, t->unk);
	if (t->bos >= 0 && ((uint32_t)t->bos >= t->n || t->pieces[t->bos].type != PB_PIECE_CONTROL))
		t->bos = -1;
	if (t->eos >= 0 && ((uint32_t)t->eos >= t->n || t->pieces[t->eos].type != PB_PIECE_CONTROL))
		t->eos = -1;
	for (unsigned b = 0; t->byte_fallback && b < 256; b++)
		if (t->byte_id[b] < 0)
			return pb_fail(err, PB_FORMAT, "%s: falls back to bytes and has no piece for byte 0x%02X", name, b);
	return PB_OK;
}

static enum pb_status count_pieces(const char *name, struct wire w, uint32_t *n, struct pb_error *err)
{
	struct field f;
	bool bad = false;

	*n = 0;
	while (next_field(&w, &f, &bad))
		if (f.number == 1 && f.type == 2 && ++*n > PB_MAX_PIECES)
			return pb_fail(err, PB_LIMIT, "%s: more than %u pieces", name, PB_MAX_PIECES);
	if (bad)
		return broken(name, "the file", err);
	return *n ? PB_OK : pb_fail(err, PB_FORMAT, "%s: not a SentencePiece model: no pieces", name);
}

enum pb_status pb_tokenizer_parse_sentencepiece(struct pb_tokenizer *t, const char *name, const unsigned char *data, size_t size, struct pb_error *err)
{
	struct wire w = { data, data + size };
	struct field f;
	uint32_t n;
	bool bad = false;
	enum pb_status st = count_pieces(name, w, &n, err);

	if (st)
		return st;
	t->pieces = pb_arena_alloc(t->arena, n, sizeof(*t->pieces));
	if (!t->pieces)
		return pb_out_of_memory(err, name);
	t->format = "sentencepiece";
	t->segmenter = PB_SEGMENT_UNIGRAM;
	t->unk = 0;
	t->bos = 1;
	t->eos = 2;
	t->dummy_prefix = t->remove_extra_whitespace = t->escape_whitespace = true;
	while (!st && next_field(&w, &f, &bad)) {
		if (f.type != 2)
			continue;
		if (f.number == 1)
			st = read_piece(t, name, f.bytes, err);
		else if (f.number == 2)
			st = read_trainer(t, name, f.bytes, err);
		else if (f.number == 3)
			st = read_normalizer(t, name, f.bytes, err);
	}
	if (!st)
		st = sort_pieces(t, name, err);
	if (!st && t->segmenter == PB_SEGMENT_WORD)
		st = pb_fail(err, PB_UNSUPPORTED, "%s: a WORD model; BPE, unigram and character models are read", name);
	return st ? st : pb_tokenizer_index(t, true, err);
}
