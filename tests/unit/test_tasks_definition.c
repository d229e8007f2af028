/* Definitions: the shipped ones, errors with places, hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "core/base/text.h"
#include "tasks/kind.h"
#include "tests/unit/scratch.h"
#include "tests/unit/task_fixture.h"

static const char good[] =
	"task: small\n"
	"output_type: multiple_choice\n"
	"data_files:\n"
	"  - file: small.jsonl\n"
	"doc_to_text: \"Question: {{goal}}\\nAnswer:\"\n"
	"doc_to_choice: [\"{{sol.a}}\", \"{{sol.b}}\"]\n"
	"doc_to_target: label\n";

static void test_shipped(void **state)
{
	struct pb_arena *arena = pb_arena_new();
	const char **names;
	size_t n;
	struct pb_error err = {0};

	(void)state;
	assert_int_equal(pb_task_names(arena, &names, &n, &err), PB_OK);
	assert_true(n >= 12);
	for (size_t i = 0; i < n; i++) {
		struct pb_task *task = NULL;

		if (pb_task_open(&task, names[i], NULL, 0, &err))
			fail_msg("%s", err.text);
		assert_string_equal(task->name, names[i]);
		assert_int_equal(strlen(task->hash), 64);
		assert_true(*task->title && *task->source && *task->protocol);
		if (i)
			assert_true(strcmp(names[i - 1], names[i]) < 0);
		pb_task_close(task);
	}
	pb_arena_free(arena);
}

static void test_subtask(void **state)
{
	struct pb_task *all = NULL, *one = NULL, *other = NULL;
	struct pb_error err = {0};

	(void)state;
	assert_int_equal(pb_task_open(&all, "blimp", NULL, 0, &err), PB_OK);
	assert_int_equal(all->definition->n_subtasks, 67);
	assert_int_equal(pb_task_open(&one, "blimp_wh_island", NULL, 0, &err), PB_OK);
	assert_string_equal(one->name, "blimp_wh_island");
	assert_string_equal(one->definition->subtasks[one->definition->only], "wh_island");
	assert_string_not_equal(one->hash, all->hash);
	assert_int_equal(pb_task_open(&other, "blimp_wh_iland", NULL, 0, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "did you mean 'wh_island'?"));
	assert_int_equal(pb_task_open(&other, "piqa_wh_island", NULL, 0, &err), PB_USAGE);
	assert_null(other);
	pb_task_close(all);
	pb_task_close(one);
}

static void test_unknown_task(void **state)
{
	struct pb_task *task = NULL;
	struct pb_error err = {0};

	(void)state;
	assert_int_equal(pb_task_open(&task, "piqqa", NULL, 0, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "unknown task 'piqqa'; did you mean 'piqa'?"));
	assert_int_equal(pb_task_open(&task, "a/b", NULL, 0, &err), PB_USAGE);
	assert_int_equal(pb_task_open(&task, "", NULL, 0, &err), PB_USAGE);
	assert_int_equal(pb_task_open(&task, "/nowhere/x.yaml", NULL, 0, &err), PB_MISSING);
	assert_null(task);
}

static void test_open_file(void **state)
{
	struct pb_task *task = NULL;
	struct pb_error err = {0};

	(void)state;
	fixture_write("small.yaml", good);
	if (pb_task_open(&task, scratch_path("small.yaml"), "onebit-lmeh", 7, &err))
		fail_msg("%s", err.text);
	assert_string_equal(task->name, "small");
	assert_string_equal(task->title, "small");
	assert_string_equal(task->protocol, "onebit-lmeh");
	assert_int_equal(task->limit, 7);
	pb_task_close(task);
}

/* good with one text replaced by another. */
static const char *changed(const char *from, const char *to)
{
	static char text[2048];
	const char *at = strstr(good, from);

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	return text;
}

static void test_errors(void **state)
{
	static const struct {
		const char *from, *to, *message;
	} cases[] = {
		{ "output_type: multiple_choice\n", "", "test.yaml:1:1: the key 'output_type' is missing" },
		{ "multiple_choice", "multiple_choise", "test.yaml:2:14: unknown output_type 'multiple_choise'; did you mean 'multiple_choice'?" },
		{ "doc_to_target", "doc_to_targt", "did you mean 'doc_to_target'?" },
		{ "task: small", "task: ''", "the task's name is empty" },
		{ "{{goal}}", "{{goal}", "test.yaml:5:14: template: '{{goal' must end in '}}'" },
		{ "{{goal}}", "{{}}", "test.yaml:5:14: template: a field's name is expected" },
		{ "{{goal}}", "{{goal | upper}}", "only {{field}} and {{field.sub}} are known" },
		{ "{{sol.b}}", "{{sol.}}", "test.yaml:6:30: template: a name is expected after 'sol.'" },
		{ "[\"{{sol.a}}\", \"{{sol.b}}\"]", "[]", "test.yaml:6:16: doc_to_choice is an empty list" },
		{ "doc_to_target: label\n", "", "the key 'doc_to_target' is missing" },
		{ "  - file: small.jsonl", "  - {}", "the key 'file' is missing" },
		{ "small.jsonl", "[]", "the list is empty" },
		{ "small.jsonl", "{file: x, process: arcs}", "test.yaml:4" },
		{ "file: small.jsonl", "{file: x, process: arcs}", "test.yaml:4:24: unknown process 'arcs'; did you mean 'arc'?" },
		{ "file: small.jsonl", "{file: x, format: jsn}", "unknown format 'jsn'; did you mean 'json" },
		{ "file: small.jsonl", "{file: x, columns: [a]}", "columns belong to format csv" },
		{ "file: small.jsonl", "{file: x, label: y}", "did you mean 'labels'?" },
		{ "doc_to_target: label", "doc_to_target: label\nmetric_list: [acc, acc_nrm]", "test.yaml:8:20: unknown metric 'acc_nrm'; did you mean 'acc_norm'?" },
		{ "doc_to_target: label", "doc_to_target: label\nprotocol: lmhe", "test.yaml:8:11: unknown protocol 'lmhe'; did you mean 'lmeh'?" },
		{ "doc_to_target: label", "doc_to_target: label\nprotocol: gptq-wt2", "is not for tasks of kind multiple_choice; these take lmeh, onebit-lmeh" },
		{ "doc_to_target: label", "doc_to_target: label\nprotocol: lmeh@1", "a length in tokens of at least 2" },
		{ "doc_to_target: label", "doc_to_target: label\nprotocol: lmeh@", "a length in tokens of at least 2" },
		{ "doc_to_target: label", "doc_to_target: label\nsubtasks: [a]", "must hold {{subtask}}" },
		{ "doc_to_target: label", "doc_to_target: label\nnum_fewshot: 5", "test.yaml:8:14" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *text = changed(cases[i].from, cases[i].to);
		struct pb_task *task = NULL;
		struct pb_error err = {0};

		assert_int_equal(pb_task_parse(&task, "test.yaml", text, strlen(text), NULL, 0, &err), PB_USAGE);
		assert_null(task);
		if (!strstr(err.text, cases[i].message))
			fail_msg("case %zu: '%s' is not in '%s'", i, cases[i].message, err.text);
	}
}

static void test_protocol_asked_for(void **state)
{
	struct pb_task *task = NULL;
	struct pb_error err = {0};

	(void)state;
	assert_int_equal(pb_task_parse(&task, "t", good, strlen(good), "paretoq", 0, &err), PB_USAGE);
	assert_string_equal(err.text, "small: protocol 'paretoq' is not for tasks of kind multiple_choice; these take lmeh, onebit-lmeh");
	assert_int_equal(pb_task_parse(&task, "t", good, strlen(good), "onebit-lmhe", 0, &err), PB_USAGE);
	assert_string_equal(err.text, "small: unknown protocol 'onebit-lmhe'; did you mean 'onebit-lmeh'?");
	task = fixture_task(good, "lmeh@128", 0);
	assert_string_equal(task->protocol, "lmeh@128");
	assert_string_equal(task->definition->protocol_id, "lmeh");
	assert_int_equal(task->definition->length, 128);
	pb_task_close(task);
}

static void hash_of(const char *text, const char *protocol, uint64_t limit, char hash[PB_HASH_HEX])
{
	struct pb_task *task = fixture_task(text, protocol, limit);

	memcpy(hash, task->hash, PB_HASH_HEX);
	pb_task_close(task);
}

static void test_hash(void **state)
{
	char first[PB_HASH_HEX], other[PB_HASH_HEX];

	(void)state;
	hash_of(good, NULL, 0, first);
	hash_of(changed("task: small\n", "# a comment\ntitle: Small\ntask: 'small'\n"), NULL, 0, other);
	assert_string_equal(first, other);
	hash_of(changed("small.jsonl", "[other.jsonl, small.jsonl]"), NULL, 0, other);
	assert_string_equal(first, other);
	hash_of(good, "lmeh", 0, other);
	assert_string_equal(first, other);
	hash_of(good, "onebit-lmeh", 0, other);
	assert_string_not_equal(first, other);
	hash_of(good, NULL, 1, other);
	assert_string_not_equal(first, other);
	hash_of(changed("Question: ", "Goal: "), NULL, 0, other);
	assert_string_not_equal(first, other);
	hash_of(changed("sol.a", "sol.c"), NULL, 0, other);
	assert_string_not_equal(first, other);
}

static void test_kinds(void **state)
{
	(void)state;
	for (size_t i = 1; i < pb_n_task_kinds; i++)
		assert_true(strcmp(pb_task_kinds[i - 1]->name, pb_task_kinds[i]->name) < 0);
	for (size_t i = 1; i < pb_n_protocols; i++)
		assert_true(strcmp(pb_protocols[i - 1].id, pb_protocols[i].id) < 0);
	for (size_t i = 0; i < pb_n_task_kinds; i++)
		for (size_t j = 0; pb_task_kinds[i]->protocols[j]; j++) {
			bool listed = false;

			for (size_t k = 0; k < pb_n_protocols; k++)
				listed = listed || strcmp(pb_protocols[k].id, pb_task_kinds[i]->protocols[j]) == 0;
			assert_true(listed);
		}
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
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_subtask),
		cmocka_unit_test(test_unknown_task),
		cmocka_unit_test(test_open_file),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_protocol_asked_for),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
