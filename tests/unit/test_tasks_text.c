/* White space, WikiText's rules, pre-processing of records, data files. Expected texts of the detokenizer and of pages were
 * made with a transcription of lm-evaluation-harness's rules run by CPython 3.11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/text.h"
#include "tasks/data.h"
#include "tasks/process.h"
#include "tasks/whitespace.h"
#include "tasks/wikitext.h"
#include "tests/unit/scratch.h"
#include "tests/unit/task_fixture.h"

static void test_whitespace(void **state)
{
	(void)state;
	assert_int_equal(pb_space_before(" \t\xc2\xa0" "a ", 6), 4);
	assert_int_equal(pb_without_space_after("a b \x1f\xe3\x80\x80", 8), 3);
	assert_int_equal(pb_without_space_after(" \n", 2), 0);
	assert_int_equal(pb_space_before("", 0), 0);
	/* U+180E and U+200B are no white space for Python. */
	assert_int_equal(pb_without_space_after("a\xe1\xa0\x8e", 4), 4);
	assert_int_equal(pb_without_space_after("a\xe2\x80\x8b", 4), 4);
	assert_int_equal(pb_space_runs("", 0), 0);
	assert_int_equal(pb_space_runs(" a  b\n\nc ", 9), 4);
}

static void test_detokenize(void **state)
{
	static const char *const cases[][2] = {
		{ "( a , b )", "(a, b)" },
		{ "( a\n b )", "(a\nb)" },
		{ " [ x ] { y } \" q \" ' z '", " [x] {y} \"q\" 'z'" },
		{ "it 's dogs ' 5 @-@ 6 1 @,@ 000 3 @.@ 5", "it's dogs' 5-6 1,000 3.5" },
		{ "= = = = H = = = =", "==== H ====" },
		{ "a \xc2\xb0 b N c \n d", "a\xc2\xb0" "b 1 c\nd" },
		{ "( unclosed \" one \"", "( unclosed \"one\"" },
		{ "(  ) \"\" ''", "() \"\" ''" },
		{ "a : b ; c . d ! e ? f , g", "a: b; c. d! e? f, g" },
		/* U+3000 and U+00A0 are white space, U+180E is not. */
		{ "\xe3\x80\x80( \xc2\xa0x\xe1\xa0\x8e )", "\xe3\x80\x80(x\xe1\xa0\x8e)" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pb_text out = {0};
		struct pb_error err = {0};

		assert_int_equal(pb_wikitext_detokenize(cases[i][0], strlen(cases[i][0]), &out, &err), PB_OK);
		assert_string_equal(pb_text_c(&out), cases[i][1]);
		pb_text_free(&out);
	}
}

static enum pb_status note(void *arg, const char *s, size_t n, unsigned line, struct pb_error *err)
{
	pb_text_printf(arg, "%u[%.*s]", line, (int)n, s);
	return pb_text_check(arg, err);
}

static void check_pieces(enum pb_status (*cut)(const char *, size_t, pb_piece_fn, void *, struct pb_error *), const char *text, const char *expected)
{
	struct pb_text out = {0};
	struct pb_error err = {0};

	assert_int_equal(cut(text, strlen(text), note, &out, &err), PB_OK);
	assert_string_equal(pb_text_c(&out), expected);
	pb_text_free(&out);
}

static void test_pages(void **state)
{
	(void)state;
	/* Blank lines in front of the first heading are no page; those behind a page's text belong to it; the last is kept as it is. */
	check_pieces(pb_wikitext_pages, " \n = A = \n \n a \n = = B = = \n b \n \n = C = \n c \n \n",
		"2[ = A = \n \n a \n = = B = = \n b \n ]8[ = C = \n c \n \n]");
	check_pieces(pb_wikitext_pages, "x\n = A = ", "1[x]2[ = A = ]");
	check_pieces(pb_wikitext_pages, " = A = \n = B = \n", "1[ = A = ]2[ = B = \n]");
	check_pieces(pb_wikitext_pages, "", "1[]");
	check_pieces(pb_wikitext_pages, "no = heading = \n= =\n= = = x = = =", "1[no = heading = \n= =\n= = = x = = =]");
}

static void test_rows(void **state)
{
	(void)state;
	check_pieces(pb_wikitext_rows, " \n = A = \n\n a\n", "1[]2[ = A = \n]3[]4[ a\n]");
	check_pieces(pb_wikitext_rows, "a\n\xc2\xa0\nb", "1[a\n]2[]3[b]");
}

static void test_hellaswag_clean(void **state)
{
	static const char *const cases[][2] = {
		{ "  a [title] b  ", "a. b" },
		{ "x [step] y", "x y" },
		{ "[header] How [title] Go [substeps] now.", " How. Go now." },
		{ "a    b   c", "a  b  c" },
		{ "[not\nclosed] [closed]", "[not\nclosed] " },
		{ "end [x]", "end " },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pb_text out = {0};

		pb_hellaswag_clean(cases[i][0], strlen(cases[i][0]), &out);
		assert_string_equal(pb_text_c(&out), cases[i][1]);
		pb_text_free(&out);
	}
}

/* The records of some lines after a process; err.text or "" on success. */
static enum pb_status run_process(const char *name, const char *lines, struct pb_records *records, struct pb_error *err)
{
	const struct pb_process *p = pb_process_find(name);
	enum pb_status st;

	assert_non_null(p);
	*records = (struct pb_records){ .file = pb_strdup("f") };
	st = pb_records_parse(records, "f", lines, strlen(lines), NULL, err);
	return st ? st : p->apply(records, err);
}

static void check_record(const char *name, const char *lines, const char *expected)
{
	struct pb_records records;
	struct pb_error err = {0};
	json_t *want = json_loads(expected, 0, NULL);
	const char *key;
	json_t *value;

	assert_non_null(want);
	if (run_process(name, lines, &records, &err))
		fail_msg("%s", err.text);
	json_object_foreach(want, key, value)
		if (!json_equal(value, json_object_get(records.rows[0].row, key)))
			fail_msg("%s: field '%s' is %s", name, key, json_dumps(json_object_get(records.rows[0].row, key), JSON_ENCODE_ANY));
	json_decref(want);
	pb_records_free(&records);
}

static void check_refused(const char *name, const char *lines, const char *message)
{
	struct pb_records records;
	struct pb_error err = {0};

	assert_int_equal(run_process(name, lines, &records, &err), PB_FORMAT);
	if (!strstr(err.text, message))
		fail_msg("%s", err.text);
	pb_records_free(&records);
}

static void test_processes(void **state)
{
	(void)state;
	for (size_t i = 1; i < pb_n_processes; i++)
		assert_true(strcmp(pb_processes[i - 1].name, pb_processes[i].name) < 0);
	check_record("arc", "{\"question\":\"q\",\"choices\":{\"text\":[\"x\",\"y\",\"z\"],\"label\":[\"1\",\"2\",\"3\"]},\"answerKey\":\"3\"}",
		"{\"question\":\"q\",\"choices\":[\"x\",\"y\",\"z\"],\"gold\":2}");
	check_record("arc", "{\"question_stem\":\"q\",\"choices\":{\"text\":[\"x\",\"y\"],\"label\":[\"A\",\"B\"]},\"answerKey\":\" B\"}",
		"{\"question\":\"q\",\"choices\":[\"x\",\"y\"],\"gold\":1}");
	check_refused("arc", "{\"question\":\"q\",\"choices\":{\"text\":[\"x\"],\"label\":[\"A\"]},\"answerKey\":\"C\"}", "f:1: answerKey 'C' is none of");
	check_refused("arc", "{\"choices\":{\"text\":[\"x\"],\"label\":[\"A\",\"B\"]},\"answerKey\":\"C\"}", "lists of one length");
	check_record("boolq_query", "{\"query\":\"P\\nQuestion: a\\nQuestion: b?\\nAnswer:\",\"choices\":[\"yes\",\"no\"],\"gold\":0}",
		"{\"passage\":\"P\\nQuestion: a\",\"question\":\"b\",\"label\":1}");
	check_record("boolq_query", "{\"query\":\"P\\nQuestion: b??\\nAnswer:\",\"choices\":[\"yes\",\"no\"],\"gold\":1}",
		"{\"passage\":\"P\",\"question\":\"b?\",\"label\":0}");
	check_refused("boolq_query", "\n{\"query\":\"P\\nAnswer:\",\"choices\":[\"yes\",\"no\"],\"gold\":1}", "f:2:");
	check_record("hellaswag", "{\"activity_label\":\"Act\",\"ctx_a\":\"He [x]sits.\",\"ctx_b\":\"the DOG\",\"endings\":[\"[step] a\",\"b  c\"],\"label\":\"1\"}",
		"{\"query\":\"Act: He sits. The dog\",\"choices\":[\" a\",\"b c\"],\"gold\":1}");
	check_record("hellaswag", "{\"activity_label\":\"Act\",\"ctx_a\":\"He sits.\",\"ctx_b\":\"\",\"endings\":[\"a\"],\"label\":0}", "{\"query\":\"Act: He sits.\"}");
	check_record("hellaswag", "{\"activity_label\":\"A\",\"ctx_a\":\"b\",\"ctx_b\":\"\\u00e9T\\u00c9\",\"endings\":[],\"label\":0}", "{\"query\":\"A: b \\u00c9t\\u00e9\"}");
	check_record("lambada", "{\"text\":\"a  b word\"}", "{\"context\":\"a  b\",\"target\":\" word\"}");
	check_record("lambada", "{\"text\":\"word\"}", "{\"context\":\"\",\"target\":\" word\"}");
	check_record("lambada_pair", "{\"context\":\"a b\",\"continuation\":\"word\"}", "{\"context\":\"a b\",\"target\":\" word\"}");
	check_record("winogrande", "{\"sentence\":\"So _ ran _ off .  \",\"option1\":\"Ann\",\"option2\":\"Bo\",\"answer\":\"2\"}",
		"{\"contexts\":[\"So Ann\",\"So Bo\"],\"continuation\":\"ran _ off .\",\"gold\":1}");
	check_refused("winogrande", "{\"sentence\":\"So\",\"option1\":\"Ann\",\"option2\":\"Bo\",\"answer\":\"2\"}", "has no '_'");
	check_record("winogrande_options", "{\"context_options\":[\"a\",\"b\"],\"continuation\":\"c\",\"gold\":1}", "{\"contexts\":[\"a\",\"b\"]}");
	check_record("wikitext_pages", "{\"text\":\"\\n = A = \\n a\\n = B = \"}", "{\"page\":\" = A = \\n a\"}");
}

#define REQUEST(doc, id, idx, context, continuation, label) \
	"{\"doc\":" doc ",\"request\":{\"context\":\"" context "\",\"continuation\":\"" continuation "\"},\"idx\":" idx ",\"doc_id\":" id ",\"label\":" label "}\n"
#define DOC "{\"query\":\"Question: q\\nAnswer:\",\"choices\":[\"x\",\"y\"],\"gold\":1}"
#define QUERY "Question: q\\nAnswer:"

static void test_olmes(void **state)
{
	struct pb_records records;
	struct pb_error err = {0};

	(void)state;
	check_record("olmes", REQUEST(DOC, "0", "0", QUERY, " x", "1") REQUEST(DOC, "0", "1", QUERY, " y", "1"),
		"{\"question\":\"q\",\"choices\":[\"x\",\"y\"],\"gold\":1}");
	/* Unconditional twins are no documents. */
	assert_int_equal(run_process("olmes", REQUEST(DOC, "0", "0", QUERY, " x", "1") REQUEST(DOC, "0", "1", QUERY, " y", "1")
		REQUEST(DOC, "1", "0", QUERY, " x", "1") REQUEST(DOC, "1", "1", QUERY, " y", "1")
		REQUEST(DOC, "1000000", "0", "Answer:", " x", "1") REQUEST(DOC, "1000000", "1", "Answer:", " y", "1"), &records, &err), PB_OK);
	assert_int_equal(records.n, 2);
	assert_int_equal(records.rows[1].line, 3);
	pb_records_free(&records);
	check_record("olmes", REQUEST("{\"sentence\":\"s\"}", "0", "0", "c", " d", "1"), "{\"sentence\":\"s\",\"gold\":1}");
	check_refused("olmes", REQUEST(DOC, "0", "0", QUERY, " x", "1"), "f:1: 1 requests for a document with 2 choices");
	check_refused("olmes", REQUEST(DOC, "0", "1", QUERY, " y", "1"), "f:1: request 1 of document 0 where 0 is expected");
	check_refused("olmes", REQUEST(DOC, "0", "0", "Shots " QUERY, " x", "1"), "solved examples in front");
	check_refused("olmes", REQUEST(DOC, "0", "0", QUERY, "x", "1"), "is not a blank and choice 0");
	check_refused("olmes", REQUEST(DOC, "0", "0", QUERY, " x", "0"), "label 0, but the document's gold is 1");
	check_refused("olmes", REQUEST("{}", "1", "0", "c", " d", "1") REQUEST("{}", "0", "0", "c", " d", "1"), "f:2: document 0 comes again or out of order");
	check_refused("olmes", REQUEST("{}", "1000000", "0", "c", " d", "1"), "no document");
}

static void check_lines(const struct pb_source *source, const char *data, size_t size, enum pb_status status, const char *message)
{
	struct pb_records records = {0};
	struct pb_error err = {0};
	char copy[256];

	memcpy(copy, data, size);
	copy[size] = '\0';
	assert_int_equal(pb_records_parse(&records, "f", copy, size, source, &err), status);
	if (status && !strstr(err.text, message))
		fail_msg("%s", err.text);
	pb_records_free(&records);
}
#define CHECK_LINES(source, data, status, message) check_lines(source, data, sizeof(data) - 1, status, message)

static void test_readers(void **state)
{
	static const char *const columns[] = { "a", "b" };
	const struct pb_source json = { .format = PB_DATA_JSON }, csv = { .format = PB_DATA_CSV }, named = { .format = PB_DATA_CSV, .columns = columns, .n_columns = 2 };
	const struct pb_source hellaswag = { .format = PB_DATA_HELLASWAG }, lines = { .format = PB_DATA_LINES };
	struct pb_records records = {0};
	struct pb_error err = {0};

	(void)state;
	CHECK_LINES(NULL, "{}\n\n  \r\n{\"a\":1}\r\n", PB_OK, "");
	CHECK_LINES(NULL, "\xef\xbb\xbf{}\n", PB_OK, "");
	CHECK_LINES(NULL, "{}\n{\"a\":}\n", PB_FORMAT, "f:2:");
	CHECK_LINES(NULL, "{}\n[]\n", PB_FORMAT, "f:2: a line must be a JSON object");
	CHECK_LINES(NULL, "{\"a\":1,\"a\":2}", PB_FORMAT, "f:1:");
	CHECK_LINES(NULL, "{}\n\n\n{\"a\":\"\xff\"}", PB_FORMAT, "f:4: not UTF-8");
	CHECK_LINES(NULL, "{}\n\0", PB_FORMAT, "a NUL byte at offset 3");
	CHECK_LINES(&json, "[\"a\", {\"text\":\"b\"}]", PB_OK, "");
	CHECK_LINES(&json, "{\"a\":1}", PB_FORMAT, "one JSON array");
	CHECK_LINES(&json, "[\"a\",\n 2]", PB_FORMAT, "entry 2 is neither");
	CHECK_LINES(&json, "[\"a\",\n x]", PB_FORMAT, "f:2:");
	CHECK_LINES(&csv, "a,b\n1,\"x\ny\"\n", PB_OK, "");
	CHECK_LINES(&csv, "a,b\n1,\"x\ny\"\n3\n", PB_FORMAT, "f:4: 1 fields where 2 are expected");
	CHECK_LINES(&csv, "a,a\n1,2\n", PB_FORMAT, "two columns are named 'a'");
	CHECK_LINES(&named, "1,2\n", PB_OK, "");
	CHECK_LINES(&hellaswag, "q\n3\na\nb\nc\nd\n", PB_OK, "");
	CHECK_LINES(&hellaswag, "q\n3\na\nb\nc\nd\nq\n", PB_FORMAT, "f:7: the last document has fewer than six lines");
	CHECK_LINES(&hellaswag, "q\n4\na\nb\nc\nd\n", PB_FORMAT, "f:2: the right ending's number");

	assert_int_equal(pb_records_parse(&records, "f", "a\n\nb", 4, &lines, &err), PB_OK);
	assert_int_equal(records.n, 2);
	assert_int_equal(records.rows[1].line, 3);
	assert_string_equal(json_string_value(json_object_get(records.rows[1].row, "text")), "b");
	pb_records_free(&records);
	assert_int_equal(pb_records_parse(&records, "f", "1,2\n", 4, &named, &err), PB_OK);
	assert_string_equal(json_string_value(json_object_get(records.rows[0].row, "b")), "2");
	pb_records_free(&records);
}

static const char two_layouts[] =
	"task: t\noutput_type: multiple_choice\n"
	"data_files:\n  - {file: [deep/er/t.jsonl, er/t.jsonl], labels: t.lst}\n  - {file: whole.jsonl}\n"
	"doc_to_text: \"{{q}}\"\ndoc_to_choice: [x, \"{{a}}\"]\ndoc_to_target: label\n";

static enum pb_status read_data(const struct pb_task *task, struct pb_error *err)
{
	const char *folders[] = { "/nowhere", scratch_folder() };
	struct pb_task_data *data = NULL;
	enum pb_status st = pb_task_data_read(&data, task, &(struct pb_data_path){ folders, 2 }, err);

	pb_task_data_free(data);
	return st;
}

static void test_finding(void **state)
{
	struct pb_task *task = fixture_task(two_layouts, NULL, 0);
	struct pb_task_data *data;
	struct pb_error err = {0};
	char first[PB_HASH_HEX];

	(void)state;
	assert_int_equal(pb_task_data_read(&data, task, &(struct pb_data_path){0}, &err), PB_MISSING);
	assert_non_null(strstr(err.text, "t: data not found: deep/er/t.jsonl, er/t.jsonl, whole.jsonl: no data folder is given\nname the folder with --data DIR"));
	assert_int_equal(read_data(task, &err), PB_MISSING);
	assert_non_null(strstr(err.text, " (or .gz, .bz2) in /nowhere, /"));

	fixture_write("whole.jsonl", "{\"q\":\"a\",\"a\":\"b\",\"label\":1}\n{\"q\":\"c\",\"a\":\"d\",\"label\":\"0\"}\n");
	data = fixture_data(task);
	assert_int_equal(data->n_items, 2);
	memcpy(first, data->hash, sizeof(first));
	pb_task_data_free(data);

	fixture_write("er/t.jsonl", "{\"q\":\"a\",\"a\":\"b\"}\n\n{\"q\":\"c\",\"a\":\"d\"}\n");
	assert_int_equal(read_data(task, &err), PB_MISSING);
	assert_non_null(strstr(err.text, "the labels 't.lst' are not beside it"));
	fixture_write("er/t.lst", "1\n0\n");
	data = fixture_data(task);
	assert_int_equal(data->n_items, 2);
	assert_string_equal(data->hash, first);
	pb_task_data_free(data);
	fixture_write("er/t.lst", "1\n1\n");
	data = fixture_data(task);
	assert_string_not_equal(data->hash, first);
	pb_task_data_free(data);

	fixture_write("er/t.lst", "1\n");
	assert_int_equal(read_data(task, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "1 labels for the 2 records"));
	fixture_write("er/t.lst", "1\n0\n1\n");
	assert_int_equal(read_data(task, &err), PB_FORMAT);
	fixture_write("er/t.lst", "1\nx\n");
	assert_int_equal(read_data(task, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "t.lst:2: an integer is expected"));
	fixture_write("er/t.lst", "1\n2\n");
	assert_int_equal(read_data(task, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "er/t.jsonl:3: test.yaml:8:16: doc_to_target: '2' is none of the 2 choices"));
	fixture_write("er/t.jsonl", "");
	assert_int_equal(read_data(task, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "the file holds no data"));
	pb_task_close(task);
}

static void check_item(const char *text, const char *choice, const char *line, const char *message)
{
	char yaml[512];
	struct pb_task *task;
	struct pb_error err = {0};

	snprintf(yaml, sizeof(yaml), "task: t\noutput_type: multiple_choice\ndata_files: [{file: i.jsonl}]\ndoc_to_text: '%s'\ndoc_to_choice: %s\ndoc_to_target: label\n", text, choice);
	task = fixture_task(yaml, NULL, 0);
	fixture_write("i.jsonl", line);
	assert_int_equal(read_data(task, &err), PB_FORMAT);
	if (!strstr(err.text, message))
		fail_msg("'%s' is not in '%s'", message, err.text);
	pb_task_close(task);
}

static void test_items(void **state)
{
	(void)state;
	check_item("{{goal}}", "[x, y]", "{\"gaol\":\"a\",\"label\":0}", "i.jsonl:1: test.yaml:4:14: doc_to_text: field 'goal' is not in the record; did you mean 'gaol'?");
	check_item("{{a.c}}", "[x, y]", "{\"a\":{\"b\":\"c\"},\"label\":0}", "field 'a.c' is not in the record");
	check_item("{{a.c}}", "[x, y]", "{\"a\":\"b\",\"label\":0}", "field 'a.c' is not in the record");
	check_item("{{a}}!", "[x, y]", "{\"a\":[\"b\"],\"label\":0}", "field 'a' is neither a string nor an integer");
	check_item("{{a}}", "[x, y]", "{\"a\":1.5,\"label\":0}", "field 'a' is neither a string nor an integer");
	check_item("{{a}}", "[x, '{{a}}']", "\n{\"a\":\"\",\"label\":0}", "i.jsonl:2: choice 1 is empty");
	check_item("{{a}}", "[x]", "{\"a\":\"\",\"label\":0}", "there are fewer than two choices");
	check_item("{{a}}", "'{{b}}'", "{\"a\":[\"p\",\"q\"],\"b\":[\"r\",\"s\"],\"label\":0}", "are both lists");
	check_item("{{a}}", "'{{b}}'", "{\"a\":\"p\",\"b\":[],\"label\":0}", "a list of 0 entries");
	check_item("{{a}}", "'{{b}}'", "{\"a\":\"p\",\"b\":[\"r\",2],\"label\":0}", "entry 2 of the list is not a string");
	check_item("{{a}}", "[x, y]", "{\"a\":\"p\",\"label\":-1}", "'-1' is none of the 2 choices");
	check_item("{{a}}", "[x, y]", "{\"a\":\"p\",\"label\":\"z\"}", "'z' is none of the 2 choices");
}

static int clean_up(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whitespace),
		cmocka_unit_test(test_detokenize),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_hellaswag_clean),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_olmes),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_finding),
		cmocka_unit_test(test_items),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
