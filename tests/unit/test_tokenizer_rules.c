/* Tokenizers: pieces with NUL bytes, the best path against all paths, blanks at the edges, which of two kinds a file is, files
 * that end early or late. */
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/model/tokenizer.h"
#include "tests/unit/tokenizer_bytes.h"

#define BLANK "\xE2\x96\x81" /* U+2581 */

static void assert_id_list(const struct pb_tokenizer *t, const char *text, size_t n, const int32_t *expected, size_t n_expected)
{
	struct pb_ids ids = {0};
	struct pb_error err;
	if (pb_tokenizer_encode(t, text, n, PB_SPECIAL_NONE, &ids, &err) != PB_OK)
		fail_msg("%s", err.text);
	assert_int_equal(ids.n, n_expected);
	for (size_t i = 0; i < ids.n; i++)
		assert_int_equal(ids.data[i], expected[i]);
	pb_ids_free(&ids);
}
#define IDS(...) (int32_t[]){ __VA_ARGS__ }, sizeof((int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t)

/* ---- pieces with NUL bytes ---- */

static void pieces_with_nul(void **state)
{
	static const int types[] = { UNIGRAM, BPE, CHAR };
	static const struct { const char *text; size_t n; } pieces[] = { { "a", 1 }, { "b", 1 }, { "\0", 1 }, { "\0b", 2 }, { "a\0b", 3 }, { "a\0\0", 3 } };
	static struct file_bytes f;
	(void)state;
	for (size_t k = 0; k < 4; k++) {
		f.n = 0;
		if (k == 3)
			put_bin_start(&f, 6, 0);
		else
			put_special(&f, 0);
		for (size_t i = 0; i < 6; i++) {
			if (k == 3)
				put_bin_piece(&f, pieces[i].text, pieces[i].n, -1);
			else
				put_piece_bytes(&f, pieces[i].text, pieces[i].n, -1, NORMAL);
		}
		if (k < 3) {
			put_trainer(&f, types[k], 0);
			put_normalizer(&f, NULL, 0, 0, 1);
		}
		struct pb_tokenizer *t = tokenizer_parsed(&f, 9);
		if (k == 2)
			assert_id_list(t, "a\0b\0", 4, IDS(3, 5, 4, 5));
		else if (k == 3)
			assert_id_list(t, "a\0b\0", 4, IDS(0, 7, 5)); /* the blank in front is no piece here */
		else
			assert_id_list(t, "a\0b\0", 4, IDS(7, 5));
		struct pb_text back = {0};
		assert_int_equal(pb_tokenizer_decode(t, (int32_t[]){ 8, 6 }, 2, &back, NULL), PB_OK);
		assert_int_equal(back.length, 5);
		assert_memory_equal(back.data, "a\0\0\0b", 5);
		pb_text_free(&back);
		pb_tokenizer_free(t);
	}
}

/* A piece whose NUL comes early is kept whole: nothing behind it is read from elsewhere. */
static void long_piece_with_nul(void **state)
{
	static struct file_bytes f;
	static char text[60000];
	(void)state;
	memset(text, 'x', sizeof text);
	text[1] = '\0';
	for (unsigned k = 0; k < 2; k++) {
		f.n = 0;
		if (k == 0) {
			put_special(&f, 0);
			put_piece_bytes(&f, text, sizeof text, -1, USER_DEFINED);
			put_trainer(&f, BPE, 0);
			put_normalizer(&f, NULL, 0, 0, 1);
		} else {
			put_bin_start(&f, sizeof text, 0);
			put_bin_piece(&f, text, sizeof text, -1);
		}
		struct pb_tokenizer *t = tokenizer_parsed(&f, 4);
		struct pb_text back = {0};
		if (k == 0)
			assert_id_list(t, text, sizeof text, IDS(3));
		assert_int_equal(pb_tokenizer_decode(t, (int32_t[]){ 3 }, 1, &back, NULL), PB_OK);
		assert_int_equal(back.length, sizeof text);
		assert_memory_equal(back.data, text, sizeof text);
		pb_text_free(&back);
		pb_tokenizer_free(t);
	}
}

/* ---- unigram: the best path, against all paths ---- */

static const char *const letters[] = { "a", "b", "\xC3\xA9", "z" };

struct piece {
	char text[16];
	double score;
	bool unused;
};

struct lattice {
	struct piece pieces[40];
	size_t n;
	double unknown;
	char text[64];
	size_t size;
};

static size_t letter_bytes(const char *s)
{
	return *s == '\xC3' ? 2 : 1;
}

/* 1: as a piece; 0: as an unknown, which only a letter without a piece can be; -1: not at all. */
static int way(const struct lattice *l, size_t from, size_t to, double *score)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!l->pieces[i].unused && strlen(l->pieces[i].text) == to - from && memcmp(l->pieces[i].text, l->text + from, to - from) == 0) {
			*score = l->pieces[i].score;
			return 1;
		}
	}
	*score = l->unknown;
	return to - from == letter_bytes(l->text + from) ? 0 : -1;
}

static double best_of_all(const struct lattice *l, size_t from)
{
	double best = -DBL_MAX, score;
	if (from == l->size)
		return 0;
	for (size_t to = from; to < l->size;) {
		to += letter_bytes(l->text + to);
		if (way(l, from, to, &score) < 0)
			continue;
		score += best_of_all(l, to);
		best = score > best ? score : best;
	}
	return best;
}

/* The best that ids can stand for; an unknown stands for one letter without a piece, or for several. */
static double score_of_ids(const struct lattice *l, const int32_t *ids, size_t n, size_t from)
{
	double score, best = -DBL_MAX, rest;
	if (n == 0)
		return from == l->size ? 0 : -DBL_MAX;
	if (from == l->size)
		return -DBL_MAX;
	if (*ids >= 3) {
		const struct piece *p = &l->pieces[*ids - 3];
		if (l->size - from < strlen(p->text) || memcmp(p->text, l->text + from, strlen(p->text)) != 0)
			return -DBL_MAX;
		rest = score_of_ids(l, ids + 1, n - 1, from + strlen(p->text));
		return rest == -DBL_MAX ? rest : p->score + rest;
	}
	double sum = 0;
	for (size_t to = from; to < l->size;) {
		size_t next = to + letter_bytes(l->text + to);
		if (way(l, to, next, &score) != 0)
			break;
		sum += score;
		to = next;
		rest = score_of_ids(l, ids + 1, n - 1, to);
		if (rest != -DBL_MAX && sum + rest > best)
			best = sum + rest;
	}
	return best;
}

static void best_path(void **state)
{
	unsigned with_unknown = 0, without = 0;
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		static struct file_bytes f;
		static struct lattice l;
		struct pb_rng rng = pb_rng_make(21, round);
		double lowest = DBL_MAX, highest = FLT_MIN;
		f.n = l.n = 0;
		put_special(&f, 0);
		/* One or two letters are pieces for sure; longer ones may have the others only inside. */
		for (unsigned tries = 0; tries < 30; tries++) {
			struct piece *p = &l.pieces[l.n];
			size_t k = 0;
			int type = NORMAL;
			p->text[0] = '\0';
			for (uint64_t n = 1 + pb_rng_below(&rng, tries < 2 ? 1 : 4); n > 0; n--)
				strcat(p->text, letters[pb_rng_below(&rng, 3)]);
			while (k < l.n && strcmp(l.pieces[k].text, p->text) != 0)
				k++;
			if (k < l.n)
				continue;
			if (l.n > 2 && pb_rng_below(&rng, 8) == 0)
				type = pb_rng_below(&rng, 2) ? UNUSED : USER_DEFINED;
			p->score = -(double)pb_rng_below(&rng, 64) / 4;
			p->unused = type == UNUSED;
			put_piece(&f, p->text, (float)p->score, type);
			if (type == NORMAL) {
				lowest = p->score < lowest ? p->score : lowest;
				highest = p->score > highest ? p->score : highest;
			}
			if (type == USER_DEFINED)
				p->score = DBL_MAX; /* until the highest is known */
			l.n++;
		}
		for (size_t i = 0; i < l.n; i++)
			if (l.pieces[i].score == DBL_MAX)
				l.pieces[i].score = (double)strlen(l.pieces[i].text) * highest - 0.1;
		l.unknown = lowest - 10;
		put_trainer(&f, UNIGRAM, 0);
		put_normalizer(&f, NULL, 0, 0, 1);
		struct pb_tokenizer *t = tokenizer_parsed(&f, 0);
		for (unsigned i = 0; i < 10; i++) {
			struct pb_ids ids = {0};
			l.text[0] = '\0';
			for (uint64_t n = 1 + pb_rng_below(&rng, 11); n > 0; n--)
				strcat(l.text, letters[pb_rng_below(&rng, 10) == 0 ? 3 : pb_rng_below(&rng, 3)]);
			l.size = strlen(l.text);
			assert_int_equal(pb_tokenizer_encode(t, l.text, l.size, PB_SPECIAL_NONE, &ids, NULL), PB_OK);
			double best = best_of_all(&l, 0), got = score_of_ids(&l, ids.data, ids.n, 0);
			if (!(got > best - 1e-3 && got < best + 1e-3))
				fail_msg("round %u: '%s': %g, the best is %g", round, l.text, got, best);
			size_t k = 0;
			while (k < ids.n && ids.data[k] != 0)
				k++;
			*(k < ids.n ? &with_unknown : &without) += 1;
			pb_ids_free(&ids);
		}
		pb_tokenizer_free(t);
	}
	assert_true(with_unknown > 100 && without > 100);
}

/* ---- blanks at the edges ---- */

static void blanks_at_the_edges(void **state)
{
	(void)state;
	/* 3: blank, 4: a, 5: blank a, 6: a blank */
	for (unsigned k = 0; k < 4; k++) {
		bool suffix = k & 1, removes = k & 2;
		static struct file_bytes f;
		struct file_bytes *trainer = calloc(1, sizeof *trainer);
		f.n = 0;
		put_special(&f, 0);
		put_piece(&f, BLANK, -3, NORMAL);
		put_piece(&f, "a", -3, NORMAL);
		put_piece(&f, BLANK "a", -1, NORMAL);
		put_piece(&f, "a" BLANK, -2, NORMAL);
		put_number(trainer, 3, BPE);
		put_number(trainer, 24, suffix);
		put_field(&f, 2, trainer->data, trainer->n);
		put_normalizer(&f, NULL, 1, removes, 1);
		free(trainer);
		struct pb_tokenizer *t = tokenizer_parsed(&f, 7);
		assert_id_list(t, "", 0, NULL, 0);
		if (removes)
			assert_id_list(t, "   ", 3, NULL, 0);
		else
			assert_id_list(t, "  ", 2, IDS(3, 3, 3));
		if (suffix)
			assert_id_list(t, "a", 1, IDS(6));
		else
			assert_id_list(t, "a", 1, IDS(5));
		if (suffix && removes)
			assert_id_list(t, " a  a ", 6, IDS(4, 5, 3));
		else if (suffix)
			assert_id_list(t, " a  a ", 6, IDS(5, 3, 5, 3, 3));
		else if (removes)
			assert_id_list(t, " a  a ", 6, IDS(5, 5));
		else
			assert_id_list(t, " a  a ", 6, IDS(3, 5, 3, 5, 3));
		pb_tokenizer_free(t);
	}
}

/* ---- special pieces ---- */

static void special_pieces(void **state)
{
	static struct file_bytes f;
	(void)state;
	/* BOS turned into a piece that text can become: none is put in front. */
	f.n = 0;
	put_piece(&f, "<unk>", 0, UNKNOWN);
	put_piece(&f, "<s>", 0, USER_DEFINED);
	put_piece(&f, "</s>", 0, CONTROL);
	put_piece(&f, "a", -1, NORMAL);
	put_trainer(&f, BPE, 0);
	put_normalizer(&f, NULL, 0, 0, 1);
	struct pb_tokenizer *t = tokenizer_parsed(&f, 4);
	assert_int_equal(pb_tokenizer_bos(t), -1);
	assert_int_equal(pb_tokenizer_eos(t), 2);
	assert_false(pb_tokenizer_adds_bos(t));
	assert_id_list(t, "a<s>a", 5, IDS(3, 1, 3));
	pb_tokenizer_free(t);

	/* No trainer's part: the unknown piece is the one of that kind. */
	f.n = 0;
	put_piece(&f, "<s>", 0, CONTROL);
	put_piece(&f, "a", -1, NORMAL);
	put_piece(&f, "<unk>", 0, UNKNOWN);
	put_normalizer(&f, NULL, 0, 0, 1);
	t = tokenizer_parsed(&f, 3);
	assert_id_list(t, "abba", 4, IDS(1, 2, 1));
	pb_tokenizer_free(t);
	put_piece(&f, "<unk2>", 0, UNKNOWN);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "file: piece 3 is an unknown piece, and so should only piece 2 be");
}

/* ---- which kind a file is ---- */

/* First bytes that are those of other kinds of file. */
static void kind_by_content(void **state)
{
	static const unsigned longest[] = { 6, 0x0A, 0x12, 0x1A, 0x7B, 0x20, 0x7B0A, 0x8B1F, 0x0A0A, 0x4747, 0xFFFF };
	static struct file_bytes f;
	char text[200];
	(void)state;
	for (size_t i = 0; i < sizeof longest / sizeof longest[0]; i++) {
		f.n = 0;
		put_bin_start(&f, longest[i], 0);
		struct pb_tokenizer *t = tokenizer_parsed(&f, 3);
		assert_string_equal(pb_tokenizer_format(t), "llama2.c");
		pb_tokenizer_free(t);
	}
	/* First pieces of every size, and so every second byte, '{' with them. */
	memset(text, 'u', sizeof text);
	for (size_t n = 1; n < sizeof text; n++) {
		f.n = 0;
		put_piece_bytes(&f, text, n, 0, UNKNOWN);
		struct pb_tokenizer *t = tokenizer_parsed(&f, 1);
		assert_string_equal(pb_tokenizer_format(t), "sentencepiece");
		pb_tokenizer_free(t);
	}
	f.n = 0;
	put_bytes(&f, "\n{\n  \"version\": \"1.0\",\n  \"truncation\": null\n}\n", 46);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "file: not a tokenizer.json: ");
	f.n = 0;
	put_bytes(&f, "\nhello world\n", 13);
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "file: not a SentencePiece model: ");
}

static void kind_of_real_files(void **state)
{
	static const struct { const char *name, *format; unsigned n; } files[] = {
		{ "tokenizers/llama2/tokenizer.model", "sentencepiece", 32000 },
		{ "tokenizers/llama2/tokenizer.bin", "llama2.c", 32000 },
		{ "models/stories260K/tok512.model", "sentencepiece", 512 },
		{ "models/stories260K/tok512.bin", "llama2.c", 512 },
		{ "models/babyllama_tok105/tok105.model", "sentencepiece", 105 },
		{ "models/babyllama_tok105/tok105.bin", "llama2.c", 105 },
	};
	const char *folder = getenv("PB_TEST_DATA");
	(void)state;
	if (folder == NULL)
		skip();
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct pb_tokenizer *t = NULL, *none = NULL;
		struct pb_error err;
		char message[64], *path = pb_path_join(folder, files[i].name);
		if (pb_tokenizer_open(&t, path, files[i].n, &err) != PB_OK)
			fail_msg("%s", err.text);
		assert_string_equal(pb_tokenizer_format(t), files[i].format);
		assert_int_equal(pb_tokenizer_size(t), files[i].n);
		assert_int_equal(pb_tokenizer_bos(t), 1);
		assert_int_equal(pb_tokenizer_open(&none, path, files[i].n + 1, &err), PB_FORMAT);
		assert_null(none);
		snprintf(message, sizeof message, ": %u pieces, the model has a vocabulary of %u", files[i].n, files[i].n + 1);
		assert_non_null(strstr(err.text, message));
		pb_free(path);
		pb_tokenizer_free(t);
	}
}

/* Texts of random pieces: both forms give the same ids, and the text comes back. */
static void forms_agree_on_random_text(void **state)
{
	static const char *const forms[][2] = {
		{ "tokenizers/llama2/tokenizer.model", "tokenizers/llama2/tokenizer.bin" },
		{ "models/stories260K/tok512.model", "models/stories260K/tok512.bin" },
	};
	const char *folder = getenv("PB_TEST_DATA");
	(void)state;
	if (folder == NULL)
		skip();
	for (size_t k = 0; k < 2; k++) {
		struct pb_tokenizer *t[2];
		for (size_t i = 0; i < 2; i++) {
			char *path = pb_path_join(folder, forms[k][i]);
			assert_int_equal(pb_tokenizer_open(&t[i], path, 0, NULL), PB_OK);
			pb_free(path);
		}
		for (unsigned round = 0; round < 2000; round++) {
			struct pb_rng rng = pb_rng_make(31, round);
			struct pb_text text = {0}, back = {0};
			struct pb_ids ids[2] = {{0}, {0}};
			/* tok512.model drops blanks at the edges and in a row, so there are none: pieces give theirs up. */
			pb_text_string(&text, "");
			for (uint64_t n = 1 + pb_rng_below(&rng, 30); n > 0; n--) {
				int32_t id = 259 + (int32_t)pb_rng_below(&rng, pb_tokenizer_size(t[0]) - 259);
				if (k == 0 && pb_rng_below(&rng, 3) == 0)
					pb_text_char(&text, ' ');
				else if (n % 2 == 0 && text.length > 0 && text.data[text.length - 1] != ' ')
					pb_text_char(&text, ' ');
				assert_int_equal(pb_tokenizer_decode(t[0], &id, 1, &text, NULL), PB_OK);
			}
			while (text.length > 0 && text.data[text.length - 1] == ' ')
				text.length--;
			for (size_t i = 0; i < 2; i++) {
				back.length = 0;
				assert_int_equal(pb_tokenizer_encode(t[i], text.data, text.length, PB_SPECIAL_DEFAULT, &ids[i], NULL), PB_OK);
				assert_int_equal(pb_tokenizer_decode(t[i], ids[i].data, ids[i].n, &back, NULL), PB_OK);
				assert_int_equal(back.length, text.length);
				if (text.length > 0)
					assert_memory_equal(back.data, text.data, text.length);
			}
			assert_int_equal(ids[0].n, ids[1].n);
			assert_memory_equal(ids[0].data, ids[1].data, ids[0].n * sizeof *ids[0].data);
			pb_ids_free(&ids[0]);
			pb_ids_free(&ids[1]);
			pb_text_free(&text);
			pb_text_free(&back);
		}
		pb_tokenizer_free(t[0]);
		pb_tokenizer_free(t[1]);
	}
}

/* ---- files that end early or late ---- */

static void more_than_the_vocabulary(void **state)
{
	static struct file_bytes f;
	(void)state;
	f.n = 0;
	put_bin_start(&f, 6, 0);
	put_bytes(&f, "tail", 4);
	assert_tokenizer_refused(&f, 3, PB_FORMAT, "file: 4 bytes behind the last of the 3 pieces that the model's vocabulary has");
	assert_tokenizer_refused(&f, 0, PB_FORMAT, "file: ends in the middle of piece 3");
	put_bytes(&f, "and more of it", 14);
	assert_tokenizer_refused(&f, 3, PB_FORMAT, "file: 18 bytes behind the last of the 3 pieces that the model's vocabulary has");
	assert_tokenizer_refused(&f, 4, PB_FORMAT, "file: not a tokenizer.bin: piece 3 says it has ");
	f.n = 0;
	put_bin_start(&f, 6, 0);
	put_bin_piece(&f, "a", 1, 0);
	assert_tokenizer_refused(&f, 3, PB_FORMAT, "file: 4 pieces, the model has a vocabulary of 3");
}

/* Each beginning of a file, in a block of its very size, so that the sanitizer sees a byte too far. */
static void every_truncation(void **state)
{
	static struct file_bytes f, charsmap;
	(void)state;
	put_word(&charsmap, 8); /* a trie of two units: its root and nothing else */
	put_word(&charsmap, 1 << 10);
	put_word(&charsmap, 0);
	put_bytes(&charsmap, "", 1);
	for (unsigned kind = 0; kind < 4; kind++) {
		f.n = 0;
		if (kind == 3) {
			put_bin_start(&f, 6, 1);
		} else {
			/* The normaliser's and the trainer's parts first: a file without its last piece is another vocabulary. */
			put_normalizer(&f, &charsmap, 1, 1, 1);
			put_trainer(&f, kind == 0 ? UNIGRAM : kind == 1 ? BPE : CHAR, 1);
			put_special(&f, 1);
		}
		for (size_t n = 0; n < f.n; n++) {
			struct pb_tokenizer *t = NULL;
			struct pb_error err;
			unsigned char *cut = malloc(n ? n : 1);
			memcpy(cut, f.data, n);
			enum pb_status st = pb_tokenizer_parse(&t, "cut", cut, n, 259, &err);
			free(cut);
			if (st == PB_OK)
				fail_msg("kind %u: accepted when cut at %zu", kind, n);
			assert_int_equal(st, PB_FORMAT);
			assert_null(t);
			assert_int_equal(strncmp(err.text, "cut: ", 5), 0);
		}
		pb_tokenizer_free(tokenizer_parsed(&f, 259));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_with_nul),
		cmocka_unit_test(long_piece_with_nul),
		cmocka_unit_test(best_path),
		cmocka_unit_test(blanks_at_the_edges),
		cmocka_unit_test(special_pieces),
		cmocka_unit_test(kind_by_content),
		cmocka_unit_test(kind_of_real_files),
		cmocka_unit_test(forms_agree_on_random_text),
		cmocka_unit_test(more_than_the_vocabulary),
		cmocka_unit_test(every_truncation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
