/* Texts that methods learn from, for calibration and for training: what a sweep or a command says of them; of the first,
 * samples of equal length, drawn by seed; of the second, all tokens.
 *
 * How a file is read, unless `format` says it, follows from its name: .jsonl and .json (also .gz, .bz2) are documents, all
 * else is lines.
 *   lines      a line is a document; documents are joined, each behind a BOS; samples are windows at random places
 *   text       the file is one text, with what the tokenizer puts in front of one; samples are windows at random places
 *   documents  JSON Lines with a string "text": documents are drawn until one is long enough, then a window of it
 * Trained on are all documents, each behind a BOS, or the one text with what the tokenizer puts in front.
 * Windows are drawn with replacement, each start with the same probability; the first n samples of more are the same ones. */
#ifndef PB_HARNESS_RUN_SAMPLES_H
#define PB_HARNESS_RUN_SAMPLES_H

#include <stdbool.h>
#include <stdint.h>
#include "core/base/memory.h"
#include "core/base/options.h"
#include "core/base/status.h"
#include "core/model/tokenizer.h"
#include "tasks/task.h"

enum pb_calibration_format { PB_CALIBRATION_AUTO, PB_CALIBRATION_LINES, PB_CALIBRATION_TEXT, PB_CALIBRATION_DOCUMENTS };

/* Shared defaults, ranges and help of all places that name calibration data: pb_calibration_options. */
struct pb_calibration_spec {
	const char *data;           /* path of the text, or of ready tensors (.safetensors), of which the rest says nothing; NULL: none */
	int64_t n_samples;
	int64_t seq_len;            /* tokens of a sample; 0: 2048, or the model's context when that is less */
	int64_t seed;
	int format;                 /* enum pb_calibration_format */
};
extern const struct pb_option pb_calibration_options[];

/* Data of methods that are trained. */
struct pb_training_spec {
	const char *data;           /* path of the text; NULL: none */
	int format;                 /* enum pb_calibration_format */
};
extern const struct pb_option pb_training_options[];

/* The place of a named text, as pb_find_file finds it; `world_calib` is world/calibration.txt, `world_train` is world/train.txt. */
enum pb_status pb_text_find(struct pb_arena *arena, const char *name, const char *folder, const struct pb_data_path *data, const char **path,
	struct pb_error *err) PB_MUST_CHECK;
bool pb_calibration_is_ready(const struct pb_calibration_spec *spec);      /* tensors, no text */
/* Length in effect for a model of this context; PB_USAGE when it does not fit, or is too short to predict anything. */
enum pb_status pb_calibration_length(const struct pb_calibration_spec *spec, uint32_t context, uint32_t *length, struct pb_error *err) PB_MUST_CHECK;
enum pb_calibration_format pb_text_format(const char *path, int format);        /* in effect: not AUTO */
const char *pb_text_format_name(enum pb_calibration_format format);

/* (n_samples, length) ids, pb_free'd by the caller. */
enum pb_status pb_samples_draw(const struct pb_calibration_spec *spec, const struct pb_tokenizer *tokenizer, uint32_t length, int32_t **tokens,
	struct pb_error *err) PB_MUST_CHECK;
/* The same from a text in memory; name: for messages. */
enum pb_status pb_samples_draw_from(const struct pb_calibration_spec *spec, const char *name, const char *text, size_t size,
	const struct pb_tokenizer *tokenizer, uint32_t length, int32_t **tokens, struct pb_error *err) PB_MUST_CHECK;

/* All tokens to train on, appended to ids. */
enum pb_status pb_training_tokens(const struct pb_training_spec *spec, const struct pb_tokenizer *tokenizer, struct pb_ids *ids, struct pb_error *err) PB_MUST_CHECK;

#endif
