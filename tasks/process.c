/* Pre-processing of records. */
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>
#include "tasks/process.h"
#include "tasks/whitespace.h"
#include "tasks/wikitext.h"

/* Requests from this document number on are the unconditional twins of others. */
#define OLMES_TWINS 1000000

struct at {
	const char *file;
	unsigned line;
};

/* NULL, and PB_FORMAT in err, when the field is not a string. */
static const char *string_field(const json_t *row, const char *name, struct at at, struct pb_error *err)
{
	const char *s = json_string_value(json_object_get(row, name));

	if (!s)
		pb_fail(err, PB_FORMAT, "%s:%u: field '%s' must be a string", at.file, at.line, name);
	return s;
}

/* An integer, or a string of digits. */
static enum pb_status integer_field(const json_t *row, const char *name, struct at at, int64_t *out, struct pb_error *err)
{
	const json_t *value = json_object_get(row, name);

	if (json_is_integer(value))
		*out = json_integer_value(value);
	else if (!json_is_string(value) || !pb_parse_int64(json_string_value(value), out))
		return pb_fail(err, PB_FORMAT, "%s:%u: field '%s' must be an integer", at.file, at.line, name);
	return PB_OK;
}

static enum pb_status set(json_t *row, const char *name, json_t *value, struct pb_error *err)
{
	return json_object_set_new(row, name, value) ? pb_out_of_memory(err, "a record") : PB_OK;
}

static enum pb_status set_text(json_t *row, const char *name, const struct pb_text *t, struct pb_error *err)
{
	return t->failed ? pb_out_of_memory(err, "a record") : set(row, name, json_stringn(pb_text_c(t), t->length), err);
}

/* A process that looks at one record at a time. */
typedef enum pb_status (*row_fn)(json_t *row, struct at at, struct pb_error *err);

static enum pb_status each(struct pb_records *records, row_fn fn, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; i < records->n && !st; i++)
		st = fn(records->rows[i].row, (struct at){ records->file, records->rows[i].line }, err);
	return st;
}

/* arc, openbookqa: {question or question_stem, choices: {text, label}, answerKey} */

static enum pb_status arc_row(json_t *row, struct at at, struct pb_error *err)
{
	const json_t *choices = json_object_get(row, "choices"), *text = json_object_get(choices, "text"), *label = json_object_get(choices, "label");
	json_t *stem = json_object_get(row, "question_stem"), *kept;
	const char *key = string_field(row, "answerKey", at, err);
	int64_t gold = -1;
	enum pb_status st;

	if (!key)
		return PB_FORMAT;
	if (!json_is_array(text) || !json_is_array(label) || json_array_size(text) != json_array_size(label))
		return pb_fail(err, PB_FORMAT, "%s:%u: choices.text and choices.label must be lists of one length", at.file, at.line);
	key += pb_space_before(key, strlen(key));
	for (size_t i = json_array_size(label); i-- > 0;) {
		const char *s = json_string_value(json_array_get(label, i));

		if (s && strcmp(s, key) == 0)
			gold = (int64_t)i;
	}
	if (gold < 0)
		return pb_fail(err, PB_FORMAT, "%s:%u: answerKey '%s' is none of choices.label", at.file, at.line, key);
	if (stem && json_object_set(row, "question", stem))
		return pb_out_of_memory(err, "a record");
	if ((st = set(row, "gold", json_integer(gold), err)))
		return st;
	kept = json_incref((json_t *)text);
	return set(row, "choices", kept, err);
}

static enum pb_status arc(struct pb_records *records, struct pb_error *err)
{
	return each(records, arc_row, err);
}

/* boolq_query: {query: "PASSAGE\nQuestion: QUESTION?\nAnswer:", choices: [yes, no], gold} to {passage, question, label: 1 for yes} */

static enum pb_status boolq_row(json_t *row, struct at at, struct pb_error *err)
{
	static const char middle[] = "\nQuestion: ", tail[] = "?\nAnswer:";
	const size_t n_middle = sizeof(middle) - 1, n_tail = sizeof(tail) - 1;
	const char *query = string_field(row, "query", at, err), *found = NULL, *choice;
	int64_t gold = -1;
	size_t n;
	enum pb_status st;

	if (!query)
		return PB_FORMAT;
	if ((st = integer_field(row, "gold", at, &gold, err)))
		return st;
	n = strlen(query);
	for (const char *s = query; (s = strstr(s, middle)); s++)
		found = s;
	if (!found || n < n_tail || strcmp(query + n - n_tail, tail) != 0 || found + n_middle > query + n - n_tail)
		return pb_fail(err, PB_FORMAT, "%s:%u: query is not a passage, a line 'Question: ...?' and a line 'Answer:'", at.file, at.line);
	choice = gold >= 0 ? json_string_value(json_array_get(json_object_get(row, "choices"), (size_t)gold)) : NULL;
	if (!choice || (strcmp(choice, "yes") != 0 && strcmp(choice, "no") != 0))
		return pb_fail(err, PB_FORMAT, "%s:%u: the right choice is neither 'yes' nor 'no'", at.file, at.line);
	if ((st = set(row, "label", json_integer(strcmp(choice, "yes") == 0), err)))
		return st;
	if ((st = set(row, "passage", json_stringn(query, (size_t)(found - query)), err)))
		return st;
	found += n_middle;
	return set(row, "question", json_stringn(found, (size_t)(query + n - n_tail - found)), err);
}

static enum pb_status boolq_query(struct pb_records *records, struct pb_error *err)
{
	return each(records, boolq_row, err);
}

/* hellaswag: {ctx_a, ctx_b, activity_label, endings, label} to {query, choices, gold} */

void pb_hellaswag_clean(const char *s, size_t n, struct pb_text *out)
{
	static const char title[] = " [title]";
	const size_t n_title = sizeof(title) - 1;
	struct pb_text titles = {0}, tags = {0};
	size_t i, begin;

	n = pb_without_space_after(s, n);
	begin = pb_space_before(s, n);
	s += begin;
	n -= begin;
	for (i = 0; i < n;) {
		bool hit = n - i >= n_title && memcmp(s + i, title, n_title) == 0;

		if (hit)
			pb_text_string(&titles, ". ");
		else
			pb_text_char(&titles, s[i]);
		i += hit ? n_title : 1;
	}
	s = pb_text_c(&titles);
	n = titles.length;
	for (i = 0; i < n;) {
		size_t stop = i;

		if (s[i] == '[')
			stop += strcspn(s + i, "]\n");
		if (stop > i && s[stop] == ']')
			i = stop + 1;
		else
			pb_text_char(&tags, s[i++]);
	}
	s = pb_text_c(&tags);
	n = tags.length;
	for (i = 0; i < n; i++) {
		pb_text_char(out, s[i]);
		i += s[i] == ' ' && s[i + 1] == ' ';
	}
	out->failed = out->failed || titles.failed || tags.failed;
	pb_text_free(&titles);
	pb_text_free(&tags);
}

/* Python's str.capitalize but for the few characters whose case changes their number. */
static void capitalize(const char *s, struct pb_text *out)
{
	const char *end = s + strlen(s);

	for (bool first = true; s < end; first = false) {
		utf8proc_int32_t c = (utf8proc_int32_t)pb_utf8_next(&s, end);
		char bytes[4];

		pb_text_bytes(out, bytes, pb_utf8_put(bytes, (uint32_t)(first ? utf8proc_totitle(c) : utf8proc_tolower(c))));
	}
}

static enum pb_status hellaswag_query(json_t *row, struct at at, struct pb_error *err)
{
	struct pb_text raw = {0}, clean = {0};
	const char *label = string_field(row, "activity_label", at, err);
	const char *a = label ? string_field(row, "ctx_a", at, err) : NULL, *b = a ? string_field(row, "ctx_b", at, err) : NULL;
	enum pb_status st;

	if (!b)
		return PB_FORMAT;
	pb_text_string(&raw, label);
	pb_text_string(&raw, ": ");
	pb_text_string(&raw, a);
	pb_text_string(&raw, " ");
	capitalize(b, &raw);
	pb_hellaswag_clean(pb_text_c(&raw), raw.length, &clean);
	clean.failed = clean.failed || raw.failed;
	st = set_text(row, "query", &clean, err);
	pb_text_free(&raw);
	pb_text_free(&clean);
	return st;
}

static enum pb_status hellaswag_row(json_t *row, struct at at, struct pb_error *err)
{
	json_t *endings = json_object_get(row, "endings"), *choices;
	struct pb_text clean = {0};
	int64_t gold = 0;
	enum pb_status st = integer_field(row, "label", at, &gold, err);

	if (!st)
		st = hellaswag_query(row, at, err);
	if (!st)
		st = set(row, "gold", json_integer(gold), err);
	if (!st)
		st = set(row, "choices", json_array(), err);
	if (st)
		return st;
	choices = json_object_get(row, "choices");
	for (size_t i = 0; i < json_array_size(endings) && !st; i++) {
		const char *s = json_string_value(json_array_get(endings, i));

		pb_text_clear(&clean);
		if (!s)
			st = pb_fail(err, PB_FORMAT, "%s:%u: endings must be strings", at.file, at.line);
		else
			pb_hellaswag_clean(s, strlen(s), &clean);
		if (!st && (clean.failed || json_array_append_new(choices, json_stringn(pb_text_c(&clean), clean.length))))
			st = pb_out_of_memory(err, "a record");
	}
	pb_text_free(&clean);
	return st;
}

static enum pb_status hellaswag(struct pb_records *records, struct pb_error *err)
{
	return each(records, hellaswag_row, err);
}

/* lambada: {text} to {context, target}; lambada_pair: {context, continuation} to the same */

static enum pb_status lambada_row(json_t *row, struct at at, struct pb_error *err)
{
	const char *text = string_field(row, "text", at, err), *blank;
	struct pb_text target = {0};
	enum pb_status st;

	if (!text)
		return PB_FORMAT;
	blank = strrchr(text, ' ');
	pb_text_char(&target, ' ');
	pb_text_string(&target, blank ? blank + 1 : text);
	st = set_text(row, "target", &target, err);
	pb_text_free(&target);
	return st ? st : set(row, "context", json_stringn(text, blank ? (size_t)(blank - text) : 0), err);
}

static enum pb_status lambada(struct pb_records *records, struct pb_error *err)
{
	return each(records, lambada_row, err);
}

static enum pb_status lambada_pair_row(json_t *row, struct at at, struct pb_error *err)
{
	const char *word = string_field(row, "continuation", at, err);
	struct pb_text target = {0};
	enum pb_status st;

	if (!word)
		return PB_FORMAT;
	pb_text_char(&target, ' ');
	pb_text_string(&target, word);
	st = set_text(row, "target", &target, err);
	pb_text_free(&target);
	return st;
}

static enum pb_status lambada_pair(struct pb_records *records, struct pb_error *err)
{
	return each(records, lambada_pair_row, err);
}

/* olmes: requests, one a choice, to documents: the fields of `doc`, with `gold`, and `question` where the query is framed */

static enum pb_status olmes_document(json_t *doc, const json_t *request, struct at at, struct pb_error *err)
{
	static const char head[] = "Question: ", tail[] = "\nAnswer:";
	const char *query = json_string_value(json_object_get(doc, "query"));
	size_t n = query ? strlen(query) : 0, n_head = sizeof(head) - 1, n_tail = sizeof(tail) - 1;
	int64_t label = 0, gold = 0;
	enum pb_status st = integer_field(request, "label", at, &label, err);

	if (st)
		return st;
	if (json_object_get(doc, "gold")) {
		if ((st = integer_field(doc, "gold", at, &gold, err)))
			return st;
		if (gold != label)
			return pb_fail(err, PB_FORMAT, "%s:%u: label %lld, but the document's gold is %lld", at.file, at.line, (long long)label, (long long)gold);
	}
	if ((st = set(doc, "gold", json_integer(label), err)))
		return st;
	if (n >= n_head + n_tail && strncmp(query, head, n_head) == 0 && strcmp(query + n - n_tail, tail) == 0)
		st = set(doc, "question", json_stringn(query + n_head, n - n_head - n_tail), err);
	return st;
}

/* The request must be what the document says it is. */
static enum pb_status olmes_check(const json_t *row, const json_t *doc, int64_t idx, struct at at, struct pb_error *err)
{
	const json_t *request = json_object_get(row, "request"), *choices = json_object_get(doc, "choices");
	const char *query = json_string_value(json_object_get(doc, "query")), *choice;
	const char *context = string_field(request, "context", at, err), *continuation = context ? string_field(request, "continuation", at, err) : NULL;

	if (!continuation)
		return PB_FORMAT;
	if (query && strcmp(query, context) != 0)
		return pb_fail(err, PB_FORMAT, "%s:%u: the context is not the document's query; requests with solved examples in front are another task", at.file, at.line);
	if (!choices)
		return PB_OK;
	choice = json_string_value(json_array_get(choices, (size_t)idx));
	if (!choice || continuation[0] != ' ' || strcmp(choice, continuation + 1) != 0)
		return pb_fail(err, PB_FORMAT, "%s:%u: the continuation is not a blank and choice %lld of the document", at.file, at.line, (long long)idx);
	return PB_OK;
}

static enum pb_status olmes_finish(const struct pb_records *documents, int64_t n_requests, struct pb_error *err)
{
	const struct pb_record *last = documents->n ? &documents->rows[documents->n - 1] : NULL;
	const json_t *choices = last ? json_object_get(last->row, "choices") : NULL;

	if (choices && (int64_t)json_array_size(choices) != n_requests)
		return pb_fail(err, PB_FORMAT, "%s:%u: %lld requests for a document with %zu choices", documents->file, last->line, (long long)n_requests, json_array_size(choices));
	return PB_OK;
}

static enum pb_status olmes_gather(struct pb_records *documents, const struct pb_records *requests, struct pb_error *err)
{
	int64_t current = -1, n_requests = 0;

	for (size_t i = 0; i < requests->n; i++) {
		const json_t *row = requests->rows[i].row;
		struct at at = { requests->file, requests->rows[i].line };
		json_t *doc = json_object_get(row, "doc");
		int64_t id = 0, idx = 0;
		enum pb_status st = integer_field(row, "doc_id", at, &id, err);

		if (st || (st = integer_field(row, "idx", at, &idx, err)))
			return st;
		if (!json_is_object(doc))
			return pb_fail(err, PB_FORMAT, "%s:%u: field 'doc' must be an object", at.file, at.line);
		if (id >= OLMES_TWINS)
			continue;
		if (id != current) {
			if ((st = olmes_finish(documents, n_requests, err)))
				return st;
			if (id <= current)
				return pb_fail(err, PB_FORMAT, "%s:%u: document %lld comes again or out of order", at.file, at.line, (long long)id);
			current = id;
			n_requests = 0;
		}
		if (idx != n_requests++)
			return pb_fail(err, PB_FORMAT, "%s:%u: request %lld of document %lld where %lld is expected", at.file, at.line, (long long)idx,
				(long long)id, (long long)n_requests - 1);
		if ((st = olmes_check(row, doc, idx, at, err)))
			return st;
		if (idx == 0) {
			if ((st = pb_records_add(documents, json_deep_copy(doc), at.line, err)))
				return st;
			if ((st = olmes_document(documents->rows[documents->n - 1].row, row, at, err)))
				return st;
		}
	}
	return olmes_finish(documents, n_requests, err);
}

static enum pb_status olmes(struct pb_records *records, struct pb_error *err)
{
	struct pb_records documents = { .file = records->file };
	enum pb_status st = olmes_gather(&documents, records, err);

	if (!st && !documents.n)
		st = pb_fail(err, PB_FORMAT, "%s: no document among the requests", records->file);
	if (st) {
		documents.file = NULL;
		pb_records_free(&documents);
		return st;
	}
	records->file = NULL;
	pb_records_free(records);
	*records = documents;
	return PB_OK;
}

/* wikitext_pages: {text} of a raw file to {page} */

static enum pb_status add_page(void *arg, const char *s, size_t n, unsigned line, struct pb_error *err)
{
	json_t *row = json_object();

	if (row && json_object_set_new(row, "page", json_stringn(s, n))) {
		json_decref(row);
		row = NULL;
	}
	return pb_records_add(arg, row, line, err);
}

static enum pb_status wikitext_pages(struct pb_records *records, struct pb_error *err)
{
	struct pb_records pages = {0};
	enum pb_status st = PB_OK;

	for (size_t i = 0; i < records->n && !st; i++) {
		const json_t *text = json_object_get(records->rows[i].row, "text");

		if (!json_is_string(text))
			st = pb_fail(err, PB_FORMAT, "%s:%u: field 'text' must be a string", records->file, records->rows[i].line);
		else
			st = pb_wikitext_pages(json_string_value(text), json_string_length(text), add_page, &pages, err);
	}
	if (st) {
		pb_records_free(&pages);
		return st;
	}
	pages.file = records->file;
	records->file = NULL;
	pb_records_free(records);
	*records = pages;
	return PB_OK;
}

/* winogrande: {sentence, option1, option2, answer} to {contexts, continuation, gold}; winogrande_options: {context_options, continuation, gold} */

static enum pb_status winogrande_row(json_t *row, struct at at, struct pb_error *err)
{
	const char *sentence = string_field(row, "sentence", at, err), *options[2] = {0}, *gap;
	json_t *contexts;
	int64_t answer = 0;
	size_t n, begin;
	enum pb_status st;

	if (!sentence || !(options[0] = string_field(row, "option1", at, err)) || !(options[1] = string_field(row, "option2", at, err)))
		return PB_FORMAT;
	if ((st = integer_field(row, "answer", at, &answer, err)))
		return st;
	gap = strchr(sentence, '_');
	if (!gap)
		return pb_fail(err, PB_FORMAT, "%s:%u: the sentence has no '_'", at.file, at.line);
	if ((st = set(row, "contexts", json_array(), err)))
		return st;
	contexts = json_object_get(row, "contexts");
	for (int i = 0; i < 2; i++)
		if (json_array_append_new(contexts, json_sprintf("%.*s%s", (int)(gap - sentence), sentence, options[i])))
			return pb_out_of_memory(err, "a record");
	gap++;
	n = pb_without_space_after(gap, strlen(gap));
	begin = pb_space_before(gap, n);
	if ((st = set(row, "continuation", json_stringn(gap + begin, n - begin), err)))
		return st;
	return set(row, "gold", json_integer(answer - 1), err);
}

static enum pb_status winogrande(struct pb_records *records, struct pb_error *err)
{
	return each(records, winogrande_row, err);
}

static enum pb_status winogrande_options_row(json_t *row, struct at at, struct pb_error *err)
{
	json_t *options = json_object_get(row, "context_options");

	if (!json_is_array(options))
		return pb_fail(err, PB_FORMAT, "%s:%u: field 'context_options' must be a list", at.file, at.line);
	return json_object_set(row, "contexts", options) ? pb_out_of_memory(err, "a record") : PB_OK;
}

static enum pb_status winogrande_options(struct pb_records *records, struct pb_error *err)
{
	return each(records, winogrande_options_row, err);
}

const struct pb_process pb_processes[] = {
	{ "arc", "{question or question_stem, choices: {text, label}, answerKey} to {question, choices, gold}", arc },
	{ "boolq_query", "{query, choices, gold} to {passage, question, label}", boolq_query },
	{ "hellaswag", "{activity_label, ctx_a, ctx_b, endings, label} to {query, choices, gold}, cleaned", hellaswag },
	{ "lambada", "{text} to {context, target}: the last word", lambada },
	{ "lambada_pair", "{context, continuation} to {context, target}: a blank in front", lambada_pair },
	{ "olmes", "requests, one a choice, to documents {question, query, choices, gold, ...}", olmes },
	{ "wikitext_pages", "{text} of a raw file to {page}", wikitext_pages },
	{ "winogrande", "{sentence, option1, option2, answer} to {contexts, continuation, gold}", winogrande },
	{ "winogrande_options", "{context_options, continuation, gold} to {contexts, continuation, gold}", winogrande_options },
};
const size_t pb_n_processes = sizeof(pb_processes) / sizeof(*pb_processes);

const struct pb_process *pb_process_find(const char *name)
{
	for (size_t i = 0; i < pb_n_processes; i++)
		if (strcmp(pb_processes[i].name, name) == 0)
			return &pb_processes[i];
	return NULL;
}
