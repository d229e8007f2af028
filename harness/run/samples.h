/* Calibration data: what a sweep or a command says of them, and samples of equal length from a text, drawn by seed.
 *
 * How a file is read, unless `format` says it, follows from its name: .jsonl and .json (also .gz, .bz2) are documents, all
 * else is lines.
 *   lines      a line is a document; documents are joined, each behind a BOS; samples are windows at random places
 *   text       the file is one text, with what the tokenizer puts in front of one; samples are windows at random places
 *   documents  JSON Lines with a string "text": documents are drawn until one is long enough, then a window of it
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

/* The place of a named file, as pb_find_file finds it; `world_calib` is world/calibration.txt. */
enum pb_status pb_calibration_find(struct pb_arena *arena, const char *name, const char *folder, const struct pb_data_path *data, const char **path,
	struct pb_error *err) PB_MUST_CHECK;
bool pb_calibration_is_ready(const struct pb_calibration_spec *spec);      /* tensors, no text */
/* Length in effect for a model of this context; PB_USAGE when it does not fit, or is too short to predict anything. */
enum pb_status pb_calibration_length(const struct pb_calibration_spec *spec, uint32_t context, uint32_t *length, struct pb_error *err) PB_MUST_CHECK;
enum pb_calibration_format pb_calibration_format_of(const struct pb_calibration_spec *spec);    /* in effect: not AUTO */
const char *pb_calibration_format_name(enum pb_calibration_format format);

/* (n_samples, length) ids, pb_free'd by the caller. */
enum pb_status pb_samples_draw(const struct pb_calibration_spec *spec, const struct pb_tokenizer *tokenizer, uint32_t length, int32_t **tokens,
	struct pb_error *err) PB_MUST_CHECK;
/* The same from a text in memory; name: for messages. */
enum pb_status pb_samples_draw_from(const struct pb_calibration_spec *spec, const char *name, const char *text, size_t size,
	const struct pb_tokenizer *tokenizer, uint32_t length, int32_t **tokens, struct pb_error *err) PB_MUST_CHECK;

#endif
