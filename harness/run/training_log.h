/* The log of a training as CSV, made again in memory after an interruption; and the little that a checkpoint's note keeps of it:
 *
 *   step,tokens,loss,gradient_norm,learning_rate,validation_loss,seconds
 *
 * loss: mean over the steps since the line before; validation_loss absent where it was not measured. */
#ifndef PB_HARNESS_RUN_TRAINING_LOG_H
#define PB_HARNESS_RUN_TRAINING_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/train/train.h"
#include "core/base/text.h"

struct pb_training_log {
	struct pb_text text;            /* all of it */
	double loss_sum;                /* of the steps since the last line */
	uint64_t loss_steps;
	double seconds;                 /* of all steps, earlier processes' too */
	double loss, validation_loss;   /* of the last line; NaN: none */
};

void pb_training_log_begin(struct pb_training_log *log);
void pb_training_log_free(struct pb_training_log *log);
/* A step that took so long; its loss goes into the next line. */
void pb_training_log_step(struct pb_training_log *log, const struct pb_step *s, double seconds);
/* About a hundred lines in all. */
bool pb_training_log_is_due(uint64_t step, int64_t steps);
/* The line of this step, with all steps since the line before. tokens: up to here. validation_loss: NaN when there is none. */
void pb_training_log_line(struct pb_training_log *log, const struct pb_step *s, uint64_t tokens, double validation_loss);
enum pb_status pb_training_log_write(const struct pb_training_log *log, const char *path, struct pb_error *err) PB_MUST_CHECK;
/* The lines of a file up to that step: what comes behind it is made again. The note, read after it, knows the seconds better. */
enum pb_status pb_training_log_read(struct pb_training_log *log, const char *path, uint64_t step, struct pb_error *err) PB_MUST_CHECK;
/* The note of a checkpoint; pb_free'd by the caller. NULL when memory is out. data: hash of what is trained on. */
char *pb_training_log_note(const struct pb_training_log *log, const char *data);
/* And back; PB_USAGE when it is of other data. path: for messages. */
enum pb_status pb_training_log_read_note(struct pb_training_log *log, const char *path, const char *note, const char *data, struct pb_error *err) PB_MUST_CHECK;

#endif
