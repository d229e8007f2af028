#include "core/model/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include "core/base/hash.h"
#include "core/base/file.h"
#include "core/model/tokenizer_bpe.h"

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

static bool comes_from_text(const struct pb_piece *p)
{
	return p->length > 0 && p->type != PB_PIECE_CONTROL && p->type != PB_PIECE_UNKNOWN && p->type != PB_PIECE_BYTE;
}

static int by_text(const void *a, const void *b, void *arg)
{
	const struct pb_tokenizer *t = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct pb_piece *p = &t->pieces[x], *q = &t->pieces[y];
	int order = memcmp(p->text, q->text, p->length < q->length ? p->length : q->length);

	if (order)
		return order;
	if (p->length != q->length)
		return p->length < q->length ? -1 : 1;
	return x < y ? -1 : x > y;
}

static enum pb_status sort_pieces(struct pb_tokenizer *t, bool user_only, uint32_t **ids, uint32_t *n, struct pb_error *err)
{
	*ids = pb_arena_alloc(t->arena, t->n, sizeof(**ids));
	if (!*ids)
		return pb_out_of_memory(err, "a tokenizer");
	for (uint32_t i = 0; i < t->n; i++)
		if (comes_from_text(&t->pieces[i]) && (!user_only || t->pieces[i].type == PB_PIECE_USER))
			(*ids)[(*n)++] = i;
	qsort_r(*ids, *n, sizeof(**ids), by_text, t);
	return PB_OK;
}

/* Makes the table and the sorted lists. Control, unknown and byte pieces cannot come from text and are in none.
 * Of pieces with the same text the first id stays. */
static enum pb_status make_index(struct pb_tokenizer *t, struct pb_error *err)
{
	enum pb_status st;

	t->table_size = 16;
	while (t->table_size < 2 * t->n)
		t->table_size *= 2;
	t->table = pb_arena_alloc(t->arena, t->table_size, sizeof(*t->table));
	if (!t->table)
		return pb_out_of_memory(err, "a tokenizer");
	for (uint32_t i = 0; i < t->n; i++) {
		const struct pb_piece *p = &t->pieces[i];
		uint32_t at = pb_hash_quick(p->text, p->length) & (t->table_size - 1);

		if (!comes_from_text(p) || pb_tokenizer_lookup(t, p->text, p->length) >= 0)
			continue;
		while (t->table[at])
			at = (at + 1) & (t->table_size - 1);
		t->table[at] = i + 1;
		if (p->length > t->longest)
			t->longest = p->length;
	}
	st = sort_pieces(t, true, &t->user_pieces, &t->n_user, err);
	if (!st && t->segmenter == PB_SEGMENT_UNIGRAM)
		st = sort_pieces(t, false, &t->sorted_pieces, &t->n_sorted, err);
	return st;
}

/* The first of ids[low, high), which agree in `at` bytes, whose byte there is `byte` or more; a piece that has ended comes first. */
static uint32_t first_from(const struct pb_prefixes *p, unsigned byte)
{
	uint32_t low = p->low, high = p->high;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct pb_piece *piece = &p->t->pieces[p->ids[middle]];

		if (piece->length > p->length && (unsigned char)piece->text[p->length] >= byte)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int32_t pb_prefixes_next(struct pb_prefixes *p)
{
	while (p->length < p->n && p->low < p->high) {
		unsigned byte = (unsigned char)p->text[p->length];
		uint32_t low = first_from(p, byte), high = first_from(p, byte + 1);

		p->low = low;
		p->high = high;
		p->length++;
		if (low < high && p->t->pieces[p->ids[low]].length == p->length)
			return (int32_t)p->ids[low];
	}
	return -1;
}

size_t pb_tokenizer_user_piece(const struct pb_tokenizer *t, const char *text, size_t n, int32_t *id)
{
	struct pb_prefixes prefixes = { t, t->user_pieces, 0, t->n_user, text, n, 0 };
	size_t longest = 0;

	for (int32_t found; (found = pb_prefixes_next(&prefixes)) >= 0;) {
		longest = prefixes.length;
		*id = found;
	}
	return longest;
}

int32_t pb_tokenizer_lookup(const struct pb_tokenizer *t, const char *text, size_t n)
{
	uint32_t at = pb_hash_quick(text, n) & (t->table_size - 1);

	for (; t->table[at]; at = (at + 1) & (t->table_size - 1)) {
		const struct pb_piece *p = &t->pieces[t->table[at] - 1];

		if (p->length == n && memcmp(p->text, text, n) == 0)
			return (int32_t)(t->table[at] - 1);
	}
	return -1;
}

const char *pb_piece_text(struct pb_tokenizer *t, const unsigned char *text, size_t n)
{
	char *copy = pb_arena_alloc(t->arena, n + 1, 1);

	if (copy && n)
		memcpy(copy, text, n);
	return copy;
}

static bool is_ranks(const unsigned char *p, size_t n)
{
	size_t i = 0, digits = 0;

	while (i < n && (p[i] == '+' || p[i] == '/' || p[i] == '=' || (p[i] >= '0' && p[i] <= '9') || ((p[i] | 32) >= 'a' && (p[i] | 32) <= 'z')))
		i++;
	if (i == 0 || i == n || p[i++] != ' ')
		return false;
	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++, digits++;
	return digits && i < n && (p[i] == '\n' || p[i] == '\r');
}

/* Names what else a file may be that people have beside a model; NULL: nothing known. */
static const char *other_format(const unsigned char *p, size_t n)
{
	if (n >= 4 && memcmp(p, "GGUF", 4) == 0)
		return "a GGUF file";
	if (n >= 2 && p[0] == 0x1F && p[1] == 0x8B)
		return "compressed by gzip";
	return is_ranks(p, n) ? "a list of ranks (tiktoken)" : NULL;
}

static bool is_object(const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (i < n && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t'))
		i++;
	return i < n && p[i] == '{';
}

/* A tokenizer.bin begins with its longest piece in four bytes, of which two are 0 as a piece is shorter than 65,536 bytes. A
 * model begins with a field of bytes, its first piece: tag, length, and then the tag of the piece's text, which is not 0.
 * The first byte of a model is a line feed, too, and may be followed by a length of 123, which is '{': so a model is tried
 * before its beginning is taken for that of another kind of file. */
static enum pb_status parse(struct pb_tokenizer *t, const char *name, const unsigned char *p, size_t size, unsigned n_vocab, struct pb_error *err)
{
	bool model = size >= 4 && (p[0] == 0x0A || p[0] == 0x12 || p[0] == 0x1A);
	enum pb_status st = PB_OK;
	const char *other;

	if (size >= 4 && p[2] == 0 && p[3] == 0)
		return pb_tokenizer_parse_llama2c(t, name, p, size, n_vocab, err);
	if (model) {
		st = pb_tokenizer_parse_sentencepiece(t, name, p, size, err);
		if (st != PB_FORMAT)
			return st;
	}
	if (is_object(p, size)) {
		/* Nothing of what was tried before is left. */
		*t = (struct pb_tokenizer){ .arena = t->arena };
		return pb_tokenizer_parse_json(t, name, p, size, err);
	}
	other = other_format(p, size);
	if (other)
		return pb_fail(err, PB_UNSUPPORTED, "%s: %s; tokenizer.json, tokenizer.bin (llama2.c) and tokenizer.model (SentencePiece) are read", name, other);
	if (model)
		return st;
	return pb_fail(err, PB_FORMAT, "%s: neither a tokenizer.json nor a tokenizer.bin (llama2.c) nor a tokenizer.model (SentencePiece)", name);
}

enum pb_status pb_tokenizer_parse(struct pb_tokenizer **out, const char *name, const void *data, size_t size, unsigned n_vocab, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_tokenizer *t = arena ? pb_arena_alloc(arena, 1, sizeof(*t)) : NULL;
	enum pb_status st;

	if (!t) {
		pb_arena_free(arena);
		return pb_out_of_memory(err, name);
	}
	t->arena = arena;
	st = parse(t, name, data, size, n_vocab, err);
	if (!st && n_vocab && (t->n > n_vocab || (t->n < n_vocab && !t->bpe)))
		st = pb_fail(err, PB_FORMAT, "%s: %u pieces, the model has a vocabulary of %u", name, t->n, n_vocab);
	if (!st)
		st = make_index(t, err);
	if (st) {
		pb_tokenizer_free(t);
		return st;
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
	if (!t)
		return;
	pb_bpe_free(t->bpe);
	pb_arena_free(t->arena);
}

const char *pb_tokenizer_format(const struct pb_tokenizer *t)
{
	return t->format;
}

const char *pb_tokenizer_file_name(const struct pb_tokenizer *t)
{
	return strcmp(t->format, "llama2.c") == 0 ? "tokenizer.bin" : strcmp(t->format, "sentencepiece") == 0 ? "tokenizer.model" : "tokenizer.json";
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
	return t->bos >= 0 && !t->bos_on_request;
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
	int32_t id;
	size_t used;

	used = pb_tokenizer_user_piece(t, text, n, &id);
	if (used) {
		*out = text;
		*out_n = used;
		return used;
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

/* Blanks at the end go, and with them a U+2581 that the text itself had. */
static void drop_last_blanks(const struct pb_tokenizer *t, struct pb_text *out)
{
	const char *blank = t->escape_whitespace ? LOWER_ONE_EIGHTH : " ";
	size_t n = strlen(blank);

	while (out->length >= n && memcmp(out->data + out->length - n, blank, n) == 0)
		out->length -= n;
}

/* In the order of SentencePiece: blanks are judged after the character map, stretch by stretch. */
static void normalise(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_text *out)
{
	const char *part = NULL;
	size_t used, length = 0;
	bool after_blank = t->remove_extra_whitespace;

	while (t->remove_extra_whitespace && n) {
		used = next_normal(t, text, n, &part, &length);
		if (length != 1 || *part != ' ')
			break;
		text += used;
		n -= used;
	}
	if (n == 0)
		return;
	if (t->dummy_prefix && !t->whitespace_suffix)
		put_blank(t, out);
	for (; n; text += used, n -= used) {
		used = next_normal(t, text, n, &part, &length);
		for (; after_blank && length && *part == ' '; length--)
			part++;
		if (length == 0)
			continue;
		for (size_t i = 0; i < length; i++) {
			if (part[i] == ' ')
				put_blank(t, out);
			else
				pb_text_char(out, part[i]);
		}
		after_blank = t->remove_extra_whitespace && part[length - 1] == ' ';
	}
	if (t->remove_extra_whitespace)
		drop_last_blanks(t, out);
	if (t->dummy_prefix && t->whitespace_suffix)
		put_blank(t, out);
}

static enum pb_status segment(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err)
{
	if (n > INT32_MAX)
		return pb_fail(err, PB_LIMIT, "text of %zu bytes is too long to tokenize at once", n);
	if (t->segmenter == PB_SEGMENT_BPE)
		return pb_segment_bpe(t, text, n, ids, err);
	if (t->segmenter == PB_SEGMENT_CHAR)
		return pb_segment_char(t, text, n, ids, err);
	return pb_segment_unigram(t, text, n, ids, err);
}

enum pb_status pb_tokenizer_encode(const struct pb_tokenizer *t, const char *text, size_t n, enum pb_special special, struct pb_ids *ids, struct pb_error *err)
{
	struct pb_text normal = {0};
	bool bos = special == PB_SPECIAL_BOS || (special == PB_SPECIAL_DEFAULT && pb_tokenizer_adds_bos(t));
	size_t before = ids->n;
	enum pb_status st = PB_OK;

	if (bos && t->bos < 0)
		return pb_fail(err, PB_USAGE, "the tokenizer has no BOS");
	if (bos)
		st = pb_ids_add(ids, t->bos, err);
	if (st || n == 0)
		return st;
	if (t->bpe) {
		st = n > INT32_MAX ? pb_fail(err, PB_LIMIT, "text of %zu bytes is too long to tokenize at once", n) : pb_bpe_encode(t, text, n, ids, err);
		if (st)
			ids->n = before;
		return st;
	}
	if (t->bytes_before_merges) {
		/* llama2.c takes the text as it is, behind a blank. */
		pb_text_char(&normal, ' ');
		pb_text_bytes(&normal, text, n);
	} else {
		normalise(t, text, n, &normal);
	}
	st = pb_text_check(&normal, err);
	if (!st && normal.length)
		st = segment(t, normal.data, normal.length, ids, err);
	if (st)
		ids->n = before;
	pb_text_free(&normal);
	return st;
}

/* The blank that encoding put in front of a text goes again; *at_start: nothing of the text is out yet. SentencePiece looks
 * at one piece for it, and at all that come first when blanks there are removed anyway. */
static void put_piece(const struct pb_tokenizer *t, const struct pb_piece *p, bool *at_start, struct pb_text *out)
{
	size_t blank = t->escape_whitespace ? 3 : 1, before = out->length, i = 0;
	bool drops = *at_start && !t->whitespace_suffix && (t->dummy_prefix || t->remove_extra_whitespace);

	if (drops && p->length >= blank && memcmp(p->text, t->escape_whitespace ? LOWER_ONE_EIGHTH : " ", blank) == 0) {
		i = blank;
		*at_start = t->remove_extra_whitespace;
	}
	while (i < p->length) {
		if (t->escape_whitespace && p->length - i >= 3 && memcmp(p->text + i, LOWER_ONE_EIGHTH, 3) == 0) {
			pb_text_char(out, ' ');
			i += 3;
		} else {
			pb_text_char(out, p->text[i++]);
		}
	}
	*at_start = *at_start && out->length == before;
}

enum pb_status pb_tokenizer_decode(const struct pb_tokenizer *t, const int32_t *ids, size_t n, struct pb_text *text, struct pb_error *err)
{
	size_t before = text->length;
	bool at_start = true;

	for (size_t i = 0; i < n; i++)
		if (ids[i] < 0 || (uint32_t)ids[i] >= t->n)
			return pb_fail(err, PB_USAGE, "token id %d is not from 0 to %u", ids[i], t->n - 1);
	for (size_t i = 0; i < n; i++) {
		const struct pb_piece *p = &t->pieces[ids[i]];

		switch (p->type) {
		case PB_PIECE_CONTROL:
			/* In llama2.c a text begins behind each BOS. */
			at_start = at_start || (t->bytes_before_merges && ids[i] == t->bos);
			break;
		case PB_PIECE_UNKNOWN:
			if (t->bpe)
				pb_text_bytes(text, p->text, p->length);
			else
				pb_text_string(text, t->unknown_text);
			at_start = false;
			break;
		case PB_PIECE_BYTE:
			pb_text_char(text, (char)p->byte);
			at_start = false;
			break;
		default:
			put_piece(t, p, &at_start, text);
		}
	}
	if (t->dummy_prefix && t->whitespace_suffix && text->length > before && text->data[text->length - 1] == ' ')
		text->data[--text->length] = '\0';
	return pb_text_check(text, err);
}
