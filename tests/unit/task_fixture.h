/* For tests of tasks: definitions and data from strings, a small tokenizer made of bytes, a scorer that is a function of
 * token ids. Failures of set-up end the test through cmocka. */
#ifndef PB_TESTS_UNIT_TASK_FIXTURE_H
#define PB_TESTS_UNIT_TASK_FIXTURE_H

#include "tasks/task.h"

/* llama2.c form: ids 0..2 unknown, BOS, EOS; 3..258 bytes; 259 a blank; 260..285 a..z; then the pieces, NULL-terminated,
 * where the first is joined before the others. */
struct pb_tokenizer *fixture_tokenizer(const char *const *pieces);
/* The id of a piece of that list. */
int32_t fixture_id(const char *const *pieces, const char *piece);

struct pb_task *fixture_task(const char *yaml, const char *protocol, uint64_t limit);
/* Writes scratch/NAME. */
void fixture_write(const char *name, const char *text);
struct pb_task_data *fixture_data(const struct pb_task *task); /* from the scratch folder */
struct pb_task_requests *fixture_requests(const struct pb_task *task, const struct pb_task_data *data, const struct pb_tokenizer *tokenizer, uint32_t context);
struct pb_task_result *fixture_score(const struct pb_task *task, const struct pb_task_data *data, const struct pb_task_requests *requests);

/* A task from a definition to its requests, whose result is kept here when there is one. */
struct fixture_run {
	struct pb_task *task;
	struct pb_task_data *data;
	struct pb_task_requests *requests;
	struct pb_task_result *result;
};
struct fixture_run fixture_begin(const struct pb_tokenizer *tokenizer, const char *yaml, const char *protocol, uint64_t limit, uint32_t context);
void fixture_end(struct fixture_run *run);

/* Fills every request with fixture_logprob; every token is the arg-max whose log-probability is above -1. */
void fixture_fill(struct pb_task_requests *requests);
/* A multiple of 1/16 in [-4, -1/16]: sums of it are exact. */
float fixture_logprob(int32_t before, int32_t token);

const struct pb_metric *fixture_metric(const struct pb_task_result *result, const char *name); /* NULL: not there */

#endif
