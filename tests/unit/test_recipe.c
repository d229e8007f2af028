/* Recipes: what a good one says, and every mistake in one sentence with its place. Zoo files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "harness/run/recipe.h"
#include "harness/run/zoo.h"

static char folder[64];
static struct pb_data_path nowhere;

static int setup(void **state)
{
	char path[96];

	(void)state;
	strcpy(folder, "/tmp/pb-recipe-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/t", folder);
	return pb_file_write(path, "x", 1, NULL);
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static enum pb_status parse(struct pb_training_recipe **out, const char *text, struct pb_error *err)
{
	char name[96];

	snprintf(name, sizeof(name), "%s/micro.yaml", folder);
	return pb_training_recipe_parse(out, name, text, strlen(text), &nowhere, err);
}

static void a_recipe(void **state)
{
	struct pb_training_recipe *r = NULL;
	struct pb_error err = {0};

	(void)state;
	if (parse(&r, "model: {dim: 48, layers: 2, heads: 6, kv_heads: 3, norm_eps: 1e-6, tied_head: no}\n"
		"data: {train: t, validation: t, tokenizer: t, documents: whole}\n"
		"train: {steps: 400, sequences: 8, length: 64, learning_rate: 3e-3, states: 8bit}\n"
		"save_every: 7\ndtype: f32\n", &err))
		fail_msg("%s", err.text);
	assert_string_equal(r->name, "micro");
	assert_int_equal(r->config.dim, 48);
	assert_int_equal(r->config.head_dim, 8);
	assert_int_equal(r->config.hidden, 128);
	assert_int_equal(r->config.n_kv_heads, 3);
	assert_false(r->config.tied_head);
	assert_true(r->config.norm_eps == 1e-6f);
	assert_int_equal(r->train.steps, 400);
	assert_int_equal(r->train.states, 1);
	assert_true(r->train.learning_rate == 3e-3);
	assert_int_equal(r->documents, PB_DOCUMENTS_WHOLE);
	assert_int_equal(r->validate_every, 20);
	assert_int_equal(r->save_every, 7);
	assert_int_equal(r->dtype, PB_F32);
	assert_non_null(strstr(r->train_file, "/t"));
	pb_training_recipe_free(r);
	if (parse(&r, "name: other\nfrom: t\ndata: {world: {size: small, seed: 3}}\ntrain: {}\n", &err))
		fail_msg("%s", err.text);
	assert_string_equal(r->name, "other");
	assert_string_equal(r->world, "small");
	assert_int_equal(r->world_seed, 3);
	assert_non_null(strstr(r->from, "/t"));
	assert_int_equal(r->dtype, PB_BF16);
	pb_training_recipe_free(r);
}

#define MODEL "model: {dim: 32, layers: 2, heads: 2}\n"
#define DATA "data: {world: small}\n"

static void mistakes_have_a_place(void **state)
{
	static const struct { const char *text, *place, *word; } cases[] = {
		{ "modle: {}\n", ":1:1:", "model" },
		{ "- a\n", ":1:1:", "map" },
		{ DATA "train: {}\n", ":1:1:", "from" },
		{ MODEL "from: t\n" DATA "train: {}\n", ":1:1:", "either" },
		{ "model: 3\n" DATA "train: {}\n", ":1:8:", "shape" },
		{ "model: {dim: 32, layers: 2}\n" DATA "train: {}\n", ":1:8:", "heads" },
		{ "model: {dim: 32, layers: 2, heads: 2, width: 3}\n" DATA "train: {}\n", ":1:39:", "width" },
		{ "model: {dim: 32, layers: 0, heads: 2}\n" DATA "train: {}\n", ":1:26:", "" },
		{ "model: {dim: 33, layers: 1, heads: 2}\n" DATA "train: {}\n", ":1:8:", "multiple" },
		{ "model: {dim: 30, layers: 1, heads: 2}\n" DATA "train: {}\n", ":1:8:", "odd" },
		{ "model: {dim: 32, layers: 1, heads: 4, kv_heads: 3}\n" DATA "train: {}\n", ":1:8:", "evenly" },
		{ MODEL "train: {}\n", ":1:1:", "data" },
		{ MODEL "data: {world: huge}\ntrain: {}\n", ":2:15:", "huge" },
		{ MODEL "data: {world: small, train: t}\ntrain: {}\n", ":2:7:", "either" },
		{ MODEL "data: {world: small, documents: lines}\ntrain: {}\n", ":2:7:", "own" },
		{ MODEL "data: {world: {seed: 1}}\ntrain: {}\n", ":2:15:", "size" },
		{ MODEL "data: {train: t}\ntrain: {}\n", ":2:7:", "tokenizer" },
		{ MODEL "data: {train: gone, tokenizer: t}\ntrain: {}\n", ":2:15:", "gone" },
		{ MODEL "data: {train: t, tokenizer: t, documents: pages}\ntrain: {}\n", ":2:43:", "pages" },
		{ MODEL DATA, ":1:1:", "train" },
		{ MODEL DATA "train: {stesp: 4}\n", ":3:9:", "steps" },
		{ MODEL DATA "train: {steps: 0}\n", ":3:9:", "0" },
		{ MODEL DATA "train: {learning_rate: 1e9}\n", ":3:9:", "learning_rate" },
		{ MODEL DATA "train: {learning_rate: 0}\n", ":3:8:", "learning_rate" },
		{ MODEL DATA "train: {length: 0}\n", ":3:9:", "length" },
		{ MODEL DATA "train: {steps: 10, warmup: 11}\n", ":3:8:", "warmup" },
		{ MODEL DATA "train: {}\nsave_every: 0\n", ":4:13:", "" },
		{ MODEL DATA "train: {}\ndtype: int8\n", ":4:8:", "int8" },
		{ "name: a/b\n" MODEL DATA "train: {}\n", ":1:7:", "slash" },
		{ "from: gone\n" DATA "train: {}\n", ":1:7:", "gone" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_training_recipe *r = NULL;
		struct pb_error err = {0};

		assert_int_not_equal(parse(&r, cases[i].text, &err), PB_OK);
		if (!strstr(err.text, cases[i].place) || !strstr(err.text, cases[i].word))
			fail_msg("case %zu: '%s' lacks '%s' or '%s'", i, err.text, cases[i].place, cases[i].word);
	}
}

static void zoo_files(void **state)
{
	static const char good[] = "models:\n  a: {family: f, about: x, hash: h, parameters: 12, tokens: 34}\n";
	static const struct { const char *text, *place, *word; } cases[] = {
		{ "model: {}\n", ":1:1:", "models" },
		{ "models: []\n", ":1:1:", "map" },
		{ "models: {a: 3}\n", ":1:13:", "family" },
		{ "models: {a: {family: f, about: x, hash: h, parameters: 1}}\n", ":1:13:", "tokens" },
		{ "models: {a: {family: f, about: x, hash: h, parameters: -1, tokens: 1}}\n", ":1:56:", "" },
		{ "models: {a: {famly: f}}\n", ":1:14:", "family" },
	};
	struct pb_arena *arena = pb_arena_new();
	struct pb_error err = {0};
	struct pb_zoo zoo;

	(void)state;
	if (pb_zoo_parse(&zoo, arena, "z/zoo.yaml", good, strlen(good), &err))
		fail_msg("%s", err.text);
	assert_int_equal(zoo.n, 1);
	assert_string_equal(zoo.models[0].path, "z/a");
	assert_int_equal(zoo.models[0].tokens, 34);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_not_equal(pb_zoo_parse(&zoo, arena, "z/zoo.yaml", cases[i].text, strlen(cases[i].text), &err), PB_OK);
		if (!strstr(err.text, cases[i].place) || !strstr(err.text, cases[i].word))
			fail_msg("case %zu: '%s' lacks '%s' or '%s'", i, err.text, cases[i].place, cases[i].word);
	}
	pb_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_recipe, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_have_a_place, setup, teardown),
		cmocka_unit_test(zoo_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
