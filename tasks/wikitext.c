/* WikiText: lm-evaluation-harness v0.3.0 wikitext.py for pages, its preprocess_wikitext.py for the detokenizer, the
 * hub's loading script for rows. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <stdbool.h>
#include <string.h>
#include <pcre2.h>
#include "core/base/memory.h"
#include "tasks/whitespace.h"
#include "tasks/wikitext.h"

/* Appends s with every occurrence of `from` replaced, left to right. */
static void replace(struct pb_text *out, const char *s, size_t n, const char *from, const char *to)
{
	size_t length = strlen(from);
	const char *end = s + n, *hit;

	while ((hit = memmem(s, (size_t)(end - s), from, length))) {
		pb_text_bytes(out, s, (size_t)(hit - s));
		pb_text_string(out, to);
		s = hit + length;
	}
	pb_text_bytes(out, s, (size_t)(end - s));
}

/* A text that is rewritten in steps. failed: memory was out in one of them; clearing a text forgets it. */
struct rewriter {
	struct pb_text now, next;
	bool failed;
};

static void swap(struct rewriter *r)
{
	struct pb_text t = r->now;

	r->failed = r->failed || r->now.failed || r->next.failed;
	r->now = r->next;
	r->next = t;
	pb_text_clear(&r->next);
}

static void rewrite(struct rewriter *r, const char *from, const char *to)
{
	replace(&r->next, pb_text_c(&r->now), r->now.length, from, to);
	swap(r);
}

/* " = Title = " and no deeper heading. probe is scratch. */
static bool is_heading(const char *s, size_t n, struct rewriter *probe)
{
	const char *p;
	size_t blank, length;

	pb_text_clear(&probe->now);
	pb_text_bytes(&probe->now, s, n);
	rewrite(probe, "= = =", "===");
	rewrite(probe, "= =", "==");
	p = pb_text_c(&probe->now);
	length = pb_without_space_after(p, probe->now.length);
	blank = pb_space_before(p, length);
	p += blank;
	length -= blank;
	return length >= 2 && memcmp(p, "= ", 2) == 0 && memcmp(p + length - 2, " =", 2) == 0;
}

enum pb_status pb_wikitext_pages(const char *s, size_t n, pb_piece_fn fn, void *arg, struct pb_error *err)
{
	const char *end = s + n, *page = s, *line = s;
	unsigned number = 1, page_number = 1;
	struct rewriter probe = {0};
	enum pb_status st = PB_OK;

	/* Lines between two page starts are contiguous, so a page is a slice of the file without the last line feed. */
	for (;;) {
		const char *feed = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
		const char *stop = feed ? feed : end;

		if (is_heading(line, (size_t)(stop - line), &probe)) {
			size_t size = line > page ? (size_t)(line - 1 - page) : 0;

			if (pb_space_before(page, size) < size && (st = fn(arg, page, size, page_number, err)))
				break;
			page = line;
			page_number = number;
		}
		if (!feed) {
			st = fn(arg, page, (size_t)(end - page), page_number, err);
			break;
		}
		line = feed + 1;
		number++;
	}
	if (!st && probe.failed)
		st = pb_out_of_memory(err, "pages");
	pb_text_free(&probe.now);
	pb_text_free(&probe.next);
	return st;
}

enum pb_status pb_wikitext_rows(const char *s, size_t n, pb_piece_fn fn, void *arg, struct pb_error *err)
{
	const char *end = s + n;

	for (unsigned number = 1; s < end; number++) {
		const char *feed = memchr(s, '\n', (size_t)(end - s));
		size_t length = (size_t)((feed ? feed + 1 : end) - s);
		enum pb_status st = fn(arg, s, pb_space_before(s, length) == length ? 0 : length, number, err);

		if (st)
			return st;
		s += length;
	}
	return PB_OK;
}

/* The five pairs in order, as patterns with the Python white space class. */
#define PAIR(open, body, close) open PB_SPACE_CLASS "*(" body "*?)" PB_SPACE_CLASS "*" close
static const struct {
	const char *pattern;
	char open, close;
} pairs[] = {
	{ PAIR("\\(", "[^)]", "\\)"), '(', ')' },
	{ PAIR("\\[", "[^\\]]", "\\]"), '[', ']' },
	{ PAIR("\\{", "[^}]", "\\}"), '{', '}' },
	{ PAIR("\"", "[^\"]", "\""), '"', '"' },
	{ PAIR("'", "[^']", "'"), '\'', '\'' },
};

static enum pb_status trim_pair(struct rewriter *r, size_t pair, struct pb_error *err)
{
	const char *s = pb_text_c(&r->now);
	size_t n = r->now.length, at = 0;
	int code = 0;
	PCRE2_SIZE offset;
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)pairs[pair].pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);
	pcre2_match_data *match = re ? pcre2_match_data_create_from_pattern(re, NULL) : NULL;
	enum pb_status st = match ? PB_OK : pb_out_of_memory(err, "a pattern");

	while (!st) {
		const PCRE2_SIZE *o;

		code = pcre2_match(re, (PCRE2_SPTR)s, n, at, at ? PCRE2_NO_UTF_CHECK : 0, match, NULL);
		if (code == PCRE2_ERROR_NOMATCH)
			break;
		if (code < 0) {
			char why[128] = "";

			pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
			st = pb_fail(err, PB_FORMAT, "wikitext detokenizer: %s", why);
			break;
		}
		o = pcre2_get_ovector_pointer(match);
		pb_text_bytes(&r->next, s + at, o[0] - at);
		pb_text_char(&r->next, pairs[pair].open);
		pb_text_bytes(&r->next, s + o[2], o[3] - o[2]);
		pb_text_char(&r->next, pairs[pair].close);
		at = o[1];
	}
	pb_text_bytes(&r->next, s + at, n - at);
	swap(r);
	pcre2_match_data_free(match);
	pcre2_code_free(re);
	return st;
}

static void rewrite_all(struct rewriter *r, const char *const (*table)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		rewrite(r, table[i][0], table[i][1]);
}

enum pb_status pb_wikitext_detokenize(const char *s, size_t n, struct pb_text *out, struct pb_error *err)
{
	/* The original's second step, a pattern between literal slashes, never fires on real text and is left out. */
	static const char *const before[][2] = {
		{ "s '", "s'" }, { " @-@ ", "-" }, { " @,@ ", "," }, { " @.@ ", "." },
		{ " : ", ": " }, { " ; ", "; " }, { " . ", ". " }, { " ! ", "! " }, { " ? ", "? " }, { " , ", ", " },
	};
	static const char *const after[][2] = {
		{ "= = = =", "====" }, { "= = =", "===" }, { "= =", "==" }, { " \xc2\xb0 ", "\xc2\xb0" },
		{ " \n", "\n" }, { "\n ", "\n" }, { " N ", " 1 " }, { " 's", "'s" },
	};
	struct rewriter r = {0};
	enum pb_status st = PB_OK;

	pb_text_bytes(&r.now, s, n);
	rewrite_all(&r, before, sizeof(before) / sizeof(*before));
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs) && !st; i++)
		st = trim_pair(&r, i, err);
	rewrite_all(&r, after, sizeof(after) / sizeof(*after));
	if (!st && r.failed)
		st = pb_out_of_memory(err, "a text");
	if (!st)
		pb_text_bytes(out, pb_text_c(&r.now), r.now.length);
	pb_text_free(&r.now);
	pb_text_free(&r.next);
	return st ? st : pb_text_check(out, err);
}
