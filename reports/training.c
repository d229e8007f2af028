#include "reports/training.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/csv.h"
#include "core/base/file.h"
#include "core/base/json.h"

#define LOG_LIMIT (64u << 20)
#define FACTS_LIMIT (1u << 20)

/* The columns of log.csv, in the order of training.csv. The first WHOLE are integers that every line has. */
enum { STEP, TOKENS, WHOLE, LOSS = WHOLE, GRADIENT_NORM, LEARNING_RATE, VALIDATION_LOSS, SECONDS, COLUMNS };
static const char *const columns[COLUMNS] = { "step", "tokens", "loss", "gradient_norm", "learning_rate", "validation_loss", "seconds" };

static const char *const status_names[PB_TRAINING_STATUSES] = { "running", "done", "diverged" };

const char *pb_training_status_name(enum pb_training_status status)
{
	return status_names[status];
}

/* --- log.csv --- */

static enum pb_status find_columns(size_t places[COLUMNS], const struct pb_csv *csv, const char *name, struct pb_error *err)
{
	for (int c = 0; c < COLUMNS; c++) {
		size_t n = 0;
		for (size_t i = 0; csv->n_rows > 0 && i < csv->n_fields[0]; i++)
			if (csv->fields[0][i] && strcmp(csv->fields[0][i], columns[c]) == 0) {
				places[c] = i;
				n++;
			}
		if (n != 1)
			return pb_fail(err, PB_FORMAT, "%s:%u: %s column '%s'; is it the log of a training?", name, csv->n_rows > 0 ? csv->lines[0] : 1,
				n ? "more than one" : "no", columns[c]);
	}
	return PB_OK;
}

static enum pb_status parse_line(struct pb_training_line *line, const size_t places[COLUMNS], char *const *fields, const char *name, unsigned number,
	struct pb_error *err)
{
	int64_t whole[WHOLE];
	double real[COLUMNS];
	for (int c = 0; c < WHOLE; c++) {
		const char *s = fields[places[c]];
		if (!s || !pb_parse_int64(s, &whole[c]) || whole[c] < 0)
			return pb_fail(err, PB_FORMAT, "%s:%u: %s is not a whole number from 0 on", name, number, columns[c]);
	}
	for (int c = WHOLE; c < COLUMNS; c++) {
		const char *s = fields[places[c]];
		real[c] = NAN;
		if (s && !pb_parse_double(s, &real[c]))
			return pb_fail(err, PB_FORMAT, "%s:%u: %s is not a finite number", name, number, columns[c]);
	}
	*line = (struct pb_training_line){ whole[STEP], whole[TOKENS], real[LOSS], real[GRADIENT_NORM], real[LEARNING_RATE], real[VALIDATION_LOSS],
		real[SECONDS] };
	return PB_OK;
}

static enum pb_status parse_lines(struct pb_training *run, struct pb_arena *arena, const struct pb_csv *csv, const char *name, struct pb_error *err)
{
	size_t places[COLUMNS];
	enum pb_status st = find_columns(places, csv, name, err);
	if (st != PB_OK)
		return st;
	run->lines = pb_arena_alloc(arena, csv->n_rows, sizeof *run->lines);
	if (!run->lines)
		return pb_out_of_memory(err, name);
	for (size_t i = 1; i < csv->n_rows; i++) {
		struct pb_training_line *line = &run->lines[i - 1];
		unsigned number = csv->lines[i];
		if (csv->n_fields[i] != csv->n_fields[0])
			return pb_fail(err, PB_FORMAT, "%s:%u: %zu fields, the first line has %zu", name, number, csv->n_fields[i], csv->n_fields[0]);
		st = parse_line(line, places, csv->fields[i], name, number, err);
		if (st != PB_OK)
			return st;
		if (i > 1 && line->step <= line[-1].step)
			return pb_fail(err, PB_FORMAT, "%s:%u: step %lld after step %lld", name, number, (long long)line->step, (long long)line[-1].step);
		if (i > 1 && line->tokens < line[-1].tokens)
			return pb_fail(err, PB_FORMAT, "%s:%u: %lld tokens after %lld", name, number, (long long)line->tokens, (long long)line[-1].tokens);
	}
	run->n_lines = csv->n_rows - 1;
	return PB_OK;
}

static enum pb_status parse_log(struct pb_training *run, struct pb_arena *arena, const struct pb_training_bytes *log, struct pb_error *err)
{
	struct pb_csv csv;
	enum pb_status st = pb_csv_parse(&csv, log->name, log->data, log->size, err);
	if (st != PB_OK)
		return st;
	st = parse_lines(run, arena, &csv, log->name, err);
	/* A number that was cut is a number too. */
	if (st == PB_OK && log->data[log->size - 1] != '\n')
		st = pb_fail(err, PB_FORMAT, "%s:%u: truncated: the last line has no end", log->name, csv.lines[csv.n_rows - 1]);
	if (st == PB_OK)
		pb_hash_of_bytes(log->data, log->size, run->log_hash);
	pb_csv_free(&csv);
	return st;
}

/* --- train.json --- */

static enum pb_status get_string(const char **out, struct pb_arena *arena, const json_t *object, const char *key, const char *file, struct pb_error *err)
{
	const char *s = json_string_value(json_object_get(object, key));
	if (!s)
		return pb_fail(err, PB_FORMAT, "%s: '%s' is not a string", file, key);
	*out = pb_arena_strdup(arena, s);
	return *out ? PB_OK : pb_out_of_memory(err, file);
}

static enum pb_status get_whole(int64_t *out, const json_t *object, const char *key, const char *file, struct pb_error *err)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return pb_fail(err, PB_FORMAT, "%s: '%s' is not a whole number from 0 on", file, key);
	*out = json_integer_value(value);
	return PB_OK;
}

static enum pb_status get_number(double *out, const json_t *object, const char *key, const char *file, struct pb_error *err)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_number(value) && !json_is_null(value))
		return pb_fail(err, PB_FORMAT, "%s: '%s' is neither a number nor null", file, key);
	*out = json_is_null(value) ? NAN : json_number_value(value);
	return PB_OK;
}

static enum pb_status get_status(struct pb_training *run, const json_t *object, const char *file, struct pb_error *err)
{
	const char *s = json_string_value(json_object_get(object, "status"));
	for (int i = 0; s && i < PB_TRAINING_STATUSES; i++)
		if (strcmp(s, status_names[i]) == 0) {
			run->status = (enum pb_training_status)i;
			return PB_OK;
		}
	return pb_fail(err, PB_FORMAT, "%s: 'status' is none of running, done, diverged", file);
}

static enum pb_status read_facts(struct pb_training *run, struct pb_arena *arena, const json_t *object, const char *file, struct pb_error *err)
{
	const struct {
		const char *key;
		int64_t *to;
	} wholes[] = { { "parameters", &run->parameters }, { "matrix_parameters", &run->matrix_parameters }, { "steps", &run->steps }, { "tokens", &run->tokens } };
	const struct {
		const char *key;
		double *to;
	} numbers[] = { { "tokens_per_second", &run->tokens_per_second }, { "final_loss", &run->final_loss }, { "validation_loss", &run->validation_loss } };
	if (!json_is_object(object))
		return pb_fail(err, PB_FORMAT, "%s: not an object", file);
	enum pb_status st = get_string(&run->name, arena, object, "name", file, err);
	if (st == PB_OK && !*run->name)
		st = pb_fail(err, PB_FORMAT, "%s: 'name' is empty", file);
	for (size_t i = 0; st == PB_OK && i < sizeof wholes / sizeof *wholes; i++)
		st = get_whole(wholes[i].to, object, wholes[i].key, file, err);
	for (size_t i = 0; st == PB_OK && i < sizeof numbers / sizeof *numbers; i++)
		st = get_number(numbers[i].to, object, numbers[i].key, file, err);
	if (st == PB_OK)
		st = get_status(run, object, file, err);
	if (st == PB_OK)
		st = get_string(&run->reason, arena, object, "reason", file, err);
	run->version = "";
	if (st == PB_OK && json_object_get(object, "version"))
		st = get_string(&run->version, arena, object, "version", file, err);
	return st;
}

static enum pb_status parse_facts(struct pb_training *run, struct pb_arena *arena, const struct pb_training_bytes *facts, struct pb_error *err)
{
	json_t *object = NULL;
	enum pb_status st = pb_json_parse(&object, facts->name, facts->data, facts->size, err);
	if (st != PB_OK)
		return st;
	st = read_facts(run, arena, object, facts->name, err);
	json_decref(object);
	return st;
}

/* --- folders --- */

static enum pb_status make_room(struct pb_trainings *t, struct pb_error *err)
{
	if (!t->arena)
		t->arena = pb_arena_new();
	if (!t->arena)
		return pb_out_of_memory(err, "a training");
	if (t->n < t->capacity)
		return PB_OK;
	size_t capacity = t->capacity ? 2 * t->capacity : 8;
	struct pb_training *runs = pb_realloc(t->runs, capacity, sizeof *runs);
	if (!runs)
		return pb_out_of_memory(err, "a training");
	t->runs = runs;
	t->capacity = capacity;
	return PB_OK;
}

enum pb_status pb_trainings_add(struct pb_trainings *trainings, const char *folder, const struct pb_training_bytes *log,
	const struct pb_training_bytes *facts, struct pb_error *err)
{
	struct pb_training run = { 0 };
	enum pb_status st = make_room(trainings, err);
	if (st != PB_OK)
		return st;
	run.folder = pb_arena_strdup(trainings->arena, folder);
	if (!run.folder)
		return pb_out_of_memory(err, "a training");
	st = parse_facts(&run, trainings->arena, facts, err);
	if (st == PB_OK)
		st = parse_log(&run, trainings->arena, log, err);
	if (st == PB_OK)
		trainings->runs[trainings->n++] = run;
	return st;
}

/* The paths of the two files; false when memory is out. */
static bool make_paths(const char *folder, char *paths[2])
{
	paths[0] = pb_path_join(folder, PB_TRAINING_LOG);
	paths[1] = pb_path_join(folder, PB_TRAINING_FACTS);
	return paths[0] && paths[1];
}

enum pb_status pb_training_is_there(const char *folder, bool *there, struct pb_error *err)
{
	char *paths[2];
	bool ok = make_paths(folder, paths);
	if (ok)
		*there = pb_file_exists(paths[0]) || pb_file_exists(paths[1]);
	pb_free(paths[0]);
	pb_free(paths[1]);
	return ok ? PB_OK : pb_out_of_memory(err, "a path");
}

enum pb_status pb_trainings_read(struct pb_trainings *trainings, const char *folder, struct pb_error *err)
{
	static const size_t limits[2] = { LOG_LIMIT, FACTS_LIMIT };
	char *paths[2], *data[2] = { NULL, NULL };
	size_t sizes[2];
	enum pb_status st = make_paths(folder, paths) ? PB_OK : pb_out_of_memory(err, "a path");
	for (int i = 0; i < 2 && st == PB_OK; i++)
		st = pb_file_read(paths[i], limits[i], &data[i], &sizes[i], err);
	if (st == PB_OK) {
		const struct pb_training_bytes log = { paths[0], data[0], sizes[0] }, facts = { paths[1], data[1], sizes[1] };
		st = pb_trainings_add(trainings, folder, &log, &facts, err);
	}
	for (int i = 0; i < 2; i++) {
		pb_free(data[i]);
		pb_free(paths[i]);
	}
	return st;
}

void pb_trainings_free(struct pb_trainings *trainings)
{
	pb_arena_free(trainings->arena);
	pb_free(trainings->runs);
	*trainings = (struct pb_trainings){ 0 };
}

static int compare(const void *pa, const void *pb)
{
	const struct pb_training *a = pa, *b = pb;
	int c = (a->parameters > b->parameters) - (a->parameters < b->parameters);
	if (!c)
		c = strcmp(a->name, b->name);
	return c ? c : strcmp(a->folder, b->folder);
}

enum pb_status pb_trainings_sort(struct pb_trainings *trainings, struct pb_error *err)
{
	size_t n = trainings->n;
	bool *shared = pb_alloc_zero(n, sizeof *shared);
	if (!shared)
		return pb_out_of_memory(err, "the trainings");
	if (n > 1)
		qsort(trainings->runs, n, sizeof *trainings->runs, compare);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(trainings->runs[i].name, trainings->runs[k].name) == 0)
				shared[i] = shared[k] = true;
	enum pb_status st = PB_OK;
	for (size_t i = 0; i < n && st == PB_OK; i++) {
		struct pb_training *run = &trainings->runs[i];
		const char *name = shared[i] ? pb_arena_printf(trainings->arena, "%s (%s)", run->name, run->folder) : run->name;
		if (!name)
			st = pb_out_of_memory(err, "the trainings");
		else
			run->name = name;
	}
	pb_free(shared);
	return st;
}

enum pb_status pb_trainings_csv(const struct pb_trainings *trainings, struct pb_text *out, struct pb_error *err)
{
	pb_csv_text(out, "run");
	for (int c = 0; c < COLUMNS; c++)
		pb_csv_text(out, columns[c]);
	pb_csv_end(out);
	for (size_t i = 0; i < trainings->n; i++)
		for (size_t k = 0; k < trainings->runs[i].n_lines; k++) {
			const struct pb_training_line *line = &trainings->runs[i].lines[k];
			pb_csv_text(out, trainings->runs[i].name);
			pb_csv_integer(out, line->step);
			pb_csv_integer(out, line->tokens);
			const double numbers[] = { line->loss, line->gradient_norm, line->learning_rate, line->validation_loss, line->seconds };
			for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
				pb_csv_number(out, numbers[j]);
			pb_csv_end(out);
		}
	return pb_text_check(out, err);
}
