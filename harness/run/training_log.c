#include "harness/run/training_log.h"

#include <math.h>
#include <string.h>
#include "core/base/csv.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/memory.h"

#define LINES 100               /* about so many in all */
#define LIMIT ((size_t)64 << 20)
#define HEAD "step,tokens,loss,gradient_norm,learning_rate,validation_loss,seconds\n"
#define COLUMNS 7

void pb_training_log_begin(struct pb_training_log *log)
{
	*log = (struct pb_training_log){ .loss = NAN, .validation_loss = NAN };
	pb_text_string(&log->text, HEAD);
}

void pb_training_log_free(struct pb_training_log *log)
{
	pb_text_free(&log->text);
}

void pb_training_log_step(struct pb_training_log *log, const struct pb_step *s, double seconds)
{
	log->seconds += seconds;
	log->loss_sum += s->loss;
	log->loss_steps++;
}

bool pb_training_log_is_due(uint64_t step, int64_t steps)
{
	uint64_t every = steps > LINES ? (uint64_t)steps / LINES : 1;

	return step % every == 0 || step == (uint64_t)steps;
}

void pb_training_log_line(struct pb_training_log *log, const struct pb_step *s, uint64_t tokens, double validation_loss)
{
	log->loss = log->loss_sum / (double)log->loss_steps;
	if (!isnan(validation_loss))
		log->validation_loss = validation_loss;
	pb_csv_integer(&log->text, (long long)s->step);
	pb_csv_integer(&log->text, (long long)tokens);
	pb_csv_number(&log->text, log->loss);
	pb_csv_number(&log->text, s->gradient_norm);
	pb_csv_number(&log->text, s->learning_rate);
	pb_csv_number(&log->text, validation_loss);
	pb_csv_number(&log->text, round(log->seconds * 1000) / 1000);
	pb_csv_end(&log->text);
	log->loss_sum = 0;
	log->loss_steps = 0;
}

enum pb_status pb_training_log_write(const struct pb_training_log *log, const char *path, struct pb_error *err)
{
	enum pb_status st = pb_text_check(&log->text, err);

	return st ? st : pb_file_write(path, log->text.data, log->text.length, err);
}

static enum pb_status read_line(struct pb_training_log *log, const struct pb_csv *csv, size_t i, const char *path, struct pb_error *err)
{
	double *const targets[] = { &log->loss, &log->validation_loss, &log->seconds };
	const size_t columns[] = { 2, 5, 6 };

	for (size_t k = 0; k < COLUMNS; k++)
		pb_csv_text(&log->text, csv->fields[i][k]);
	pb_csv_end(&log->text);
	for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]); k++)
		if (csv->fields[i][columns[k]] && !pb_parse_double(csv->fields[i][columns[k]], targets[k]))
			return pb_fail(err, PB_FORMAT, "%s:%u: '%s' is not a number", path, csv->lines[i], csv->fields[i][columns[k]]);
	return PB_OK;
}

enum pb_status pb_training_log_read(struct pb_training_log *log, const char *path, uint64_t step, struct pb_error *err)
{
	char *data = NULL;
	struct pb_csv csv = {0};
	size_t size = 0;
	enum pb_status st = pb_file_read(path, LIMIT, &data, &size, err);

	if (!st)
		st = pb_csv_parse(&csv, path, data, size, err);
	for (size_t i = 1; !st && i < csv.n_rows; i++) {
		int64_t at;

		if (csv.n_fields[i] != COLUMNS || !csv.fields[i][0] || !pb_parse_int64(csv.fields[i][0], &at)) {
			st = pb_fail(err, PB_FORMAT, "%s:%u: not a line of a training log", path, csv.lines[i]);
			break;
		}
		if ((uint64_t)at > step)
			break;
		st = read_line(log, &csv, i, path, err);
	}
	pb_csv_free(&csv);
	pb_free(data);
	return st;
}

char *pb_training_log_note(const struct pb_training_log *log, const char *data)
{
	json_t *o = json_pack("{s:s, s:o, s:I, s:f}", "data", data, "loss_sum", pb_json_number(log->loss_sum), "loss_steps", (json_int_t)log->loss_steps,
		"seconds", log->seconds);
	char *note = o ? pb_json_canonical(o) : NULL;

	json_decref(o);
	return note;
}

enum pb_status pb_training_log_read_note(struct pb_training_log *log, const char *path, const char *note, const char *data, struct pb_error *err)
{
	json_t *o = NULL;
	const char *there = NULL;
	double sum = 0, seconds = 0;
	json_int_t steps = 0;
	enum pb_status st = pb_json_parse(&o, path, note, strlen(note), err);

	if (!st && (json_unpack(o, "{s:s, s:F, s:I, s:F}", "data", &there, "loss_sum", &sum, "loss_steps", &steps, "seconds", &seconds) || steps < 0))
		st = pb_fail(err, PB_FORMAT, "%s: not a checkpoint of paretobench train", path);
	if (!st && strcmp(there, data) != 0)
		st = pb_fail(err, PB_USAGE, "%s: not resumed: it is of other training data\nname another folder with -o, or remove this one", path);
	log->loss_sum = sum;
	log->loss_steps = (uint64_t)steps;
	log->seconds = seconds;
	json_decref(o);
	return st;
}
