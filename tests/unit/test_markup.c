/* Escaping: what is shown is the text, in HTML, Markdown and a terminal. `test_markup write FILE` makes random texts for a reader of
 * Markdown: FILE.md, and what it should make of them, FILE.html. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/markup.h"
#include "core/base/rng.h"

#define GAP "&#8203;"

static void expect(void (*escape)(struct pb_text *, const char *), const char *text, const char *escaped)
{
	struct pb_text t = { 0 };
	escape(&t, text);
	assert_string_equal(pb_text_c(&t), escaped);
	pb_text_free(&t);
}

static void test_html(void **state)
{
	(void)state;
	expect(pb_markup_escape, "<a href=\"x\">&'\x01\xff</a>", "&lt;a href=&quot;x&quot;&gt;&amp;&#39; \xEF\xBF\xBD&lt;/a&gt;");
	expect(pb_markup_escape, "a\xE2\x80\xAE" "b\xE2\x81\xA6" "c\nd\te", "a b c\nd\te"); /* right-to-left override, isolate */
	expect(pb_terminal_escape, "a\x1b[31mb\n\xff", "a [31mb \xEF\xBF\xBD");
}

static void test_hostile_markdown(void **state)
{
	static const char *const cases[][2] = {
		{ "a|b\n<i>*x*", "a\\|b &lt;i>\\*x\\*" },
		{ "@someone", "@" GAP "someone" }, { "cc @org/team", "cc @" GAP "org/team" }, { "mail a@b.example", "mail a@" GAP "b.example" },
		{ "o/r@0123456789abcdef", "o/r@" GAP "0123456789abcdef" },
		{ "#123", "#" GAP "123" }, { "o/r#1", "o/r#" GAP "1" }, { "GH-12", "GH-" GAP "12" }, { "!5", "!" GAP "5" },
		{ "https://evil.example", "https:" GAP "//evil.example" }, { "www.x", "www" GAP ".x" }, { "(WWW.x)", "(WWW" GAP ".x)" },
		{ "<img src=x onerror=y>", "&lt;img src=x onerror=y>" }, { "<!-- x", "&lt;!-- x" }, { "<5@a>", "&lt;5@a>" },
		{ "[a](b)", "\\[a\\](b)" }, { "![a](b)", "!\\[a\\](b)" }, { "`x`", "\\`x\\`" }, { "~~x~~", "\\~\\~x\\~\\~" }, { "$x$", "<span>$</span>x<span>$</span>" },
		{ "_x_", "\\_x\\_" }, { "a_ b", "a\\_ b" }, { "**x**", "\\*\\*x\\*\\*" }, { "&amp; &#64;a", "&amp;amp; &amp;#" GAP "64;a" }, { "a\\", "a\\\\" }, { "\\|", "\\\\\\|" },
		{ "- x", "\\- x" }, { "---", "\\---" }, { "+ x", "\\+ x" }, { "> x", "\\> x" }, { "# x", "\\# x" }, { "x ##", "x \\#\\#" }, { "1. x", "1\\. x" }, { "12) x", "12\\) x" },
		{ "===", "\\===" }, { "    x", "x" }, { "* x", "\\* x" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect(pb_markdown_escape, cases[i][0], cases[i][1]);
}

/* Names as people give them, and sentences. */
static void test_harmless_markdown(void **state)
{
	static const char *const cases[] = {
		"rtn group_size=32 w4", "acc_norm", "pythia-1b-bf16@step143000", "hf:meta-llama/Llama-3.2-1B", "-1", "+1.5 pp", "q < 0.05, n <= 3, p <5 %", "a > b -> c", "C#", "R&D",
		"arXiv:2404.10102", "62.41 \xC2\xB1 1.13", "a * b", "3.5 %, 1.58 bits", "v1.2-3-g4d4d258", "C:\\models\\a", "it's \"so\"; (x) {y}", "2026-11-26T10:00:00Z", "x=1,y=2", "!", "owww.x",
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect(pb_markdown_escape, cases[i], cases[i]);
}

/* --- random texts --- */

static const char *const pieces[] = {
	"@", "#", "1", "12", "a", "b", "www.", "http://", "https://", "ftp://", "x.com", "<img>", "<a href=x>", "<", ">", "</", "<!--", "-->", "[", "]", "](", "(", ")", "[^1]", "[x]: ",
	"[ ] ", "_", "__", "*", "**", "`", "```", "|", "\\", "\\|", "~", "~~", "&amp;", "&", "&#64;", ";", "- ", "-", "+ ", "1. ", "1) ", "---", "===", " ", "  ", "!", ":", ".", ",", "\xC3\xA9", "GH-1",
	"$", "    ", "=", "{", "# ", "## ", "> ", "mailto:", "?", "/", "'", "\"", "\xE2\x80\x9C",
};

static void put_plain(struct pb_text *out, const char *s)
{
	size_t n = strlen(s);
	while (n && s[n - 1] == ' ')
		n--;
	for (size_t i = strspn(s, " "); i < n; i++)
		if (strchr("&<>\"", s[i]))
			pb_text_string(out, s[i] == '&' ? "&amp;" : s[i] == '<' ? "&lt;" : s[i] == '>' ? "&gt;" : "&quot;");
		else
			pb_text_char(out, s[i]);
}

/* As a heading, a paragraph, an item of a list, a cell and the text of a figure. */
static int write_texts(const char *name)
{
	char path[300];
	struct pb_rng rng = pb_rng_make(1, 1);
	FILE *files[2];
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s.%s", name, i ? "html" : "md");
		files[i] = fopen(path, "w");
		if (!files[i])
			return 1;
	}
	for (int i = 0; i < 2000; i++) {
		struct pb_text t = { 0 }, escaped = { 0 }, plain = { 0 };
		for (uint64_t k = 1 + pb_rng_below(&rng, 8); k > 0; k--)
			pb_text_string(&t, pieces[pb_rng_below(&rng, sizeof pieces / sizeof *pieces)]);
		pb_text_string(&t, "e");
		pb_markdown_escape(&escaped, pb_text_c(&t));
		put_plain(&plain, pb_text_c(&t));
		const char *m = pb_text_c(&escaped), *p = pb_text_c(&plain);
		fprintf(files[0], "## %s\n\n%s\n\n- %s\n\n| h |\n| --- |\n| %s |\n\n![%s](f.png)\n\n", m, m, m, m, m);
		fprintf(files[1], "<h2>%s</h2>\n<p>%s</p>\n<ul>\n<li>%s</li>\n</ul>\n<table>\n<thead>\n<tr>\n<th>h</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>%s</td>\n</tr>\n</tbody>\n</table>\n"
			"<p><img src=\"f.png\" alt=\"%s\" /></p>\n", p, p, p, p, p);
		pb_text_free(&t);
		pb_text_free(&escaped);
		pb_text_free(&plain);
	}
	return fclose(files[0]) | fclose(files[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_hostile_markdown),
		cmocka_unit_test(test_harmless_markdown),
	};
	if (argc == 3 && strcmp(argv[1], "write") == 0)
		return write_texts(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
