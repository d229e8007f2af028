/* tokenizer.json of Hugging Face's tokenizers, where its model is a byte-level BPE. What would change ids and is not done is
 * refused by name. */
#include "core/model/tokenizer_bpe.h"

#include <limits.h>
#include <string.h>
#include <utf8proc.h>
#include "core/base/json.h"

struct reader {
	struct pb_tokenizer *t;
	const char *name;
	const json_t *root, *model, *vocab;
	struct pb_error *err;
};

static enum pb_status refuse(const struct reader *r, const char *what)
{
	return pb_fail(r->err, PB_UNSUPPORTED, "%s: %s, which is not done", r->name, what);
}

static enum pb_status broken(const struct reader *r, const char *what)
{
	return pb_fail(r->err, PB_FORMAT, "%s: %s", r->name, what);
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static bool is_type(const json_t *object, const char *type)
{
	return strcmp(string_of(object, "type"), type) == 0;
}

/* Absent counts as `missing`. */
static bool flag_of(const json_t *object, const char *key, bool missing)
{
	const json_t *value = json_object_get(object, key);

	return json_is_boolean(value) ? json_is_true(value) : missing;
}

/* Text of a token: its characters as the bytes they stand for, or as it is when one stands for none. */
static bool to_bytes(const char *s, size_t n, struct pb_text *out)
{
	const char *end = s + n, *at = s;

	pb_text_clear(out);
	while (at < end) {
		int byte = pb_character_byte(pb_utf8_next(&at, end));

		if (byte < 0) {
			pb_text_clear(out);
			pb_text_bytes(out, s, n);
			return false;
		}
		pb_text_char(out, (char)byte);
	}
	return true;
}

/* ---- pieces ---- */

static enum pb_status id_of(const struct reader *r, const json_t *value, uint32_t limit, uint32_t *id)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0)
		return broken(r, "an id is no whole number from 0");
	if ((uint64_t)n >= limit)
		return pb_fail(r->err, PB_LIMIT, "%s: id %lld is far above the number of tokens", r->name, (long long)n);
	*id = (uint32_t)n;
	return PB_OK;
}

/* Ids may leave a few numbers out; how many is bounded, so that a small file makes no large table. */
static enum pb_status count_pieces(struct reader *r, uint32_t *limit)
{
	const json_t *added = json_object_get(r->root, "added_tokens"), *value;
	size_t n = json_object_size(r->vocab) + json_array_size(added), i;
	const char *key;
	uint32_t id;
	enum pb_status st;

	if (n == 0)
		return broken(r, "no tokens");
	if (n > PB_MAX_PIECES)
		return pb_fail(r->err, PB_LIMIT, "%s: more than %u tokens", r->name, PB_MAX_PIECES);
	*limit = (uint32_t)(2 * n + 1024);
	json_object_foreach((json_t *)r->vocab, key, value) {
		if ((st = id_of(r, value, *limit, &id)))
			return st;
		r->t->n = id >= r->t->n ? id + 1 : r->t->n;
	}
	json_array_foreach(added, i, value) {
		if ((st = id_of(r, json_object_get(value, "id"), *limit, &id)))
			return st;
		r->t->n = id >= r->t->n ? id + 1 : r->t->n;
	}
	return PB_OK;
}

static enum pb_status set_piece(struct reader *r, uint32_t id, const struct pb_text *text, enum pb_piece_type type)
{
	struct pb_piece *p = &r->t->pieces[id];

	p->text = pb_arena_strndup(r->t->arena, pb_text_c(text), text->length);
	if (!p->text || text->failed)
		return pb_out_of_memory(r->err, r->name);
	p->length = (uint32_t)text->length;
	p->type = type;
	return PB_OK;
}

static enum pb_status read_vocab(struct reader *r)
{
	struct pb_tokenizer *t = r->t;
	struct pb_text text = {0};
	const json_t *value;
	const char *key;
	uint32_t limit;
	enum pb_status st = count_pieces(r, &limit);

	if (st)
		return st;
	t->pieces = pb_arena_alloc(t->arena, t->n, sizeof(*t->pieces));
	if (!t->pieces)
		return pb_out_of_memory(r->err, r->name);
	for (uint32_t i = 0; i < t->n; i++) {
		t->pieces[i].text = "";
		t->pieces[i].type = PB_PIECE_UNKNOWN;
	}
	for (unsigned b = 0; b < 256; b++)
		t->byte_id[b] = -1;
	json_object_foreach((json_t *)r->vocab, key, value) {
		uint32_t id = (uint32_t)json_integer_value(value);
		bool bytes = to_bytes(key, strlen(key), &text);

		if (t->pieces[id].length) {
			st = pb_fail(r->err, PB_FORMAT, "%s: two tokens have the id %u", r->name, id);
			break;
		}
		/* A token that is not written in bytes never comes from text. */
		if ((st = set_piece(r, id, &text, bytes ? PB_PIECE_NORMAL : PB_PIECE_UNKNOWN)))
			break;
		if (bytes && text.length == 1)
			t->byte_id[(unsigned char)text.data[0]] = (int32_t)id;
	}
	pb_text_free(&text);
	return st;
}

/* ---- merges ---- */

/* "a b", where the first blank parts them, or ["a", "b"]. */
static bool merge_sides(const json_t *entry, struct pb_text *left, struct pb_text *right)
{
	const char *s = json_string_value(entry), *blank;

	pb_text_clear(left);
	pb_text_clear(right);
	if (json_is_array(entry) && json_array_size(entry) == 2 && json_is_string(json_array_get(entry, 0)) && json_is_string(json_array_get(entry, 1))) {
		pb_text_string(left, json_string_value(json_array_get(entry, 0)));
		pb_text_string(right, json_string_value(json_array_get(entry, 1)));
		return true;
	}
	if (!s || !(blank = strchr(s, ' ')))
		return false;
	pb_text_bytes(left, s, (size_t)(blank - s));
	pb_text_string(right, blank + 1);
	return true;
}

static enum pb_status add_merge(struct reader *r, uint32_t rank, struct pb_text *left, const struct pb_text *right)
{
	struct pb_bpe *bpe = r->t->bpe;
	const json_t *a = json_object_get(r->vocab, pb_text_c(left)), *b = json_object_get(r->vocab, pb_text_c(right)), *both;
	uint32_t mask = bpe->table_size - 1, x, y, at;

	pb_text_string(left, pb_text_c(right));
	if (left->failed || right->failed)
		return pb_out_of_memory(r->err, r->name);
	both = json_object_get(r->vocab, pb_text_c(left));
	if (!a || !b || !both)
		return pb_fail(r->err, PB_FORMAT, "%s: merge %u: '%.60s' and its two parts are not all in the vocabulary", r->name, rank + 1, pb_text_c(left));
	x = (uint32_t)json_integer_value(a);
	y = (uint32_t)json_integer_value(b);
	at = ((x * 0x9E3779B1u) ^ (y * 0x85EBCA77u)) >> 7 & mask;
	while (bpe->merges[at].rank != UINT32_MAX && (bpe->merges[at].left != x || bpe->merges[at].right != y))
		at = (at + 1) & mask;
	/* Of a pair that is there twice, the reference keeps the later rank. */
	bpe->merges[at] = (struct pb_bpe_merge){ x, y, rank, (int32_t)json_integer_value(both) };
	return PB_OK;
}

static enum pb_status read_merges(struct reader *r)
{
	const json_t *merges = json_object_get(r->model, "merges");
	struct pb_bpe *bpe = r->t->bpe;
	struct pb_text left = {0}, right = {0};
	size_t n = json_array_size(merges);
	enum pb_status st = PB_OK;

	if (!json_is_array(merges))
		return broken(r, "the model has no list of merges");
	if (n > 2 * (size_t)PB_MAX_PIECES)
		return pb_fail(r->err, PB_LIMIT, "%s: more than %u merges", r->name, 2 * PB_MAX_PIECES);
	bpe->table_size = 16;
	while (bpe->table_size < 2 * n)
		bpe->table_size *= 2;
	bpe->merges = pb_arena_alloc(r->t->arena, bpe->table_size, sizeof(*bpe->merges));
	if (!bpe->merges)
		return pb_out_of_memory(r->err, r->name);
	for (uint32_t i = 0; i < bpe->table_size; i++)
		bpe->merges[i].rank = UINT32_MAX;
	for (size_t i = 0; !st && i < n; i++) {
		if (!merge_sides(json_array_get(merges, i), &left, &right))
			st = pb_fail(r->err, PB_FORMAT, "%s: merge %zu is not written \"a b\" or [\"a\", \"b\"]", r->name, i + 1);
		else
			st = add_merge(r, (uint32_t)i, &left, &right);
	}
	pb_text_free(&left);
	pb_text_free(&right);
	return st;
}

static enum pb_status read_model(struct reader *r)
{
	const json_t *m = r->model = json_object_get(r->root, "model"), *dropout = json_object_get(m, "dropout");
	enum pb_status st;

	if (!json_is_object(m))
		return broken(r, "not a tokenizer.json: the key 'model' is missing");
	/* Files from before version 0.9 do not name the type. */
	if (json_object_get(m, "type") && !is_type(m, "BPE"))
		return pb_fail(r->err, PB_UNSUPPORTED, "%s: the model is of type '%.40s'; byte-level BPE is read", r->name, string_of(m, "type"));
	if (json_is_number(dropout) && json_number_value(dropout) != 0)
		return refuse(r, "the model drops merges at random");
	if (*string_of(m, "continuing_subword_prefix") || *string_of(m, "end_of_word_suffix"))
		return refuse(r, "the model marks parts of words");
	r->vocab = json_object_get(m, "vocab");
	if (!json_is_object(r->vocab))
		return broken(r, "the model has no vocabulary");
	r->t->bpe->ignore_merges = flag_of(m, "ignore_merges", false);
	st = read_vocab(r);
	return st ? st : read_merges(r);
}

/* ---- added tokens ---- */

static enum pb_status add_token(struct reader *r, const json_t *entry)
{
	struct pb_bpe *bpe = r->t->bpe;
	const json_t *content = json_object_get(entry, "content");
	bool special = flag_of(entry, "special", false);
	int stage = flag_of(entry, "normalized", !special) ? 1 : 0;
	struct pb_bpe_added *a = &bpe->added[stage][bpe->n_added[stage]];
	uint32_t id = (uint32_t)json_integer_value(json_object_get(entry, "id"));
	struct pb_text text = {0};
	enum pb_status st;

	if (!json_is_string(content) || json_string_length(content) == 0 || json_string_length(content) > UINT32_MAX / 2)
		return broken(r, "an added token has no content");
	if (flag_of(entry, "single_word", false))
		return refuse(r, "an added token matches whole words only");
	*a = (struct pb_bpe_added){ .length = (uint32_t)json_string_length(content), .id = (int32_t)id, .strip_left = flag_of(entry, "lstrip", false),
		.strip_right = flag_of(entry, "rstrip", false) };
	a->text = pb_arena_strndup(r->t->arena, json_string_value(content), a->length);
	if (!a->text)
		return pb_out_of_memory(r->err, r->name);
	bpe->begins[stage][(unsigned char)a->text[0]] = true;
	bpe->n_added[stage]++;
	/* The content of an added token is no part of the vocabulary that whole pieces are looked up in. */
	to_bytes(a->text, a->length, &text);
	st = set_piece(r, id, &text, special ? PB_PIECE_CONTROL : r->t->pieces[id].length ? r->t->pieces[id].type : PB_PIECE_UNKNOWN);
	pb_text_free(&text);
	return st;
}

static enum pb_status read_added(struct reader *r)
{
	const json_t *list = json_object_get(r->root, "added_tokens"), *entry;
	size_t i, n = json_array_size(list);
	enum pb_status st;

	for (int stage = 0; stage < 2; stage++)
		if (!(r->t->bpe->added[stage] = pb_arena_alloc(r->t->arena, n, sizeof(struct pb_bpe_added))))
			return pb_out_of_memory(r->err, r->name);
	json_array_foreach(list, i, entry)
		if ((st = add_token(r, entry)))
			return st;
	return PB_OK;
}

/* ---- the steps before the model ---- */

static enum pb_status read_normalizer(struct reader *r, const json_t *node, int depth)
{
	static const struct { const char *type; int form; } forms[] = {
		{ "NFC", UTF8PROC_STABLE | UTF8PROC_COMPOSE }, { "NFD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE },
		{ "NFKC", UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT }, { "NFKD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT },
	};
	struct pb_bpe *bpe = r->t->bpe;
	const json_t *entry;
	size_t i;
	enum pb_status st;

	if (!node || json_is_null(node))
		return PB_OK;
	if (is_type(node, "Sequence") && depth < 2) {
		json_array_foreach(json_object_get(node, "normalizers"), i, entry)
			if ((st = read_normalizer(r, entry, depth + 1)))
				return st;
		return PB_OK;
	}
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (is_type(node, forms[i].type) && bpe->n_forms < sizeof(bpe->forms) / sizeof(*bpe->forms)) {
			bpe->forms[bpe->n_forms++] = forms[i].form;
			return PB_OK;
		}
	return pb_fail(r->err, PB_UNSUPPORTED, "%s: the normalizer '%.40s' is not done; NFC, NFD, NFKC, NFKD are", r->name, string_of(node, "type"));
}

static enum pb_status add_split(struct reader *r, const char *pattern, bool removed, bool invert)
{
	enum pb_status st = pb_bpe_add_split(r->t->bpe, pattern, removed, invert, r->err);

	if (st)
		pb_fail_prefix(r->err, "%s", r->name);
	return st;
}

/* A literal string as an expression. */
static enum pb_status add_literal_split(struct reader *r, const char *literal, bool removed, bool invert)
{
	struct pb_text pattern = {0};
	enum pb_status st;

	for (const char *s = literal; *s; s++) {
		if (strchr("\\^$.[|()?*+{}#-]", *s))
			pb_text_char(&pattern, '\\');
		pb_text_char(&pattern, *s);
	}
	st = pb_text_check(&pattern, r->err);
	if (!st)
		st = add_split(r, pb_text_c(&pattern), removed, invert);
	pb_text_free(&pattern);
	return st;
}

static enum pb_status read_split(struct reader *r, const json_t *node)
{
	const json_t *pattern = json_object_get(node, "pattern");
	const char *regex = json_string_value(json_object_get(pattern, "Regex")), *literal = json_string_value(json_object_get(pattern, "String"));
	const char *behavior = string_of(node, "behavior");
	bool removed = strcmp(behavior, "Removed") == 0, invert = flag_of(node, "invert", false);

	if (!removed && strcmp(behavior, "Isolated") != 0)
		return pb_fail(r->err, PB_UNSUPPORTED, "%s: the pre-tokenizer Split with behavior '%.40s' is not done; Isolated and Removed are", r->name, behavior);
	if ((!regex || !*regex) && (!literal || !*literal))
		return broken(r, "the pre-tokenizer Split has no pattern");
	return regex ? add_split(r, regex, removed, invert) : add_literal_split(r, literal, removed, invert);
}

/* *last: ByteLevel has been met; what comes behind it would see the characters that stand for bytes. */
static enum pb_status read_pre_tokenizer(struct reader *r, const json_t *node, int depth, bool *last)
{
	const json_t *entry;
	size_t i;
	enum pb_status st;

	if (*last)
		return refuse(r, "a pre-tokenizer comes behind ByteLevel");
	if (is_type(node, "Sequence") && depth < 2) {
		json_array_foreach(json_object_get(node, "pretokenizers"), i, entry)
			if ((st = read_pre_tokenizer(r, entry, depth + 1, last)))
				return st;
		return PB_OK;
	}
	if (is_type(node, "Split"))
		return read_split(r, node);
	if (is_type(node, "Digits"))
		return add_split(r, flag_of(node, "individual_digits", false) ? "\\p{N}" : "\\p{N}+", false, false);
	if (!is_type(node, "ByteLevel"))
		return pb_fail(r->err, PB_UNSUPPORTED, "%s: the pre-tokenizer '%.40s' is not done; ByteLevel, Split, Digits are", r->name, string_of(node, "type"));
	*last = true;
	r->t->bpe->prefix_space = flag_of(node, "add_prefix_space", true);
	if (r->t->bpe->prefix_space && r->t->bpe->n_splits)
		return refuse(r, "ByteLevel puts a blank before each part of a cut text");
	return flag_of(node, "use_regex", true) ? add_split(r, PB_BPE_GPT2_PATTERN, false, false) : PB_OK;
}

static enum pb_status read_steps(struct reader *r)
{
	bool last = false;
	enum pb_status st = read_normalizer(r, json_object_get(r->root, "normalizer"), 0);

	if (!st)
		st = read_pre_tokenizer(r, json_object_get(r->root, "pre_tokenizer"), 0, &last);
	return st || last ? st : refuse(r, "the pre-tokenizer is not ByteLevel");
}

/* ---- special tokens around a text ---- */

static int32_t special_id(const struct pb_tokenizer *t, const char *content)
{
	for (int stage = 0; stage < 2; stage++)
		for (uint32_t i = 0; i < t->bpe->n_added[stage]; i++)
			if (strcmp(t->bpe->added[stage][i].text, content) == 0)
				return t->bpe->added[stage][i].id;
	return -1;
}

/* The one special token that a template puts before the text. */
static enum pb_status read_template(struct reader *r, const json_t *node)
{
	const json_t *entry;
	bool seen_text = false;
	size_t i;

	json_array_foreach(json_object_get(node, "single"), i, entry) {
		const json_t *special = json_object_get(entry, "SpecialToken");

		if (json_is_object(json_object_get(entry, "Sequence"))) {
			seen_text = true;
			continue;
		}
		if (!special || seen_text || r->t->bos >= 0)
			return refuse(r, "the post-processor puts more around a text than one token before it");
		r->t->bos = special_id(r->t, string_of(special, "id"));
		if (r->t->bos < 0)
			return pb_fail(r->err, PB_FORMAT, "%s: the post-processor's token '%.40s' is no added token", r->name, string_of(special, "id"));
	}
	return PB_OK;
}

static enum pb_status read_post_processor(struct reader *r, const json_t *node, int depth)
{
	const json_t *entry;
	size_t i;
	enum pb_status st;

	if (!node || json_is_null(node) || is_type(node, "ByteLevel"))
		return PB_OK;
	if (is_type(node, "TemplateProcessing"))
		return read_template(r, node);
	if (!is_type(node, "Sequence") || depth == 2)
		return pb_fail(r->err, PB_UNSUPPORTED, "%s: the post-processor '%.40s' is not done; ByteLevel and TemplateProcessing are", r->name, string_of(node, "type"));
	json_array_foreach(json_object_get(node, "processors"), i, entry)
		if ((st = read_post_processor(r, entry, depth + 1)))
			return st;
	return PB_OK;
}

/* The file does not say which token begins and which ends a text; the families' names do. */
static enum pb_status read_special(struct reader *r)
{
	static const char *const begins[] = { "<s>", "<|begin_of_text|>" };
	static const char *const ends[] = { "</s>", "<|end_of_text|>", "<|endoftext|>" };
	struct pb_tokenizer *t = r->t;
	enum pb_status st;

	t->bos = t->eos = -1;
	st = read_post_processor(r, json_object_get(r->root, "post_processor"), 0);
	t->bos_on_request = t->bos < 0;
	for (size_t i = 0; !st && t->bos < 0 && i < sizeof(begins) / sizeof(*begins); i++)
		t->bos = special_id(t, begins[i]);
	for (size_t i = 0; !st && t->eos < 0 && i < sizeof(ends) / sizeof(*ends); i++)
		t->eos = special_id(t, ends[i]);
	return st;
}

enum pb_status pb_tokenizer_parse_json(struct pb_tokenizer *t, const char *name, const unsigned char *data, size_t size, struct pb_error *err)
{
	struct reader r = { .t = t, .name = name, .err = err };
	json_t *root = NULL;
	enum pb_status st = pb_json_parse(&root, name, (const char *)data, size, err);

	if (st)
		return st;
	r.root = root;
	t->format = "tokenizer.json";
	t->unk = -1;
	t->unknown_text = "";
	t->bpe = pb_arena_alloc(t->arena, 1, sizeof(*t->bpe));
	st = t->bpe ? read_model(&r) : pb_out_of_memory(err, name);
	if (!st)
		st = read_added(&r);
	if (!st)
		st = read_steps(&r);
	if (!st)
		st = read_special(&r);
	json_decref(root);
	return st;
}
