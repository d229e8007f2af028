/* Training of byte-level BPE. Words are counted once and kept as ids; each round counts all pairs anew and joins the best one.
 * That is plain, and quick enough for the thousands of different words of a small text. No two merges make the same text: how a
 * stretch that becomes one token is merged depends on its own bytes alone, as no merge crosses its ends. */
#include "core/model/tokenizer_train.h"

#include <stdlib.h>
#include <string.h>
#include "core/model/tokenizer_bpe.h"

#define FIRST_BYTE 2u
#define FIRST_MERGE (FIRST_BYTE + 256u)
#define MOST_TOKENS 65536u

struct word {
	uint64_t count;
	size_t first;           /* of its ids in `symbols`, as of its bytes in `text` */
	uint32_t n, length;     /* ids now; bytes */
};

struct pair {
	uint32_t left, right;
	uint64_t count;
};

struct trainer {
	struct word *words;
	size_t n_words, words_capacity;
	uint32_t *table;        /* words by their bytes: index + 1 */
	size_t table_size;
	struct pb_text text;    /* bytes of all words, one behind the other */
	uint16_t *symbols;
	struct pair *pairs;     /* hash table, a power of two */
	size_t pairs_size;
	struct pair *merges;
	uint32_t n_merges;
};

static size_t word_place(const struct trainer *t, const char *s, size_t n)
{
	size_t at = pb_hash_quick(s, n) & (t->table_size - 1);

	for (; t->table[at]; at = (at + 1) & (t->table_size - 1)) {
		const struct word *w = &t->words[t->table[at] - 1];

		if (w->length == n && memcmp(t->text.data + w->first, s, n) == 0)
			break;
	}
	return at;
}

static enum pb_status grow_table(struct trainer *t, struct pb_error *err)
{
	size_t size = t->table_size ? 2 * t->table_size : 1024;
	uint32_t *table = pb_alloc_zero(size, sizeof(*table));

	if (!table)
		return pb_out_of_memory(err, "words");
	pb_free(t->table);
	t->table = table;
	t->table_size = size;
	for (size_t i = 0; i < t->n_words; i++)
		table[word_place(t, t->text.data + t->words[i].first, t->words[i].length)] = (uint32_t)i + 1;
	return PB_OK;
}

static enum pb_status count_word(void *arg, int32_t added, const char *piece, size_t n, struct pb_error *err)
{
	struct trainer *t = arg;
	size_t at;
	enum pb_status st = PB_OK;

	(void)added;
	if (2 * (t->n_words + 1) > t->table_size && (st = grow_table(t, err)))
		return st;
	at = word_place(t, piece, n);
	if (t->table[at]) {
		t->words[t->table[at] - 1].count++;
		return PB_OK;
	}
	if (t->n_words == t->words_capacity) {
		size_t capacity = t->words_capacity ? 2 * t->words_capacity : 1024;
		struct word *words = pb_realloc(t->words, capacity, sizeof(*words));

		if (!words)
			return pb_out_of_memory(err, "words");
		t->words = words;
		t->words_capacity = capacity;
	}
	if (n > UINT32_MAX || t->n_words == UINT32_MAX - 1)
		return pb_fail(err, PB_LIMIT, "the text has too long or too many words");
	t->words[t->n_words++] = (struct word){ 1, t->text.length, (uint32_t)n, (uint32_t)n };
	t->table[at] = (uint32_t)t->n_words;
	pb_text_bytes(&t->text, piece, n);
	return pb_text_check(&t->text, err);
}

static enum pb_status count_words(struct trainer *t, const char *text, size_t n, struct pb_error *err)
{
	struct pb_bpe bpe = {0};
	enum pb_status st = pb_bpe_add_split(&bpe, PB_BPE_GPT2_PATTERN, false, false, err);

	if (!st)
		st = pb_bpe_pieces(&bpe, text, n, count_word, t, err);
	pb_bpe_free(&bpe);
	if (st)
		return st;
	t->symbols = pb_alloc(t->text.length, sizeof(*t->symbols));
	if (!t->symbols)
		return pb_out_of_memory(err, "words");
	for (size_t i = 0; i < t->text.length; i++)
		t->symbols[i] = (uint16_t)(FIRST_BYTE + (unsigned char)t->text.data[i]);
	return PB_OK;
}

static struct pair *pair_place(struct trainer *t, uint32_t left, uint32_t right)
{
	size_t at = ((left * 0x9E3779B1u) ^ (right * 0x85EBCA77u)) >> 5 & (t->pairs_size - 1);

	while (t->pairs[at].count && (t->pairs[at].left != left || t->pairs[at].right != right))
		at = (at + 1) & (t->pairs_size - 1);
	return &t->pairs[at];
}

/* There are never more pairs than symbols. */
static enum pb_status make_pairs(struct trainer *t, struct pb_error *err)
{
	t->pairs_size = 1024;
	while (t->pairs_size < 2 * t->text.length && t->pairs_size < (size_t)1 << 40)
		t->pairs_size *= 2;
	t->pairs = pb_alloc(t->pairs_size, sizeof(*t->pairs));
	return t->pairs ? PB_OK : pb_out_of_memory(err, "pairs");
}

static struct pair best_pair(struct trainer *t)
{
	struct pair best = {0};

	memset(t->pairs, 0, t->pairs_size * sizeof(*t->pairs));
	for (size_t i = 0; i < t->n_words; i++) {
		const uint16_t *s = t->symbols + t->words[i].first;

		for (uint32_t k = 0; k + 1 < t->words[i].n; k++) {
			struct pair *p = pair_place(t, s[k], s[k + 1]);

			p->left = s[k];
			p->right = s[k + 1];
			p->count += t->words[i].count;
		}
	}
	for (size_t i = 0; i < t->pairs_size; i++) {
		const struct pair *p = &t->pairs[i];

		if (p->count > best.count || (p->count == best.count && p->count && (p->left < best.left || (p->left == best.left && p->right < best.right))))
			best = *p;
	}
	return best;
}

static void join(struct trainer *t, struct pair pair, uint16_t id)
{
	for (size_t i = 0; i < t->n_words; i++) {
		uint16_t *s = t->symbols + t->words[i].first;
		uint32_t n = t->words[i].n, to = 0;

		for (uint32_t k = 0; k < n; k++) {
			if (k + 1 < n && s[k] == pair.left && s[k + 1] == pair.right) {
				s[to++] = id;
				k++;
			} else {
				s[to++] = s[k];
			}
		}
		t->words[i].n = to;
	}
}

/* Bytes of an id as characters, escaped for JSON. */
static void put_token(const struct trainer *t, uint32_t id, struct pb_text *out)
{
	char utf8[4];
	size_t n;

	if (id >= FIRST_MERGE) {
		put_token(t, t->merges[id - FIRST_MERGE].left, out);
		put_token(t, t->merges[id - FIRST_MERGE].right, out);
		return;
	}
	n = pb_utf8_put(utf8, pb_byte_character((unsigned char)(id - FIRST_BYTE)));
	if (utf8[0] == '"' || utf8[0] == '\\')
		pb_text_char(out, '\\');
	pb_text_bytes(out, utf8, n);
}

static void put_file(const struct trainer *t, bool prefix_space, struct pb_text *out)
{
	const char *byte_level = prefix_space ? "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true}"
		: "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}";
	static const char *const special[] = { "<s>", "</s>" };

	pb_text_string(out, "{\n\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n\"added_tokens\": [");
	for (int i = 0; i < 2; i++)
		pb_text_printf(out, "%s\n{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}",
			i ? "," : "", i, special[i]);
	pb_text_printf(out, "],\n\"normalizer\": null,\n\"pre_tokenizer\": %s,\n\"post_processor\": {\"type\": \"TemplateProcessing\", "
		"\"single\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], "
		"\"pair\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 0}}], "
		"\"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [0], \"tokens\": [\"<s>\"]}}},\n\"decoder\": %s,\n", byte_level, byte_level);
	pb_text_string(out, "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
		"\"fuse_unk\": false, \"byte_fallback\": false,\n\"vocab\": {\n\"<s>\": 0,\n\"</s>\": 1");
	for (uint32_t id = FIRST_BYTE; id < FIRST_MERGE + t->n_merges; id++) {
		pb_text_string(out, ",\n\"");
		put_token(t, id, out);
		pb_text_printf(out, "\": %u", id);
	}
	pb_text_string(out, "},\n\"merges\": [");
	for (uint32_t i = 0; i < t->n_merges; i++) {
		pb_text_string(out, i ? ",\n\"" : "\n\"");
		put_token(t, t->merges[i].left, out);
		pb_text_char(out, ' ');
		put_token(t, t->merges[i].right, out);
		pb_text_char(out, '"');
	}
	pb_text_string(out, "]}\n}\n");
}

static enum pb_status train(struct trainer *t, const char *text, size_t n, uint32_t n_tokens, bool prefix_space, struct pb_text *json, struct pb_error *err)
{
	enum pb_status st = count_words(t, text, n, err);

	if (!st)
		st = make_pairs(t, err);
	if (st)
		return st;
	t->merges = pb_alloc(n_tokens - FIRST_MERGE, sizeof(*t->merges));
	if (!t->merges)
		return pb_out_of_memory(err, "merges");
	while (FIRST_MERGE + t->n_merges < n_tokens) {
		struct pair best = best_pair(t);

		if (best.count < 2)
			break;
		join(t, best, (uint16_t)(FIRST_MERGE + t->n_merges));
		t->merges[t->n_merges++] = best;
	}
	put_file(t, prefix_space, json);
	return pb_text_check(json, err);
}

enum pb_status pb_tokenizer_train(const char *text, size_t n, uint32_t n_tokens, bool prefix_space, struct pb_text *json, struct pb_error *err)
{
	struct trainer t = {0};
	enum pb_status st;

	if (n_tokens < FIRST_MERGE || n_tokens > MOST_TOKENS)
		return pb_fail(err, PB_USAGE, "a tokenizer has %u to %u entries; %u are asked for", FIRST_MERGE, MOST_TOKENS, n_tokens);
	st = train(&t, text, n, n_tokens, prefix_space, json, err);
	pb_free(t.words);
	pb_free(t.table);
	pb_free(t.symbols);
	pb_free(t.pairs);
	pb_free(t.merges);
	pb_text_free(&t.text);
	return st;
}
