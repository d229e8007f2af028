/* SentencePiece models: a protocol buffer with pieces, the trainer's settings and those of the normaliser. */
#include <float.h>
#include <math.h>
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
			p->text = pb_piece_text(t, f.bytes.at, p->length);
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
	if (!isfinite(p->score))
		return pb_fail(err, PB_FORMAT, "%s: the score of piece %u is not a finite number", name, t->n);
	t->has_unused |= p->type == PB_PIECE_UNUSED;
	t->n++;
	return PB_OK;
}

/* What the trainer's part says of the special pieces; a model without it goes by the defaults. */
struct control {
	bool unk_said, bos_said, eos_said;
};

static enum pb_status read_trainer(struct pb_tokenizer *t, const char *name, struct wire w, struct control *control, struct pb_error *err)
{
	struct field f;
	bool bad = false;

	while (next_field(&w, &f, &bad)) {
		if (f.number == 44 && f.type == 2) {
			t->unknown_text = pb_arena_strndup(t->arena, (const char *)f.bytes.at, (size_t)(f.bytes.end - f.bytes.at));
			if (!t->unknown_text)
				return pb_out_of_memory(err, name);
		}
		if (f.type != 0)
			continue;
		switch (f.number) {
		case 3:
			if (f.value < 1 || f.value > 4)
				return pb_fail(err, PB_FORMAT, "%s: unknown model type %llu", name, (unsigned long long)f.value);
			t->segmenter = (enum pb_segmenter)f.value;
			break;
		case 24:
			t->whitespace_suffix = f.value != 0;
			break;
		case 35:
			t->byte_fallback = f.value != 0;
			break;
		case 40:
			t->unk = (int32_t)f.value;
			control->unk_said = true;
			break;
		case 41:
			t->bos = (int32_t)f.value;
			control->bos_said = true;
			break;
		case 42:
			t->eos = (int32_t)f.value;
			control->eos_said = true;
			break;
		default:
			break;
		}
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

/* -1 is how a model says that it has none. One that was never said and is not there is none, too; and so is one that the
 * model's maker turned into a user-defined piece: SentencePiece then has none to put in front. */
static enum pb_status check_control(const struct pb_tokenizer *t, const char *name, const char *what, bool said, int32_t *id, struct pb_error *err)
{
	if (*id >= 0 && (uint32_t)*id < t->n && t->pieces[*id].type == PB_PIECE_CONTROL)
		return PB_OK;
	if (said && *id >= 0 && !((uint32_t)*id < t->n && t->pieces[*id].type == PB_PIECE_USER))
		return pb_fail(err, PB_FORMAT, "%s: %s is said to be piece %d, which is no control piece", name, what, *id);
	*id = -1;
	return PB_OK;
}

static enum pb_status check_byte(struct pb_tokenizer *t, const char *name, uint32_t i, struct pb_error *err)
{
	static const char digits[] = "0123456789ABCDEF";
	struct pb_piece *p = &t->pieces[i];
	const char *high = p->length == 6 ? memchr(digits, p->text[3], 16) : NULL, *low = p->length == 6 ? memchr(digits, p->text[4], 16) : NULL;

	if (!high || !low || memcmp(p->text, "<0x", 3) != 0 || p->text[5] != '>')
		return pb_fail(err, PB_FORMAT, "%s: piece %u is said to be a byte and is not written <0x00> to <0xFF>", name, i);
	p->byte = (unsigned char)((high - digits) << 4 | (low - digits));
	if (t->byte_id[p->byte] < 0)
		t->byte_id[p->byte] = (int32_t)i;
	return PB_OK;
}

/* Byte pieces, range of scores, special pieces. */
static enum pb_status check_pieces(struct pb_tokenizer *t, const char *name, const struct control *control, struct pb_error *err)
{
	bool unk_known = control->unk_said;
	enum pb_status st;

	for (unsigned b = 0; b < 256; b++)
		t->byte_id[b] = -1;
	/* The start of the highest is SentencePiece's, and part of what a user-defined piece scores there. */
	t->lowest = FLT_MAX;
	t->highest = FLT_MIN;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct pb_piece *p = &t->pieces[i];

		if (p->length == 0)
			return pb_fail(err, PB_FORMAT, "%s: piece %u is empty", name, i);
		if (p->type == PB_PIECE_UNKNOWN && !unk_known) {
			t->unk = (int32_t)i;
			unk_known = true;
		}
		if (p->type == PB_PIECE_UNKNOWN && (int32_t)i != t->unk)
			return pb_fail(err, PB_FORMAT, "%s: piece %u is an unknown piece, and so should only piece %d be", name, i, t->unk);
		st = p->type == PB_PIECE_BYTE ? check_byte(t, name, i, err) : PB_OK;
		if (st)
			return st;
		if (p->type == PB_PIECE_NORMAL) {
			t->lowest = p->score < t->lowest ? p->score : t->lowest;
			t->highest = p->score > t->highest ? p->score : t->highest;
		}
	}
	if (t->unk < 0 || (uint32_t)t->unk >= t->n || t->pieces[t->unk].type != PB_PIECE_UNKNOWN)
		return pb_fail(err, PB_FORMAT, "%s: no unknown piece", name);
	for (unsigned b = 0; t->byte_fallback && b < 256; b++)
		if (t->byte_id[b] < 0)
			return pb_fail(err, PB_FORMAT, "%s: falls back to bytes and has no piece for byte 0x%02X", name, b);
	st = check_control(t, name, "BOS", control->bos_said, &t->bos, err);
	return st ? st : check_control(t, name, "EOS", control->eos_said, &t->eos, err);
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
	struct control control = {0};
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
	t->unknown_text = " \xE2\x81\x87 ";
	t->dummy_prefix = t->remove_extra_whitespace = t->escape_whitespace = true;
	while (!st && next_field(&w, &f, &bad)) {
		if (f.type != 2)
			continue;
		if (f.number == 1)
			st = read_piece(t, name, f.bytes, err);
		else if (f.number == 2)
			st = read_trainer(t, name, f.bytes, &control, err);
		else if (f.number == 3)
			st = read_normalizer(t, name, f.bytes, err);
	}
	if (!st)
		st = check_pieces(t, name, &control, err);
	if (!st && t->segmenter == PB_SEGMENT_WORD)
		st = pb_fail(err, PB_UNSUPPORTED, "%s: a WORD model; BPE, unigram and character models are read", name);
	return st;
}
