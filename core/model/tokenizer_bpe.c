/* Byte-level BPE at work. What is no UTF-8 in a text is a piece of its own and reaches the merges as its bytes, so that every
 * text comes back from its ids. */
#include "core/model/merge_heap.h"
#include "core/model/tokenizer_bpe.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define MAX_PATTERN 65536u

/* The property White_Space, which is what \s means to the reference; PCRE2's \s is another set. */
#define SPACES "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

static bool is_space(uint32_t c)
{
	return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028
		|| c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool stands_for_itself(uint32_t c)
{
	return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

uint32_t pb_byte_character(unsigned char byte)
{
	uint32_t c = 0x100;

	if (stands_for_itself(byte))
		return byte;
	for (uint32_t b = 0; b < byte; b++)
		c += !stands_for_itself(b);
	return c;
}

int pb_character_byte(uint32_t character)
{
	uint32_t c = 0x100;

	if (stands_for_itself(character))
		return (int)character;
	for (uint32_t b = 0; b < 256; b++)
		if (!stands_for_itself(b) && c++ == character)
			return (int)b;
	return -1;
}

/* ---- regular expressions ---- */

static void *allocate(size_t n, void *arg)
{
	(void)arg;
	return pb_alloc(n, 1);
}

static void release(void *p, void *arg)
{
	(void)arg;
	pb_free(p);
}

/* The pattern with \s and \S spelled out. */
static enum pb_status translate(const char *pattern, struct pb_text *out, struct pb_error *err)
{
	bool in_class = false;

	for (const char *s = pattern; *s; s++) {
		if (*s == '\\' && s[1] == 's') {
			pb_text_string(out, in_class ? SPACES : "[" SPACES "]");
			s++;
		} else if (*s == '\\' && s[1] == 'S') {
			if (in_class)
				return pb_fail(err, PB_UNSUPPORTED, "the pattern '%.200s' has \\S in a class of characters, which is not done", pattern);
			pb_text_string(out, "[^" SPACES "]");
			s++;
		} else if (*s == '\\' && s[1]) {
			pb_text_bytes(out, s++, 2);
		} else {
			if (*s == '[')
				in_class = true;
			else if (*s == ']')
				in_class = false;
			pb_text_char(out, *s);
		}
	}
	return pb_text_check(out, err);
}

static enum pb_status compile(pcre2_code **code, const char *pattern, const struct pb_text *text, struct pb_error *err)
{
	pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
	pcre2_compile_context *limits = memory ? pcre2_compile_context_create(memory) : NULL;
	PCRE2_SIZE at = 0;
	int number = PCRE2_ERROR_NOMEMORY;
	enum pb_status st = PB_OK;

	*code = NULL;
	if (limits) {
		pcre2_set_max_pattern_length(limits, MAX_PATTERN);
		*code = pcre2_compile((PCRE2_SPTR)pb_text_c(text), text->length, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &number, &at, limits);
	}
	if (!*code && (!limits || number == PCRE2_ERROR_NOMEMORY || number == PCRE2_ERROR_HEAP_FAILED)) {
		st = pb_out_of_memory(err, "a pattern");
	} else if (!*code) {
		PCRE2_UCHAR why[128] = "";

		pcre2_get_error_message(number, why, sizeof(why));
		st = pb_fail(err, PB_FORMAT, "the pattern '%.200s' does not compile: %s", pattern, (const char *)why);
	}
	pcre2_compile_context_free(limits);
	pcre2_general_context_free(memory);
	return st;
}

enum pb_status pb_bpe_add_split(struct pb_bpe *bpe, const char *pattern, bool removed, bool invert, struct pb_error *err)
{
	struct pb_text text = {0};
	pcre2_code *code = NULL;
	enum pb_status st;

	if (bpe->n_splits == PB_BPE_MAX_SPLITS)
		return pb_fail(err, PB_LIMIT, "more than %d steps cut the text", PB_BPE_MAX_SPLITS);
	st = translate(pattern, &text, err);
	if (!st)
		st = compile(&code, pattern, &text, err);
	pb_text_free(&text);
	if (st)
		return st;
	/* Without machine code (not on every processor) the expression is interpreted. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	bpe->splits[bpe->n_splits++] = (struct pb_bpe_split){ code, removed, invert };
	return PB_OK;
}

void pb_bpe_free(struct pb_bpe *bpe)
{
	for (uint32_t i = 0; bpe && i < bpe->n_splits; i++)
		pcre2_code_free(bpe->splits[i].code);
}

void pb_tokenizer_use_jit(struct pb_tokenizer *t, bool on)
{
	if (t->bpe)
		t->bpe->no_jit = !on;
}

/* ---- cutting ---- */

struct cutter {
	const struct pb_bpe *bpe;
	pcre2_match_data *found[PB_BPE_MAX_SPLITS];
	struct pb_text normal;
	pb_bpe_emit emit;
	void *arg;
};

static enum pb_status cut(struct cutter *c, uint32_t step, const char *s, size_t n, struct pb_error *err);

static enum pb_status part(struct cutter *c, uint32_t step, bool matches, const char *s, size_t n, struct pb_error *err)
{
	const struct pb_bpe_split *split = &c->bpe->splits[step];

	if (n == 0 || (split->removed && matches != split->invert))
		return PB_OK;
	return cut(c, step + 1, s, n, err);
}

/* s: well-formed. */
static enum pb_status cut(struct cutter *c, uint32_t step, const char *s, size_t n, struct pb_error *err)
{
	const struct pb_bpe_split *split = &c->bpe->splits[step];
	uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY | (c->bpe->no_jit ? PCRE2_NO_JIT : 0);
	size_t done = 0;
	enum pb_status st = PB_OK;

	if (step == c->bpe->n_splits)
		return c->emit(c->arg, -1, s, n, err);
	while (!st && done < n) {
		const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(c->found[step]);
		int got = pcre2_match(split->code, (PCRE2_SPTR)s, n, done, options, c->found[step], NULL);
		size_t from, to;

		/* Machine code has a small stack of its own. */
		if (got == PCRE2_ERROR_JIT_STACKLIMIT)
			got = pcre2_match(split->code, (PCRE2_SPTR)s, n, done, options | PCRE2_NO_JIT, c->found[step], NULL);
		if (got == PCRE2_ERROR_NOMATCH)
			break;
		if (got == PCRE2_ERROR_NOMEMORY)
			return pb_out_of_memory(err, "matching");
		if (got < 0)
			return pb_fail(err, PB_LIMIT, "the tokenizer's pattern gives up on a text (PCRE2 error %d)", got);
		from = ends[0];
		to = ends[1];
		/* \K may move the beginning anywhere. */
		if (from < done || to <= from || to > n)
			return pb_fail(err, PB_UNSUPPORTED, "the tokenizer's pattern moves the beginning of its match, which is not done");
		st = part(c, step, false, s + done, from - done, err);
		if (!st)
			st = part(c, step, true, s + from, to - from, err);
		done = to;
	}
	return st ? st : part(c, step, false, s + done, n - done, err);
}

/* The first added token at or behind `at`: leftmost, then longest. Returns where it begins, n: none. */
static size_t find_added(const struct pb_bpe *bpe, int stage, const char *s, size_t n, size_t at, const struct pb_bpe_added **out)
{
	for (; bpe->n_added[stage] && at < n; at++) {
		*out = NULL;
		if (!bpe->begins[stage][(unsigned char)s[at]])
			continue;
		for (uint32_t i = 0; i < bpe->n_added[stage]; i++) {
			const struct pb_bpe_added *a = &bpe->added[stage][i];

			if (a->length <= n - at && (!*out || a->length > (*out)->length) && memcmp(s + at, a->text, a->length) == 0)
				*out = a;
		}
		if (*out)
			return at;
	}
	*out = NULL;
	return n;
}

static size_t spaces_before(const char *s, size_t from, size_t to)
{
	while (to > from) {
		size_t start = to - 1;
		const char *p;

		while (start > from && ((unsigned char)s[start] & 0xC0) == 0x80)
			start--;
		p = s + start;
		if (!is_space(pb_utf8_next(&p, s + to)) || p != s + to)
			break;
		to = start;
	}
	return to;
}

static size_t spaces_behind(const char *s, size_t from, size_t n)
{
	while (from < n) {
		const char *p = s + from;

		if (!is_space(pb_utf8_next(&p, s + n)))
			break;
		from = (size_t)(p - s);
	}
	return from;
}

typedef enum pb_status (*between_fn)(struct cutter *c, const char *s, size_t n, struct pb_error *err);

static enum pb_status cut_at_added(struct cutter *c, int stage, const char *s, size_t n, between_fn between, struct pb_error *err)
{
	const struct pb_bpe_added *a;
	size_t done = 0;
	enum pb_status st = PB_OK;

	while (!st && done < n) {
		size_t from = find_added(c->bpe, stage, s, n, done, &a), to;

		if (!a)
			break;
		to = from + a->length;
		if (a->strip_left)
			from = spaces_before(s, done, from);
		if (a->strip_right)
			to = spaces_behind(s, to, n);
		if (from > done)
			st = between(c, s + done, from - done, err);
		if (!st)
			st = c->emit(c->arg, a->id, NULL, 0, err);
		done = to;
	}
	return st || done == n ? st : between(c, s + done, n - done, err);
}

static enum pb_status cut_normal(struct cutter *c, const char *s, size_t n, struct pb_error *err)
{
	struct pb_text text = {0};
	enum pb_status st;

	if (!c->bpe->prefix_space || s[0] == ' ')
		return cut(c, 0, s, n, err);
	pb_text_char(&text, ' ');
	pb_text_bytes(&text, s, n);
	st = pb_text_check(&text, err);
	if (!st)
		st = cut(c, 0, text.data, text.length, err);
	pb_text_free(&text);
	return st;
}

static bool is_ascii(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= 0x80)
			return false;
	return true;
}

/* A well-formed stretch; ASCII is in every normal form. */
static enum pb_status normalise(struct cutter *c, const char *s, size_t n, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	if (c->bpe->n_forms == 0 || is_ascii(s, n))
		return cut_at_added(c, 1, s, n, cut_normal, err);
	pb_text_clear(&c->normal);
	pb_text_bytes(&c->normal, s, n);
	for (uint32_t i = 0; !st && i < c->bpe->n_forms; i++) {
		utf8proc_uint8_t *out = NULL;
		utf8proc_ssize_t got = utf8proc_map((const utf8proc_uint8_t *)pb_text_c(&c->normal), (utf8proc_ssize_t)c->normal.length, &out, (utf8proc_option_t)c->bpe->forms[i]);

		if (got == UTF8PROC_ERROR_NOMEM)
			return pb_out_of_memory(err, "normalisation");
		if (got < 0)
			return pb_fail(err, PB_FAILED, "normalisation: %s", utf8proc_errmsg(got));
		pb_text_clear(&c->normal);
		pb_text_bytes(&c->normal, out, (size_t)got);
		free(out);
		st = pb_text_check(&c->normal, err);
	}
	return st || !c->normal.length ? st : cut_at_added(c, 1, c->normal.data, c->normal.length, cut_normal, err);
}

/* Stretches of UTF-8, and bytes that are none. */
static enum pb_status cut_raw(struct cutter *c, const char *s, size_t n, struct pb_error *err)
{
	const char *end = s + n, *good = s, *at = s;
	enum pb_status st = PB_OK;

	while (!st && at < end) {
		const char *from = at;

		if (pb_utf8_next(&at, end) != 0xFFFD || at - from != 1)
			continue;
		while (at < end) {
			const char *next = at;

			if (pb_utf8_next(&next, end) != 0xFFFD || next - at != 1)
				break;
			at = next;
		}
		if (from > good)
			st = normalise(c, good, (size_t)(from - good), err);
		if (!st)
			st = c->emit(c->arg, -1, from, (size_t)(at - from), err);
		good = at;
	}
	return st || good == end ? st : normalise(c, good, (size_t)(end - good), err);
}

enum pb_status pb_bpe_pieces(const struct pb_bpe *bpe, const char *text, size_t n, pb_bpe_emit emit, void *arg, struct pb_error *err)
{
	struct cutter c = { .bpe = bpe, .emit = emit, .arg = arg };
	enum pb_status st = PB_OK;

	for (uint32_t i = 0; i < bpe->n_splits; i++) {
		c.found[i] = pcre2_match_data_create_from_pattern(bpe->splits[i].code, NULL);
		if (!c.found[i])
			st = pb_out_of_memory(err, "matching");
	}
	if (!st)
		st = cut_at_added(&c, 0, text, n, cut_raw, err);
	for (uint32_t i = 0; i < bpe->n_splits; i++)
		pcre2_match_data_free(c.found[i]);
	pb_text_free(&c.normal);
	return st;
}

/* ---- merging ---- */

const struct pb_bpe_merge *pb_bpe_find(const struct pb_bpe *bpe, uint32_t left, uint32_t right)
{
	uint32_t mask = bpe->table_size - 1, at = ((left * 0x9E3779B1u) ^ (right * 0x85EBCA77u)) >> 7 & mask;

	for (; bpe->merges[at].rank != UINT32_MAX; at = (at + 1) & mask)
		if (bpe->merges[at].left == left && bpe->merges[at].right == right)
			return &bpe->merges[at];
	return NULL;
}

struct symbol {
	int32_t id;             /* -1: merged into the one before */
	int32_t before, after;
};

struct merger {
	const struct pb_tokenizer *t;
	struct pb_ids *ids;
	struct symbol *symbols;
	size_t capacity;        /* symbols */
	struct pb_merge_heap heap; /* a merge's `a` and `b` are the ids of the two */
};

static enum pb_status consider(struct merger *m, int32_t left, int32_t right, struct pb_error *err)
{
	const struct pb_bpe_merge *merge;

	if (left < 0 || right < 0)
		return PB_OK;
	merge = pb_bpe_find(m->t->bpe, (uint32_t)m->symbols[left].id, (uint32_t)m->symbols[right].id);
	/* Ranks are below 2^24: exact as a float. */
	return merge ? pb_merge_push(&m->heap, (struct pb_merge){ -(float)merge->rank, (uint32_t)left, merge->left, merge->right, merge->id }, err) : PB_OK;
}

static enum pb_status make_room(struct merger *m, size_t n, struct pb_error *err)
{
	size_t capacity = m->capacity ? m->capacity : 64;

	if (n <= m->capacity)
		return PB_OK;
	while (capacity < n)
		capacity *= 2;
	pb_free(m->symbols);
	m->capacity = 0;
	m->symbols = pb_alloc(capacity, sizeof(*m->symbols));
	if (!m->symbols)
		return pb_out_of_memory(err, "merges");
	m->capacity = capacity;
	return PB_OK;
}

static enum pb_status merge_all(struct merger *m, size_t n, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i + 1 < n; i++)
		st = consider(m, (int32_t)i, (int32_t)i + 1, err);
	while (!st && m->heap.n) {
		struct pb_merge c = pb_merge_pop(&m->heap);
		struct symbol *a = &m->symbols[c.at], *b;

		/* Out of date: one of the two has been merged since. */
		if (a->id != (int32_t)c.a || a->after < 0 || m->symbols[a->after].id != (int32_t)c.b)
			continue;
		b = &m->symbols[a->after];
		a->id = c.id;
		b->id = -1;
		a->after = b->after;
		if (a->after >= 0)
			m->symbols[a->after].before = (int32_t)c.at;
		st = consider(m, a->before, (int32_t)c.at, err);
		if (!st)
			st = consider(m, (int32_t)c.at, a->after, err);
	}
	return st;
}

static enum pb_status merge_piece(void *arg, int32_t added, const char *piece, size_t n, struct pb_error *err)
{
	struct merger *m = arg;
	enum pb_status st;
	int32_t whole;

	if (added >= 0)
		return pb_ids_add(m->ids, added, err);
	if (m->t->bpe->ignore_merges && (whole = pb_tokenizer_lookup(m->t, piece, n)) >= 0)
		return pb_ids_add(m->ids, whole, err);
	st = make_room(m, n, err);
	if (st)
		return st;
	for (size_t i = 0; i < n; i++) {
		unsigned char byte = (unsigned char)piece[i];

		if (m->t->byte_id[byte] < 0)
			return pb_fail(err, PB_FORMAT, "the text has the byte 0x%02X, for which the tokenizer has no token", byte);
		m->symbols[i] = (struct symbol){ m->t->byte_id[byte], (int32_t)i - 1, i + 1 < n ? (int32_t)i + 1 : -1 };
	}
	st = merge_all(m, n, err);
	for (int32_t i = 0; !st && i >= 0; i = m->symbols[i].after)
		st = pb_ids_add(m->ids, m->symbols[i].id, err);
	return st;
}

enum pb_status pb_bpe_encode(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err)
{
	struct merger m = { .t = t, .ids = ids };
	enum pb_status st = pb_bpe_pieces(t->bpe, text, n, merge_piece, &m, err);

	pb_free(m.symbols);
	pb_merge_heap_free(&m.heap);
	return st;
}
