/* Finding and reading data files. */
#include <stdint.h>
#include <string.h>
#include "core/base/csv.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "tasks/data.h"
#include "tasks/process.h"

/* Largest data file after decompression: well above every set in use, well below what would hurt a small machine. */
#define DATA_LIMIT ((size_t)1 << 30)

void pb_records_free(struct pb_records *records)
{
	for (size_t i = 0; i < records->n; i++)
		json_decref(records->rows[i].row);
	pb_free(records->rows);
	pb_free(records->file);
	*records = (struct pb_records){0};
}

enum pb_status pb_records_add(struct pb_records *records, json_t *row, unsigned line, struct pb_error *err)
{
	if (!row)
		return pb_out_of_memory(err, "a record");
	if (records->n == records->capacity) {
		size_t capacity = records->capacity ? 2 * records->capacity : 64;
		struct pb_record *rows = pb_realloc(records->rows, capacity, sizeof(*rows));

		if (!rows) {
			json_decref(row);
			return pb_out_of_memory(err, "records");
		}
		records->rows = rows;
		records->capacity = capacity;
	}
	records->rows[records->n++] = (struct pb_record){ .row = row, .line = line };
	return PB_OK;
}

static json_t *text_record(const char *s, size_t n)
{
	json_t *row = json_object();

	if (row && json_object_set_new(row, "text", json_stringn(s, n))) {
		json_decref(row);
		return NULL;
	}
	return row;
}

/* One line of the data, without its end. */
struct line {
	const char *s;
	size_t n;
};

/* Takes the next line off *s; a carriage return before the line feed is dropped. False at the end. */
static bool next_line(const char **s, const char *end, struct line *line)
{
	const char *feed;

	if (*s == end)
		return false;
	feed = memchr(*s, '\n', (size_t)(end - *s));
	line->s = *s;
	line->n = (size_t)((feed ? feed : end) - *s);
	if (line->n && line->s[line->n - 1] == '\r')
		line->n--;
	*s = feed ? feed + 1 : end;
	return true;
}

static bool is_blank(struct line line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.s[i] != ' ' && line.s[i] != '\t')
			return false;
	return true;
}

/* One line as an object. The parser counts lines from the text it is given; the file's own number takes their place. */
static enum pb_status parse_object(json_t **out, const char *file, unsigned number, struct line line, struct pb_error *err)
{
	struct pb_error why = {0};
	json_t *row = NULL;
	const char *place;
	enum pb_status st = pb_json_parse(&row, "", line.s, line.n, &why);

	if (st == PB_MEMORY)
		return pb_out_of_memory(err, file);
	if (st) {
		place = strncmp(why.text, ":1:", 3) == 0 ? why.text + 3 : why.text;
		return pb_fail(err, st, "%s:%u:%s", file, number, place);
	}
	if (!json_is_object(row)) {
		json_decref(row);
		return pb_fail(err, PB_FORMAT, "%s:%u: a line must be a JSON object", file, number);
	}
	*out = row;
	return PB_OK;
}

static enum pb_status parse_jsonl(struct pb_records *records, const char *file, const char *data, size_t size, struct pb_error *err)
{
	const char *s = data;
	struct line line;

	for (unsigned number = 1; next_line(&s, data + size, &line); number++) {
		json_t *row = NULL;
		enum pb_status st;

		if (is_blank(line))
			continue;
		st = parse_object(&row, file, number, line, err);
		if (!st)
			st = pb_records_add(records, row, number, err);
		if (st)
			return st;
	}
	return PB_OK;
}

static enum pb_status parse_json(struct pb_records *records, const char *file, const char *data, size_t size, struct pb_error *err)
{
	json_t *root = NULL;
	enum pb_status st = pb_json_parse(&root, file, data, size, err);

	if (st)
		return st;
	if (!json_is_array(root))
		st = pb_fail(err, PB_FORMAT, "%s: the file must be one JSON array", file);
	for (size_t i = 0; !st && i < json_array_size(root); i++) {
		json_t *value = json_array_get(root, i);

		if (json_is_object(value))
			st = pb_records_add(records, json_incref(value), 0, err);
		else if (json_is_string(value))
			st = pb_records_add(records, text_record(json_string_value(value), json_string_length(value)), 0, err);
		else
			st = pb_fail(err, PB_FORMAT, "%s: entry %zu is neither an object nor a string", file, i + 1);
	}
	json_decref(root);
	return st;
}

static enum pb_status parse_csv_row(json_t **out, const char *file, const struct pb_csv *csv, size_t row, const char *const *names, size_t n_names, struct pb_error *err)
{
	json_t *record;

	if (csv->n_fields[row] != n_names)
		return pb_fail(err, PB_FORMAT, "%s:%u: %zu fields where %zu are expected", file, csv->lines[row], csv->n_fields[row], n_names);
	if (!(record = json_object()))
		return pb_out_of_memory(err, "a record");
	for (size_t i = 0; i < n_names; i++) {
		const char *field = csv->fields[row][i] ? csv->fields[row][i] : "";

		if (json_object_get(record, names[i])) {
			json_decref(record);
			return pb_fail(err, PB_FORMAT, "%s: two columns are named '%s'", file, names[i]);
		}
		if (json_object_set_new(record, names[i], json_string(field))) {
			json_decref(record);
			return pb_out_of_memory(err, "a record");
		}
	}
	*out = record;
	return PB_OK;
}

static enum pb_status parse_csv(struct pb_records *records, const char *file, const char *data, size_t size, const struct pb_source *source, struct pb_error *err)
{
	struct pb_csv csv = {0};
	const char *const *names = source->columns;
	size_t n_names = source->n_columns, first = 0;
	enum pb_status st = pb_csv_parse(&csv, file, data, size, err);

	if (st)
		return st;
	if (!names && csv.n_rows) {
		names = (const char *const *)csv.fields[0];
		n_names = csv.n_fields[0];
		first = 1;
		for (size_t i = 0; i < n_names && !st; i++)
			if (!names[i] || !*names[i])
				st = pb_fail(err, PB_FORMAT, "%s: column %zu has no name", file, i + 1);
	}
	for (size_t i = first; i < csv.n_rows && !st; i++) {
		json_t *row = NULL;

		st = parse_csv_row(&row, file, &csv, i, names, n_names, err);
		if (!st)
			st = pb_records_add(records, row, csv.lines[i], err);
	}
	pb_csv_free(&csv);
	return st;
}

static enum pb_status parse_lines(struct pb_records *records, const char *data, size_t size, struct pb_error *err)
{
	const char *s = data;
	struct line line;

	for (unsigned number = 1; next_line(&s, data + size, &line); number++) {
		enum pb_status st;

		if (!is_blank(line) && (st = pb_records_add(records, text_record(line.s, line.n), number, err)))
			return st;
	}
	return PB_OK;
}

/* The fields of the form "query, gold, choices", as `process: hellaswag` makes them. */
static json_t *hellaswag_record(const struct line lines[6])
{
	json_t *row = json_object(), *choices = json_array();
	bool bad = !row || !choices || json_object_set_new(row, "query", json_stringn(lines[0].s, lines[0].n))
		|| json_object_set_new(row, "gold", json_integer(lines[1].s[0] - '0'));

	for (int i = 0; i < 4 && !bad; i++)
		bad = json_array_append_new(choices, json_stringn(lines[2 + i].s, lines[2 + i].n));
	bad = bad || json_object_set(row, "choices", choices);
	json_decref(choices);
	if (bad) {
		json_decref(row);
		return NULL;
	}
	return row;
}

static enum pb_status parse_hellaswag(struct pb_records *records, const char *file, const char *data, size_t size, struct pb_error *err)
{
	const char *s = data;
	struct line lines[6];
	unsigned number = 1;

	while (next_line(&s, data + size, &lines[0])) {
		enum pb_status st;

		for (int i = 1; i < 6; i++)
			if (!next_line(&s, data + size, &lines[i]))
				return pb_fail(err, PB_FORMAT, "%s:%u: the last document has fewer than six lines", file, number);
		if (lines[1].n != 1 || lines[1].s[0] < '0' || lines[1].s[0] > '3')
			return pb_fail(err, PB_FORMAT, "%s:%u: the right ending's number 0 to 3 is expected", file, number + 1);
		if ((st = pb_records_add(records, hellaswag_record(lines), number, err)))
			return st;
		number += 6;
	}
	return PB_OK;
}

/* Every format is text; the messages of later steps would be obscure for bytes that are not. */
static enum pb_status check_text(const char *file, const char *data, size_t size, struct pb_error *err)
{
	if (memchr(data, 0, size))
		return pb_fail(err, PB_FORMAT, "%s: not a text file: a NUL byte at offset %zu", file, (size_t)((const char *)memchr(data, 0, size) - data));
	if (!pb_utf8_valid(data, size)) {
		const char *s = data;
		unsigned line = 1;

		while (s < data + size) {
			const char *at = s;

			if (pb_utf8_next(&s, data + size) == 0xfffd && !pb_utf8_valid(at, (size_t)(s - at)))
				break;
			line += *at == '\n';
		}
		return pb_fail(err, PB_FORMAT, "%s:%u: not UTF-8", file, line);
	}
	return PB_OK;
}

enum pb_status pb_records_parse(struct pb_records *records, const char *file, const char *data, size_t size, const struct pb_source *source, struct pb_error *err)
{
	enum pb_data_format format = source ? source->format : PB_DATA_JSONL;
	enum pb_status st;

	if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 && format != PB_DATA_TEXT) {
		data += 3;
		size -= 3;
	}
	if ((st = check_text(file, data, size, err)))
		return st;
	switch (format) {
	case PB_DATA_JSONL:
		return parse_jsonl(records, file, data, size, err);
	case PB_DATA_JSON:
		return parse_json(records, file, data, size, err);
	case PB_DATA_CSV:
		return parse_csv(records, file, data, size, source, err);
	case PB_DATA_LINES:
		return parse_lines(records, data, size, err);
	case PB_DATA_HELLASWAG:
		return parse_hellaswag(records, file, data, size, err);
	case PB_DATA_TEXT:
		break;
	}
	return size ? pb_records_add(records, text_record(data, size), 1, err) : PB_OK;
}

/* "blimp/{{subtask}}.jsonl" with the subtask's name in. */
static bool expand(struct pb_text *out, const char *pattern, const char *subtask)
{
	static const char mark[] = "{{subtask}}";
	const char *at = strstr(pattern, mark);

	pb_text_clear(out);
	if (at && subtask) {
		pb_text_bytes(out, pattern, (size_t)(at - pattern));
		pb_text_string(out, subtask);
		pattern = at + sizeof(mark) - 1;
	}
	pb_text_string(out, pattern);
	return !out->failed;
}

/* folder/name, or that with .gz or .bz2; *found is pb_free'd, NULL when none is there. */
static enum pb_status find_in_folder(const char *folder, const char *name, char **found, struct pb_error *err)
{
	static const char *const suffixes[] = { "", ".gz", ".bz2" };

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		struct pb_text t = {0};
		char *path;

		pb_text_string(&t, name);
		pb_text_string(&t, suffixes[i]);
		path = t.failed ? NULL : pb_path_join(folder, t.data);
		pb_text_free(&t);
		if (!path)
			return pb_out_of_memory(err, "a path");
		if (pb_file_exists(path) && !pb_folder_exists(path)) {
			*found = path;
			return PB_OK;
		}
		pb_free(path);
	}
	*found = NULL;
	return PB_OK;
}

static enum pb_status find_source(const struct pb_source *source, const char *subtask, const struct pb_data_path *path, char **found, struct pb_error *err)
{
	struct pb_text name = {0};
	enum pb_status st = PB_OK;

	*found = NULL;
	for (size_t i = 0; i < path->n && !st && !*found; i++)
		for (size_t j = 0; j < source->n_files && !st && !*found; j++) {
			if (!expand(&name, source->files[j], subtask))
				st = pb_out_of_memory(err, "a path");
			else
				st = find_in_folder(path->folders[i], name.data ? name.data : "", found, err);
		}
	pb_text_free(&name);
	return st;
}

static enum pb_status missing(const struct pb_task *task, const char *subtask, const struct pb_data_path *path, struct pb_error *err)
{
	struct pb_text t = {0}, name = {0};
	const char *between = "";
	enum pb_status st;

	pb_text_printf(&t, "%s: data not found: ", task->name);
	for (size_t i = 0; i < task->definition->n_sources; i++)
		for (size_t j = 0; j < task->definition->sources[i].n_files; j++) {
			expand(&name, task->definition->sources[i].files[j], subtask);
			pb_text_printf(&t, "%s%s", between, pb_text_c(&name));
			between = ", ";
		}
	if (path->n)
		pb_text_string(&t, " (or .gz, .bz2) in ");
	else
		pb_text_string(&t, ": no data folder is given");
	for (size_t i = 0; i < path->n; i++)
		pb_text_printf(&t, "%s%s", i ? ", " : "", path->folders[i]);
	/* A source that is a command of this program makes the files. */
	if (task->source && strncmp(task->source, "paretobench ", 12) == 0)
		pb_text_printf(&t, "\nmake it with '%s -o DIR' and name DIR with --data or in PB_DATA", task->source);
	else
		pb_text_string(&t, "\nname the folder with --data DIR or in PB_DATA");
	st = t.failed ? pb_out_of_memory(err, "a message") : pb_fail(err, PB_MISSING, "%s", t.data);
	pb_text_free(&t);
	pb_text_free(&name);
	return st;
}

static enum pb_status add_labels(struct pb_records *records, const char *name, struct pb_error *err)
{
	char *folder = pb_path_folder(records->file), *path = NULL, *data = NULL;
	const char *s, *shown = name;
	struct line line;
	size_t size, n = 0;
	enum pb_status st = folder ? find_in_folder(folder, name, &path, err) : pb_out_of_memory(err, "a path");

	if (!st && !path)
		st = pb_fail(err, PB_MISSING, "%s: the labels '%s' are not beside it", records->file, name);
	if (!st) {
		shown = path;
		st = pb_file_read_data(path, DATA_LIMIT, &data, &size, err);
	}
	s = data;
	while (!st && next_line(&s, data + size, &line)) {
		char number[32];
		int64_t label;

		if (n == records->n) {
			st = is_blank(line) ? PB_OK : pb_fail(err, PB_FORMAT, "%s:%zu: more labels than the %zu records of %s", shown, n + 1, records->n, records->file);
			continue;
		}
		snprintf(number, sizeof(number), "%.*s", (int)(line.n < 31 ? line.n : 31), line.s);
		if (line.n > 30 || !pb_parse_int64(number, &label))
			st = pb_fail(err, PB_FORMAT, "%s:%zu: an integer is expected", shown, n + 1);
		else if (json_object_set_new(records->rows[n++].row, "label", json_integer(label)))
			st = pb_out_of_memory(err, "a label");
	}
	if (!st && n < records->n)
		st = pb_fail(err, PB_FORMAT, "%s: %zu labels for the %zu records of %s", shown, n, records->n, records->file);
	pb_free(data);
	pb_free(path);
	pb_free(folder);
	return st;
}

static enum pb_status read_source(struct pb_records *records, const struct pb_source *source, struct pb_error *err)
{
	char *data;
	size_t size;
	enum pb_status st = pb_file_read_data(records->file, DATA_LIMIT, &data, &size, err);

	if (st)
		return st;
	st = pb_records_parse(records, records->file, data, size, source, err);
	pb_free(data);
	if (!st && !records->n)
		st = pb_fail(err, PB_FORMAT, "%s: the file holds no data", records->file);
	if (!st && source->labels)
		st = add_labels(records, source->labels, err);
	for (size_t i = 0; i < source->n_processes && !st; i++)
		st = source->processes[i]->apply(records, err);
	return st;
}

enum pb_status pb_data_read(struct pb_records *out, const struct pb_source **used, const struct pb_task *task, const char *subtask,
	const struct pb_data_path *path, struct pb_error *err)
{
	const struct pb_definition *d = task->definition;
	struct pb_records records = {0};
	enum pb_status st = PB_OK;

	for (size_t i = 0; i < d->n_sources && !st; i++) {
		st = find_source(&d->sources[i], subtask, path, &records.file, err);
		if (!records.file)
			continue;
		st = read_source(&records, &d->sources[i], err);
		if (st) {
			pb_records_free(&records);
			pb_fail_prefix(err, "%s", task->name);
			return st;
		}
		if (d->sources[i].expected_items && records.n != d->sources[i].expected_items)
			pb_log(PB_LOG_WARNING, "%s: %s holds %zu items; the published set has %llu", task->name, records.file, records.n,
				(unsigned long long)d->sources[i].expected_items);
		*out = records;
		*used = &d->sources[i];
		return PB_OK;
	}
	return st ? st : missing(task, subtask, path, err);
}

static enum pb_status render_texts(struct pb_task_data *data, struct pb_text_items *texts, const struct pb_task *task, const struct pb_records *records, struct pb_error *err)
{
	struct pb_text t = {0};
	struct pb_hash *hash = pb_hash_new();
	enum pb_status st = hash ? PB_OK : pb_out_of_memory(err, "a hash");

	for (size_t i = 0; i < texts->n && !st; i++) {
		pb_text_clear(&t);
		st = pb_template_render(task->definition->target, records->rows[i].row, &t, err);
		if (st) {
			pb_fail_prefix(err, "%s: %s:%u", task->name, records->file, records->rows[i].line);
			break;
		}
		texts->items[i] = (struct pb_text_item){ .text = pb_arena_strndup(data->arena, pb_text_c(&t), t.length), .size = t.length, .line = records->rows[i].line };
		if (!texts->items[i].text)
			st = pb_out_of_memory(err, "texts");
		else
			pb_hash_string(hash, texts->items[i].text);
		data->n_chars += t.length;
	}
	pb_text_free(&t);
	if (hash)
		pb_hash_finish(hash, data->hash);
	if (!st && !data->n_chars)
		st = pb_fail(err, PB_FORMAT, "%s: %s: every text is empty", task->name, records->file);
	return st;
}

enum pb_status pb_data_read_texts(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, uint64_t limit, struct pb_error *err)
{
	struct pb_records records = {0};
	const struct pb_source *source = NULL;
	struct pb_text_items *texts = pb_arena_alloc(data->arena, 1, sizeof(*texts));
	enum pb_status st = texts ? pb_data_read(&records, &source, task, NULL, path, err) : pb_out_of_memory(err, "texts");

	if (st)
		return st;
	texts->n = limit && limit < records.n ? (size_t)limit : records.n;
	texts->whole = source->format == PB_DATA_TEXT && !source->n_processes;
	texts->items = pb_arena_alloc(data->arena, texts->n, sizeof(*texts->items));
	st = texts->items ? render_texts(data, texts, task, &records, err) : pb_out_of_memory(err, "texts");
	data->n_items = texts->n;
	data->n_sequences = texts->n;
	data->items = texts;
	pb_records_free(&records);
	return st;
}
