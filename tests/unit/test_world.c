/* The micro world: the same bytes for the same seed, no sentence in two places, right answers that no cheat finds, a tokenizer
 * that agrees with the plain rule, and tasks that read and score it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/model/tokenizer.h"
#include "core/model/tokenizer_train.h"
#include "tasks/task.h"
#include "tasks/world/world.h"
#include "tests/unit/scratch.h"

static struct pb_world world; /* seed 0, small */

static const char *const item_files[] = { "facts.jsonl", "agreement.jsonl", "cloze.jsonl", "story.jsonl", "yesno.jsonl" };
static const char *const text_files[] = { "train.txt", "validation.txt", "test.txt", "calibration.txt" };

static struct pb_world make(uint64_t seed, const char *size)
{
	struct pb_world w;
	struct pb_error err = {0};

	if (pb_world_make(&w, seed, pb_world_size_find(size), &err))
		fail_msg("%s", err.text);
	return w;
}

static const struct pb_text *file(const char *name)
{
	const struct pb_text *text = pb_world_file(&world, name);

	assert_non_null(text);
	return text;
}

/* Calls fn for each line. */
static size_t each_line(const struct pb_text *text, void (*fn)(const char *line, size_t n, void *arg), void *arg)
{
	size_t lines = 0;

	for (const char *s = pb_text_c(text); *s; lines++) {
		size_t n = strcspn(s, "\n");

		assert_true(n > 0 && s[n] == '\n');
		if (fn)
			fn(s, n, arg);
		s += n + 1;
	}
	return lines;
}

static json_t *items_of(const char *name)
{
	const struct pb_text *text = file(name);
	json_t *list = json_array();

	for (const char *s = pb_text_c(text); *s;) {
		size_t n = strcspn(s, "\n");
		struct pb_error err = {0};
		json_t *row = NULL;

		if (pb_json_parse(&row, name, s, n, &err))
			fail_msg("%s", err.text);
		json_array_append_new(list, row);
		s += n + 1;
	}
	return list;
}

static int group_setup(void **state)
{
	(void)state;
	world = make(0, "small");
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	pb_world_free(&world);
	scratch_remove();
	return 0;
}

/* The hash is of world.json, which holds those of all others: it changes when a byte of the world does. */
static void deterministic(void **state)
{
	struct pb_world again = make(0, "small"), other = make(1, "small");
	char hash[PB_HASH_HEX];

	(void)state;
	for (int i = 0; i < PB_WORLD_FILES; i++) {
		assert_int_equal(again.files[i].text.length, world.files[i].text.length);
		assert_memory_equal(again.files[i].text.data, world.files[i].text.data, world.files[i].text.length);
		assert_true(other.files[i].text.length != world.files[i].text.length || memcmp(other.files[i].text.data, world.files[i].text.data, world.files[i].text.length) != 0);
	}
	pb_hash_of_bytes(pb_text_c(file("world.json")), file("world.json")->length, hash);
	assert_string_equal(hash, "5c28a3a78365a5be4fba1464edbd08b7e22853bb5f8f4a30dd54b27a580a6830");
	pb_world_free(&again);
	pb_world_free(&other);
}

static void counts(void **state)
{
	(void)state;
	assert_int_equal(each_line(file("train.txt"), NULL, NULL), 12000);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(each_line(file(text_files[i]), NULL, NULL), 1000);
	for (size_t i = 0; i < 5; i++)
		assert_true(each_line(file(item_files[i]), NULL, NULL) >= 1000);
	assert_true(world.n_facts >= 1000);
}

/* ---- overlap ---- */

struct sentence {
	char *text;
	int file;
};
static struct sentence *sentences;
static size_t n_sentences, room;

/* Sentences of four words or more. */
static void add_sentences(const char *text, size_t n, int from)
{
	while (n) {
		size_t length = 0, words = 0;

		while (n && strchr(" .?", *text))
			text++, n--;
		while (length < n && text[length] != '.' && text[length] != '?')
			words += text[length++] == ' ';
		if (words >= 3) {
			if (n_sentences == room)
				sentences = realloc(sentences, (room = room ? 2 * room : 1024) * sizeof(*sentences));
			sentences[n_sentences++] = (struct sentence){ strndup(text, length), from };
		}
		text += length;
		n -= length;
	}
}

static void add_line(const char *line, size_t n, void *arg)
{
	add_sentences(line, n, *(int *)arg);
}

static void add_item(const json_t *item, int from)
{
	const char *context = json_string_value(json_object_get(item, "context"));
	const json_t *choices = json_object_get(item, "choices");
	struct pb_text whole = {0};

	for (size_t k = 0; k < (choices ? json_array_size(choices) : 1); k++) {
		const char *end = json_string_value(choices ? json_array_get(choices, k) : json_object_get(item, "target"));

		/* Wrong ends of a context make no sentence that a text could have by right; the pairs of agreement are whole sentences. */
		if (*context && choices && (json_int_t)k != json_integer_value(json_object_get(item, "gold")))
			continue;
		pb_text_clear(&whole);
		pb_text_printf(&whole, "%s%s%s", context, *context ? " " : "", end);
		add_sentences(whole.data, whole.length, from);
	}
	pb_text_free(&whole);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct sentence *)a)->text, ((const struct sentence *)b)->text);
}

static void no_overlap(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		each_line(file(text_files[i]), add_line, &i);
	for (int i = 0; i < 5; i++) {
		json_t *items = items_of(item_files[i]);
		size_t k;
		const json_t *item;

		json_array_foreach(items, k, item)
			add_item(item, 10 + i);
		json_decref(items);
	}
	assert_true(n_sentences > 30000);
	qsort(sentences, n_sentences, sizeof(*sentences), by_text);
	for (size_t i = 1; i < n_sentences; i++)
		if (strcmp(sentences[i - 1].text, sentences[i].text) == 0 && sentences[i - 1].file != sentences[i].file)
			fail_msg("'%s' is in files %d and %d", sentences[i].text, sentences[i - 1].file, sentences[i].file);
	for (size_t i = 0; i < n_sentences; i++)
		free(sentences[i].text);
	free(sentences);
	sentences = NULL;
	n_sentences = room = 0;
}

/* ---- right and wrong ---- */

/* A sentence of the text that has `name` and ends in `value`. */
static bool is_said(const char *text, const char *name, const char *value)
{
	char end[64];
	size_t length = (size_t)snprintf(end, sizeof(end), " %s.", value);

	for (const char *s = strstr(text, name); s; s = strstr(s + 1, name)) {
		const char *stop = strchr(s, '.');

		if (stop && stop + 1 >= text + length && strncmp(stop + 1 - length, end, length) == 0 && stop + 1 - length >= s)
			return true;
	}
	return false;
}

/* What is asked is said in train.txt of that entity, in other words, and what is wrong is not. */
static void facts_are_taught(void **state)
{
	json_t *items = items_of("facts.jsonl");
	const char *train = pb_text_c(file("train.txt"));

	(void)state;
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i), *choices = json_object_get(item, "choices");
		const char *relation = json_string_value(json_object_get(item, "relation")), *context = json_string_value(json_object_get(item, "context"));
		const char *at = context + 1;
		json_int_t gold = json_integer_value(json_object_get(item, "gold"));
		char name[64];
		size_t n;

		/* Names of people and places are the words with a capital letter within; a name may be the first word, too. */
		while (*at && !(at[-1] == ' ' && *at >= 'A' && *at <= 'Z'))
			at++;
		at = *at ? at : context;
		n = strcspn(at, " ");
		snprintf(name, sizeof(name), "%.*s", (int)n, at);
		if (strcmp(relation, "material") == 0 || strcmp(relation, "owner") == 0)
			continue;
		for (json_int_t k = 0; k < 4; k++) {
			const char *value = json_string_value(json_array_get(choices, (size_t)k));

			if (k == gold && !is_said(train, name, value))
				fail_msg("'%s %s' is nowhere said", context, value);
			if (k != gold && strcmp(relation, "colour") != 0 && is_said(train, name, value))
				fail_msg("'%s %s' is said", context, value);
		}
	}
	json_decref(items);
}

static size_t number_of(const char *word, size_t n)
{
	static const char *const numbers[] = { "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve" };

	for (size_t i = 0; i < 13; i++)
		if (strlen(numbers[i]) == n && strncmp(numbers[i], word, n) == 0)
			return i;
	fail_msg("'%.*s' is no number", (int)n, word);
	return 0;
}

/* Sums and hands, worked out anew from the words. */
static void stories_are_right(void **state)
{
	json_t *stories = items_of("story.jsonl");
	size_t sums = 0, hands = 0;

	(void)state;
	for (size_t i = 0; i < json_array_size(stories); i++) {
		const json_t *item = json_array_get(stories, i);
		const char *context = json_string_value(json_object_get(item, "context")), *had = strstr(context, " had "), *brought = strstr(context, " brought ");
		const char *right = json_string_value(json_array_get(json_object_get(item, "choices"), (size_t)json_integer_value(json_object_get(item, "gold"))));

		if (strstr(context, "Now the number of")) {
			assert_int_equal(number_of(had + 5, strcspn(had + 5, " ")) + number_of(brought + 9, strcspn(brought + 9, " ")), number_of(right, strlen(right)));
			sums++;
		} else if (strstr(context, "In the end the")) {
			char holder[64] = "";

			for (const char *s = context; *s; s += *s == ' ') {
				size_t n = strcspn(s, ".");
				const char *gave = strstr(s, " gave the "), *took = strstr(s, " took the "), *to;

				if (gave && gave < s + n) {
					for (to = s + n; to[-1] != ' ';)
						to--;
					snprintf(holder, sizeof(holder), "%.*s", (int)(s + n - to), to);
				} else if (took && took < s + n) {
					snprintf(holder, sizeof(holder), "%.*s", (int)(took - s), s);
				}
				s += n + (s[n] == '.');
			}
			assert_string_equal(holder, right);
			hands++;
		}
	}
	assert_int_equal(sums, 250);
	assert_int_equal(hands, 250);
	json_decref(stories);
}

static size_t had(const char *context, const char *name)
{
	char said[96];
	const char *at;

	snprintf(said, sizeof(said), "%s had ", name);
	at = strstr(context, said);
	assert_non_null(at);
	return number_of(at + strlen(said), strcspn(at + strlen(said), " ."));
}

/* A question's sentence, turned round, is in the passage, or it is not; of numbers, one is larger. */
static bool is_true(const char *context, const char *q, size_t *of_numbers, size_t *of_one)
{
	const char *end = strchr(q, '?'), *cut = end, *of;
	char said[256], asked[64], other[64];

	if (sscanf(q, "Had %63s more %*s %*s than %63[^?]", asked, other) == 2) {
		++*of_numbers;
		return had(context, asked) > (other[0] >= 'a' ? number_of(other, strlen(other)) : had(context, other));
	}
	if (strncmp(q, "Does ", 5) == 0) {
		cut = strstr(q, " carry ");
		snprintf(said, sizeof(said), "%.*s carries %.*s.", (int)(cut - q - 5), q + 5, (int)(end - cut - 7), cut + 7);
		return strstr(context, said) != NULL;
	}
	while (cut[-1] != ' ')
		cut--;
	if (strstr(context, " is at the ")) {
		++*of_one;
		of = strstr(q, " of ");
		assert_non_null(strstr(context, " of "));
		assert_int_equal(strncmp(strstr(context, " of "), of, strcspn(of + 4, " ") + 5), 0);
		snprintf(said, sizeof(said), "%.*s", (int)(end - cut), cut);
		of = strstr(context, said);
		return of && of < strchr(context, '.');
	}
	snprintf(said, sizeof(said), "The%.*s is %.*s.", (int)(cut - 1 - q - 6), q + 6, (int)(end - cut), cut);
	return strstr(context, said) != NULL;
}

static void answers_are_right(void **state)
{
	json_t *questions = items_of("yesno.jsonl");
	size_t of_numbers = 0, of_one = 0;

	(void)state;
	for (size_t i = 0; i < json_array_size(questions); i++) {
		const json_t *item = json_array_get(questions, i);
		const char *context = json_string_value(json_object_get(item, "context"));
		const char *right = json_string_value(json_array_get(json_object_get(item, "choices"), (size_t)json_integer_value(json_object_get(item, "gold"))));

		assert_int_equal(is_true(context, strstr(context, "Question: ") + 10, &of_numbers, &of_one), strcmp(right, "yes") == 0);
	}
	assert_int_equal(of_numbers, 500);
	assert_int_equal(of_one, 250);
	json_decref(questions);
}

/* The words of a list behind a colon. */
static size_t words_behind(const char *at, const char **words, size_t *lengths)
{
	size_t n = 0;

	for (at += strspn(at, ": "); *at && *at != '.'; at += strspn(at, " ")) {
		words[n] = at;
		lengths[n] = strcspn(at, " .");
		at += lengths[n++];
	}
	return n;
}

static bool same_word(const char *a, size_t n, const char *b, size_t m)
{
	return n == m && strncmp(a, b, n) == 0;
}

/* Lists that are said again, and words that come round: the last word follows from the ones before. */
static void patterns_are_right(void **state)
{
	json_t *items = items_of("cloze.jsonl");
	size_t copies = 0, rounds = 0;

	(void)state;
	for (size_t i = 0; i < json_array_size(items); i++) {
		const char *context = json_string_value(json_object_get(json_array_get(items, i), "context")), *words[32], *again[32];
		const char *target = json_string_value(json_object_get(json_array_get(items, i), "target"));
		size_t lengths[32], lengths_again[32], n, m, period = 1;

		if (strstr(context, " calls back:")) {
			n = words_behind(strstr(context, " calls:") + 6, words, lengths);
			m = words_behind(strstr(context, " calls back:") + 11, again, lengths_again);
			assert_int_equal(m, n - 1);
			for (size_t k = 0; k < m; k++)
				assert_true(same_word(words[k], lengths[k], again[k], lengths_again[k]));
			assert_true(same_word(words[m], lengths[m], target, strlen(target)));
			copies++;
		} else if (strstr(context, " sings:")) {
			n = words_behind(strstr(context, " sings:") + 6, words, lengths);
			while (!same_word(words[0], lengths[0], words[period], lengths[period]))
				period++;
			for (size_t k = period; k < n; k++)
				assert_true(same_word(words[k], lengths[k], words[k - period], lengths[k - period]));
			assert_true(same_word(words[n - period], lengths[n - period], target, strlen(target)));
			rounds++;
		}
	}
	assert_int_equal(copies, 200);
	assert_int_equal(rounds, 200);
	json_decref(items);
}

static void agreement_is_right(void **state)
{
	json_t *items = items_of("agreement.jsonl");

	(void)state;
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i), *choices = json_object_get(item, "choices");
		size_t gold = (size_t)json_integer_value(json_object_get(item, "gold"));
		const char *good = json_string_value(json_array_get(choices, gold)), *bad = json_string_value(json_array_get(choices, 1 - gold));
		const char *subject = good, *where = strstr(good, " near the ") ? strstr(good, " near the ") : strstr(good, " by the ");

		assert_string_not_equal(good, bad);
		if (strncmp(good, "The ", 4) == 0) {
			bool plural = where[-1] == 's';
			const char *is = strstr(good, " is "), *are = strstr(good, " are "), *at = strstr(good, " at the ");

			if (is || are)
				assert_int_equal(plural, are != NULL);
			else
				assert_int_equal(plural, at[-1] != 's');
		} else if (strstr(good, " this ") || strstr(good, " these ")) {
			assert_int_equal(strstr(good, " at the ")[-1] == 's', strstr(good, " these ") != NULL);
		} else {
			/* Names of women end in a vowel. */
			assert_int_equal(subject[strcspn(subject, " ") - 1] == 'a', strstr(good, " her ") != NULL);
		}
	}
	json_decref(items);
}

/* ---- cheats ---- */

static void cheats_near_chance(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		const struct pb_world_cheat *c = &world.cheats[i];
		json_t *items = items_of(item_files[i]);
		double position[4] = {0}, shortest = 0, longest = 0, n = (double)json_array_size(items);

		assert_int_equal(c->n_items, json_array_size(items));
		if (i == 2) {
			assert_true(c->unigram < 0.10 && isnan(c->position) && isnan(c->length));
			json_decref(items);
			continue;
		}
		for (size_t k = 0; k < json_array_size(items); k++) {
			const json_t *choices = json_object_get(json_array_get(items, k), "choices");
			size_t gold = (size_t)json_integer_value(json_object_get(json_array_get(items, k), "gold")), own = json_string_length(json_array_get(choices, gold)), ties = 0;
			bool least = true, most = true;

			position[gold]++;
			for (size_t j = 0; j < json_array_size(choices); j++) {
				size_t length = json_string_length(json_array_get(choices, j));

				ties += length == own;
				least = least && own <= length;
				most = most && own >= length;
				for (size_t other = 0; other < j; other++)
					assert_string_not_equal(json_string_value(json_array_get(choices, j)), json_string_value(json_array_get(choices, other)));
			}
			shortest += least ? 1.0 / (double)ties : 0;
			longest += most ? 1.0 / (double)ties : 0;
		}
		for (size_t k = 0; k < (size_t)(1 / c->chance); k++)
			assert_true(fabs(position[k] / n - c->chance) < 0.002);
		assert_true(fabs(c->position - c->chance) < 0.002);
		assert_true(fabs(shortest / n - c->chance) < 0.05 && fabs(longest / n - c->chance) < 0.05);
		assert_true(fabs(fmax(shortest, longest) / n - c->length) < 1e-9);
		assert_true(fabs(c->unigram - c->chance) < 0.05);
		json_decref(items);
	}
}

/* ---- tokenizer ---- */

static struct pb_tokenizer *tokenizer_of(const struct pb_text *json)
{
	struct pb_tokenizer *t = NULL;
	struct pb_error err = {0};

	if (pb_tokenizer_parse(&t, "tokenizer.json", json->data, json->length, 0, &err))
		fail_msg("%s", err.text);
	return t;
}

/* The plain rule on a word of ASCII letters, with a blank before it written as U+0120. */
static void merge_plainly(const json_t *merges, const char *word, size_t n, struct pb_text *out)
{
	char parts[64][80];
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		snprintf(parts[count++], sizeof(parts[0]), "%s%.1s", word[i] == ' ' ? "\xC4\xA0" : "", word[i] == ' ' ? "" : word + i);
	for (size_t rank = 0; rank < json_array_size(merges);) {
		char pair[200];
		size_t at = 0;

		for (; at + 1 < count; at++) {
			snprintf(pair, sizeof(pair), "%.79s %.79s", parts[at], parts[at + 1]);
			if (strcmp(pair, json_string_value(json_array_get(merges, rank))) == 0)
				break;
		}
		if (at + 1 >= count) {
			rank++;
			continue;
		}
		memcpy(parts[at] + strlen(parts[at]), parts[at + 1], strlen(parts[at + 1]) + 1);
		memmove(parts[at + 1], parts[at + 2], (count - at - 2) * sizeof(parts[0]));
		count--;
		rank = 0;
	}
	for (size_t i = 0; i < count; i++)
		pb_text_printf(out, "%s%s", i ? "|" : "", parts[i]);
}

static void tokenizer_works(void **state)
{
	struct pb_tokenizer *t = tokenizer_of(file("tokenizer.json"));
	struct pb_ids ids = {0};
	struct pb_text back = {0}, expected = {0}, got = {0};
	struct pb_error err = {0};
	json_t *json = NULL;
	const json_t *merges, *vocab, *id;
	const char *names[512] = {0}, *key, *s = pb_text_c(file("test.txt"));

	(void)state;
	assert_int_equal(pb_tokenizer_size(t), 512);
	assert_int_equal(pb_tokenizer_bos(t), 0);
	assert_int_equal(pb_tokenizer_eos(t), 1);
	assert_true(pb_tokenizer_adds_bos(t));
	assert_int_equal(pb_tokenizer_encode(t, file("test.txt")->data, file("test.txt")->length, PB_SPECIAL_DEFAULT, &ids, &err), PB_OK);
	assert_int_equal(pb_tokenizer_decode(t, ids.data, ids.n, &back, &err), PB_OK);
	/* Behind the blank that each text is put behind. */
	assert_int_equal(back.data[0], ' ');
	assert_string_equal(back.data + 1, pb_text_c(file("test.txt")));
	/* It pays: under half a token a byte. */
	assert_true(ids.n * 2 < file("test.txt")->length);
	assert_int_equal(pb_json_parse(&json, "t", file("tokenizer.json")->data, file("tokenizer.json")->length, &err), PB_OK);
	merges = json_object_get(json_object_get(json, "model"), "merges");
	vocab = json_object_get(json_object_get(json, "model"), "vocab");
	json_object_foreach((json_t *)vocab, key, id)
		names[json_integer_value(id)] = key;
	for (int words = 0; words < 1500; words++) {
		/* A word without a blank before it gets one. */
		size_t n = (size_t)(*s == ' ') + strspn(s + (*s == ' '), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

		char word[64];

		if (n == (size_t)(*s == ' ')) {
			s++;
			continue;
		}
		n = (size_t)snprintf(word, sizeof(word), "%s%.*s", *s == ' ' ? "" : " ", (int)n, s);
		pb_text_clear(&expected);
		pb_text_clear(&got);
		merge_plainly(merges, word, n, &expected);
		ids.n = 0;
		assert_int_equal(pb_tokenizer_encode(t, word, n, PB_SPECIAL_NONE, &ids, &err), PB_OK);
		for (size_t i = 0; i < ids.n; i++)
			pb_text_printf(&got, "%s%s", i ? "|" : "", names[ids.data[i]]);
		assert_string_equal(got.data, expected.data);
		s += n - (size_t)(*s != ' ');
	}
	json_decref(json);
	pb_ids_free(&ids);
	pb_text_free(&back);
	pb_text_free(&expected);
	pb_text_free(&got);
	pb_tokenizer_free(t);
}

static void assert_merges(const char *text, uint32_t n_tokens, const char *expected)
{
	struct pb_text json = {0}, got = {0};
	struct pb_error err = {0};
	json_t *root = NULL;
	const json_t *merges, *entry;
	struct pb_tokenizer *t;
	size_t i;

	if (pb_tokenizer_train(text, strlen(text), n_tokens, false, &json, &err))
		fail_msg("%s", err.text);
	t = tokenizer_of(&json);
	assert_int_equal(pb_json_parse(&root, "t", json.data, json.length, &err), PB_OK);
	merges = json_object_get(json_object_get(root, "model"), "merges");
	json_array_foreach(merges, i, entry)
		pb_text_printf(&got, "%s%s", i ? "|" : "", json_string_value(entry));
	assert_string_equal(pb_text_c(&got), expected);
	assert_int_equal(pb_tokenizer_size(t), 258 + json_array_size(merges));
	pb_tokenizer_free(t);
	json_decref(root);
	pb_text_free(&json);
	pb_text_free(&got);
}

/* Counted by hand. */
static void training(void **state)
{
	struct pb_text json = {0};
	struct pb_error err = {0};

	(void)state;
	/* aaab, " aaab", " ab": (a,a) 4, (a,b) 3; then (a,b) 3, (aa,a) 2; then (aa,ab) 2; the rest occurs once. */
	assert_merges("aaab aaab ab", 300, "a a|a b|aa ab");
	assert_merges("aaab aaab ab", 260, "a a|a b");
	assert_merges("aaab aaab ab", 258, "");
	/* Of equals the smaller left id, a blank before z, then the smaller right one. */
	assert_merges("xy zw zw", 259, "\xC4\xA0 z");
	assert_merges("za zb za zb", 259, "\xC4\xA0 z");
	assert_merges("ab,ab,ac,ac", 260, "a b|a c");
	assert_merges("abc,abc,abc,xbc,xbc,yab,yab,yab,yab,yab,yab", 300, "a b|y ab|ab c|b c|x bc");
	assert_merges("", 300, "");
	assert_int_equal(pb_tokenizer_train("a", 1, 257, false, &json, &err), PB_USAGE);
	pb_text_free(&json);
}

/* ---- tasks ---- */

struct run {
	struct pb_task *task;
	struct pb_task_data *data;
	struct pb_task_requests *requests;
	struct pb_task_result *result;
};

static void open_run(struct run *run, const char *name, const struct pb_tokenizer *tokenizer)
{
	const char *folder = scratch_folder();
	struct pb_error err = {0};

	if (pb_task_open(&run->task, name, NULL, 0, &err) || pb_task_data_read(&run->data, run->task, &(struct pb_data_path){ &folder, 1 }, &err)
		|| pb_task_requests_make(&run->requests, run->task, run->data, tokenizer, 256, &err))
		fail_msg("%s", err.text);
	assert_int_equal(run->requests->n_truncated, 0);
}

static double score(struct run *run, const char *metric)
{
	struct pb_error err = {0};

	if (pb_task_score(&run->result, run->task, run->data, run->requests, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < run->result->n_metrics; i++)
		if (strcmp(run->result->metrics[i].name, metric) == 0)
			return run->result->metrics[i].value;
	fail_msg("%s: no %s", run->task->name, metric);
	return 0;
}

static void close_run(struct run *run)
{
	pb_task_result_free(run->result);
	pb_task_requests_free(run->requests);
	pb_task_data_free(run->data);
	pb_task_close(run->task);
}

/* Every request gets the value in its first token. */
static void fill(struct run *run, double (*value)(size_t request, void *arg), void *arg)
{
	for (size_t i = 0; i < run->requests->n_requests; i++) {
		struct pb_request *r = &run->requests->requests[i];

		for (uint32_t k = 0; k < r->n - r->first; k++) {
			r->logprobs[k] = k ? 0 : (float)value(i, arg);
			if (r->greedy)
				r->greedy[k] = i % 4 == 0;
		}
	}
}

static double equal(size_t request, void *arg)
{
	(void)request;
	(void)arg;
	return -3;
}

struct gold {
	json_t *items;
	size_t n_choices;
};

static double knowing(size_t request, void *arg)
{
	const struct gold *g = arg;

	return json_integer_value(json_object_get(json_array_get(g->items, request / g->n_choices), "gold")) == (json_int_t)(request % g->n_choices) ? -3 : -200;
}

static void tasks_score(void **state)
{
	static const struct { const char *task, *file; size_t n_choices; } choices[] = {
		{ "world_facts", "facts.jsonl", 4 }, { "world_agreement", "agreement.jsonl", 2 }, { "world_story", "story.jsonl", 4 }, { "world_yesno", "yesno.jsonl", 2 },
	};
	struct pb_tokenizer *t = tokenizer_of(file("tokenizer.json"));
	struct pb_error err = {0};
	struct run run;

	(void)state;
	assert_int_equal(pb_world_write(&world, scratch_folder(), &err), PB_OK);
	for (size_t i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
		struct gold g = { items_of(choices[i].file), choices[i].n_choices };

		run = (struct run){0};
		open_run(&run, choices[i].task, t);
		assert_int_equal(run.requests->n_requests, g.n_choices * json_array_size(g.items));
		fill(&run, knowing, &g);
		assert_true(score(&run, "acc") == 1);
		if (i == 0) {
			pb_task_result_free(run.result);
			assert_true(fabs(score(&run, "bits") - 2000) < 1e-6);
			fill(&run, equal, NULL);
			pb_task_result_free(run.result);
			assert_true(fabs(score(&run, "bits")) < 1e-6);
			assert_true(fabs(run.result->metrics[0].value - 0.25) < 0.002);
		}
		close_run(&run);
		json_decref(g.items);
	}
	run = (struct run){0};
	open_run(&run, "world_cloze", t);
	fill(&run, equal, NULL);
	assert_true(fabs(score(&run, "acc") - 0.25) < 1e-9);
	close_run(&run);
	run = (struct run){0};
	open_run(&run, "world_ppl", t);
	assert_int_equal(run.requests->n_requests, 1000);
	fill(&run, equal, NULL);
	assert_true(score(&run, "ppl_token") > 1);
	close_run(&run);
	pb_tokenizer_free(t);
}

static void writing_fails(void **state)
{
	struct pb_error err = {0};

	(void)state;
	assert_int_equal(pb_file_write(scratch_path("file"), "x", 1, &err), PB_OK);
	assert_int_not_equal(pb_world_write(&world, scratch_path("file"), &err), PB_OK);
	assert_true(err.text[0] != '\0');
	assert_null(pb_world_size_find("huge"));
	assert_null(pb_world_file(&world, "none"));
}

/* Some allocation fails, in a child each, as the variable is read once a process; this runs before anything is allocated here. */
static void memory_runs_out(void **state)
{
	static const struct pb_world_size tiny = { "tiny", 12, 6, 6, 100, 20, 40, 270 };
	unsigned refused = 0;

	(void)state;
	for (unsigned n = 1; n < 1000000; n += 1 + n / 8) {
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			struct pb_world w;
			struct pb_error err = {0};
			enum pb_status st;
			char number[16];

			snprintf(number, sizeof(number), "%u", n);
			setenv("PB_TEST_FAIL_ALLOC", number, 1);
			st = pb_world_make(&w, 0, &tiny, &err);
			_exit(st == PB_OK ? 0 : st == PB_MEMORY && err.text[0] ? 10 : 20);
		}
		waitpid(child, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
			assert_true(refused > 10);
			return;
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 10)
			fail_msg("allocation %u: %s", n, WIFEXITED(status) ? "a wrong end" : "a crash");
		refused++;
	}
	fail_msg("no end");
}

int main(void)
{
	const struct CMUnitTest first[] = {
		cmocka_unit_test(memory_runs_out),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deterministic),
		cmocka_unit_test(counts),
		cmocka_unit_test(no_overlap),
		cmocka_unit_test(facts_are_taught),
		cmocka_unit_test(stories_are_right),
		cmocka_unit_test(answers_are_right),
		cmocka_unit_test(patterns_are_right),
		cmocka_unit_test(agreement_is_right),
		cmocka_unit_test(cheats_near_chance),
		cmocka_unit_test(tokenizer_works),
		cmocka_unit_test(training),
		cmocka_unit_test(tasks_score),
		cmocka_unit_test(writing_fails),
	};
	int failed = cmocka_run_group_tests_name("memory", first, NULL, NULL);

	return failed + cmocka_run_group_tests(tests, group_setup, group_teardown);
}
