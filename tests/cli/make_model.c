/* make_model FOLDER: a small model in two formats, its tokenizer, and data sets of our own in the places where the task
 * definitions look for them. All of it is a function of nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "tests/unit/tiny_model.h"

static const char *const nouns[] = { "cat", "dog", "fox", "owl", "hen", "pig", "cow", "bee" };
static const char *const verbs[] = { "sees", "likes", "finds", "hears", "helps", "calls" };

static void sentence(struct pb_rng *r, struct pb_text *t)
{
	pb_text_printf(t, "the %s %s the %s", nouns[pb_rng_below(r, 8)], verbs[pb_rng_below(r, 6)], nouns[pb_rng_below(r, 8)]);
}

static void write_file(const char *folder, const char *name, const struct pb_text *t)
{
	struct pb_error err = {0};
	char *path = pb_path_join(folder, name), *parent = path ? pb_path_folder(path) : NULL;

	if (!parent || pb_folder_make(parent, &err) || pb_file_write(path, pb_text_c(t), t->length, &err)) {
		fprintf(stderr, "make_model: %s\n", err.text);
		exit(1);
	}
	pb_free(path);
	pb_free(parent);
}

static void write_stories(const char *folder, struct pb_rng *r)
{
	struct pb_text t = {0};

	pb_text_char(&t, '[');
	for (int i = 0; i < 12; i++) {
		pb_text_string(&t, i ? ", \"" : "\"");
		for (int k = 0; k < 3; k++) {
			sentence(r, &t);
			pb_text_string(&t, ". ");
		}
		pb_text_char(&t, '"');
	}
	pb_text_string(&t, "]\n");
	write_file(folder, "text/tinystories/tinystories_1000.json", &t);
	pb_text_free(&t);
}

static void write_piqa(const char *folder, struct pb_rng *r)
{
	struct pb_text items = {0}, labels = {0};

	for (int i = 0; i < 10; i++) {
		pb_text_string(&items, "{\"goal\": \"");
		sentence(r, &items);
		pb_text_string(&items, "\", \"sol1\": \"");
		sentence(r, &items);
		pb_text_string(&items, "\", \"sol2\": \"");
		sentence(r, &items);
		pb_text_string(&items, "\"}\n");
		pb_text_printf(&labels, "%d\n", i % 2);
	}
	write_file(folder, "eval/piqa/valid.jsonl", &items);
	write_file(folder, "eval/piqa/valid-labels.lst", &labels);
	pb_text_free(&items);
	pb_text_free(&labels);
}

int main(int argc, char **argv)
{
	struct pb_error err = {0};
	struct tiny_model m = tiny_model_default();
	struct pb_rng r = pb_rng_make(1, 2);
	char path[512];
	enum pb_status st;

	if (argc != 2) {
		fprintf(stderr, "usage: make_model FOLDER\n");
		return 2;
	}
	st = pb_folder_make(argv[1], &err);
	snprintf(path, sizeof(path), "%s/tiny.bin", argv[1]);
	if (!st)
		st = tiny_model_write_llama2c(path, &m, 0, &err);
	snprintf(path, sizeof(path), "%s/tokenizer.bin", argv[1]);
	if (!st)
		st = tiny_model_write_tokenizer(path, m.n_vocab, &err);
	snprintf(path, sizeof(path), "%s/hf", argv[1]);
	if (!st)
		st = tiny_model_write_folder(path, &m, &err);
	snprintf(path, sizeof(path), "%s/hf/tokenizer.bin", argv[1]);
	if (!st)
		st = tiny_model_write_tokenizer(path, m.n_vocab, &err);
	if (st) {
		fprintf(stderr, "make_model: %s\n", err.text);
		return 1;
	}
	write_stories(argv[1], &r);
	write_piqa(argv[1], &r);
	return 0;
}
