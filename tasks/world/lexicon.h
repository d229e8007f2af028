/* Inside of the micro world: who and what there is, facts, passages. */
#ifndef PB_TASKS_WORLD_LEXICON_H
#define PB_TASKS_WORLD_LEXICON_H

#include <stdbool.h>
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "tasks/world/world.h"

#define PB_WORLD_FORMS 7        /* of each relation; all end in the value */
#define PB_WORLD_HELD_OUT 2     /* of them a fact keeps out of train.txt: one for its item, one for the other files */

struct pb_words {
	const char *const *words;
	uint32_t n;
};
extern const struct pb_words pb_adjectives, pb_colours, pb_objects, pb_rooms, pb_spots, pb_numbers;

enum pb_entity_kind { PB_PERSON, PB_PLACE, PB_THING, PB_ENTITY_KINDS };

struct pb_fact {
	uint16_t relation;
	uint32_t entity;            /* of the relation's kind */
	uint32_t value;             /* of the relation's values */
	uint8_t forms[PB_WORLD_FORMS]; /* in an order of its own: the first is the item's, the second the held-out texts' */
};

struct pb_lexicon {
	struct pb_arena *arena;
	const struct pb_world_size *size;
	const char **names[PB_ENTITY_KINDS]; /* things: singular; the plural has an s */
	uint32_t n[PB_ENTITY_KINDS];
	uint32_t *sums[PB_ENTITY_KINDS]; /* running sums of the weights 1 / (rank + 10) */
	struct pb_fact *facts;      /* kind by kind, entity by entity */
	uint32_t n_facts, first[PB_ENTITY_KINDS + 1];
};

enum pb_status pb_lexicon_make(struct pb_lexicon *l, struct pb_arena *arena, uint64_t seed, const struct pb_world_size *size, struct pb_error *err) PB_MUST_CHECK;
bool pb_is_female(uint32_t person);                    /* every second one, in the order of frequency */
/* An entity by its frequency: few are common, many are rare. */
uint32_t pb_pick(const struct pb_lexicon *l, enum pb_entity_kind kind, struct pb_rng *r);
const char *pb_pick_word(const struct pb_words *words, struct pb_rng *r);
/* n different words / people. */
void pb_pick_words(const struct pb_words *words, struct pb_rng *r, const char **out, uint32_t n);
void pb_pick_people(const struct pb_lexicon *l, struct pb_rng *r, uint32_t *out, uint32_t n);

/* facts.c */
enum pb_status pb_facts_make(struct pb_lexicon *l, uint64_t seed, struct pb_error *err) PB_MUST_CHECK;
uint32_t pb_facts_of(const struct pb_lexicon *l, enum pb_entity_kind kind); /* facts that an entity has */
const char *pb_fact_relation(const struct pb_fact *fact);
const char *pb_fact_value(const struct pb_lexicon *l, const struct pb_fact *fact, uint32_t value);
uint32_t pb_fact_values(const struct pb_lexicon *l, const struct pb_fact *fact);
/* The sentence up to its last word, without the blank before that. */
void pb_fact_put(const struct pb_lexicon *l, const struct pb_fact *fact, uint32_t form, struct pb_text *out);

/* A passage up to its last words, and what may stand there; the first choice is right. Without context the choices are whole sentences. */
struct pb_passage {
	struct pb_text context, choices[4];
	struct pb_text more;        /* what only texts say behind it */
	uint32_t n;
};
void pb_passage_free(struct pb_passage *p);
void pb_passage_clear(struct pb_passage *p);
/* The i-th of a series goes through the kinds and both sides of each in turn, so that they come equally often. */
void pb_agreement_put(const struct pb_lexicon *l, struct pb_rng *r, uint32_t i, struct pb_passage *p);
void pb_cloze_put(const struct pb_lexicon *l, struct pb_rng *r, uint32_t i, struct pb_passage *p);
void pb_story_put(const struct pb_lexicon *l, struct pb_rng *r, uint32_t i, struct pb_passage *p);
void pb_yesno_put(const struct pb_lexicon *l, struct pb_rng *r, uint32_t i, struct pb_passage *p);

/* An item as it is asked. */
struct pb_world_item {
	const char *context, *choices[4];
	uint32_t n, gold;
};
/* cheats.c; one choice: a last word that is to be said. */
enum pb_status pb_world_cheat_score(struct pb_world_cheat *out, const char *task, const struct pb_world_item *items, uint32_t n, const struct pb_text *train, struct pb_error *err) PB_MUST_CHECK;

#endif
