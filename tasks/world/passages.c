/* Passages that end in what is asked: grammar, last words, stories, yes and no. Texts and items are made by the same rules. */
#include <string.h>
#include "tasks/world/lexicon.h"

void pb_passage_free(struct pb_passage *p)
{
	pb_text_free(&p->context);
	pb_text_free(&p->more);
	for (int i = 0; i < 4; i++)
		pb_text_free(&p->choices[i]);
}

void pb_passage_clear(struct pb_passage *p)
{
	pb_text_clear(&p->context);
	pb_text_clear(&p->more);
	for (int i = 0; i < 4; i++)
		pb_text_clear(&p->choices[i]);
	p->n = 0;
}

static void add_choice(struct pb_passage *p, const char *word)
{
	pb_text_string(&p->choices[p->n++], word);
}

static const char *person(const struct pb_lexicon *l, uint32_t i)
{
	return l->names[PB_PERSON][i];
}

/* ---- agreement: two sentences that differ in one word ---- */

void pb_agreement_put(const struct pb_lexicon *l, struct pb_rng *r, uint32_t i, struct pb_passage *p)
{
	bool plural = i / 4 % 2, other_plural = pb_rng_below(r, 2);
	uint32_t noun = pb_pick(l, PB_THING, r), other = pb_pick(l, PB_THING, r), who = pb_pick(l, PB_PERSON, r);
	const char *adjective = pb_pick_word(&pb_adjectives, r), *colour = pb_pick_word(&pb_colours, r), *spot = pb_pick_word(&pb_spots, r);
	const char *things = l->names[PB_THING][noun], *others = l->names[PB_THING][other], *s = plural ? "s" : "", *other_s = other_plural ? "s" : "";
	static const char *const verbs[] = { "shine", "fall", "move", "break", "float" };
	const char *verb = verbs[pb_rng_below(r, 5)], *object = pb_pick_word(&pb_objects, r);

	/* Gender is the person's: take one of the wanted side. */
	while (i % 4 == 3 && pb_is_female(who) != plural)
		who = pb_pick(l, PB_PERSON, r);
	p->n = 2;
	for (uint32_t k = 0; k < 2; k++) {
		bool form = plural == (k == 0);
		struct pb_text *out = &p->choices[k];

		if (i % 4 == 0)
			pb_text_printf(out, "The %s %s%s near the %s%s %s %s.", adjective, things, s, others, other_s, form ? "are" : "is", colour);
		else if (i % 4 == 1)
			pb_text_printf(out, "The %s %s%s by the %s%s %s%s at the %s.", colour, things, s, others, other_s, verb, form ? "" : "s", spot);
		else if (i % 4 == 2)
			pb_text_printf(out, "%s found %s %s %s%s at the %s.", person(l, who), form ? "these" : "this", adjective, things, s, spot);
		else
			pb_text_printf(out, "%s lost %s %s %s %s at the %s.", person(l, who), form ? "her" : "his", adjective, colour, object, spot);
	}
}

/* ---- the last word, given by what comes before ---- */

static void put_in_place(const struct pb_lexicon *l, struct pb_rng *r, bool two, struct pb_passage *p)
{
	const char *objects[2], *rooms[3], *adjective = pb_pick_word(&pb_adjectives, r), *colour = pb_pick_word(&pb_colours, r);
	uint32_t who[2], asked = (uint32_t)pb_rng_below(r, 2);

	pb_pick_people(l, r, who, 2);
	pb_pick_words(&pb_objects, r, objects, 2);
	pb_pick_words(&pb_rooms, r, rooms, 3);
	if (two)
		pb_text_printf(&p->context, "%s put the %s %s in the %s and the %s %s in the %s.", person(l, who[0]), adjective, objects[0], rooms[0], colour, objects[1], rooms[1]);
	else
		pb_text_printf(&p->context, "%s put the %s %s %s in the %s.", person(l, who[0]), adjective, colour, objects[0], rooms[0]);
	if (pb_rng_below(r, 2))
		pb_text_printf(&p->context, " %s slept beside the %s %s in the %s.", person(l, who[1]), pb_pick_word(&pb_colours, r), pb_pick_word(&pb_objects, r), rooms[2]);
	asked = two ? asked : 0;
	if (two)
		pb_text_printf(&p->context, " Later %s found the %s %s in the", person(l, who[0]), asked ? colour : adjective, objects[asked]);
	else
		pb_text_printf(&p->context, " Later %s found the %s %s %s in the", person(l, who[0]), adjective, colour, objects[0]);
	add_choice(p, rooms[asked]);
}

static void put_copy(const struct pb_lexicon *l, struct pb_rng *r, struct pb_passage *p)
{
	const char *words[8];
	uint32_t who[2], n = 5 + (uint32_t)pb_rng_below(r, 4);

	pb_pick_people(l, r, who, 2);
	pb_pick_words(&pb_objects, r, words, n);
	pb_text_printf(&p->context, "%s calls:", person(l, who[0]));
	for (uint32_t i = 0; i < n; i++)
		pb_text_printf(&p->context, " %s%s", words[i], i + 1 < n ? "" : ".");
	pb_text_printf(&p->context, " %s calls back:", person(l, who[1]));
	for (uint32_t i = 0; i + 1 < n; i++)
		pb_text_printf(&p->context, " %s", words[i]);
	add_choice(p, words[n - 1]);
}

/* Two to five words, again and again. */
static void put_pattern(const struct pb_lexicon *l, struct pb_rng *r, struct pb_passage *p)
{
	const char *words[5];
	uint32_t n = 2 + (uint32_t)pb_rng_below(r, 4), said = 3 * n + (uint32_t)pb_rng_below(r, n);

	pb_pick_words(&pb_objects, r, words, n);
	pb_text_printf(&p->context, "At the %s %s sings:", pb_pick_word(&pb_spots, r), person(l, pb_pick(l, PB_PERSON, r)));
	for (uint32_t i = 0; i < said; i++)
		pb_text_printf(&p->context, " %s", words[i % n]);
	add_choice(p, words[said % n]);
}

/* Up or down, by ones or twos; the last number is drawn first, so that all come equally often. */
static void put_count(const struct pb_lexicon *l, struct pb_rng *r, struct pb_passage *p)
{
	int step = pb_rng_below(r, 3) == 0 ? 2 : 1, direction, last = (int)pb_rng_below(r, pb_numbers.n), before = 2 + (int)pb_rng_below(r, 2);

	if (last + step * before >= (int)pb_numbers.n)
		direction = 1;
	else if (last - step * before < 0)
		direction = -1;
	else
		direction = pb_rng_below(r, 2) ? 1 : -1;
	pb_text_printf(&p->context, "At the %s %s counts the %s %s %ss:", pb_pick_word(&pb_spots, r), person(l, pb_pick(l, PB_PERSON, r)), pb_pick_word(&pb_adjectives, r),
		pb_pick_word(&pb_colours, r), l->names[PB_THING][pb_pick(l, PB_THING, r)]);
	for (int i = before; i > 0; i--)
		pb_text_printf(&p->context, " %s,", pb_numbers.words[last - direction * step * i]);
	add_choice(p, pb_numbers.words[last]);
}

void pb_cloze_put(const struct pb_lexicon *l, struct pb_rng *r, uint32_t i, struct pb_passage *p)
{
	if (i % 5 == 2)
		put_copy(l, r, p);
	else if (i % 5 == 3)
		put_count(l, r, p);
	else if (i % 5 == 4)
		put_pattern(l, r, p);
	else
		put_in_place(l, r, i % 5 == 1, p);
}

/* ---- stories with four endings ---- */

/* A thing goes from hand to hand; a fourth person looks on. */
static void put_hands(const struct pb_lexicon *l, struct pb_rng *r, struct pb_passage *p)
{
	uint32_t who[4], watches = (uint32_t)pb_rng_below(r, 3);
	const char *object = pb_pick_word(&pb_objects, r), *adjective = pb_pick_word(&pb_adjectives, r), *colour = pb_pick_word(&pb_colours, r);

	pb_pick_people(l, r, who, 4);
	pb_text_printf(&p->context, "%s had a %s %s %s.", person(l, who[0]), adjective, colour, object);
	for (uint32_t i = 0; i < 3; i++) {
		if (i == watches)
			pb_text_printf(&p->context, " %s saw the %s %s from the %s.", person(l, who[3]), colour, object, pb_pick_word(&pb_rooms, r));
		if (i < 2 && pb_rng_below(r, 2))
			pb_text_printf(&p->context, " %s gave the %s %s to %s.", person(l, who[i]), colour, object, person(l, who[i + 1]));
		else if (i < 2)
			pb_text_printf(&p->context, " %s took the %s %s from %s.", person(l, who[i + 1]), colour, object, person(l, who[i]));
	}
	pb_text_printf(&p->context, " In the end the %s %s %s was with", adjective, colour, object);
	add_choice(p, person(l, who[2]));
	add_choice(p, person(l, who[0]));
	add_choice(p, person(l, who[1]));
	add_choice(p, person(l, who[3]));
}

static void put_journey(const struct pb_lexicon *l, struct pb_rng *r, struct pb_passage *p)
{
	const char *spots[4], *object = pb_pick_word(&pb_objects, r), *adjective = pb_pick_word(&pb_adjectives, r);
	uint32_t who = pb_pick(l, PB_PERSON, r);
	bool back = pb_rng_below(r, 2), closed_first = pb_rng_below(r, 2);
	const char *name = person(l, who);

	pb_pick_words(&pb_spots, r, spots, 4);
	pb_text_printf(&p->context, "%s carried a %s %s from the %s to the %s.", name, adjective, object, spots[0], spots[1]);
	if (closed_first)
		pb_text_printf(&p->context, " The way to the %s was closed for %s and the %s.", spots[3], name, object);
	pb_text_printf(&p->context, " Then %s took the %s %s on to the %s.", name, adjective, object, spots[2]);
	if (!closed_first)
		pb_text_printf(&p->context, " The way to the %s was closed for %s and the %s.", spots[3], name, object);
	if (back)
		pb_text_printf(&p->context, " At last %s brought the %s %s back to the %s.", name, adjective, object, spots[0]);
	pb_text_printf(&p->context, " So %s and the %s %s stayed the night at the", name, adjective, object);
	add_choice(p, spots[back ? 0 : 2]);
	add_choice(p, spots[back ? 2 : 0]);
	add_choice(p, spots[1]);
	add_choice(p, spots[3]);
}

static void put_purchase(const struct pb_lexicon *l, struct pb_rng *r, struct pb_passage *p)
{
	const char *objects[4], *colours[4], *spot = pb_pick_word(&pb_spots, r), *name = person(l, pb_pick(l, PB_PERSON, r));
	uint32_t asked = (uint32_t)pb_rng_below(r, 4);

	pb_pick_words(&pb_objects, r, objects, 4);
	pb_pick_words(&pb_colours, r, colours, 4);
	pb_text_printf(&p->context, "At the %s %s saw a %s %s, a %s %s, a %s %s and a %s %s.", spot, name, colours[0], objects[0], colours[1], objects[1], colours[2], objects[2],
		colours[3], objects[3]);
	pb_text_printf(&p->context, " %s bought the %s one at the %s.", name, colours[asked], spot);
	pb_text_printf(&p->context, " So %s went home from the %s with the %s", name, spot, colours[asked]);
	for (uint32_t i = 0; i < 4; i++)
		add_choice(p, objects[(asked + i) % 4]);
}

static void put_sum(const struct pb_lexicon *l, struct pb_rng *r, struct pb_passage *p)
{
	/* Two or more at first, so that the word is a plural; all sums and wrong answers are from three to ten. */
	uint32_t who[2], sum = 3 + (uint32_t)pb_rng_below(r, 8), first = 2 + (uint32_t)pb_rng_below(r, sum - 2), wrong;
	const char *object = pb_pick_word(&pb_objects, r), *adjective = pb_pick_word(&pb_adjectives, r), *colour = pb_pick_word(&pb_colours, r), *spot = pb_pick_word(&pb_spots, r);
	bool seen[12] = { false };

	pb_pick_people(l, r, who, 2);
	pb_text_printf(&p->context, "%s had %s %s %s %ss.", person(l, who[0]), pb_numbers.words[first - 1], adjective, colour, object);
	pb_text_printf(&p->context, " %s brought %s more %s %ss from the %s.", person(l, who[1]), pb_numbers.words[sum - first - 1], colour, object, spot);
	pb_text_printf(&p->context, " Now the number of %s %ss of %s was", colour, object, person(l, who[0]));
	add_choice(p, pb_numbers.words[sum - 1]);
	seen[sum - 1] = true;
	while (p->n < 4) {
		wrong = 2 + (uint32_t)pb_rng_below(r, 8);
		if (!seen[wrong])
			add_choice(p, pb_numbers.words[wrong]);
		seen[wrong] = true;
	}
}

void pb_story_put(const struct pb_lexicon *l, struct pb_rng *r, uint32_t i, struct pb_passage *p)
{
	static void (*const kinds[])(const struct pb_lexicon *, struct pb_rng *, struct pb_passage *) = { put_hands, put_journey, put_purchase, put_sum };

	kinds[i % 4](l, r, p);
}

/* ---- yes and no ---- */

#define QUESTIONS 4             /* of a text about one passage */

/* Whether the first of two people had more than the other, or than a number. */
static void put_numbers(const struct pb_lexicon *l, struct pb_rng *r, bool yes, struct pb_passage *p)
{
	uint32_t who[2], less = 2 + (uint32_t)pb_rng_below(r, 8), more = less + 1 + (uint32_t)pb_rng_below(r, 10 - less), had = yes ? more : less;
	const char *object = pb_pick_word(&pb_objects, r), *colour = pb_pick_word(&pb_colours, r), *names[2];
	bool of_number = pb_rng_below(r, 2);

	pb_pick_people(l, r, who, 2);
	for (uint32_t k = 0; k < 2; k++)
		names[k] = person(l, who[k]);
	pb_text_printf(&p->context, "%s had %s %s %ss and %s had %s. ", names[0], pb_numbers.words[had - 1], colour, object, names[1], pb_numbers.words[(yes ? less : more) - 1]);
	for (uint32_t k = 0; k < QUESTIONS; k++) {
		struct pb_text *out = k ? &p->more : &p->context;
		/* Yes for numbers from one to one less than had; no for had to eleven. */
		bool also = k ? pb_rng_below(r, 2) : yes;
		uint32_t number = also ? 1 + (uint32_t)pb_rng_below(r, had - 1) : had + (uint32_t)pb_rng_below(r, 12 - had);

		if (k ? k == 1 && of_number : !of_number)
			pb_text_printf(out, "Question: Had %s more %s %ss than %s? Answer:", names[0], colour, object, names[1]);
		else
			pb_text_printf(out, "Question: Had %s more %s %ss than %s? Answer:", names[0], colour, object, pb_numbers.words[number - 1]);
		if (k)
			pb_text_printf(out, " %s.%s", (k == 1 && of_number ? yes : also) ? "yes" : "no", k + 1 < QUESTIONS ? " " : "");
	}
}

/* One thing and three words on it, each beside one that does not hold. */
static void ask_of_one(const char *object, const char *name, const char *const *adjectives, const char *const *colours, const char *const *spots, struct pb_rng *r,
	bool yes, struct pb_text *out)
{
	uint32_t about = (uint32_t)pb_rng_below(r, 3);

	pb_text_printf(out, "Question: Is the %s of %s %s%s? Answer:", object, name, about == 2 ? "at the " : "", (about == 0 ? adjectives : about == 1 ? colours : spots)[!yes]);
}

static void put_one(const struct pb_lexicon *l, struct pb_rng *r, bool yes, struct pb_passage *p)
{
	const char *adjectives[2], *colours[2], *spots[2], *object = pb_pick_word(&pb_objects, r), *name = person(l, pb_pick(l, PB_PERSON, r));

	pb_pick_words(&pb_adjectives, r, adjectives, 2);
	pb_pick_words(&pb_colours, r, colours, 2);
	pb_pick_words(&pb_spots, r, spots, 2);
	pb_text_printf(&p->context, "The %s %s %s of %s is at the %s. ", adjectives[0], colours[0], object, name, spots[0]);
	ask_of_one(object, name, adjectives, colours, spots, r, yes, &p->context);
	for (uint32_t k = 1; k < QUESTIONS; k++) {
		bool also = pb_rng_below(r, 2);

		ask_of_one(object, name, adjectives, colours, spots, r, also, &p->more);
		pb_text_printf(&p->more, " %s.%s", also ? "yes" : "no", k + 1 < QUESTIONS ? " " : "");
	}
}

/* What two people have or do; a wrong question takes the word from the other. */
struct two_claims {
	bool of_things;
	const char *names[2], *objects[2], *spots[2], *colours[2], *adjectives[2];
};

static void ask_of_two(const struct two_claims *c, struct pb_rng *r, bool yes, struct pb_text *out)
{
	uint32_t asked = (uint32_t)pb_rng_below(r, 2), said = yes ? asked : 1 - asked;

	if (c->of_things)
		pb_text_printf(out, "Question: Is the %s %s of %s %s? Answer:", c->adjectives[asked], c->objects[asked], c->names[asked], c->colours[said]);
	else
		pb_text_printf(out, "Question: Does %s carry the %s %s to the %s? Answer:", c->names[asked], c->colours[said], c->objects[said], c->spots[said]);
}

static void put_two(const struct pb_lexicon *l, struct pb_rng *r, bool of_things, bool yes, struct pb_passage *p)
{
	struct two_claims c = { .of_things = of_things };
	uint32_t who[2];

	pb_pick_people(l, r, who, 2);
	pb_pick_words(&pb_objects, r, c.objects, 2);
	pb_pick_words(&pb_spots, r, c.spots, 2);
	pb_pick_words(&pb_colours, r, c.colours, 2);
	pb_pick_words(&pb_adjectives, r, c.adjectives, 2);
	for (uint32_t k = 0; k < 2; k++) {
		c.names[k] = person(l, who[k]);
		if (of_things)
			pb_text_printf(&p->context, "The %s %s of %s is %s. ", c.adjectives[k], c.objects[k], c.names[k], c.colours[k]);
		else
			pb_text_printf(&p->context, "%s carries the %s %s to the %s. ", c.names[k], c.colours[k], c.objects[k], c.spots[k]);
	}
	ask_of_two(&c, r, yes, &p->context);
	for (uint32_t k = 1; k < QUESTIONS; k++) {
		bool also = pb_rng_below(r, 2);

		ask_of_two(&c, r, also, &p->more);
		pb_text_printf(&p->more, " %s.%s", also ? "yes" : "no", k + 1 < QUESTIONS ? " " : "");
	}
}

void pb_yesno_put(const struct pb_lexicon *l, struct pb_rng *r, uint32_t i, struct pb_passage *p)
{
	bool yes = i % 2 == 0;

	if (i / 2 % 2 == 0)
		put_numbers(l, r, yes, p);
	else if (i / 4 % 2 == 0)
		put_one(l, r, yes, p);
	else
		put_two(l, r, i / 8 % 2, yes, p);
	add_choice(p, yes ? "yes" : "no");
	add_choice(p, yes ? "no" : "yes");
}
