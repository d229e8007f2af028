/* tokenizer.json: published ids, merging against the plain rule, machine code against interpretation, round trips, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/model/tokenizer_bpe.h"
#include "tests/unit/tokenizer_bytes.h"

#define BYTE_LEVEL "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}"

static struct pb_tokenizer *parse(const char *json, size_t n)
{
	struct pb_tokenizer *t = NULL;
	struct pb_error err = {0};

	if (pb_tokenizer_parse(&t, "t", json, n, 0, &err))
		fail_msg("%s", err.text);
	return t;
}

static void assert_round_trip(const struct pb_tokenizer *t, const char *text, size_t n)
{
	struct pb_ids ids = tokenizer_encoded(t, text, n, PB_SPECIAL_DEFAULT);
	struct pb_text back = {0};

	assert_int_equal(pb_tokenizer_decode(t, ids.data, ids.n, &back, NULL), PB_OK);
	assert_int_equal(back.length, n);
	assert_memory_equal(pb_text_c(&back), text, n);
	pb_text_free(&back);
	pb_ids_free(&ids);
}

static char *data_file(const char *name, size_t *n)
{
	const char *folder = getenv("PB_TEST_DATA");
	struct pb_error err = {0};
	char path[1024], *data = NULL;

	if (!folder)
		skip();
	snprintf(path, sizeof(path), "%s/tokenizers/%s", folder, name);
	if (!pb_file_exists(path))
		skip();
	if (pb_file_read_data(path, (size_t)1 << 26, &data, n, &err))
		fail_msg("%s", err.text);
	return data;
}

/* From the tests of lm-evaluation-harness. */
static void neox_vectors(void **state)
{
	size_t n;
	char *json = data_file("gptneox/tokenizer.json.gz", &n);
	struct pb_tokenizer *t = parse(json, n);

	(void)state;
	assert_ids(t, "foo bar", 7, PB_SPECIAL_DEFAULT, "12110 2534");
	assert_ids(t, "bar foo", 7, PB_SPECIAL_DEFAULT, "2009 17374");
	assert_string_equal(pb_tokenizer_format(t), "tokenizer.json");
	assert_int_equal(pb_tokenizer_eos(t), 0);
	assert_int_equal(pb_tokenizer_bos(t), -1);
	assert_int_equal(pb_tokenizer_size(t), 50280);
	/* Added tokens: special ones, and runs of blanks, the longest first. */
	assert_ids(t, "foo bar<|endoftext|>foo bar", 27, PB_SPECIAL_NONE, "12110 2534 0 12110 2534");
	assert_ids(t, "    ", 4, PB_SPECIAL_NONE, "50274");
	/* NFC: e and a combining acute are one letter. */
	struct pb_ids a = tokenizer_encoded(t, "caf\xC3\xA9", 5, PB_SPECIAL_NONE), b = tokenizer_encoded(t, "cafe\xCC\x81", 6, PB_SPECIAL_NONE);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.data, b.data, a.n * sizeof(*a.data));
	pb_ids_free(&a);
	pb_ids_free(&b);
	pb_tokenizer_free(t);
	pb_free(json);
}

/* A tokenizer.json out of GPT-2's two files. */
static struct pb_tokenizer *gpt2(void)
{
	size_t n_vocab, n_merges;
	char *vocab = data_file("gpt2/vocab.json.gz", &n_vocab), *merges = data_file("gpt2/merges.txt.gz", &n_merges);
	struct pb_text json = {0};
	const char *between = "";
	struct pb_tokenizer *t;

	pb_text_string(&json, "{" BYTE_LEVEL ", \"model\": {\"type\": \"BPE\", \"vocab\": ");
	pb_text_bytes(&json, vocab, n_vocab);
	pb_text_string(&json, ", \"merges\": [");
	for (char *line = merges; *line;) {
		char *end = line + strcspn(line, "\n");

		if (strncmp(line, "#version", 8) != 0 && end > line) {
			pb_text_printf(&json, "%s\"", between);
			for (char *s = line; s < end; s++) {
				if (*s == '"' || *s == '\\')
					pb_text_char(&json, '\\');
				pb_text_char(&json, *s);
			}
			pb_text_char(&json, '"');
			between = ",";
		}
		line = *end ? end + 1 : end;
	}
	pb_text_string(&json, "]}}");
	t = parse(json.data, json.length);
	pb_text_free(&json);
	pb_free(vocab);
	pb_free(merges);
	return t;
}

/* llama.cpp's vectors: texts with a separator behind each, and a line of ids for each. */
static void gpt2_vectors(void **state)
{
	static const char separator[] = "\n__ggml_vocab_test__\n";
	size_t n_in, n_out, count = 0;
	char *in = data_file("gguf_vocab/ggml-vocab-gpt-2.gguf.inp", &n_in), *out = data_file("gguf_vocab/ggml-vocab-gpt-2.gguf.out", &n_out);
	struct pb_tokenizer *t = gpt2();

	(void)state;
	for (char *text = in, *line = out; *text;) {
		char *end = strstr(text, separator), *stop = strchr(line, '\n');

		if (!end || !stop)
			break;
		*stop = '\0';
		pb_tokenizer_use_jit(t, count % 2 == 0);
		assert_ids(t, text, (size_t)(end - text), PB_SPECIAL_NONE, *line == ' ' ? line + 1 : line);
		pb_tokenizer_use_jit(t, count % 2 != 0);
		assert_ids(t, text, (size_t)(end - text), PB_SPECIAL_NONE, *line == ' ' ? line + 1 : line);
		assert_round_trip(t, text, (size_t)(end - text));
		text = end + sizeof(separator) - 1;
		line = stop + 1;
		count++;
	}
	assert_int_equal(count, 46);
	pb_tokenizer_free(t);
	pb_free(in);
	pb_free(out);
}

/* ---- a small tokenizer: 0 <s>, 1 </s>, 2 to 257 the bytes, then the merges ---- */

static void put_characters(struct pb_text *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char utf8[4];
		size_t length = pb_utf8_put(utf8, pb_byte_character((unsigned char)s[i]));

		if (utf8[0] == '"' || utf8[0] == '\\')
			pb_text_char(out, '\\');
		pb_text_bytes(out, utf8, length);
	}
}

/* merges: pairs "left", "right", NULL-terminated; before: members of the root. */
static void build(struct pb_text *json, const char *before, const char *model, const char *const *merges)
{
	unsigned id = 2;

	pb_text_printf(json, "{\"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"special\": true, \"normalized\": false},"
		"{\"id\": 1, \"content\": \"</s>\", \"special\": true, \"normalized\": false}], %s, \"model\": {%s\"vocab\": {\"<s>\": 0, \"</s>\": 1", before, model);
	for (unsigned b = 0; b < 256; b++) {
		char c = (char)b;

		pb_text_string(json, ", \"");
		put_characters(json, &c, 1);
		pb_text_printf(json, "\": %u", id++);
	}
	for (size_t i = 0; merges[i]; i += 2) {
		pb_text_string(json, ", \"");
		put_characters(json, merges[i], strlen(merges[i]));
		put_characters(json, merges[i + 1], strlen(merges[i + 1]));
		pb_text_printf(json, "\": %u", id++);
	}
	pb_text_string(json, "}, \"merges\": [");
	for (size_t i = 0; merges[i]; i += 2) {
		/* Both ways of writing a merge. */
		pb_text_string(json, i ? (i % 4 ? ", [\"" : ", \"") : "\"");
		put_characters(json, merges[i], strlen(merges[i]));
		pb_text_string(json, i % 4 ? "\", \"" : " ");
		put_characters(json, merges[i + 1], strlen(merges[i + 1]));
		pb_text_string(json, i % 4 ? "\"]" : "\"");
	}
	pb_text_string(json, "]}}");
}

static struct pb_tokenizer *small(const char *before, const char *model, const char *const *merges)
{
	struct pb_text json = {0};
	struct pb_tokenizer *t;

	build(&json, before, model, merges);
	t = parse(json.data, json.length);
	pb_text_free(&json);
	return t;
}

#define TEMPLATE "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}]}"
static const char *const letters[] = { "a", "b", " ", "a", "ab", "c", " a", "b", "b", "c", " ", " ", "a", "a", "aa", "a", "c", "ab", NULL };

static void special_tokens(void **state)
{
	struct pb_tokenizer *t = small(BYTE_LEVEL ", " TEMPLATE, "\"type\": \"BPE\", ", letters);

	(void)state;
	assert_int_equal(pb_tokenizer_size(t), 267);
	assert_int_equal(pb_tokenizer_bos(t), 0);
	assert_int_equal(pb_tokenizer_eos(t), 1);
	assert_true(pb_tokenizer_adds_bos(t));
	assert_ids(t, "ab", 2, PB_SPECIAL_DEFAULT, "0 258");
	assert_ids(t, "ab", 2, PB_SPECIAL_NONE, "258");
	assert_ids(t, "", 0, PB_SPECIAL_DEFAULT, "0");
	/* a b is the first merge, so that " abc" is not " a" + "bc". */
	assert_ids(t, "abc abc", 7, PB_SPECIAL_NONE, "260 34 260");
	assert_ids(t, "ab</s>ab", 8, PB_SPECIAL_NONE, "258 1 258");
	int32_t ids[] = { 0, 258, 1 };
	struct pb_text back = {0};
	assert_int_equal(pb_tokenizer_decode(t, ids, 3, &back, NULL), PB_OK);
	assert_string_equal(pb_text_c(&back), "ab");
	pb_text_free(&back);
	pb_tokenizer_free(t);
	t = small(BYTE_LEVEL, "", letters);
	assert_int_equal(pb_tokenizer_bos(t), 0);
	assert_false(pb_tokenizer_adds_bos(t));
	assert_ids(t, "ab", 2, PB_SPECIAL_DEFAULT, "258");
	assert_ids(t, "ab", 2, PB_SPECIAL_BOS, "0 258");
	pb_tokenizer_free(t);
}

static void pre_tokenizers(void **state)
{
	static const char sequence[] = "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": \"%s\"}, "
		"\"behavior\": \"%s\", \"invert\": %s}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]}";
	char before[1024];
	struct pb_tokenizer *t;

	(void)state;
	/* One piece without a cut: " a" + "b" would be ranked behind "a" + "b". */
	snprintf(before, sizeof(before), sequence, "c", "Isolated", "false");
	t = small(before, "", letters);
	assert_ids(t, "abcab", 5, PB_SPECIAL_NONE, "258 101 258");
	pb_tokenizer_free(t);
	snprintf(before, sizeof(before), sequence, "c", "Removed", "false");
	t = small(before, "", letters);
	assert_ids(t, "abcab", 5, PB_SPECIAL_NONE, "258 258");
	pb_tokenizer_free(t);
	snprintf(before, sizeof(before), sequence, "[ab]+", "Removed", "true");
	t = small(before, "", letters);
	assert_ids(t, "abcab", 5, PB_SPECIAL_NONE, "258 258");
	pb_tokenizer_free(t);
	t = small("\"pre_tokenizer\": {\"type\": \"ByteLevel\"}", "", letters);
	assert_ids(t, "a", 1, PB_SPECIAL_NONE, "259");
	assert_ids(t, " a", 2, PB_SPECIAL_NONE, "259");
	pb_tokenizer_free(t);
	/* The whole piece is a token: no merge is asked. */
	t = small(BYTE_LEVEL, "\"ignore_merges\": true, ", letters);
	assert_ids(t, "aaa", 3, PB_SPECIAL_NONE, "265");
	pb_tokenizer_free(t);
	/* U+180E is no white space here, whatever PCRE2's \s says: letter-like pieces and blanks do not mix with it. */
	snprintf(before, sizeof(before), sequence, "\\\\s", "Removed", "false");
	t = small(before, "", letters);
	assert_ids(t, "a\xE1\xA0\x8E" "a\xC2\x85" "a", 8, PB_SPECIAL_NONE, "99 227 162 144 99 99");
	pb_tokenizer_free(t);
}

/* The plain rule: join the pair of lowest rank, leftmost first, until there is none. */
static void merge_plainly(const char *piece, size_t n, const char *const *merges, struct pb_ids *out)
{
	char parts[64][64];
	size_t count = n;

	for (size_t i = 0; i < n; i++)
		snprintf(parts[i], sizeof(parts[i]), "%c", piece[i]);
	for (size_t rank = 0; merges[rank];) {
		size_t at = 0;

		while (at + 1 < count && (strcmp(parts[at], merges[rank]) != 0 || strcmp(parts[at + 1], merges[rank + 1]) != 0))
			at++;
		if (at + 1 >= count) {
			rank += 2;
			continue;
		}
		memcpy(parts[at] + strlen(parts[at]), parts[at + 1], strlen(parts[at + 1]) + 1);
		memmove(parts[at + 1], parts[at + 2], (count - at - 2) * sizeof(parts[0]));
		count--;
		rank = 0;
	}
	for (size_t i = 0; i < count; i++) {
		int32_t id = 2 + (unsigned char)parts[i][0];
		char both[64];

		for (size_t k = 0; merges[k]; k += 2) {
			snprintf(both, sizeof(both), "%s%s", merges[k], merges[k + 1]);
			if (strcmp(both, parts[i]) == 0)
				id = 258 + (int32_t)k / 2;
		}
		assert_int_equal(pb_ids_add(out, id, NULL), PB_OK);
	}
}

static void plain_rule(void **state)
{
	struct pb_tokenizer *t = small(BYTE_LEVEL, "", letters);
	struct pb_rng r = pb_rng_make(1, 0);

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char word[40];
		size_t n = 1 + pb_rng_below(&r, sizeof(word) - 1);
		struct pb_ids got, expected = {0};

		for (size_t k = 0; k < n; k++)
			word[k] = "abc"[pb_rng_below(&r, 3)];
		got = tokenizer_encoded(t, word, n, PB_SPECIAL_NONE);
		merge_plainly(word, n, letters, &expected);
		assert_int_equal(got.n, expected.n);
		assert_memory_equal(got.data, expected.data, got.n * sizeof(*got.data));
		pb_ids_free(&got);
		pb_ids_free(&expected);
	}
	pb_tokenizer_free(t);
}

/* Any bytes come back, and machine code changes nothing. */
static void any_bytes(void **state)
{
	static const char alphabet[] = "ab c'st  \n\t\xC3\xA9\xE2\x96\x81\xF0\x9F\x99\x82\xFF\x80 12!\xE1\xA0\x8E\xC2\x85";
	struct pb_tokenizer *t = small(BYTE_LEVEL, "", letters);
	struct pb_rng r = pb_rng_make(2, 0);
	static char long_text[200000];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char text[80];
		size_t n = 1 + pb_rng_below(&r, sizeof(text) - 1);
		struct pb_ids fast, slow;

		for (size_t k = 0; k < n; k++)
			text[k] = i % 2 ? (char)pb_rng_below(&r, 256) : alphabet[pb_rng_below(&r, sizeof(alphabet))];
		assert_round_trip(t, text, n);
		fast = tokenizer_encoded(t, text, n, PB_SPECIAL_NONE);
		pb_tokenizer_use_jit(t, false);
		slow = tokenizer_encoded(t, text, n, PB_SPECIAL_NONE);
		pb_tokenizer_use_jit(t, true);
		assert_int_equal(fast.n, slow.n);
		assert_memory_equal(fast.data, slow.data, fast.n * sizeof(*fast.data));
		pb_ids_free(&fast);
		pb_ids_free(&slow);
	}
	for (int kind = 0; kind < 3; kind++) {
		memset(long_text, "a \n"[kind], sizeof(long_text));
		assert_round_trip(t, long_text, sizeof(long_text));
	}
	pb_tokenizer_free(t);
}

static void refused(void **state)
{
	static const struct { const char *before, *model; enum pb_status status; const char *text; } cases[] = {
		{ BYTE_LEVEL, "\"type\": \"WordPiece\", ", PB_UNSUPPORTED, "the model is of type 'WordPiece'" },
		{ BYTE_LEVEL, "\"dropout\": 0.1, ", PB_UNSUPPORTED, "drops merges at random" },
		{ BYTE_LEVEL, "\"end_of_word_suffix\": \"</w>\", ", PB_UNSUPPORTED, "marks parts of words" },
		{ "\"pre_tokenizer\": null", "", PB_UNSUPPORTED, "the pre-tokenizer '' is not done" },
		{ "\"pre_tokenizer\": {\"type\": \"Metaspace\"}", "", PB_UNSUPPORTED, "'Metaspace'" },
		{ "\"pre_tokenizer\": {\"type\": \"Digits\"}", "", PB_UNSUPPORTED, "the pre-tokenizer is not ByteLevel" },
		{ "\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}, \"behavior\": \"Isolated\"}", "", PB_FORMAT, "t: the pattern '(' does not compile" },
		{ "\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"a\"}, \"behavior\": \"Contiguous\"}", "", PB_UNSUPPORTED, "'Contiguous'" },
		{ "\"pre_tokenizer\": {\"type\": \"Split\", \"behavior\": \"Isolated\"}", "", PB_FORMAT, "no pattern" },
		{ BYTE_LEVEL ", \"normalizer\": {\"type\": \"Lowercase\"}", "", PB_UNSUPPORTED, "'Lowercase'" },
		{ BYTE_LEVEL ", \"post_processor\": {\"type\": \"BertProcessing\"}", "", PB_UNSUPPORTED, "'BertProcessing'" },
		{ BYTE_LEVEL ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {}}, {\"SpecialToken\": {\"id\": \"</s>\"}}]}", "",
			PB_UNSUPPORTED, "puts more around a text" },
		{ BYTE_LEVEL ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<x>\"}}]}", "", PB_FORMAT, "'<x>' is no added token" },
	};
	static const struct { const char *json; enum pb_status status; const char *text; } files[] = {
		{ "{\"model\": 1}", PB_FORMAT, "the key 'model' is missing" },
		{ "{\"model\": {}}", PB_FORMAT, "no vocabulary" },
		{ "{\"model\": {\"vocab\": {}}}", PB_FORMAT, "no tokens" },
		{ "{\"model\": {\"vocab\": {\"a\": -1}}}", PB_FORMAT, "no whole number" },
		{ "{\"model\": {\"vocab\": {\"a\": 99999999}}}", PB_LIMIT, "far above the number of tokens" },
		{ "{\"model\": {\"vocab\": {\"a\": 1, \"b\": 1}}}", PB_FORMAT, "two tokens have the id 1" },
		{ "{\"model\": {\"vocab\": {\"a\": 1}}}", PB_FORMAT, "no list of merges" },
		{ "{\"model\": {\"vocab\": {\"a\": 1}, \"merges\": [\"ab\"]}}", PB_FORMAT, "merge 1 is not written" },
		{ "{\"model\": {\"vocab\": {\"a\": 1}, \"merges\": [\"a a\"]}}", PB_FORMAT, "'aa' and its two parts" },
		{ "{\"model\": {\"vocab\": {\"a\": 1}, \"merges\": []}", PB_FORMAT, "t:1:" },
	};
	struct pb_tokenizer *t = NULL;
	struct pb_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pb_text json = {0};

		build(&json, cases[i].before, cases[i].model, letters);
		assert_int_equal(pb_tokenizer_parse(&t, "t", json.data, json.length, 0, &err), cases[i].status);
		if (!strstr(err.text, cases[i].text))
			fail_msg("'%s' does not say '%s'", err.text, cases[i].text);
		pb_text_free(&json);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		assert_int_equal(pb_tokenizer_parse(&t, "t", files[i].json, strlen(files[i].json), 0, &err), files[i].status);
		if (!strstr(err.text, files[i].text))
			fail_msg("'%s' does not say '%s'", err.text, files[i].text);
	}
	/* A byte that no token stands for is said, and nothing is left behind. */
	static const char lone[] = "{" BYTE_LEVEL ", \"model\": {\"vocab\": {\"a\": 0}, \"merges\": []}}";
	struct pb_ids ids = {0};
	t = parse(lone, strlen(lone));
	assert_int_equal(pb_tokenizer_encode(t, "ab", 2, PB_SPECIAL_NONE, &ids, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "byte 0x62"));
	assert_int_equal(ids.n, 0);
	pb_ids_free(&ids);
	pb_tokenizer_free(t);
}

/* Each allocation fails once, in a child, as the variable is read once a process. */
static int live(void)
{
	struct pb_text json = {0};
	struct pb_tokenizer *t = NULL;
	struct pb_ids ids = {0};
	struct pb_error err = {0};
	enum pb_status st;

	build(&json, BYTE_LEVEL ", \"normalizer\": {\"type\": \"NFC\"}, " TEMPLATE, "", letters);
	st = pb_text_check(&json, &err);
	if (!st)
		st = pb_tokenizer_parse(&t, "t", json.data, json.length, 0, &err);
	if (!st)
		st = pb_tokenizer_encode(t, "abc abc \xC3\xA9 1234567890123456789012345678901234567890123456789012345678901234567890", 80, PB_SPECIAL_DEFAULT, &ids, &err);
	pb_tokenizer_free(t);
	pb_ids_free(&ids);
	pb_text_free(&json);
	return st == PB_OK ? 0 : st == PB_MEMORY && err.text[0] ? 10 : 20;
}

static void memory_runs_out(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 5000; n++) {
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			char number[16];

			snprintf(number, sizeof(number), "%u", n);
			setenv("PB_TEST_FAIL_ALLOC", number, 1);
			_exit(live());
		}
		waitpid(child, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
			assert_true(n > 20);
			return;
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 10)
			fail_msg("allocation %u: %s", n, WIFEXITED(status) ? "a wrong end" : "a crash");
	}
	fail_msg("no end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_runs_out), /* first: the variable is read once a process */
		cmocka_unit_test(neox_vectors),
		cmocka_unit_test(gpt2_vectors),
		cmocka_unit_test(special_tokens),
		cmocka_unit_test(pre_tokenizers),
		cmocka_unit_test(plain_rule),
		cmocka_unit_test(any_bytes),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
