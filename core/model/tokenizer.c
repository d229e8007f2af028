#include "core/model/tokenizer.h"

#include <string.h>
#include "core/base/file.h"
#include "core/model/tokenizer_kind.h"

#define LOWER_ONE_EIGHTH "\xE2\x96\x81" /* U+2581, which stands for a blank */
#define REPLACEMENT "\xEF\xBF\xBD"      /* U+FFFD */

void pb_ids_free(struct pb_ids *ids)
{
	pb_free(ids->data);
	memset(ids, 0, sizeof(*ids));
}

enum pb_status pb_ids_add(struct pb_ids *ids, int32_t id, struct pb_error *err)
{
	if (ids->n == ids->capacity) {
		size_t capacity = ids->capacity ? 2 * ids->capacity : 64;
		int32_t *data = pb_realloc(ids->data, capacity, sizeof(*data));

		if (!data)
			return pb_out_of_memory(err, "token ids");
		ids->data = data;
		ids->capacity = capacity;
	}
	ids->data[ids->n++] = id;
	return PB_OK;
}

enum pb_status pb_ids_add_unknown(const struct pb_tokenizer *t, const char *text, size_t n, size_t first, struct pb_ids *ids, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	if (!t->byte_fallback) {
		/* SentencePiece makes one unknown of a run of them; llama2.c does not. */
		if (!t->bytes_before_merges && ids->n > first && ids->data[ids->n - 1] == t->unk)
			return PB_OK;
		return pb_ids_add(ids, t->unk, err);
	}
	for (size_t i = 0; !st && i < n; i++)
		st = pb_ids_add(ids, t->byte_id[(unsigned char)text[i]], err);
	return st;
}

static uint32_t hash_text(const char *text, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return h ^ h >> 15;
}

enum pb_status pb_tokenizer_index(struct pb_tokenizer *t, bool text_only, struct pb_error *err)
{
	t->table_size = 16;
	while (t->table_size < 2 * t->n)
		t->table_size *= 2;
	t->table = pb_arena_alloc(t->arena, t->table_size, sizeof(*t->table));
	if (!t->table)
		return pb_out_of_memory(err, "a tokenizer");
	for (uint32_t i = 0; i < t->n; i++) {
		const struct pb_piece *p = &t->pieces[i];
		uint32_t at = hash_text(p->text, p->length) & (t->table_size - 1);

		if (p->length == 0 || (text_only && (p->type == PB_PIECE_CONTROL || p->type == PB_PIECE_UNKNOWN || p->type == PB_PIECE_BYTE)))
			continue;
		if (pb_tokenizer_lookup(t, p->text, p->length) >= 0)
			continue;
		while (t->table[at])
			at = (at + 1) & (t->table_size - 1);
		t->table[at] = i + 1;
		if (p->length > t->longest)
			t->longest = p->length;
	}
	return PB_OK;
}

int32_t pb_tokenizer_lookup(const struct pb_tokenizer *t, const char *text, size_t n)
{
	uint32_t at = hash_text(text, n) & (t->table_size - 1);

	for (; t->table[at]; at = (at + 1) & (t->table_size - 1)) {
		const struct pb_piece *p = &t->pieces[t->table[at] - 1];

		if (p->length == n && memcmp(p->text, text, n) == 0)
			return (int32_t)(t->table[at] - 1);
	}
	return -1;
}

enum pb_status pb_tokenizer_parse(struct pb_tokenizer **out, const char *name, const void *data, size_t size, unsigned n_vocab, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_tokenizer *t = arena ? pb_arena_alloc(arena, 1, sizeof(*t)) : NULL;
	struct pb_error why = {0};
	/* A model begins with its first piece, a field of bytes; a tokenizer.bin with a small number of four bytes. */
	bool proto = size > 2 && ((const unsigned char *)data)[0] == 0x0A && !(((const unsigned char *)data)[1] == 0 && ((const unsigned char *)data)[2] == 0);
	enum pb_status st;

	if (!t) {
		pb_arena_free(arena);
		return pb_out_of_memory(err, name);
	}
	t->arena = arena;
	st = proto ? pb_tokenizer_parse_sentencepiece(t, name, data, size, &why) : pb_tokenizer_parse_llama2c(t, name, data, size, &why);
	if (!st && n_vocab && t->n != n_vocab)
		st = pb_fail(&why, PB_FORMAT, "%s: %u pieces, the model has a vocabulary of %u", name, t->n, n_vocab);
	if (st) {
		pb_arena_free(arena);
		return pb_fail(err, st, "%s", why.text);
	}
	pb_hash_of_bytes(data, size, t->hash);
	*out = t;
	return PB_OK;
}

enum pb_status pb_tokenizer_open(struct pb_tokenizer **out, const char *path, unsigned n_vocab, struct pb_error *err)
{
	struct pb_map map;
	enum pb_status st = pb_map_open(&map, path, err);

	if (st)
		return st;
	st = pb_tokenizer_parse(out, path, map.data, map.size, n_vocab, err);
	pb_map_close(&map);
	return st;
}

void pb_tokenizer_free(struct pb_tokenizer *t)
{
	if (t)
		pb_arena_free(t->arena);
}

const char *pb_tokenizer_format(const struct pb_tokenizer *t)
{
	return t->format;
}

unsigned pb_tokenizer_size(const struct pb_tokenizer *t)
{
	return t->n;
}

int32_t pb_tokenizer_bos(const struct pb_tokenizer *t)
{
	return t->bos;
}

int32_t pb_tokenizer_eos(const struct pb_tokenizer *t)
{
	return t->eos;
}

bool pb_tokenizer_adds_bos(const struct pb_tokenizer *t)
{
	return t->bos >= 0;
}

const char *pb_tokenizer_hash(const struct pb_tokenizer *t)
{
	return t->hash;
}

static uint32_t trie_unit(const struct pb_tokenizer *t, uint32_t at)
{
	const unsigned char *p = t->trie + 4 * (size_t)at;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t unit_offset(uint32_t unit)
{
	return unit >> 10 << ((unit & 1u << 9) >> 6);
}

/* The longest prefix of the text in the character map; 0: none. Double array as darts-clone stores it. */
static size_t map_prefix(const struct pb_tokenizer *t, const char *text, size_t n, const char **replacement)
{
	uint32_t at = unit_offset(trie_unit(t, 0));
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		uint32_t unit;

		at ^= c;
		if (c == 0 || at >= t->trie_units)
			break;
		unit = trie_unit(t, at);
		if ((unit & (1u << 31 | 0xFF)) != c)
			break;
		at ^= unit_offset(unit);
		if (at >= t->trie_units)
			break;
		if (unit >> 8 & 1) {
			uint32_t value = trie_unit(t, at) & 0x7FFFFFFF;

			if (value < t->replacements_size) {
				*replacement = t->replacements + value;
				found = i + 1;
			}
		}
	}
	return found;
}

/* The next stretch of the text as the character map has it; returns the bytes used. */
static size_t next_normal(const struct pb_tokenizer *t, const char *text, size_t n, const char **out, size_t *out_n)
{
	const char *s = text;
	size_t used;

	for (uint32_t i = 0; i < t->n_user; i++) {
		const struct pb_piece *p = &t->pieces[t->user_pieces[i]];

		if (p->length <= n && memcmp(p->text, text, p->length) == 0) {
			*out = text;
			*out_n = p->length;
			return p->length;
		}
	}
	if (t->trie && (used = map_prefix(t, text, n, out)) > 0) {
		*out_n = strlen(*out);
		return used;
	}
	if (pb_utf8_next(&s, text + n) == 0xFFFD && s - text == 1) {
		*out = REPLACEMENT;
		*out_n = 3;
	} else {
		*out = text;
		*out_n = (size_t)(s - text);
	}
	return (size_t)(s - text);
}

static void put_blank(const struct pb_tokenizer *t, struct pb_text *out)
{
	pb_text_string(out, t->escape_whitespace ? LOWER_ONE_EIGHTH : " ");
}

static void normalise(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_text *out)
{
	struct pb_text plain = {0};
	const char *s, *end;
	bool blank_before;

	for (size_t i = 0; i < n;) {
		const char *part = NULL;
		size_t length = 0;

		i += next_normal(t, text + i, n - i, &part, &length);
		pb_text_bytes(&plain, part, length);
	}
	s = pb_text_c(&plain);
	end = s + plain.length;
	if (t->remove_extra_whitespace) {
		while (s < end && *s == ' ')
			s++;
		while (end > s && end[-1] == ' ')
			end--;
	}
	if (s < end && t->dummy_prefix && !t->whitespace_suffix)
		put_blank(t, out);
	blank_before = false;
	for (const char *p = s; p < end; p++) {
		if (*p == ' ' && !(t->remove_extra_whitespace && blank_before))
			put_blank(t, out);
		else if (*p != ' ')
			pb_text_char(out, *p);
		blank_before = *p == ' ';
	}
	if (s < end && t->dummy_prefix && t->whitespace_suffix)
		put_blank(t, out);
	out->failed = out->failed || plain.failed;
	pb_text_free(&plain);
}

enum pb_status pb_tokenizer_encode(const struct pb_tokenizer *t, const char *text, size_t n, enum pb_special special, struct pb_ids *ids, struct pb_error *err)
{
	struct pb_text normal = {0};
	bool bos = special == PB_SPECIAL_BOS || (special == PB_SPECIAL_DEFAULT && pb_tokenizer_adds_bos(t));
	enum pb_status st = PB_OK;

	if (bos && t->bos < 0)
		return pb_fail(err, PB_USAGE, "the tokenizer has no BOS");
	if (bos)
		st = pb_ids_add(ids, t->bos, err);
	if (st || n == 0)
		return st;
	if (t->bytes_before_merges) {
		/* llama2.c takes the text as it is, behind a blank. */
		pb_text_char(&normal, ' ');
		pb_text_bytes(&normal, text, n);
	} else {
		normalise(t, text, n, &normal);
	}
	st = pb_text_check(&normal, err);
	if (!st && normal.length)
		st = t->segmenter == PB_SEGMENT_BPE ? pb_segment_bpe(t, normal.data, normal.length, ids, err)
			: t->segmenter == PB_SEGMENT_CHAR ? pb_segment_char(t, normal.data, normal.length, ids, err)
			: pb_segment_unigram(t, normal.data, normal.length, ids, err);
	pb_text_free(&normal);
	return st;
}

/* A piece's text with its blanks. */
static void put_piece(const struct pb_tokenizer *t, const struct pb_piece *p, struct pb_text *out)
{
	for (uint32_t i = 0; i < p->length;) {
		if (t->escape_whitespace && p->length - i >= 3 && memcmp(p->text + i, LOWER_ONE_EIGHTH, 3) == 0) {
			pb_text_char(out, ' ');
			i += 3;
		} else {
			pb_text_char(out, p->text[i++]);
		}
	}
}

enum pb_status pb_tokenizer_decode(const struct pb_tokenizer *t, const int32_t *ids, size_t n, struct pb_text *text, struct pb_error *err)
{
	struct pb_text out = {0};
	bool leading;
	enum pb_status st;

	for (size_t i = 0; i < n; i++) {
		const struct pb_piece *p;

		if (ids[i] < 0 || (uint32_t)ids[i] >= t->n) {
			pb_text_free(&out);
			return pb_fail(err, PB_USAGE, "token id %d is not from 0 to %u", ids[i], t->n - 1);
		}
		p = &t->pieces[ids[i]];
		if (p->type == PB_PIECE_CONTROL)
			continue;
		if (p->type == PB_PIECE_UNKNOWN)
			pb_text_string(&out, REPLACEMENT);
		else if (p->type == PB_PIECE_BYTE) {
			for (int b = 0; b < 256; b++)
				if (t->byte_id[b] == ids[i])
					pb_text_char(&out, (char)b);
		} else
			put_piece(t, p, &out);
	}
	/* The blank that encoding put there. */
	leading = t->dummy_prefix && !t->whitespace_suffix && out.length && out.data[0] == ' ';
	st = pb_text_check(&out, err);
	if (!st && out.length)
		pb_text_bytes(text, out.data + leading, out.length - leading - (t->dummy_prefix && t->whitespace_suffix && out.data[out.length - 1] == ' '));
	if (!st)
		st = pb_text_check(text, err);
	pb_text_free(&out);
	return st;
}
