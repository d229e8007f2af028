/* A recipe file: which model is trained, on what, how. Parsed with places; every name and number in it is checked before any
 * work, as far as that goes without the data. */
#ifndef PB_HARNESS_RUN_RECIPE_H
#define PB_HARNESS_RUN_RECIPE_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/train/train.h"
#include "core/base/memory.h"
#include "core/base/status.h"
#include "tasks/task.h"

enum pb_documents { PB_DOCUMENTS_LINES, PB_DOCUMENTS_WHOLE };   /* a line is a document; the file is one */

struct pb_training_recipe {
	struct pb_arena *arena;
	const char *name;           /* names the folder out/NAME */
	const char *file;           /* for messages */
	const char *text;           /* the file as read */
	const char *from;           /* a model to go on from, as named; NULL: a new one of this shape: */
	struct pb_config config;    /* n_vocab 0: the tokenizer's; bos, eos: the tokenizer's */
	struct pb_recipe train;
	const char *world;          /* size of the micro world that is made in memory; NULL: files */
	uint64_t world_seed;
	const char *train_file, *validation_file; /* paths; validation NULL: none */
	const char *tokenizer;      /* path; NULL: the world's, or beside the model */
	enum pb_documents documents;
	int64_t validate_every, save_every; /* steps */
	enum pb_dtype dtype;        /* of the written weights */
	double share;               /* of the steps, as cut; 1: all; 0: the first weights are the model */
};

/* Files are looked for as given, beside the recipe, then in the data folders. */
enum pb_status pb_training_recipe_read(struct pb_training_recipe **out, const char *path, const struct pb_data_path *data, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_training_recipe_parse(struct pb_training_recipe **out, const char *name, const char *text, size_t size, const struct pb_data_path *data,
	struct pb_error *err) PB_MUST_CHECK;
/* Fewer steps, and a warm-up shorter by as much; the learning rate falls over those that are left. share: 0..1. */
void pb_training_recipe_cut(struct pb_training_recipe *recipe, double share);
void pb_training_recipe_free(struct pb_training_recipe *r);

#endif
