/* Scores of those who know nothing: by position, by length, by the frequency of words. Products and not sums of logarithms, so
 * that the numbers are the same on every machine. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tasks/world/lexicon.h"

struct count {
	const char *word;       /* in the text; NULL: a free place */
	size_t length;
	uint32_t n;
};

struct counts {
	struct count *table;
	size_t size, n_words;
};

/* Words end at blanks and stops. */
static size_t next_word(const char **s, const char **word)
{
	*s += strspn(*s, " \n.,:?");
	*word = *s;
	*s += strcspn(*s, " \n.,:?");
	return (size_t)(*s - *word);
}

static struct count *place(const struct counts *c, const char *word, size_t n)
{
	uint64_t h = 14695981039346656037u;
	size_t at;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)word[i]) * 1099511628211u;
	for (at = (size_t)(h >> 20) & (c->size - 1); c->table[at].word; at = (at + 1) & (c->size - 1))
		if (c->table[at].length == n && memcmp(c->table[at].word, word, n) == 0)
			break;
	return &c->table[at];
}

static enum pb_status count_words(struct counts *c, const char *text, struct pb_error *err)
{
	const char *word;
	size_t n, used = 0;

	c->size = 1 << 16;
	c->table = pb_alloc_zero(c->size, sizeof(*c->table));
	if (!c->table)
		return pb_out_of_memory(err, "words");
	while ((n = next_word(&text, &word))) {
		struct count *p = place(c, word, n);

		if (!p->word && 2 * ++used > c->size)
			return pb_fail(err, PB_LIMIT, "world: more than %zu different words", c->size / 2);
		p->word = word;
		p->length = n;
		p->n++;
		c->n_words++;
	}
	return PB_OK;
}

static double likelihood(const struct counts *c, const char *text)
{
	double product = 1;
	const char *word;
	size_t n;

	while ((n = next_word(&text, &word)))
		product *= (double)(place(c, word, n)->n + 1) / (double)(c->n_words + 1);
	return product;
}

/* The share of a guess at the largest value: ties are shared. */
static double largest(const double *values, uint32_t n, uint32_t gold)
{
	double best = values[0];
	uint32_t ties = 0;

	for (uint32_t i = 0; i < n; i++)
		best = values[i] > best ? values[i] : best;
	for (uint32_t i = 0; i < n; i++)
		ties += values[i] == best;
	return values[gold] == best ? 1.0 / ties : 0;
}

static void score_choices(struct pb_world_cheat *out, const struct pb_world_item *items, uint32_t n, const struct counts *c)
{
	double position[4] = {0}, shortest = 0, longest = 0, unigram = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct pb_world_item *item = &items[i];
		double length[4], minus[4], words[4];

		for (uint32_t k = 0; k < item->n; k++) {
			length[k] = (double)strlen(item->choices[k]);
			minus[k] = -length[k];
			words[k] = likelihood(c, item->choices[k]);
		}
		position[item->gold]++;
		longest += largest(length, item->n, item->gold);
		shortest += largest(minus, item->n, item->gold);
		unigram += largest(words, item->n, item->gold);
	}
	out->chance = 1.0 / items[0].n;
	for (int k = 0; k < 4; k++)
		out->position = position[k] / n > out->position ? position[k] / n : out->position;
	out->length = (longest > shortest ? longest : shortest) / n;
	out->unigram = unigram / n;
}

/* A last word: the one that is right most often. */
static void score_words(struct pb_world_cheat *out, const struct pb_world_item *items, uint32_t n)
{
	uint32_t different = 0, most = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t same = 0;
		bool first = true;

		for (uint32_t k = 0; k < n; k++)
			if (strcmp(items[i].choices[0], items[k].choices[0]) == 0) {
				same++;
				first = first && k >= i;
			}
		different += first;
		most = same > most ? same : most;
	}
	out->chance = 1.0 / different;
	out->position = out->length = NAN;
	out->unigram = (double)most / n;
}

enum pb_status pb_world_cheat_score(struct pb_world_cheat *out, const char *task, const struct pb_world_item *items, uint32_t n, const struct pb_text *train, struct pb_error *err)
{
	struct counts c = {0};
	enum pb_status st;

	*out = (struct pb_world_cheat){ .task = task, .n_items = n };
	if (items[0].n == 1) {
		score_words(out, items, n);
		return PB_OK;
	}
	st = count_words(&c, pb_text_c(train), err);
	if (!st)
		score_choices(out, items, n, &c);
	pb_free(c.table);
	return st;
}
