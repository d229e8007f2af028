/* The micro world: invented people, places and things, what is true of them, and texts and tasks about them. A function of
 * seed and size alone. Words and sentences are this project's own. */
#ifndef PB_TASKS_WORLD_WORLD_H
#define PB_TASKS_WORLD_WORLD_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"
#include "core/base/text.h"

struct pb_world_size {
	const char *name;
	uint32_t n_people, n_places, n_things;
	uint32_t n_documents;       /* of train.txt */
	uint32_t n_held_out;        /* documents of each of calibration.txt, validation.txt, test.txt */
	uint32_t n_items;           /* of each task */
	uint32_t n_tokens;          /* of tokenizer.json */
};
extern const struct pb_world_size pb_world_sizes[];
extern const size_t pb_n_world_sizes;
const struct pb_world_size *pb_world_size_find(const char *name); /* NULL: unknown */

/* What scores without knowing anything, as shares of right answers. NaN: cannot be asked. */
struct pb_world_cheat {
	const char *task;
	uint32_t n_items;
	double chance;
	double position;            /* the best of "always the k-th choice" */
	double length;              /* the better of "the shortest" and "the longest", ties shared */
	double unigram;             /* the choice whose words are most frequent in train.txt, ties shared; for a last word: the most frequent one */
};

enum { PB_WORLD_FILES = 11, PB_WORLD_CHEATS = 5 };
struct pb_world {
	struct { const char *name; struct pb_text text; } files[PB_WORLD_FILES]; /* the last: world.json, which tells of the others */
	struct pb_world_cheat cheats[PB_WORLD_CHEATS];
	uint32_t n_facts;
};

/* In train, validation, test and calibration a line is a document. No sentence of four words or more is in two of the files,
 * items included; facts are in each in sentence forms of their own. */
enum pb_status pb_world_make(struct pb_world *out, uint64_t seed, const struct pb_world_size *size, struct pb_error *err) PB_MUST_CHECK;
void pb_world_free(struct pb_world *world);
/* Into FOLDER/world/, made when it is not there. */
enum pb_status pb_world_write(const struct pb_world *world, const char *folder, struct pb_error *err) PB_MUST_CHECK;
const struct pb_text *pb_world_file(const struct pb_world *world, const char *name); /* NULL: no such file */

#endif
