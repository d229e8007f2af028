/* The files of the micro world. Documents and items come from the same rules; a sentence that an earlier file has is refused and
 * the passage made anew. */
#include "tasks/world/world.h"

#include <stdio.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/model/tokenizer_train.h"
#include "tasks/world/lexicon.h"

/* small: for tests and a first look. large: what the micro models are trained on. */
const struct pb_world_size pb_world_sizes[] = {
	{ "small", 240, 24, 24, 12000, 1000, 1000, 512 },
	{ "medium", 400, 36, 40, 60000, 1500, 1500, 1024 },
	{ "large", 3000, 150, 64, 320000, 1500, 1500, 1024 },
};
const size_t pb_n_world_sizes = sizeof(pb_world_sizes) / sizeof(*pb_world_sizes);

#define MOST_TRIES 2000         /* for one passage */
#define LEAST_WORDS 4           /* of a sentence that counts as one */

enum file { TRAIN, VALIDATION, TEST, CALIBRATION, FACTS, AGREEMENT, CLOZE, STORY, YESNO, TOKENIZER, WORLD };
static const char *const file_names[PB_WORLD_FILES] = { "train.txt", "validation.txt", "test.txt", "calibration.txt", "facts.jsonl", "agreement.jsonl", "cloze.jsonl",
	"story.jsonl", "yesno.jsonl", "tokenizer.json", "world.json" };
static const char *const task_names[PB_WORLD_CHEATS] = { "world_facts", "world_agreement", "world_cloze", "world_story", "world_yesno" };

/* Sentences by their hashes, and the file that has each. */
struct sentence {
	uint64_t hash;          /* 0: free */
	enum file file;
};

struct maker {
	struct pb_world *world;
	struct pb_lexicon lexicon;
	struct sentence *table;
	size_t size, n;
	struct pb_passage passage;
	struct pb_text document, whole;
	struct pb_rng rng;
	struct pb_error *err;
};

const struct pb_world_size *pb_world_size_find(const char *name)
{
	for (size_t i = 0; i < pb_n_world_sizes; i++)
		if (strcmp(pb_world_sizes[i].name, name) == 0)
			return &pb_world_sizes[i];
	return NULL;
}

/* ---- sentences ---- */

/* The next sentence of LEAST_WORDS words or more; false at the end. */
static bool next_sentence(const char **s, uint64_t *hash)
{
	while (**s) {
		uint32_t words = 0;
		uint64_t h = 14695981039346656037u;

		*s += strspn(*s, " \n.?");
		for (bool in_word = false; **s && !strchr("\n.?", **s); ++*s) {
			words += !in_word && **s != ' ';
			in_word = **s != ' ';
			h = (h ^ (unsigned char)**s) * 1099511628211u;
		}
		if (words >= LEAST_WORDS) {
			*hash = h ? h : 1;
			return true;
		}
	}
	return false;
}

static struct sentence *sentence_place(const struct maker *m, uint64_t hash)
{
	size_t at = (size_t)(hash >> 7) & (m->size - 1);

	while (m->table[at].hash && m->table[at].hash != hash)
		at = (at + 1) & (m->size - 1);
	return &m->table[at];
}

static bool is_elsewhere(const struct maker *m, enum file file, const char *text)
{
	uint64_t hash;

	while (next_sentence(&text, &hash)) {
		const struct sentence *p = sentence_place(m, hash);

		if (p->hash && p->file != file)
			return true;
	}
	return false;
}

static enum pb_status grow_table(struct maker *m)
{
	struct maker old = *m;

	m->size = old.size ? 2 * old.size : 1 << 16;
	m->table = pb_alloc_zero(m->size, sizeof(*m->table));
	if (!m->table) {
		*m = old;
		return pb_out_of_memory(m->err, "sentences");
	}
	for (size_t i = 0; i < old.size; i++)
		if (old.table[i].hash)
			*sentence_place(m, old.table[i].hash) = old.table[i];
	pb_free(old.table);
	return PB_OK;
}

static enum pb_status keep_sentences(struct maker *m, enum file file, const char *text)
{
	uint64_t hash;

	while (next_sentence(&text, &hash)) {
		struct sentence *p;
		enum pb_status st;

		if (2 * (m->n + 1) > m->size && (st = grow_table(m)))
			return st;
		p = sentence_place(m, hash);
		m->n += !p->hash;
		*p = (struct sentence){ hash, file };
	}
	return PB_OK;
}

/* ---- documents ---- */

static void put_fact(struct maker *m, const struct pb_fact *fact, uint32_t form)
{
	if (m->document.length)
		pb_text_char(&m->document, ' ');
	pb_fact_put(&m->lexicon, fact, form, &m->document);
	pb_text_printf(&m->document, " %s.", pb_fact_value(&m->lexicon, fact, fact->value));
}

/* Some of what is true of one entity. In train.txt in any form that is not held out; the first documents go through all
 * entities twice, so that nothing stays unsaid. Each other file has entities of its own, and one form a fact. */
static void put_facts(struct maker *m, enum file file, uint32_t i)
{
	const struct pb_lexicon *l = &m->lexicon;
	uint32_t all = l->n[PB_PERSON] + l->n[PB_PLACE] + l->n[PB_THING], entity, n, order[8], said, roll = (uint32_t)pb_rng_below(&m->rng, 10);
	enum pb_entity_kind kind = roll < 8 ? PB_PERSON : roll == 8 ? PB_PLACE : PB_THING;
	bool in_turn = file == TRAIN && i < 2 * all;

	do
		entity = pb_pick(l, kind, &m->rng);
	while (file != TRAIN && entity % 3 != (uint32_t)file - VALIDATION);
	if (in_turn) {
		entity = i % all;
		kind = entity < l->n[PB_PERSON] ? PB_PERSON : entity < l->n[PB_PERSON] + l->n[PB_PLACE] ? PB_PLACE : PB_THING;
		entity -= kind == PB_PERSON ? 0 : kind == PB_PLACE ? l->n[PB_PERSON] : l->n[PB_PERSON] + l->n[PB_PLACE];
	}
	n = pb_facts_of(l, kind);
	for (uint32_t k = 0; k < n; k++)
		order[k] = k;
	pb_rng_shuffle(&m->rng, order, n);
	said = in_turn || n == 2 ? n : 3 + (uint32_t)pb_rng_below(&m->rng, 3);
	for (uint32_t k = 0; k < said; k++) {
		const struct pb_fact *fact = &l->facts[l->first[kind] + entity * n + order[k]];
		uint32_t form = file == TRAIN ? PB_WORLD_HELD_OUT + (uint32_t)pb_rng_below(&m->rng, PB_WORLD_FORMS - PB_WORLD_HELD_OUT) : 1;

		put_fact(m, fact, fact->forms[form]);
	}
}

/* The passage with its right end. */
static void put_whole(const struct pb_passage *p, struct pb_text *out)
{
	if (out->length)
		pb_text_char(out, ' ');
	pb_text_string(out, pb_text_c(&p->context));
	if (p->context.length)
		pb_text_char(out, ' ');
	pb_text_string(out, pb_text_c(&p->choices[0]));
	if (p->context.length)
		pb_text_char(out, '.');
	if (p->more.length)
		pb_text_printf(out, " %s", pb_text_c(&p->more));
}

static void put_passage(struct maker *m, void (*put)(const struct pb_lexicon *, struct pb_rng *, uint32_t, struct pb_passage *), uint32_t i)
{
	pb_passage_clear(&m->passage);
	put(&m->lexicon, &m->rng, i, &m->passage);
	put_whole(&m->passage, &m->document);
}

/* Kinds of documents in turn: facts, agreement, cloze, story, yes and no. */
static const char plan[] = "fcfsffyfcsfffafcfsfyfcffysfcffsya";

static void put_document(struct maker *m, enum file file, uint32_t i)
{
	uint32_t length = (uint32_t)strlen(plan), of_kind = 0, before = 0, place;

	for (uint32_t k = 0; k < length; k++) {
		of_kind += plan[k] == plan[i % length];
		before += plan[k] == plan[i % length] && k < i % length;
	}
	place = of_kind * (i / length) + before;
	pb_text_clear(&m->document);
	switch (plan[i % length]) {
	case 'a':
		put_passage(m, pb_agreement_put, 2 * place);
		put_passage(m, pb_agreement_put, 2 * place + 5);
		break;
	case 'c':
		put_passage(m, pb_cloze_put, place);
		break;
	case 's':
		put_passage(m, pb_story_put, place);
		break;
	case 'y':
		put_passage(m, pb_yesno_put, place);
		break;
	default:
		put_facts(m, file, place);
	}
}

/* Documents that the file may have, in a random order. */
static enum pb_status make_documents(struct maker *m, enum file file, uint32_t n)
{
	struct pb_text all = {0}, *out = &m->world->files[file].text;
	uint32_t *order = pb_alloc(n, sizeof(*order));
	size_t *starts = pb_alloc((size_t)n + 1, sizeof(*starts));
	enum pb_status st = order && starts ? PB_OK : pb_out_of_memory(m->err, "documents");

	m->rng = pb_rng_make(m->rng.key[0] | (uint64_t)m->rng.key[1] << 32, pb_rng_stream(file_names[file]));
	for (uint32_t i = 0; !st && i < n; i++) {
		uint32_t tries = 0;

		do
			put_document(m, file, i);
		while (is_elsewhere(m, file, pb_text_c(&m->document)) && ++tries < MOST_TRIES);
		if (tries == MOST_TRIES)
			st = pb_fail(m->err, PB_FAILED, "world: %s: no new document is found after %d tries", file_names[file], MOST_TRIES);
		else
			st = keep_sentences(m, file, pb_text_c(&m->document));
		order[i] = i;
		starts[i] = all.length;
		pb_text_bytes(&all, pb_text_c(&m->document), m->document.length);
		starts[i + 1] = all.length;
	}
	if (!st) {
		pb_rng_shuffle(&m->rng, order, n);
		for (uint32_t i = 0; i < n; i++) {
			pb_text_bytes(out, pb_text_c(&all) + starts[order[i]], starts[order[i] + 1] - starts[order[i]]);
			pb_text_char(out, '\n');
		}
		st = pb_text_check(&all, m->err);
	}
	if (!st)
		st = pb_text_check(out, m->err);
	pb_text_free(&all);
	pb_free(order);
	pb_free(starts);
	return st;
}

/* ---- items ---- */

/* Places of the right answers: each equally often, in a random order. */
static enum pb_status balanced(struct maker *m, uint32_t n, uint32_t of, uint32_t **out)
{
	*out = pb_arena_alloc(m->lexicon.arena, n, sizeof(**out));
	if (!*out)
		return pb_out_of_memory(m->err, "items");
	for (uint32_t i = 0; i < n; i++)
		(*out)[i] = i % of;
	pb_rng_shuffle(&m->rng, *out, n);
	return PB_OK;
}

/* The passage as an item, the right choice put at its place. */
static enum pb_status keep_item(struct maker *m, enum file file, uint32_t gold, const char *more, struct pb_world_item *item)
{
	const struct pb_passage *p = &m->passage;
	struct pb_arena *arena = m->lexicon.arena;
	struct pb_text *out = &m->world->files[file].text;

	*item = (struct pb_world_item){ .context = pb_arena_strdup(arena, pb_text_c(&p->context)), .n = p->n, .gold = gold };
	if (!item->context)
		return pb_out_of_memory(m->err, "items");
	for (uint32_t k = 0; k < p->n; k++) {
		/* 0 goes to gold, the others fill the rest in order. */
		uint32_t from = k == gold ? 0 : k < gold ? k + 1 : k;

		if (!(item->choices[k] = pb_arena_strdup(arena, pb_text_c(&p->choices[from]))))
			return pb_out_of_memory(m->err, "items");
	}
	pb_text_printf(out, "{\"context\": \"%s\", ", item->context);
	if (p->n == 1) {
		pb_text_printf(out, "\"target\": \"%s\"", item->choices[0]);
	} else {
		for (uint32_t k = 0; k < p->n; k++)
			pb_text_printf(out, "%s\"%s\"", k ? ", " : "\"choices\": [", item->choices[k]);
		pb_text_printf(out, "], \"gold\": %u", gold);
	}
	pb_text_printf(out, "%s}\n", more);
	return pb_text_check(out, m->err);
}

/* All that the item puts before a model: each choice behind the context. */
static bool item_is_elsewhere(struct maker *m, enum file file)
{
	const struct pb_passage *p = &m->passage;
	bool elsewhere;

	pb_text_clear(&m->whole);
	put_whole(p, &m->whole);
	elsewhere = is_elsewhere(m, file, pb_text_c(&m->whole));
	for (uint32_t k = 1; !p->context.length && k < p->n; k++)
		elsewhere = elsewhere || is_elsewhere(m, file, pb_text_c(&p->choices[k]));
	return elsewhere;
}

static enum pb_status make_passage_items(struct maker *m, enum file file, void (*put)(const struct pb_lexicon *, struct pb_rng *, uint32_t, struct pb_passage *),
	uint32_t n_choices, struct pb_world_item *items)
{
	uint32_t n = m->lexicon.size->n_items, *gold = NULL;
	enum pb_status st;

	m->rng = pb_rng_make(m->rng.key[0] | (uint64_t)m->rng.key[1] << 32, pb_rng_stream(file_names[file]));
	st = balanced(m, n, n_choices, &gold);
	for (uint32_t i = 0; !st && i < n; i++) {
		uint32_t tries = 0;

		do {
			pb_passage_clear(&m->passage);
			put(&m->lexicon, &m->rng, i, &m->passage);
		} while (item_is_elsewhere(m, file) && ++tries < MOST_TRIES);
		if (tries == MOST_TRIES)
			return pb_fail(m->err, PB_FAILED, "world: %s: no new item is found after %d tries", file_names[file], MOST_TRIES);
		st = keep_sentences(m, file, pb_text_c(&m->whole));
		if (!st)
			st = keep_item(m, file, gold[i], "", &items[i]);
	}
	return st;
}

/* Facts in a random order, each in the form that no text has it in; wrong answers are other values of the same relation. */
static enum pb_status make_fact_items(struct maker *m, struct pb_world_item *items)
{
	const struct pb_lexicon *l = &m->lexicon;
	uint32_t n = l->size->n_items, *gold = NULL, *order = pb_arena_alloc(l->arena, l->n_facts, sizeof(*order));
	enum pb_status st;

	if (!order)
		return pb_out_of_memory(m->err, "items");
	m->rng = pb_rng_make(m->rng.key[0] | (uint64_t)m->rng.key[1] << 32, pb_rng_stream(file_names[FACTS]));
	for (uint32_t i = 0; i < l->n_facts; i++)
		order[i] = i;
	pb_rng_shuffle(&m->rng, order, l->n_facts);
	st = balanced(m, n, 4, &gold);
	for (uint32_t i = 0; !st && i < n; i++) {
		const struct pb_fact *fact = &l->facts[order[i]];
		uint32_t values[4] = { fact->value };
		char more[64];

		pb_passage_clear(&m->passage);
		pb_fact_put(l, fact, fact->forms[0], &m->passage.context);
		for (uint32_t k = 1; k < 4; k++) {
			values[k] = (uint32_t)pb_rng_below(&m->rng, pb_fact_values(l, fact));
			for (uint32_t j = 0; j < k; j++)
				if (values[j] == values[k]) {
					k--;
					break;
				}
		}
		for (uint32_t k = 0; k < 4; k++)
			pb_text_string(&m->passage.choices[m->passage.n++], pb_fact_value(l, fact, values[k]));
		snprintf(more, sizeof(more), ", \"relation\": \"%s\", \"rank\": %u", pb_fact_relation(fact), fact->entity);
		if (item_is_elsewhere(m, FACTS))
			return pb_fail(m->err, PB_FAILED, "world: '%s' is in a text", pb_text_c(&m->whole));
		st = keep_sentences(m, FACTS, pb_text_c(&m->whole));
		if (!st)
			st = keep_item(m, FACTS, gold[i], more, &items[i]);
	}
	return st;
}

static enum pb_status make_items(struct maker *m)
{
	static const struct {
		enum file file;
		void (*put)(const struct pb_lexicon *, struct pb_rng *, uint32_t, struct pb_passage *);
		uint32_t n_choices;
	} kinds[] = { { FACTS, NULL, 4 }, { AGREEMENT, pb_agreement_put, 2 }, { CLOZE, pb_cloze_put, 1 }, { STORY, pb_story_put, 4 }, { YESNO, pb_yesno_put, 2 } };
	uint32_t n = m->lexicon.size->n_items;
	struct pb_world_item *items = pb_arena_alloc(m->lexicon.arena, n, sizeof(*items));
	enum pb_status st = items ? PB_OK : pb_out_of_memory(m->err, "items");

	for (size_t i = 0; !st && i < PB_WORLD_CHEATS; i++) {
		st = kinds[i].put ? make_passage_items(m, kinds[i].file, kinds[i].put, kinds[i].n_choices, items) : make_fact_items(m, items);
		if (!st)
			st = pb_world_cheat_score(&m->world->cheats[i], task_names[i], items, n, &m->world->files[TRAIN].text, m->err);
	}
	return st;
}

/* ---- the record ---- */

static enum pb_status make_record(struct pb_world *w, uint64_t seed, const struct pb_world_size *size, struct pb_error *err)
{
	json_t *files = json_object(), *cheats = json_object(), *root;
	char *text;

	for (int i = 0; i < WORLD; i++) {
		char hash[PB_HASH_HEX];

		pb_hash_of_bytes(pb_text_c(&w->files[i].text), w->files[i].text.length, hash);
		json_object_set_new(files, w->files[i].name, json_pack("{s:I, s:s}", "bytes", (json_int_t)w->files[i].text.length, "sha256", hash));
	}
	for (int i = 0; i < PB_WORLD_CHEATS; i++) {
		const struct pb_world_cheat *c = &w->cheats[i];

		json_object_set_new(cheats, c->task, json_pack("{s:i, s:o, s:o, s:o, s:o}", "items", (int)c->n_items, "chance", pb_json_number(c->chance), "position",
			pb_json_number(c->position), "length", pb_json_number(c->length), "unigram", pb_json_number(c->unigram)));
	}
	root = json_pack("{s:I, s:s, s:i, s:i, s:i, s:i, s:o, s:o}", "seed", (json_int_t)seed, "size", size->name, "people", (int)size->n_people, "places", (int)size->n_places,
		"things", (int)size->n_things, "facts", (int)w->n_facts, "files", files, "cheats", cheats);
	text = root && json_object_size(json_object_get(root, "files")) == WORLD && json_object_size(json_object_get(root, "cheats")) == PB_WORLD_CHEATS ? pb_json_pretty(root) : NULL;
	json_decref(root);
	if (!text)
		return pb_out_of_memory(err, "world.json");
	pb_text_string(&w->files[WORLD].text, text);
	pb_free(text);
	return pb_text_check(&w->files[WORLD].text, err);
}

/* A document begins as a sentence within one does: behind a blank. */
static enum pb_status make_tokenizer(struct pb_world *w, uint32_t n_tokens, struct pb_error *err)
{
	const struct pb_text *train = &w->files[TRAIN].text;
	struct pb_text text = {0};
	enum pb_status st;

	pb_text_char(&text, ' ');
	pb_text_bytes(&text, train->data, train->length - 1);
	st = pb_text_check(&text, err);
	for (size_t i = 0; !st && i < text.length; i++)
		if (text.data[i] == '\n')
			text.data[i] = ' ';
	if (!st)
		st = pb_tokenizer_train(text.data, text.length, n_tokens, true, &w->files[TOKENIZER].text, err);
	pb_text_free(&text);
	return st;
}

static enum pb_status make_all(struct maker *m, uint64_t seed, const struct pb_world_size *size)
{
	struct pb_world *w = m->world;
	struct pb_arena *arena = pb_arena_new();
	enum pb_status st = arena ? pb_lexicon_make(&m->lexicon, arena, seed, size, m->err) : pb_out_of_memory(m->err, "a world");

	if (!st && (m->lexicon.n_facts < size->n_items || size->n_people < 12 || size->n_places < 6 || size->n_things < 6 || !size->n_items))
		st = pb_fail(m->err, PB_USAGE, "world: %u people, %u places, %u things are too few for %u items", size->n_people, size->n_places, size->n_things, size->n_items);
	w->n_facts = m->lexicon.n_facts;
	m->rng = pb_rng_make(seed, 0);
	if (!st)
		st = grow_table(m);
	for (int file = TRAIN; !st && file <= CALIBRATION; file++)
		st = make_documents(m, (enum file)file, file == TRAIN ? size->n_documents : size->n_held_out);
	if (!st)
		st = make_items(m);
	if (!st)
		st = make_tokenizer(w, size->n_tokens, m->err);
	pb_arena_free(arena);
	return st ? st : make_record(w, seed, size, m->err);
}

enum pb_status pb_world_make(struct pb_world *out, uint64_t seed, const struct pb_world_size *size, struct pb_error *err)
{
	struct pb_world world = {0};
	struct maker m = { .world = &world, .err = err };
	enum pb_status st;

	for (int i = 0; i < PB_WORLD_FILES; i++)
		world.files[i].name = file_names[i];
	st = make_all(&m, seed, size);
	pb_passage_free(&m.passage);
	pb_text_free(&m.document);
	pb_text_free(&m.whole);
	pb_free(m.table);
	if (st)
		pb_world_free(&world);
	else
		*out = world;
	return st;
}

void pb_world_free(struct pb_world *world)
{
	for (int i = 0; i < PB_WORLD_FILES; i++)
		pb_text_free(&world->files[i].text);
}

const struct pb_text *pb_world_file(const struct pb_world *world, const char *name)
{
	for (int i = 0; i < PB_WORLD_FILES; i++)
		if (strcmp(world->files[i].name, name) == 0)
			return &world->files[i].text;
	return NULL;
}

enum pb_status pb_world_write(const struct pb_world *world, const char *folder, struct pb_error *err)
{
	char *inside = pb_path_join(folder, "world");
	enum pb_status st = inside ? pb_folder_make(inside, err) : pb_out_of_memory(err, "a path");

	for (int i = 0; !st && i < PB_WORLD_FILES; i++) {
		char *path = pb_path_join(inside, world->files[i].name);

		st = path ? pb_file_write(path, pb_text_c(&world->files[i].text), world->files[i].text.length, err) : pb_out_of_memory(err, "a path");
		pb_free(path);
	}
	pb_free(inside);
	return st;
}
