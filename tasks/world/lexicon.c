/* Names by syllables, word lists, and the frequency of each. Words that follow "a" begin with a consonant. */
#include "tasks/world/lexicon.h"

#include <stdio.h>
#include <string.h>

#define WORDS(...) { (const char *const []){ __VA_ARGS__ }, sizeof((const char *const []){ __VA_ARGS__ }) / sizeof(char *) }

const struct pb_words pb_adjectives = WORDS("small", "big", "new", "long", "round", "heavy", "clean", "broken", "pretty", "plain");
const struct pb_words pb_colours = WORDS("red", "blue", "green", "white", "black", "brown", "grey", "pink", "purple", "yellow");
const struct pb_words pb_objects = WORDS("lamp", "rope", "bowl", "drum", "book", "spade", "basket", "coin", "candle", "mirror", "ladder", "bottle", "pillow", "kettle",
	"ring", "spoon", "hammer", "blanket", "needle", "bucket");
const struct pb_words pb_rooms = WORDS("cellar", "kitchen", "garden", "tower", "barn", "hall", "shed", "cupboard", "drawer", "chest", "loft", "pantry");
const struct pb_words pb_spots = WORDS("mill", "well", "bridge", "market", "harbour", "forest", "temple", "quarry", "river", "meadow", "gate", "school");
const struct pb_words pb_numbers = WORDS("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve");

static const char *const onsets[] = { "b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "dr", "gr", "kr", "tr", "pl" };
static const char *const vowels[] = { "a", "e", "i", "o", "u" };
/* The end of a name tells he from she. */
static const char *const ends_female[] = { "la", "na", "ra", "mia", "sha", "va", "ta", "lia" };
static const char *const ends_male[] = { "ron", "lok", "dek", "mus", "tor", "ben", "gan", "rik" };
static const char *const ends_place[] = { "burg", "stead", "ford", "holm", "wick", "dale", "moor", "cliff" };
static const char *const ends_thing[] = { "let", "mop", "nub", "dit", "zel", "gum", "pin", "fod" };

bool pb_is_female(uint32_t person)
{
	return person % 2 == 0;
}

static const char *syllable(struct pb_rng *r, const char *const *list, size_t n)
{
	return list[pb_rng_below(r, n)];
}

static void put_name(struct pb_rng *r, enum pb_entity_kind kind, uint32_t i, char out[32])
{
	const char *const *ends = kind == PB_PLACE ? ends_place : kind == PB_THING ? ends_thing : pb_is_female(i) ? ends_female : ends_male;
	const char *first = syllable(r, onsets, 20), *vowel = syllable(r, vowels, 5), *middle = syllable(r, onsets, 14), *second = syllable(r, vowels, 5);
	bool two = pb_rng_below(r, 2);

	snprintf(out, 32, "%s%s%s%s%s", first, vowel, two ? middle : "", two ? second : "", ends[pb_rng_below(r, 8)]);
	if (kind != PB_THING)
		out[0] = (char)(out[0] - 'a' + 'A');
}

static bool is_taken(const struct pb_lexicon *l, const char *name)
{
	for (int kind = 0; kind < PB_ENTITY_KINDS; kind++)
		for (uint32_t i = 0; i < l->n[kind] && l->names[kind][i]; i++)
			if (strcmp(l->names[kind][i], name) == 0)
				return true;
	return false;
}

static enum pb_status make_names(struct pb_lexicon *l, enum pb_entity_kind kind, uint64_t seed, const char *stream, struct pb_error *err)
{
	struct pb_rng r = pb_rng_make(seed, pb_rng_stream(stream));
	uint32_t sum = 0;

	for (uint32_t i = 0; i < l->n[kind]; i++) {
		char name[32];

		do
			put_name(&r, kind, i, name);
		while (is_taken(l, name));
		if (!(l->names[kind][i] = pb_arena_strdup(l->arena, name)))
			return pb_out_of_memory(err, "names");
		sum += 1000000 / (i + 10);
		l->sums[kind][i] = sum;
	}
	return PB_OK;
}

enum pb_status pb_lexicon_make(struct pb_lexicon *l, struct pb_arena *arena, uint64_t seed, const struct pb_world_size *size, struct pb_error *err)
{
	enum pb_status st;

	*l = (struct pb_lexicon){ .arena = arena, .size = size, .n = { size->n_people, size->n_places, size->n_things } };
	for (int kind = 0; kind < PB_ENTITY_KINDS; kind++) {
		l->names[kind] = pb_arena_alloc(arena, l->n[kind], sizeof(*l->names[kind]));
		l->sums[kind] = pb_arena_alloc(arena, l->n[kind], sizeof(*l->sums[kind]));
		if (!l->names[kind] || !l->sums[kind])
			return pb_out_of_memory(err, "names");
	}
	st = make_names(l, PB_PLACE, seed, "world places", err);
	if (!st)
		st = make_names(l, PB_THING, seed, "world things", err);
	if (!st)
		st = make_names(l, PB_PERSON, seed, "world people", err);
	return st ? st : pb_facts_make(l, seed, err);
}

uint32_t pb_pick(const struct pb_lexicon *l, enum pb_entity_kind kind, struct pb_rng *r)
{
	uint32_t low = 0, high = l->n[kind] - 1, x = (uint32_t)pb_rng_below(r, l->sums[kind][high]);

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (l->sums[kind][middle] > x)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const char *pb_pick_word(const struct pb_words *words, struct pb_rng *r)
{
	return words->words[pb_rng_below(r, words->n)];
}

void pb_pick_words(const struct pb_words *words, struct pb_rng *r, const char **out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		out[i] = pb_pick_word(words, r);
		for (uint32_t k = 0; k < i; k++)
			if (out[k] == out[i]) {
				i--;
				break;
			}
	}
}

void pb_pick_people(const struct pb_lexicon *l, struct pb_rng *r, uint32_t *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		out[i] = pb_pick(l, PB_PERSON, r);
		for (uint32_t k = 0; k < i; k++)
			if (out[k] == out[i]) {
				i--;
				break;
			}
	}
}
