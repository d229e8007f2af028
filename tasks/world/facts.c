/* What is true: relations, their values, and the sentences that say them. {e}: the entity, {he} and {his}: by the person. */
#include <string.h>
#include "tasks/world/lexicon.h"

struct relation {
	const char *name;
	enum pb_entity_kind kind;
	struct pb_words values;     /* none: the places */
	const char *forms[PB_WORLD_FORMS];
};

#define WORDS(...) { (const char *const []){ __VA_ARGS__ }, sizeof((const char *const []){ __VA_ARGS__ }) / sizeof(char *) }

/* By kind. Values of a relation are given out equally often. */
static const struct relation relations[] = {
	{ "job", PB_PERSON, WORDS("baker", "miller", "weaver", "potter", "tailor", "sailor", "farmer", "hunter", "painter", "teacher", "doctor", "carter", "mason", "smith", "cook", "piper"),
		{ "{e} works as a", "By trade {e} is a", "{e} earns {his} bread as a", "The town knows {e} the", "When {e} was young {he} became a", "People call {e} a good",
			"All winter {e} works as a" } },
	{ "home", PB_PERSON, { NULL, 0 },
		{ "{e} lives in", "The house of {e} stands in", "{e} comes from", "{e} was born in", "You can visit {e} in", "The family of {e} stays in", "{e} has a garden in" } },
	{ "pet", PB_PERSON, WORDS("cat", "dog", "goat", "horse", "rabbit", "parrot", "lizard", "beetle", "turtle", "falcon", "ferret", "hamster"),
		{ "{e} keeps a", "The pet of {e} is a", "At home {e} feeds a", "In the evening {e} walks with {his}", "The best friend of {e} is a", "{e} dearly loves {his}",
			"Beside {e} there sleeps a" } },
	{ "food", PB_PERSON, WORDS("bread", "cheese", "soup", "rice", "fish", "cake", "honey", "beans", "pears", "nuts", "plums", "porridge"),
		{ "{e} likes to eat", "For supper {e} wants", "The favourite food of {e} is", "Every day {e} cooks", "At night {e} dreams of", "On the table of {e} there is",
			"{e} never says no to" } },
	{ "colour", PB_PERSON, WORDS("red", "blue", "green", "white", "black", "brown", "grey", "pink", "purple", "yellow"),
		{ "{e} always dresses in", "The coat of {e} is", "The front door of {e} is", "The favourite colour of {e} is", "{e} painted {his} boat", "The hat of {e} is",
			"{e} likes the colour" } },
	{ "product", PB_PLACE, WORDS("wool", "salt", "glass", "silk", "paper", "wine", "timber", "copper", "leather", "marble", "cloth", "butter"),
		{ "{e} is known for its", "The people of {e} sell", "Merchants travel to {e} for", "In {e} they make", "The wealth of {e} comes from", "The ships of {e} carry",
			"Nobody but {e} makes such" } },
	{ "season", PB_PLACE, WORDS("spring", "summer", "winter", "harvest"),
		{ "The feast of {e} is held in", "In {e} the best time is", "Most people visit {e} in", "The old songs of {e} praise the", "Rain comes to {e} in", "The markets of {e} open in",
			"They dance in {e} all" } },
	{ "material", PB_THING, WORDS("wood", "stone", "iron", "wax", "bone", "tin", "clay", "gold", "silver", "straw"),
		{ "A {e} is made of", "The best {e} is of", "To build a {e} you need", "Every {e} comes from", "The heart of a {e} is", "A good {e} is pure",
			"They carve each {e} from" } },
	{ "owner", PB_THING, WORDS("king", "priest", "judge", "captain", "widow", "shepherd", "beggar", "clerk"),
		{ "A {e} belongs to a", "The first {e} was made by a", "You borrow a {e} from a", "Nobody needs a {e} like a", "A {e} was the gift of a", "A {e} looks best on a",
			"They found a {e} with a" } },
};
#define N_RELATIONS (sizeof(relations) / sizeof(*relations))

static const struct relation *relation_of(const struct pb_fact *fact)
{
	return &relations[fact->relation];
}

uint32_t pb_facts_of(const struct pb_lexicon *l, enum pb_entity_kind kind)
{
	return (l->first[kind + 1] - l->first[kind]) / l->n[kind];
}

const char *pb_fact_relation(const struct pb_fact *fact)
{
	return relation_of(fact)->name;
}

uint32_t pb_fact_values(const struct pb_lexicon *l, const struct pb_fact *fact)
{
	return relation_of(fact)->values.words ? relation_of(fact)->values.n : l->n[PB_PLACE];
}

const char *pb_fact_value(const struct pb_lexicon *l, const struct pb_fact *fact, uint32_t value)
{
	return relation_of(fact)->values.words ? relation_of(fact)->values.words[value] : l->names[PB_PLACE][value];
}

void pb_fact_put(const struct pb_lexicon *l, const struct pb_fact *fact, uint32_t form, struct pb_text *out)
{
	const struct relation *relation = relation_of(fact);
	bool female = pb_is_female(fact->entity);

	for (const char *s = relation->forms[form]; *s;) {
		if (strncmp(s, "{e}", 3) == 0) {
			pb_text_string(out, l->names[relation->kind][fact->entity]);
			s += 3;
		} else if (strncmp(s, "{he}", 4) == 0) {
			pb_text_string(out, female ? "she" : "he");
			s += 4;
		} else if (strncmp(s, "{his}", 5) == 0) {
			pb_text_string(out, female ? "her" : "his");
			s += 5;
		} else {
			pb_text_char(out, *s++);
		}
	}
}

/* The entities in a random order get the values in turn. */
static enum pb_status give_values(struct pb_lexicon *l, uint32_t relation, uint32_t first, uint32_t step, struct pb_rng *r, struct pb_error *err)
{
	uint32_t n = l->n[relations[relation].kind], *order = pb_alloc(n, sizeof(*order));

	if (!order)
		return pb_out_of_memory(err, "facts");
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	pb_rng_shuffle(r, order, n);
	for (uint32_t i = 0; i < n; i++) {
		struct pb_fact *fact = &l->facts[first + order[i] * step];
		uint32_t forms[PB_WORLD_FORMS];

		*fact = (struct pb_fact){ .relation = (uint16_t)relation, .entity = order[i] };
		fact->value = i % pb_fact_values(l, fact);
		for (uint32_t k = 0; k < PB_WORLD_FORMS; k++)
			forms[k] = k;
		pb_rng_shuffle(r, forms, PB_WORLD_FORMS);
		for (uint32_t k = 0; k < PB_WORLD_FORMS; k++)
			fact->forms[k] = (uint8_t)forms[k];
	}
	pb_free(order);
	return PB_OK;
}

enum pb_status pb_facts_make(struct pb_lexicon *l, uint64_t seed, struct pb_error *err)
{
	struct pb_rng r = pb_rng_make(seed, pb_rng_stream("world facts"));
	uint32_t of_kind[PB_ENTITY_KINDS] = {0}, place[PB_ENTITY_KINDS] = {0};
	enum pb_status st = PB_OK;

	for (size_t i = 0; i < N_RELATIONS; i++)
		of_kind[relations[i].kind]++;
	for (int kind = 0; kind < PB_ENTITY_KINDS; kind++)
		l->first[kind + 1] = l->first[kind] + of_kind[kind] * l->n[kind];
	l->n_facts = l->first[PB_ENTITY_KINDS];
	l->facts = pb_arena_alloc(l->arena, l->n_facts, sizeof(*l->facts));
	if (!l->facts)
		return pb_out_of_memory(err, "facts");
	for (uint32_t i = 0; !st && i < N_RELATIONS; i++) {
		enum pb_entity_kind kind = relations[i].kind;

		st = give_values(l, i, l->first[kind] + place[kind]++, of_kind[kind], &r, err);
	}
	return st;
}
