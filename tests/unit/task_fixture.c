#include "tests/unit/task_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "core/base/text.h"
#include "tests/unit/scratch.h"

#define FIRST_PIECE 286

static void put_piece(struct pb_text *file, float score, const char *piece, size_t n)
{
	int32_t length = (int32_t)n;

	pb_text_bytes(file, &score, 4);
	pb_text_bytes(file, &length, 4);
	pb_text_bytes(file, piece, n);
}

struct pb_tokenizer *fixture_tokenizer(const char *const *pieces)
{
	struct pb_text file = {0};
	struct pb_tokenizer *tokenizer = NULL;
	struct pb_error err = {0};
	int32_t longest = 16;
	char name[8];

	pb_text_bytes(&file, &longest, 4);
	put_piece(&file, 0, "<unk>", 5);
	put_piece(&file, 0, "\n<s>\n", 5);
	put_piece(&file, 0, "\n</s>\n", 6);
	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "<0x%02X>", i);
		put_piece(&file, 0, name, 6);
	}
	put_piece(&file, -1000, " ", 1);
	for (char c = 'a'; c <= 'z'; c++)
		put_piece(&file, -1000, &c, 1);
	for (size_t i = 0; pieces[i]; i++)
		put_piece(&file, -1 - (float)i, pieces[i], strlen(pieces[i]));
	if (pb_tokenizer_parse(&tokenizer, "tokenizer.bin", file.data, file.length, 0, &err))
		fail_msg("%s", err.text);
	pb_text_free(&file);
	return tokenizer;
}

int32_t fixture_id(const char *const *pieces, const char *piece)
{
	for (int32_t i = 0; pieces[i]; i++)
		if (strcmp(pieces[i], piece) == 0)
			return FIRST_PIECE + i;
	if (strcmp(piece, " ") == 0)
		return 259;
	assert_int_equal(strlen(piece), 1);
	return piece[0] >= 'a' && piece[0] <= 'z' ? 260 + piece[0] - 'a' : 3 + (unsigned char)piece[0];
}

struct pb_task *fixture_task(const char *yaml, const char *protocol, uint64_t limit)
{
	struct pb_task *task = NULL;
	struct pb_error err = {0};

	if (pb_task_parse(&task, "test.yaml", yaml, strlen(yaml), protocol, limit, &err))
		fail_msg("%s", err.text);
	return task;
}

void fixture_write(const char *name, const char *text)
{
	struct pb_error err = {0};
	char *folder = pb_path_folder(scratch_path(name));

	if (pb_folder_make(folder, &err) || pb_file_write(scratch_path(name), text, strlen(text), &err))
		fail_msg("%s", err.text);
	pb_free(folder);
}

struct pb_task_data *fixture_data(const struct pb_task *task)
{
	struct pb_task_data *data = NULL;
	struct pb_error err = {0};
	const char *folder = scratch_folder();

	if (pb_task_data_read(&data, task, &(struct pb_data_path){ &folder, 1 }, &err))
		fail_msg("%s", err.text);
	return data;
}

struct pb_task_requests *fixture_requests(const struct pb_task *task, const struct pb_task_data *data, const struct pb_tokenizer *tokenizer, uint32_t context)
{
	struct pb_task_requests *requests = NULL;
	struct pb_error err = {0};

	if (pb_task_requests_make(&requests, task, data, tokenizer, context, &err))
		fail_msg("%s", err.text);
	return requests;
}

struct pb_task_result *fixture_score(const struct pb_task *task, const struct pb_task_data *data, const struct pb_task_requests *requests)
{
	struct pb_task_result *result = NULL;
	struct pb_error err = {0};

	if (pb_task_score(&result, task, data, requests, &err))
		fail_msg("%s", err.text);
	return result;
}

float fixture_logprob(int32_t before, int32_t token)
{
	return -(float)((before * 31 + token * 17) % 64 + 1) / 16;
}

void fixture_fill(struct pb_task_requests *requests)
{
	for (size_t i = 0; i < requests->n_requests; i++) {
		struct pb_request *r = &requests->requests[i];

		for (uint32_t j = r->first; j < r->n; j++) {
			float value = fixture_logprob(r->tokens[j - 1], r->tokens[j]);

			r->logprobs[j - r->first] = value;
			if (r->greedy)
				r->greedy[j - r->first] = value > -1;
		}
	}
}

const struct pb_metric *fixture_metric(const struct pb_task_result *result, const char *name)
{
	for (size_t i = 0; i < result->n_metrics; i++)
		if (strcmp(result->metrics[i].name, name) == 0)
			return &result->metrics[i];
	return NULL;
}

struct fixture_run fixture_begin(const struct pb_tokenizer *tokenizer, const char *yaml, const char *protocol, uint64_t limit, uint32_t context)
{
	struct fixture_run run = { .task = fixture_task(yaml, protocol, limit) };

	run.data = fixture_data(run.task);
	run.requests = fixture_requests(run.task, run.data, tokenizer, context);
	return run;
}

void fixture_end(struct fixture_run *run)
{
	pb_task_result_free(run->result);
	pb_task_requests_free(run->requests);
	pb_task_data_free(run->data);
	pb_task_close(run->task);
}
