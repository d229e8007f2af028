/* Cutting a normalised text into pieces: by merges (BPE), by the best path (unigram), by characters. */
#include <string.h>
#include "core/model/merge_heap.h"
#include "core/model/tokenizer_kind.h"

/* A stretch of the text; symbols form a list, merged ones have length 0. */
struct symbol {
	uint32_t start, length;
	int32_t before, after;
	int32_t id;             /* piece, -1: none, or its bytes */
	bool frozen;            /* never merged */
};

struct merger {
	const struct pb_tokenizer *t;
	const char *text;
	struct symbol *symbols;
	uint32_t n;
	struct pb_merge_heap heap;      /* a merge's `a` is the right symbol's place, `b` the bytes of both */
	uint32_t *split;        /* [pieces], bytes of the left part that an unused piece was last made of; NULL when there is no unused piece */
};

/* The pair (left, right) when the two together are a piece. */
static enum pb_status consider(struct merger *m, int32_t left, int32_t right, struct pb_error *err)
{
	const struct symbol *a, *b;
	int32_t id;

	if (left < 0 || right < 0)
		return PB_OK;
	a = &m->symbols[left];
	b = &m->symbols[right];
	if (a->frozen || b->frozen || (uint64_t)a->length + b->length > m->t->longest)
		return PB_OK;
	id = pb_tokenizer_lookup(m->t, m->text + a->start, a->length + b->length);
	if (id < 0)
		return PB_OK;
	if (m->split && m->t->pieces[id].type == PB_PIECE_UNUSED)
		m->split[id] = a->length;
	return pb_merge_push(&m->heap, (struct pb_merge){ m->t->pieces[id].score, (uint32_t)left, (uint32_t)right, a->length + b->length, id }, err);
}

/* The end of the character at s. llama2.c goes by the bits of the bytes alone: one byte, and up to three that continue it. */
static const char *character_end(const struct pb_tokenizer *t, const char *s, const char *end)
{
	if (t->bytes_before_merges) {
		const char *last = end - s > 4 ? s + 4 : end;

		for (s++; s < last && ((unsigned char)*s & 0xC0) == 0x80;)
			s++;
	} else {
		pb_utf8_next(&s, end);
	}
	return s;
}

static void first_symbols(struct merger *m, size_t n)
{
	const char *s = m->text, *end = s + n;

	while (s < end) {
		struct symbol *y = &m->symbols[m->n];
		const char *from = s;
		int32_t id = -1;
		size_t user = pb_tokenizer_user_piece(m->t, s, (size_t)(end - s), &id);

		if (user)
			s += user;
		else if (m->t->bytes_before_merges && m->n == 0)
			s++; /* the blank in front, to which no byte of the text belongs */
		else
			s = character_end(m->t, s, end);
		if (!user)
			id = pb_tokenizer_lookup(m->t, from, (size_t)(s - from));
		*y = (struct symbol){ .start = (uint32_t)(from - m->text), .length = (uint32_t)(s - from), .before = (int32_t)m->n - 1, .after = (int32_t)m->n + 1, .id = id,
			.frozen = user > 0 || (id < 0 && m->t->bytes_before_merges) };
		m->n++;
	}
	if (m->n)
		m->symbols[m->n - 1].after = -1;
}

static enum pb_status merge_all(struct merger *m, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (uint32_t i = 0; !st && i + 1 < m->n; i++)
		st = consider(m, (int32_t)i, (int32_t)i + 1, err);
	while (!st && m->heap.n) {
		struct pb_merge c = pb_merge_pop(&m->heap);
		struct symbol *a = &m->symbols[c.at], *b = &m->symbols[c.a];

		/* Out of date: one of the two has been merged since. */
		if (a->length == 0 || b->length == 0 || a->length + b->length != c.b)
			continue;
		a->length = c.b;
		a->id = c.id;
		a->after = b->after;
		if (b->after >= 0)
			m->symbols[b->after].before = (int32_t)c.at;
		b->length = 0;
		st = consider(m, a->before, (int32_t)c.at, err);
		if (!st)
			st = consider(m, (int32_t)c.at, a->after, err);
	}
	return st;
}

/* A piece marked as unused goes back to the parts that it was made of, again and again. */
static enum pb_status add_piece(const struct merger *m, const char *text, size_t n, int32_t id, size_t first, struct pb_ids *ids, struct pb_error *err)
{
	enum pb_status st;
	size_t cut;

	if (id < 0)
		return pb_ids_add_unknown(m->t, text, n, first, ids, err);
	cut = m->split && m->t->pieces[id].type == PB_PIECE_UNUSED ? m->split[id] : 0;
	if (cut == 0 || cut >= n)
		return pb_ids_add(ids, id, err);
	st = add_piece(m, text, cut, pb_tokenizer_lookup(m->t, text, cut), first, ids, err);
	return st ? st : add_piece(m, text + cut, n - cut, pb_tokenizer_lookup(m->t, text + cut, n - cut), first, ids, err);
}

enum pb_status pb_segment_bpe(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err)
{
	struct merger m = { .t = t, .text = text };
	size_t first = ids->n;
	enum pb_status st;

	m.symbols = pb_alloc(n + 1, sizeof(*m.symbols));
	if (t->has_unused)
		m.split = pb_alloc_zero(t->n, sizeof(*m.split));
	if (!m.symbols || (t->has_unused && !m.split)) {
		pb_free(m.symbols);
		pb_free(m.split);
		return pb_out_of_memory(err, "a text");
	}
	first_symbols(&m, n);
	st = merge_all(&m, err);
	for (int32_t i = m.n ? 0 : -1; !st && i >= 0; i = m.symbols[i].after)
		st = add_piece(&m, text + m.symbols[i].start, m.symbols[i].length, m.symbols[i].id, first, ids, err);
	pb_merge_heap_free(&m.heap);
	pb_free(m.split);
	pb_free(m.symbols);
	return st;
}

enum pb_status pb_segment_char(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err)
{
	const char *s = text, *end = s + n;
	size_t first = ids->n;
	enum pb_status st = PB_OK;

	while (!st && s < end) {
		const char *from = s;
		int32_t id;
		size_t user = pb_tokenizer_user_piece(t, s, (size_t)(end - s), &id);

		s = user ? s + user : character_end(t, s, end);
		id = pb_tokenizer_lookup(t, from, (size_t)(s - from));
		st = id >= 0 ? pb_ids_add(ids, id, err) : pb_ids_add_unknown(t, from, (size_t)(s - from), first, ids, err);
	}
	return st;
}

/* The best way to each byte: where its last piece begins, and which it is. */
struct step {
	float score;
	uint32_t from;
	int32_t id;
	bool reached;
};

/* Sums are kept in single precision and compared in double, but for the unknown; so SentencePiece does, and ties come out as there. */
static void reach(struct step *to, double score, uint32_t from, int32_t id)
{
	if (to->reached && !(score > to->score))
		return;
	*to = (struct step){ (float)score, from, id, true };
}

/* Takes all pieces that begin at byte i; returns where the next character begins. */
static uint32_t step_from(const struct pb_tokenizer *t, const char *text, size_t n, uint32_t i, struct step *steps)
{
	struct pb_prefixes prefixes = { t, t->sorted_pieces, 0, t->n_sorted, text + i, n - i, 0 };
	size_t character = (size_t)(character_end(t, text + i, text + n) - (text + i));
	bool single = false;

	for (int32_t id; (id = pb_prefixes_next(&prefixes)) >= 0;) {
		double score = t->pieces[id].score;

		if (t->pieces[id].type == PB_PIECE_UNUSED)
			continue;
		if (t->pieces[id].type == PB_PIECE_USER)
			score = (double)((float)prefixes.length * t->highest) - 0.1;
		single = single || prefixes.length == character;
		reach(&steps[i + prefixes.length], score + steps[i].score, i, id);
	}
	if (!single) {
		float unknown = t->lowest - 10.0f + steps[i].score;

		reach(&steps[i + character], unknown, i, -1);
	}
	return i + (uint32_t)character;
}

enum pb_status pb_segment_unigram(const struct pb_tokenizer *t, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err)
{
	struct step *steps;
	uint32_t *ends;
	size_t n_ends = 0, first = ids->n;
	enum pb_status st = PB_OK;

	steps = pb_alloc_zero(n + 1, sizeof(*steps));
	ends = pb_alloc(n + 1, sizeof(*ends));
	if (!steps || !ends)
		st = pb_out_of_memory(err, "a text");
	if (!st) {
		steps[0].reached = true;
		for (uint32_t i = 0; i < n;)
			i = step_from(t, text, n, i, steps);
		for (uint32_t i = (uint32_t)n; i > 0; i = steps[i].from)
			ends[n_ends++] = i;
	}
	while (!st && n_ends > 0) {
		const struct step *step = &steps[ends[--n_ends]];

		st = step->id >= 0 ? pb_ids_add(ids, step->id, err) : pb_ids_add_unknown(t, text + step->from, ends[n_ends] - step->from, first, ids, err);
	}
	pb_free(steps);
	pb_free(ends);
	return st;
}
