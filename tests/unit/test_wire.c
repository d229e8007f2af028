/* What runner and worker say to each other: a cell and a result come over as they were, and what is none is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/json.h"
#include "harness/run/wire.h"

static void test_a_cell_comes_over(void **state)
{
	struct pb_sweep_model model = { .path = "a b.bin", .tokenizer = "t.bin" };
	struct pb_sweep_task tasks[] = { { .name = "piqa", .limit = 7 }, { .name = "wikitext", .protocol = "lmeh-word" } };
	struct pb_cell cell = { .run = "r", .model = &model, .model_name = "m", .label = "rtn w4", .quantizer = "rtn:bits=4", .backend = "blas:cache=0",
		.tasks = tasks, .n_tasks = 2, .seed = INT64_MAX }, back;
	struct pb_arena *arena = pb_arena_new();
	json_t *sent;

	(void)state;
	memset(cell.key, 'a', sizeof(cell.key) - 1);
	sent = pb_wire_cell(&cell);
	assert_non_null(sent);
	assert_int_equal(pb_wire_read_cell(sent, arena, &back, NULL), PB_OK);
	assert_string_equal(back.key, cell.key);
	assert_string_equal(back.model->path, "a b.bin");
	assert_string_equal(back.model->tokenizer, "t.bin");
	assert_string_equal(back.quantizer, cell.quantizer);
	assert_string_equal(back.backend, cell.backend);
	assert_true(back.seed == INT64_MAX);
	assert_int_equal(back.n_tasks, 2);
	assert_int_equal(back.tasks[0].limit, 7);
	assert_null(back.tasks[0].protocol);
	assert_string_equal(back.tasks[1].protocol, "lmeh-word");
	assert_null(back.calibration);
	assert_null(back.cache);
	assert_null(back.training);
	assert_null(back.trained);
	json_decref(sent);
	cell.calibration = &(struct pb_calibration_spec){ .data = "t.txt", .n_samples = 5, .seq_len = 64, .seed = 1ll << 40, .format = PB_CALIBRATION_TEXT };
	cell.cache = "out/r/calibration";
	cell.training = &(struct pb_training_spec){ .data = "train.txt", .format = PB_CALIBRATION_LINES };
	cell.trained = "out/r/trained";
	sent = pb_wire_cell(&cell);
	assert_non_null(sent);
	assert_int_equal(pb_wire_read_cell(sent, arena, &back, NULL), PB_OK);
	assert_string_equal(back.cache, cell.cache);
	assert_string_equal(back.trained, cell.trained);
	assert_string_equal(back.training->data, "train.txt");
	assert_int_equal(back.training->format, PB_CALIBRATION_LINES);
	assert_string_equal(back.calibration->data, "t.txt");
	assert_int_equal(back.calibration->n_samples, 5);
	assert_int_equal(back.calibration->seq_len, 64);
	assert_true(back.calibration->seed == 1ll << 40);
	assert_int_equal(back.calibration->format, PB_CALIBRATION_TEXT);
	json_object_del(json_object_get(sent, "training"), "data");
	assert_int_equal(pb_wire_read_cell(sent, arena, &back, NULL), PB_FORMAT);
	json_object_del(sent, "training");
	assert_int_equal(pb_wire_read_cell(sent, arena, &back, NULL), PB_OK);
	json_object_del(json_object_get(sent, "calibration"), "n_samples");
	assert_int_equal(pb_wire_read_cell(sent, arena, &back, NULL), PB_FORMAT);
	json_object_del(sent, "quantizer");
	assert_int_equal(pb_wire_read_cell(sent, arena, &back, NULL), PB_FORMAT);
	json_decref(sent);
	pb_arena_free(arena);
}

static void make_result(struct pb_cell_result *result, struct pb_stored_item *item, double *values)
{
	struct pb_row *row;

	memset(result, 0, sizeof(*result));
	pb_rows_init(&result->rows);
	row = pb_rows_add(&result->rows, NULL);
	assert_non_null(row);
	row->task = pb_rows_string(&result->rows, "piqa");
	row->metric = pb_rows_string(&result->rows, "acc");
	row->status = PB_ROW_OK;
	row->value = 1.0 / 3;
	result->arena = pb_arena_new();
	result->tasks = pb_arena_alloc(result->arena, 1, sizeof(*result->tasks));
	assert_non_null(result->tasks);
	*item = (struct pb_stored_item){ .index = 3, .n_values = 2, .values = values, .weight = 1, .gold = 1, .chosen = 0, .chosen_norm = 1, .cluster = 2 };
	result->tasks[0] = (struct pb_stored_task){ .task = "piqa", .n_items = 1, .items = item };
	result->n_tasks = 1;
}

static void test_a_result_comes_over(void **state)
{
	double values[] = { -1.0 / 3, -1e-300 };
	struct pb_cell_result result, back;
	struct pb_stored_item item;
	json_t *sent;

	(void)state;
	make_result(&result, &item, values);
	sent = pb_wire_result(&result);
	assert_int_equal(pb_wire_read_result(sent, &back, NULL), PB_OK);
	assert_int_equal(back.rows.n, 1);
	assert_true(back.rows.rows[0].value == 1.0 / 3);
	assert_true(isnan(back.rows.rows[0].stderr_value));
	assert_true(back.tasks[0].items[0].values[0] == -1.0 / 3 && back.tasks[0].items[0].values[1] == -1e-300);
	assert_int_equal(back.tasks[0].items[0].gold, 1);
	assert_int_equal(back.tasks[0].items[0].cluster, 2);
	pb_cell_result_free(&back);
	json_decref(sent);
	pb_cell_result_free(&result);
}

/* A value that is not a number is never read as 0. */
static void test_no_number_is_no_zero(void **state)
{
	double values[] = { NAN, -1 };
	struct pb_cell_result result, back;
	struct pb_stored_item item;
	struct pb_error err = {0};
	json_t *sent;

	(void)state;
	make_result(&result, &item, values);
	sent = pb_wire_result(&result);
	assert_int_equal(pb_wire_read_result(sent, &back, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "no number"));
	json_array_clear(json_object_get(sent, "rows"));
	json_array_clear(json_object_get(sent, "items"));
	assert_int_equal(pb_wire_read_result(sent, &back, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "without rows"));
	json_decref(sent);
	pb_cell_result_free(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cell_comes_over),
		cmocka_unit_test(test_a_result_comes_over),
		cmocka_unit_test(test_no_number_is_no_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
