/* Logs of trainings. A training folder holds log.csv, a line every few steps, and train.json, what came of it. */
#ifndef PB_REPORTS_TRAINING_H
#define PB_REPORTS_TRAINING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/status.h"
#include "core/base/text.h"
#include "reports/section.h"

#define PB_TRAINING_LOG "log.csv"
#define PB_TRAINING_FACTS "train.json"

enum pb_training_status { PB_TRAINING_RUNNING, PB_TRAINING_DONE, PB_TRAINING_DIVERGED, PB_TRAINING_STATUSES };
const char *pb_training_status_name(enum pb_training_status status);

/* A line of log.csv. A double that is NaN was not measured. */
struct pb_training_line {
	int64_t step, tokens;           /* since the start; steps rise, tokens never fall */
	double loss;                    /* training loss, mean over the steps since the line before */
	double gradient_norm, learning_rate, validation_loss, seconds;
};

struct pb_training {
	const char *folder;             /* as it was named */
	const char *name;               /* of train.json; pb_trainings_sort makes names different */
	enum pb_training_status status;
	const char *reason;             /* why it ended, or "" */
	const char *version;            /* of the program that trained, or "" */
	int64_t parameters, matrix_parameters, steps, tokens;
	double tokens_per_second, final_loss, validation_loss; /* NaN: not known */
	struct pb_training_line *lines;
	size_t n_lines;
	char log_hash[PB_HASH_HEX];
};

struct pb_trainings {
	struct pb_arena *arena;         /* made at the first addition */
	struct pb_training *runs;
	size_t n, capacity;
};
/* Whether a folder has either file of a training. */
enum pb_status pb_training_is_there(const char *folder, bool *there, struct pb_error *err) PB_MUST_CHECK;
/* Appends the training of a folder. Columns are found by name, other columns and members are passed over; step and tokens are in
 * every line, other numbers may be absent. A log that is not whole is refused with its line. */
enum pb_status pb_trainings_read(struct pb_trainings *trainings, const char *folder, struct pb_error *err) PB_MUST_CHECK;
/* The same from bytes. */
struct pb_training_bytes {
	const char *name;               /* of the file, for messages */
	const char *data;
	size_t size;
};
enum pb_status pb_trainings_add(struct pb_trainings *trainings, const char *folder, const struct pb_training_bytes *log,
	const struct pb_training_bytes *facts, struct pb_error *err) PB_MUST_CHECK;
void pb_trainings_free(struct pb_trainings *trainings);     /* {0} is fine */
/* By parameters, name, folder: the one order of figures and tables. A name that several have gets its folder in brackets. */
enum pb_status pb_trainings_sort(struct pb_trainings *trainings, struct pb_error *err) PB_MUST_CHECK;
/* training.csv: all lines of all logs, the columns of log.csv after `run`. */
enum pb_status pb_trainings_csv(const struct pb_trainings *trainings, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* Appends "3 trainings: 2 done, 1 running.". */
void pb_trainings_count(const struct pb_trainings *trainings, struct pb_text *out);
/* The part of a report: loss by tokens, a table, training.csv. The trainings must outlive it. */
void pb_training_section(struct pb_section *out, const struct pb_trainings *trainings, struct pb_arena *arena);

#endif
