/* Tokenizers: ids of published and derived vectors, round trips, merging against a plain rule, files that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/model/tokenizer.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tokenizer_bytes.h"

#define BLANK "\xE2\x96\x81" /* U+2581 */

static void assert_decodes(const struct pb_tokenizer *t, const int32_t *ids, size_t n_ids, const char *expected, size_t n)
{
	struct pb_text text = {0};
	pb_text_string(&text, "kept ");
	assert_int_equal(pb_tokenizer_decode(t, ids, n_ids, &text, NULL), PB_OK);
	assert_int_equal(text.length, 5 + n);
	assert_memory_equal(text.data, "kept ", 5);
	if (n > 0)
		assert_memory_equal(text.data + 5, expected, n);
	pb_text_free(&text);
}

static void assert_round_trip(const struct pb_tokenizer *t, const char *text, size_t n)
{
	struct pb_ids ids = tokenizer_encoded(t, text, n, PB_SPECIAL_DEFAULT);
	assert_decodes(t, ids.data, ids.n, text, n);
	pb_ids_free(&ids);
}

/* The file of the data folder; skips the test when there is none. */
static char *data_path(const char *name)
{
	const char *folder = getenv("PB_TEST_DATA");
	if (folder == NULL)
		skip();
	char *path = pb_path_join(folder, name);
	assert_non_null(path);
	return path;
}

static struct pb_tokenizer *open_data(const char *name, unsigned n_vocab)
{
	char *path = data_path(name);
	struct pb_tokenizer *t = NULL;
	struct pb_error err;
	if (pb_tokenizer_open(&t, path, n_vocab, &err) != PB_OK)
		fail_msg("%s", err.text);
	pb_free(path);
	return t;
}

static char *read_data(const char *name, size_t *size)
{
	char *path = data_path(name), *data = NULL;
	assert_int_equal(pb_file_read_data(path, 1 << 28, &data, size, NULL), PB_OK);
	pb_free(path);
	return data;
}

/* ---- real tokenizers ---- */

static const char *const llama2[] = { "tokenizers/llama2/tokenizer.model", "tokenizers/llama2/tokenizer.bin" };

static void llama2_vectors(void **state)
{
	static const char separator[] = "\n__ggml_vocab_test__\n";
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct pb_tokenizer *t = open_data(llama2[k], 32000);
		size_t size, size_out;
		char *in = read_data("tokenizers/gguf_vocab/ggml-vocab-llama-spm.gguf.inp", &size);
		char *out = read_data("tokenizers/gguf_vocab/ggml-vocab-llama-spm.gguf.out", &size_out);
		unsigned n = 0;
		char *text = in, *end, *line = out;
		while ((end = memmem(text, size - (size_t)(text - in), separator, strlen(separator))) != NULL) {
			char *line_end = strchr(line, '\n');
			assert_non_null(line_end);
			*line_end = '\0';
			assert_ids(t, text, (size_t)(end - text), PB_SPECIAL_NONE, *line == ' ' ? line + 1 : line);
			assert_round_trip(t, text, (size_t)(end - text));
			text = end + strlen(separator);
			line = line_end + 1;
			n++;
		}
		assert_int_equal(n, 46);
		pb_free(in);
		pb_free(out);
		pb_tokenizer_free(t);
	}
}

/* Published with two independent implementations that agree. */
static void llama2_sentences(void **state)
{
	static const struct { const char *text, *ids; } cases[] = {
		{ "Hello world", "15043 3186" },
		{ "Question: Which is red?\nAnswer:", "894 29901 8449 338 2654 29973 13 22550 29901" },
		{ "Question: Which is red?\nAnswer: apple", "894 29901 8449 338 2654 29973 13 22550 29901 26163" },
		{ " the", "29871 278" },
		{ "  the", "259 278" },
		{ "\n", "29871 13" },
		{ "\n\n", "29871 13 13" },
		{ "\xCE\xA9 \xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x99\x82", "29871 30357 904 29871 30919 31076 29871 243 162 156 133" },
		{ "a\tb", "263 12 29890" },
		{ "1234.5", "29871 29896 29906 29941 29946 29889 29945" },
		{ "it's", "372 29915 29879" },
		{ "= Robert Boulter =", "353 4755 350 5059 357 353" },
		{ "Answer:", "673 29901" },
		{ " yes", "29871 4874" },
		{ " no", "29871 694" },
		{ " A", "29871 319" },
		{ "The quick brown fox jumps over the lazy dog.", "450 4996 17354 1701 29916 432 17204 975 278 17366 11203 29889" },
		{ "", "" },
	};
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct pb_tokenizer *t = open_data(llama2[k], 0);
		assert_int_equal(pb_tokenizer_size(t), 32000);
		assert_int_equal(pb_tokenizer_bos(t), 1);
		assert_int_equal(pb_tokenizer_eos(t), 2);
		assert_true(pb_tokenizer_adds_bos(t));
		assert_string_equal(pb_tokenizer_format(t), k == 0 ? "sentencepiece" : "llama2.c");
		if (k == 0)
			assert_string_equal(pb_tokenizer_hash(t), "9e556afd44213b6bd1be2b850ebbbd98f5481437a8021afaf58ee7fb1818d347");
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			assert_ids(t, cases[i].text, strlen(cases[i].text), PB_SPECIAL_NONE, cases[i].ids);
			assert_round_trip(t, cases[i].text, strlen(cases[i].text));
		}
		assert_ids(t, "Hello world", 11, PB_SPECIAL_DEFAULT, "1 15043 3186");
		assert_ids(t, "Hello world", 11, PB_SPECIAL_BOS, "1 15043 3186");
		assert_ids(t, "", 0, PB_SPECIAL_DEFAULT, "1");
		assert_ids(t, "a\0b", 3, PB_SPECIAL_NONE, "263 3 29890");
		assert_ids(t, "<s>", 3, PB_SPECIAL_NONE, "529 29879 29958"); /* text, not the control piece */
		pb_tokenizer_free(t);
	}
}

/* WikiText-2's test split is known to have 335,688 tokens of Llama 2, BOS included. */
static void llama2_long_text(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct pb_tokenizer *t = open_data(llama2[k], 0);
		size_t size;
		char *text = read_data("text/wikitext2/raw/wiki.test.raw.gz", &size);
		struct pb_ids ids = tokenizer_encoded(t, text, size, PB_SPECIAL_DEFAULT);
		assert_int_equal(ids.n, 335688);
		assert_decodes(t, ids.data, ids.n, text, size);
		pb_ids_free(&ids);
		pb_free(text);
		pb_tokenizer_free(t);
	}
}

/* The .model drops blanks that the .bin keeps, so texts with blanks at an edge or in a row are left out; there are few. */
static void same_ids_in_both_forms(void **state)
{
	static const char *const forms[][2] = {
		{ "models/stories260K/tok512.bin", "models/stories260K/tok512.model" },
		{ "models/babyllama_tok105/tok105.bin", "models/babyllama_tok105/tok105.model" },
	};
	(void)state;
	size_t size;
	char *data = read_data("text/tinystories/tinystories_1000.json.gz", &size);
	json_t *stories;
	assert_int_equal(pb_json_parse(&stories, "stories", data, size, NULL), PB_OK);
	for (size_t k = 0; k < 2; k++) {
		struct pb_tokenizer *bin = open_data(forms[k][0], k == 0 ? 512 : 105), *model = open_data(forms[k][1], 0);
		unsigned compared = 0;
		size_t i, unknown = 0;
		json_t *story;
		json_array_foreach(stories, i, story) {
			const char *text = json_string_value(story);
			size_t n = strlen(text);
			if (n == 0 || text[0] == ' ' || text[n - 1] == ' ' || strstr(text, "  ") != NULL)
				continue;
			struct pb_ids a = tokenizer_encoded(bin, text, n, PB_SPECIAL_DEFAULT), b = tokenizer_encoded(model, text, n, PB_SPECIAL_DEFAULT);
			if (k == 0)
				assert_decodes(bin, a.data, a.n, text, n);
			/* Unknown characters in a row are one id in the .model. */
			size_t kept = 0;
			for (size_t j = 0; j < a.n; j++) {
				unknown += a.data[j] == 0;
				if (a.data[j] != 0 || kept == 0 || a.data[kept - 1] != 0)
					a.data[kept++] = a.data[j];
			}
			a.n = kept;
			assert_int_equal(a.n, b.n);
			assert_memory_equal(a.data, b.data, a.n * sizeof *a.data);
			pb_ids_free(&a);
			pb_ids_free(&b);
			compared++;
		}
		assert_int_equal(compared, 989);
		assert_true(k == 0 ? unknown == 0 : unknown > 0);
		pb_tokenizer_free(bin);
		pb_tokenizer_free(model);
	}
	json_decref(stories);
	pb_free(data);
}

/* ---- small models ---- */

/* Unused, user-defined and ordinary pieces; the vector file holds their ids by another implementation. */
static void put_small_pieces(struct file_bytes *f, const char *blank)
{
	put_piece(f, blank, -9, NORMAL);
	put_piece(f, "a", -10, NORMAL);
	put_piece(f, "b", -11, NORMAL);
	put_piece(f, "c", -12, NORMAL);
	put_piece(f, BLANK "a", -1, NORMAL);
	put_piece(f, "ab", -2, NORMAL);
	put_piece(f, BLANK "ab", -3, NORMAL);
	put_piece(f, "bc", -2, NORMAL);
	put_piece(f, "abc", -4, UNUSED);
	put_piece(f, "<x>", 0, USER_DEFINED);
	put_piece(f, "\xC3\xA9", -13, NORMAL);
	put_piece(f, "abcc", -5, UNUSED);
	put_piece(f, "aa", -2, NORMAL);
}

static struct file_bytes *small_model(const char *name)
{
	static const struct { const char *name; int type, bytes, dummy_prefix, remove_extra, escape; } models[] = {
		{ "bpe", BPE, 0, 1, 1, 1 },        { "bpe_bytes", BPE, 1, 1, 0, 1 },     { "bpe_plain", BPE, 1, 0, 0, 0 },
		{ "uni", UNIGRAM, 0, 1, 1, 1 },    { "uni_bytes", UNIGRAM, 1, 1, 0, 1 }, { "chr", CHAR, 0, 1, 1, 1 },
	};
	static struct file_bytes f;
	for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
		if (strcmp(models[i].name, name) != 0)
			continue;
		f.n = 0;
		put_special(&f, models[i].bytes);
		put_small_pieces(&f, models[i].escape ? BLANK : " ");
		put_trainer(&f, models[i].type, models[i].bytes);
		put_normalizer(&f, NULL, models[i].dummy_prefix, models[i].remove_extra, models[i].escape);
		return &f;
	}
	fail_msg("no model %s", name);
	return NULL;
}

static void sentencepiece_vectors(void **state)
{
	char line[4096], current[32] = "", name[32], hex[512];
	struct pb_tokenizer *t = NULL;
	unsigned n_cases = 0;
	(void)state;
	FILE *f = fopen("tests/vectors/tokenizer/sentencepiece.txt", "r");
	if (f == NULL)
		fail_msg("tests/vectors/tokenizer/sentencepiece.txt: not there; run from the repository's root");
	while (fgets(line, sizeof line, f) != NULL) {
		int used = 0;
		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		assert_int_equal(sscanf(line, "%31s %511s%n", name, hex, &used), 2);
		if (strcmp(name, current) != 0) {
			pb_tokenizer_free(t);
			t = tokenizer_parsed(small_model(name), 0);
			strcpy(current, name);
		}
		char text[256];
		size_t n = 0;
		for (unsigned byte; hex[0] != '-' && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
			text[n] = (char)byte;
		assert_ids(t, text, n, PB_SPECIAL_NONE, line[used] == ' ' ? line + used + 1 : line + used);
		n_cases++;
	}
	assert_int_equal(n_cases, 6 * 37);
	pb_tokenizer_free(t);
	fclose(f);
}

static void special_ids(void **state)
{
	(void)state;
	struct file_bytes f = {0};
	put_special(&f, 0);
	put_piece(&f, "a", 0, NORMAL);
	/* No trainer's part: unigram, and the ids where they are by default. */
	struct pb_tokenizer *t = tokenizer_parsed(&f, 4);
	assert_int_equal(pb_tokenizer_bos(t), 1);
	assert_int_equal(pb_tokenizer_eos(t), 2);
	pb_tokenizer_free(t);

	/* By default, and not there: none. */
	f.n = 0;
	put_piece(&f, "<unk>", 0, UNKNOWN);
	put_piece(&f, "a", 0, NORMAL);
	put_normalizer(&f, NULL, 0, 0, 1);
	t = tokenizer_parsed(&f, 2);
	assert_int_equal(pb_tokenizer_bos(t), -1);
	assert_int_equal(pb_tokenizer_eos(t), -1);
	assert_false(pb_tokenizer_adds_bos(t));
	assert_ids(t, "aa", 2, PB_SPECIAL_DEFAULT, "1 1");
	struct pb_ids ids = {0};
	struct pb_error err;
	assert_int_equal(pb_tokenizer_encode(t, "a", 1, PB_SPECIAL_BOS, &ids, &err), PB_USAGE);
	assert_int_equal(ids.n, 0);
	pb_tokenizer_free(t);

	/* Said, elsewhere. */
	struct file_bytes trainer = {0};
	f.n = 0;
	put_piece(&f, "<pad>", 0, CONTROL);
	put_piece(&f, "</s>", 0, CONTROL);
	put_piece(&f, "<s>", 0, CONTROL);
	put_piece(&f, "?", 0, UNKNOWN);
	put_number(&trainer, 40, 3);
	put_number(&trainer, 41, 2);
	put_number(&trainer, 42, 1);
	put_field(&trainer, 44, "(?)", 3);
	put_field(&f, 2, trainer.data, trainer.n);
	t = tokenizer_parsed(&f, 0);
	assert_int_equal(pb_tokenizer_bos(t), 2);
	assert_int_equal(pb_tokenizer_eos(t), 1);
	assert_ids(t, "x", 1, PB_SPECIAL_DEFAULT, "2 3");
	assert_decodes(t, (int32_t[]){ 2, 3, 1, 3 }, 4, "(?)(?)", 6);
	pb_tokenizer_free(t);

	/* Said, and not so. */
	for (unsigned field = 41; field <= 42; field++) {
		f.n = trainer.n = 0;
		put_special(&f, 0);
		put_piece(&f, "a", 0, NORMAL);
		put_number(&trainer, field, 3);
		put_field(&f, 2, trainer.data, trainer.n);
		assert_tokenizer_refused(&f, 0, PB_FORMAT, field == 41 ? "BOS is said to be piece 3" : "EOS is said to be piece 3");
		f.n = trainer.n = 0;
		put_special(&f, 0);
		put_number(&trainer, field, 77);
		put_field(&f, 2, trainer.data, trainer.n);
		assert_tokenizer_refused(&f, 0, PB_FORMAT, "is said to be piece 77");
	}
	f.n = trainer.n = 0;
	put_special(&f, 0);
	put_number(&trainer, 40, 1);
	put_field(&f, 2, trainer.data, trainer.n);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "unknown piece");
}

static void sentencepiece_refusals(void **state)
{
	static const float not_a_number[] = { __builtin_nanf(""), __builtin_inff() };
	(void)state;
	struct file_bytes f = {0};
	struct pb_tokenizer *t;
	for (size_t i = 0; i < 2; i++) {
		f.n = 0;
		put_special(&f, 0);
		put_piece(&f, "a", not_a_number[i], NORMAL);
		assert_tokenizer_refused(&f, 0, PB_FORMAT, "score of piece 3");
	}

	f.n = 0;
	put_special(&f, 0);
	put_piece(&f, "a", 0, 7);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "unknown type 7");

	f.n = 0;
	put_special(&f, 0);
	put_piece(&f, "", 0, NORMAL);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "piece 3 is empty");

	f.n = 0;
	put_piece(&f, "a", 0, NORMAL);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "no unknown piece");

	f.n = 0;
	put_special(&f, 0);
	put_piece(&f, "<unk2>", 0, UNKNOWN);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "piece 3 is an unknown piece");

	static const char *const bytes[] = { "<0x1>", "<0xaB>", "<0x0Z>", "[0x00]", "<0x000" };
	for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
		f.n = 0;
		put_special(&f, 0);
		put_piece(&f, bytes[i], 0, BYTE);
		assert_tokenizer_refused(&f, 0, PB_FORMAT, "piece 3 is said to be a byte");
	}

	f.n = 0;
	put_special(&f, 0);
	put_piece(&f, "<0x00>", 0, BYTE);
	put_trainer(&f, BPE, 1);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "no piece for byte 0x01");

	f.n = 0;
	put_special(&f, 0);
	put_trainer(&f, WORD, 0);
	assert_tokenizer_refused(&f, 0, PB_UNSUPPORTED, "WORD");

	f.n = 0;
	put_special(&f, 0);
	put_trainer(&f, 9, 0);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "unknown model type 9");

	f.n = 0;
	put_special(&f, 0);
	assert_tokenizer_refused(&f, 4, PB_FORMAT, "file: 3 pieces, the model has a vocabulary of 4");
	assert_tokenizer_refused(&f, 2, PB_FORMAT, "file: 3 pieces, the model has a vocabulary of 2");

	/* A length that is not there, a varint without end, a group. */
	static const struct { const char *bytes; size_t n; } broken[] = {
		{ "\x0A\xFF\xFF\xFF\xFF\x0F", 6 }, { "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 13 }, { "\x0B\x01\x0C", 3 }, { "\x18", 1 },
	};
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		f.n = 0;
		put_special(&f, 0);
		put_bytes(&f, broken[i].bytes, broken[i].n);
		assert_tokenizer_refused(&f, 0, PB_FORMAT, "is broken");
	}

	/* Fields that nobody knows are passed over, of every kind. */
	f.n = 0;
	put_special(&f, 0);
	put_bytes(&f, "\x99\x3F" "12345678" "\x9D\x3F" "1234" "\x98\x3F\x80\x01", 2 + 8 + 2 + 4 + 2 + 2);
	put_field(&f, 4, "self test", 9);
	t = tokenizer_parsed(&f, 3);
	pb_tokenizer_free(t);

	/* Every beginning of a file is refused, or is whole in its pieces. */
	struct file_bytes *whole = small_model("bpe_bytes");
	for (size_t n = 0; n < whole->n; n++) {
		unsigned char *cut = malloc(n + 1); /* of this very size, for the sanitizer */
		memcpy(cut, whole->data, n);
		if (pb_tokenizer_parse(&t, "cut", cut, n, 272, NULL) == PB_OK) {
			assert_int_equal(pb_tokenizer_size(t), 272);
			pb_tokenizer_free(t);
		}
		free(cut);
	}
	t = tokenizer_parsed(whole, 272);
	pb_tokenizer_free(t);
}

/* Of pieces with one text the first counts. */
static void duplicates(void **state)
{
	(void)state;
	for (int type = UNIGRAM; type <= CHAR; type++) {
		if (type == WORD)
			continue;
		struct file_bytes f = {0};
		put_special(&f, 0);
		put_piece(&f, "a", -2, NORMAL);
		put_piece(&f, "a", -1, NORMAL);
		put_trainer(&f, type, 0);
		put_normalizer(&f, NULL, 0, 0, 1);
		struct pb_tokenizer *t = tokenizer_parsed(&f, 5);
		assert_ids(t, "aaa", 3, PB_SPECIAL_NONE, "3 3 3");
		pb_tokenizer_free(t);
	}
	struct file_bytes f = {0};
	put_bin_start(&f, 6, 0);
	put_bin_piece(&f, " ", 1, -2);
	put_bin_piece(&f, " ", 1, -1);
	struct pb_tokenizer *t = tokenizer_parsed(&f, 5);
	assert_ids(t, " ", 1, PB_SPECIAL_NONE, "3 3");
	pb_tokenizer_free(t);
}

static void round_trips(void **state)
{
	static const char *const parts[] = { "a", "b", "c", " ", "  ", "\n", "<x>", "<0x41>", "\xC3\xA9", "\xF0\x9F\x99\x82", "\xE4\xBD\xA0", "abc", "<s>", "\t" };
	static const char *const names[] = { "bpe_bytes", "bpe_plain", "uni_bytes", "bin", "suffix" };
	(void)state;
	for (size_t k = 0; k < 5; k++) {
		struct file_bytes f = {0};
		if (strcmp(names[k], "bin") == 0) {
			put_bin_start(&f, 6, 1);
			put_bin_piece(&f, " ", 1, -1);
			put_bin_piece(&f, " a", 2, -1);
			put_bin_piece(&f, "a", 1, -1);
			put_bin_piece(&f, "bc", 2, -1);
			put_bin_piece(&f, "b", 1, -1);
			put_bin_piece(&f, "c", 1, -1);
		} else if (strcmp(names[k], "suffix") == 0) {
			put_special(&f, 1);
			put_small_pieces(&f, BLANK);
			struct file_bytes trainer = {0};
			put_number(&trainer, 3, BPE);
			put_number(&trainer, 24, 1);
			put_number(&trainer, 35, 1);
			put_field(&f, 2, trainer.data, trainer.n);
			put_normalizer(&f, NULL, 1, 0, 1);
		}
		struct pb_tokenizer *t = tokenizer_parsed(f.n ? &f : small_model(names[k]), 0);
		struct pb_rng rng = pb_rng_make(7, k);
		for (unsigned i = 0; i < 500; i++) {
			char text[256] = "";
			for (uint64_t n = pb_rng_below(&rng, 20); n > 0; n--)
				strcat(text, parts[pb_rng_below(&rng, sizeof parts / sizeof parts[0])]);
			assert_round_trip(t, text, strlen(text));
		}
		assert_round_trip(t, "a\0\0b", 4);
		pb_tokenizer_free(t);
	}
}

/* Blanks that a model removes do not come back; the rest does. */
static void decode_rules(void **state)
{
	(void)state;
	struct pb_tokenizer *t = tokenizer_parsed(small_model("bpe"), 0);
	struct pb_ids ids = tokenizer_encoded(t, "  a   b ", 8, PB_SPECIAL_DEFAULT);
	assert_decodes(t, ids.data, ids.n, "a b", 3);
	pb_ids_free(&ids);
	assert_decodes(t, (int32_t[]){ 1, 3, 3, 7, 7, 2 }, 6, "a a", 3);
	assert_decodes(t, (int32_t[]){ 0 }, 1, " \xE2\x81\x87 ", 5);
	assert_decodes(t, NULL, 0, "", 0);
	struct pb_text text = {0};
	struct pb_error err;
	assert_int_equal(pb_tokenizer_decode(t, (int32_t[]){ 7, 16 }, 2, &text, &err), PB_USAGE);
	assert_string_equal(err.text, "token id 16 is not from 0 to 15");
	assert_int_equal(pb_tokenizer_decode(t, (int32_t[]){ -1 }, 1, &text, &err), PB_USAGE);
	assert_int_equal(text.length, 0);
	pb_tokenizer_free(t);

	/* One blank only where they are kept, wherever the first piece comes from. */
	t = tokenizer_parsed(small_model("bpe_bytes"), 0);
	assert_decodes(t, (int32_t[]){ 1, 259, 259, 263 }, 4, "  a", 3);
	assert_decodes(t, (int32_t[]){ 263, 263 }, 2, "a a", 3);
	assert_decodes(t, (int32_t[]){ 3 + 'x', 263 }, 2, "x a", 3);
	assert_decodes(t, (int32_t[]){ 3 + 0xE4, 3 + 0xBD }, 2, "\xE4\xBD", 2);
	pb_tokenizer_free(t);
}

/* ---- character maps ---- */

struct mapping {
	const char *from, *to;
};

/* A double array in the plainest way: node k has its children at 256 * (k + 1) + byte; a leaf lies at byte 0. */
static void put_charsmap(struct file_bytes *f, const struct mapping *map, size_t n)
{
	static uint32_t units[256 * 64];
	static struct { uint32_t at; int parent; unsigned char byte; } nodes[62];
	int n_nodes = 1;
	struct file_bytes strings = {0};
	memset(units, 0, sizeof units);
	nodes[0].at = 0;
	units[0] = 256 << 10;
	for (size_t i = 0; i < n; i++) {
		int node = 0;
		for (const unsigned char *p = (const unsigned char *)map[i].from; *p != 0; p++) {
			int child = 1;
			while (child < n_nodes && !(nodes[child].parent == node && nodes[child].byte == *p))
				child++;
			if (child == n_nodes) {
				assert_true(n_nodes < 62);
				nodes[n_nodes].parent = node;
				nodes[n_nodes].byte = *p;
				nodes[n_nodes].at = 256 * (unsigned)(node + 1) + *p;
				units[nodes[n_nodes].at] = (nodes[n_nodes].at ^ 256 * (unsigned)(n_nodes + 1)) << 10 | *p;
				n_nodes++;
			}
			node = child;
		}
		units[nodes[node].at] |= 256;
		units[256 * (node + 1)] = 1u << 31 | (uint32_t)strings.n;
		put_bytes(&strings, map[i].to, strlen(map[i].to) + 1);
	}
	put_word(f, sizeof units);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		put_word(f, units[i]);
	put_bytes(f, strings.data, strings.n);
}

static void character_map(void **state)
{
	static const struct mapping map[] = {
		{ "A", "a" }, { "B", "b" }, { "AB", "c" }, { "ABA", "bb" }, { "\xC2\xA0", " " }, { "\xEF\xAC\x81", "ab" }, { "\t", " " }, { "-", "" }, { "\xC2\xB2", " b" },
	};
	static const struct { const char *text, *ids; } cases[] = {
		{ "A", "7" },                      /* the whole text is a blank and a */
		{ "AB", "3 6" },                   /* the longest wins: c */
		{ "ABA", "3 5 5" },
		{ "ABB", "3 6 5" },
		{ "a\xC2\xA0\xC2\xA0 a\t", "7 7" },  /* blanks of the map count as blanks */
		{ "\t\xC2\xA0" "a", "7" },
		{ "\xEF\xAC\x81", "9" },
		{ "\xEF\xAC", "3 0" },             /* only a part of a key: malformed */
		{ "a--b", "9" },
		{ "\xC2\xB2", "3 5" },             /* the blank in front is one too many */
		{ "a\xC2\xB2", "7 3 5" },
		{ "<x>A<x>", "3 12 4 12" },
	};
	(void)state;
	static struct file_bytes f, blob;
	f.n = blob.n = 0;
	put_charsmap(&blob, map, sizeof map / sizeof map[0]);
	put_special(&f, 0);
	put_small_pieces(&f, BLANK);
	put_trainer(&f, BPE, 0);
	put_normalizer(&f, &blob, 1, 1, 1);
	struct pb_tokenizer *t = tokenizer_parsed(&f, 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_ids(t, cases[i].text, strlen(cases[i].text), PB_SPECIAL_NONE, cases[i].ids);
	pb_tokenizer_free(t);

	/* Sizes that lie, and units that point out of the array: refused, or used as far as they go. */
	static struct file_bytes bad;
	static const struct { size_t at; uint32_t word; } lies[] = { { 0, 0 }, { 0, 3 }, { 0, 256 * 64 * 4 + 1 }, { 0, UINT32_MAX }, { 0, UINT32_MAX - 3 } };
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		bad.n = 0;
		put_word(&bad, lies[i].word);
		put_bytes(&bad, blob.data + 4, blob.n - 4);
		f.n = 0;
		put_special(&f, 0);
		put_normalizer(&f, &bad, 1, 1, 1);
		assert_tokenizer_refused(&f, 0, PB_FORMAT, "character map is broken");
	}
	for (size_t cut = blob.n - 1; cut > blob.n - 3; cut--) {
		bad.n = 0;
		put_bytes(&bad, blob.data, cut);
		f.n = 0;
		put_special(&f, 0);
		put_normalizer(&f, &bad, 1, 1, 1);
		assert_tokenizer_refused(&f, 0, PB_FORMAT, "character map is broken");
	}
	struct pb_rng rng = pb_rng_make(3, 0);
	for (unsigned i = 0; i < 200; i++) {
		static const unsigned targets[] = { 0, 256 + 'A', 256 * 2, 256 + 0xC2, 256 * 3 + 'B' };
		bad.n = 0;
		put_bytes(&bad, blob.data, blob.n);
		uint32_t word = pb_rng_u32(&rng);
		memcpy(bad.data + 4 + 4 * targets[i % 5], &word, 4);
		if (i % 3 == 0) /* still the label that leads on */
			bad.data[4 + 4 * targets[i % 5]] = i % 5 == 1 ? 'A' : i % 5 == 3 ? 0xC2 : 'B', bad.data[4 + 4 * targets[i % 5] + 3] &= 0x7F;
		f.n = 0;
		put_special(&f, 0);
		put_small_pieces(&f, BLANK);
		put_normalizer(&f, &bad, 1, 1, 1);
		t = tokenizer_parsed(&f, 0);
		struct pb_ids ids = tokenizer_encoded(t, "ABA\xC2\xA0" "A\xC2\xB2", 8, PB_SPECIAL_NONE);
		pb_ids_free(&ids);
		pb_tokenizer_free(t);
	}
}

/* ---- llama2.c ---- */

static void bin_rules(void **state)
{
	(void)state;
	struct file_bytes f = {0};
	put_bin_start(&f, 6, 1);
	put_bin_piece(&f, " ", 1, -5);              /* 259 */
	put_bin_piece(&f, "a", 1, -6);              /* 260 */
	put_bin_piece(&f, " a", 2, -1);             /* 261 */
	put_bin_piece(&f, "aa", 2, -1);             /* 262 */
	put_bin_piece(&f, "\xC3\xA9", 2, -7);       /* 263 */
	put_bin_piece(&f, "<0x0", 4, -1);           /* 264 */
	put_bin_piece(&f, "<", 1, -9);              /* 265 */
	put_bin_piece(&f, "0x0", 3, -1);            /* 266 */
	put_bin_piece(&f, "0", 1, -9);              /* 267 */
	put_bin_piece(&f, "0x", 2, -1);             /* 268 */
	put_bin_piece(&f, "x", 1, -9);              /* 269 */
	put_bin_piece(&f, "A>", 2, -1);             /* 270 */
	put_bin_piece(&f, "A", 1, -9);              /* 271 */
	put_bin_piece(&f, ">", 1, -9);              /* 272 */
	struct pb_tokenizer *t = tokenizer_parsed(&f, 273);
	assert_string_equal(pb_tokenizer_format(t), "llama2.c");
	assert_int_equal(pb_tokenizer_bos(t), 1);
	assert_int_equal(pb_tokenizer_eos(t), 2);
	assert_true(pb_tokenizer_adds_bos(t));
	assert_ids(t, "", 0, PB_SPECIAL_DEFAULT, "1");
	assert_ids(t, "a", 1, PB_SPECIAL_DEFAULT, "1 261");
	assert_ids(t, "aaa", 3, PB_SPECIAL_NONE, "261 262");     /* equal scores: the leftmost first */
	assert_ids(t, " a", 2, PB_SPECIAL_NONE, "259 261");
	assert_ids(t, "\0a", 2, PB_SPECIAL_NONE, "259 3 260");
	assert_ids(t, "\xC3\xA9\xC3\xAA", 4, PB_SPECIAL_NONE, "259 263 198 173");
	/* Malformed: the bytes as they are, no U+FFFD. */
	assert_ids(t, "\xFF\xC3" "a", 3, PB_SPECIAL_NONE, "259 258 198 260");
	assert_ids(t, "a\x80", 2, PB_SPECIAL_NONE, "259 100 131");    /* to llama2.c one character */
	/* The text of a byte piece is text. */
	assert_ids(t, "<0x0A>", 6, PB_SPECIAL_NONE, "259 264 270");
	assert_round_trip(t, "<0x0A>\n\xFF\xC3\x80", 10);
	/* A text begins behind each BOS; elsewhere blanks stay. */
	assert_decodes(t, (int32_t[]){ 1, 261, 261, 2, 1, 261, 259 }, 7, "a aa ", 5);
	assert_decodes(t, (int32_t[]){ 0, 13 }, 2, "<unk>\n", 6);
	pb_tokenizer_free(t);

	/* No byte pieces: unknown characters are id 0, one each. */
	f.n = 0;
	put_bin_start(&f, 6, 0);
	put_bin_piece(&f, " ", 1, -5);
	put_bin_piece(&f, "a", 1, -6);
	t = tokenizer_parsed(&f, 5);
	assert_ids(t, "a\n\n\xE4\xBD\xA0" "a\xC3", 8, PB_SPECIAL_DEFAULT, "1 3 4 0 0 0 4 0");
	/* By llama2.c's rule a character is a byte and up to three that continue it. */
	assert_ids(t, "\x80\x80\x80\x80\x80" "a", 6, PB_SPECIAL_NONE, "3 0 0 4");
	pb_tokenizer_free(t);

	/* 259 pieces whose texts are not those of bytes, by one letter. */
	f.n = 0;
	put_bin_start(&f, 6, 1);
	f.data[f.n - 2] = 'G'; /* <0xFG> */
	t = tokenizer_parsed(&f, 259);
	assert_ids(t, "\n", 1, PB_SPECIAL_NONE, "0 0");
	pb_tokenizer_free(t);
}

static void bin_refusals(void **state)
{
	(void)state;
	struct file_bytes f = {0};
	struct pb_tokenizer *t;
	put_bin_start(&f, 6, 0);
	put_bin_piece(&f, "abc", 3, -1);
	assert_tokenizer_refused(&f, 5, PB_FORMAT, "file: 4 pieces, the model has a vocabulary of 5");
	assert_tokenizer_refused(&f, 3, PB_FORMAT, "file: 4 pieces, the model has a vocabulary of 3");
	struct file_bytes whole = f;
	for (size_t n = 0; n < whole.n; n++) {
		f.n = n;
		if (pb_tokenizer_parse(&t, "cut", f.data, n, 4, NULL) == PB_OK)
			fail_msg("accepted when cut at %zu", n);
	}
	f = whole;
	f.data[0] = 5;
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "piece 2 has 6 bytes, the longest is said to have 5");
	f = whole;
	f.data[f.n - 7] = 4; /* length of the last piece */
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "piece 3 says it has 4 bytes, the file has 3 left");
	f.data[f.n - 4] = 0xFF;
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "piece 3 says it has");
	f = whole;
	f.data[0] = 0;
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "no bytes");
	f = whole;
	memcpy(f.data + f.n - 11, "\0\0\xC0\x7F", 4);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "score of piece 3 is not a finite number");
	f.n = 0;
	put_word(&f, 5);
	put_bin_piece(&f, "<unk>", 5, 0);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "1 pieces");
	f.n = 4;
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "0 pieces");
}

static void other_files(void **state)
{
	static const struct { const char *bytes; size_t n; enum pb_status status; const char *text; } cases[] = {
		{ "{\"version\": \"1.0\"}", 18, PB_FORMAT, "not a tokenizer.json" },
		{ "GGUF\3\0\0\0", 8, PB_UNSUPPORTED, "GGUF" },
		{ "\x1F\x8B\x08\x00\x00\x00", 6, PB_UNSUPPORTED, "gzip" },
		{ "IQ== 0\nIg== 1\n", 14, PB_UNSUPPORTED, "ranks" },
		{ "", 0, PB_FORMAT, "neither" },
		{ "\n", 1, PB_FORMAT, "neither" },
		{ "hello world", 11, PB_FORMAT, "neither" },
		{ "\xFF\xFF\xFF\xFF\xFF", 5, PB_FORMAT, "neither" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct file_bytes f = {0};
		put_bytes(&f, cases[i].bytes, cases[i].n);
		assert_tokenizer_refused(&f, 0, cases[i].status, cases[i].text);
	}
	struct pb_tokenizer *t = NULL;
	struct pb_error err;
	assert_int_not_equal(pb_tokenizer_open(&t, scratch_path("none.model"), 0, &err), PB_OK);
	struct file_bytes *f = small_model("bpe");
	const char *path = scratch_path("a.model");
	assert_int_equal(pb_file_write(path, f->data, f->n, &err), PB_OK);
	assert_int_equal(pb_tokenizer_open(&t, path, 16, &err), PB_OK);
	char hex[PB_HASH_HEX];
	pb_hash_of_bytes(f->data, f->n, hex);
	assert_string_equal(pb_tokenizer_hash(t), hex);
	pb_tokenizer_free(t);
	scratch_remove();
}

/* ---- merging, against the rule itself ---- */

struct piece {
	char text[16];
	float score;
};

/* Joins the adjacent pair that has the highest score, the leftmost of equals, until none joins. Symbols are (start, end). */
static size_t merge_plainly(const struct piece *pieces, size_t n_pieces, const char *text, size_t n, size_t *ends)
{
	size_t n_symbols = n;
	float *scores = malloc((n + 1) * sizeof *scores); /* of symbol i with the next; -1e30: none */
	for (size_t i = 0; i < n; i++)
		ends[i] = i + 1;
	bool all = true;
	size_t changed = 0;
	for (;;) {
		for (size_t i = 0; i + 1 < n_symbols; i++) {
			if (!all && (i + 1 < changed || i > changed))
				continue;
			size_t start = i ? ends[i - 1] : 0, length = ends[i + 1] - start;
			scores[i] = -1e30f;
			for (size_t p = 0; p < n_pieces; p++)
				if (strlen(pieces[p].text) == length && memcmp(pieces[p].text, text + start, length) == 0)
					scores[i] = pieces[p].score;
		}
		size_t best = n;
		for (size_t i = 0; i + 1 < n_symbols; i++)
			if (scores[i] > -1e29f && (best == n || scores[i] > scores[best]))
				best = i;
		if (best == n)
			break;
		memmove(ends + best, ends + best + 1, (n_symbols - best - 1) * sizeof *ends);
		memmove(scores + best, scores + best + 1, (n_symbols - best - 1) * sizeof *scores);
		n_symbols--;
		changed = best;
		all = false;
	}
	free(scores);
	return n_symbols;
}

static void merging_is_the_plain_rule(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct pb_rng rng = pb_rng_make(11, round);
		unsigned letters = 2 + (unsigned)pb_rng_below(&rng, 3), range = round % 3 == 0 ? 1 : 6;
		struct piece pieces[80];
		size_t n_pieces = 0, n = round == 0 ? 12000 : 300;
		struct file_bytes *model = calloc(2, sizeof *model), *bin = model + 1;
		put_special(model, 0);
		put_bin_start(bin, 15, 0);
		for (size_t i = 0; i < letters + 60; i++) {
			struct piece *p = &pieces[n_pieces];
			size_t length = i < letters ? 1 : 2 + pb_rng_below(&rng, i < 20 ? 1 : 5), k = 0;
			for (; k < length; k++)
				p->text[k] = (char)(i < letters ? 'a' + i : 'a' + pb_rng_below(&rng, letters));
			p->text[k] = '\0';
			p->score = -(float)pb_rng_below(&rng, range);
			for (k = 0; k < n_pieces && strcmp(pieces[k].text, p->text) != 0;)
				k++;
			if (k < n_pieces)
				continue;
			n_pieces++;
			put_piece(model, p->text, p->score, NORMAL);
			put_bin_piece(bin, p->text, strlen(p->text), p->score);
		}
		put_trainer(model, BPE, 0);
		put_normalizer(model, NULL, 0, 0, 1);
		char *text = malloc(n);
		size_t *ends = malloc(n * sizeof *ends);
		for (size_t i = 0; i < n; i++)
			text[i] = (char)('a' + pb_rng_below(&rng, letters));
		size_t n_symbols = merge_plainly(pieces, n_pieces, text, n, ends);
		assert_true(n_symbols < n);
		struct pb_tokenizer *t[2] = { tokenizer_parsed(model, 0), tokenizer_parsed(bin, 0) };
		for (size_t k = 0; k < 2; k++) {
			/* The .bin has no piece for its blank in front: one unknown. */
			struct pb_ids ids = tokenizer_encoded(t[k], text, n, PB_SPECIAL_NONE);
			assert_int_equal(ids.n, n_symbols + k);
			for (size_t i = 0; i < n_symbols; i++) {
				size_t start = i ? ends[i - 1] : 0;
				const char *piece = pieces[ids.data[i + k] - 3].text;
				assert_int_equal(strlen(piece), ends[i] - start);
				assert_memory_equal(piece, text + start, ends[i] - start);
			}
			pb_ids_free(&ids);
			pb_tokenizer_free(t[k]);
		}
		free(text);
		free(ends);
		free(model);
	}
}

/* A text of which every character joins, as long as a split of a data set: quadratic merging would not come to an end here. */
static void long_text_of_one_letter(void **state)
{
	(void)state;
	struct file_bytes f = {0};
	char text[16] = "";
	put_special(&f, 0);
	for (unsigned i = 0; i < 15; i++) {
		text[i] = 'a';
		put_piece(&f, text, i == 7 ? -1.0f : -2.0f, NORMAL);
	}
	put_trainer(&f, BPE, 0);
	put_normalizer(&f, NULL, 0, 0, 1);
	struct pb_tokenizer *t = tokenizer_parsed(&f, 0);
	size_t n = 1 << 20;
	char *a = malloc(n);
	memset(a, 'a', n);
	assert_round_trip(t, a, n);
	struct pb_ids ids = tokenizer_encoded(t, a, n, PB_SPECIAL_NONE);
	/* Leftmost of equals: two, three, ... letters from the left, up to fifteen; and again. */
	for (size_t i = 0; i + 1 < ids.n; i++)
		assert_int_equal(ids.data[i], 3 + 14);
	assert_int_equal(ids.n, (n + 14) / 15);
	pb_ids_free(&ids);
	free(a);
	pb_tokenizer_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(llama2_vectors),
		cmocka_unit_test(llama2_sentences),
		cmocka_unit_test(llama2_long_text),
		cmocka_unit_test(same_ids_in_both_forms),
		cmocka_unit_test(sentencepiece_vectors),
		cmocka_unit_test(special_ids),
		cmocka_unit_test(sentencepiece_refusals),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(decode_rules),
		cmocka_unit_test(character_map),
		cmocka_unit_test(bin_rules),
		cmocka_unit_test(bin_refusals),
		cmocka_unit_test(other_files),
		cmocka_unit_test(merging_is_the_plain_rule),
		cmocka_unit_test(long_text_of_one_letter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
