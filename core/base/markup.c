#include "core/base/markup.h"

#include <string.h>
#include <strings.h>

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFFFE || c == 0xFFFF;
}

static void put(struct pb_text *out, uint32_t c)
{
	char bytes[4];
	pb_text_bytes(out, bytes, pb_utf8_put(bytes, c));
}

void pb_markup_escape(struct pb_text *out, const char *s)
{
	for (const char *end = s + strlen(s); s < end;) {
		uint32_t c = pb_utf8_next(&s, end);
		switch (c) {
		case '&':
			pb_text_string(out, "&amp;");
			break;
		case '<':
			pb_text_string(out, "&lt;");
			break;
		case '>':
			pb_text_string(out, "&gt;");
			break;
		case '"':
			pb_text_string(out, "&quot;");
			break;
		case '\'':
			pb_text_string(out, "&#39;");
			break;
		default:
			put(out, is_control(c) && c != '\n' && c != '\t' ? ' ' : c);
		}
	}
}

void pb_terminal_escape(struct pb_text *out, const char *s)
{
	for (const char *end = s + strlen(s); s < end;) {
		uint32_t c = pb_utf8_next(&s, end);
		put(out, is_control(c) ? ' ' : c);
	}
}

/* --- Markdown --- */

#define GAP "&#8203;" /* the zero-width space */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A blank, or the end of the text. */
static bool is_gap(char c)
{
	return (unsigned char)c <= ' ';
}

/* Whether the one at p, the first of its text or not, stands alone or is repeated, as lists and rules begin. */
static bool begins_block(const char *begin, const char *p)
{
	return p == begin && (is_gap(p[1]) || p[1] == *p);
}

/* "1." or "1)" at the start. */
static bool numbers_list(const char *begin, const char *p)
{
	return p > begin && (size_t)(p - begin) == strspn(begin, "0123456789") && is_gap(p[1]);
}

/* An underscore inside a word is only that. */
static bool is_inside_word(const char *begin, const char *p)
{
	const char *first = p, *last = p;
	while (first > begin && first[-1] == '_')
		first--;
	while (last[1] == '_')
		last++;
	return first > begin && is_alnum(first[-1]) && is_alnum(last[1]);
}

static bool is_entity(const char *p)
{
	const char *end = p + 1 + (p[1] == '#');
	while (is_alnum(*end))
		end++;
	return end > p + 1 && *end == ';';
}

/* A mention, an address of mail, or a commit of another repository; "model@step1000" is none. */
static bool is_mention(const char *begin, const char *p)
{
	size_t hex = strspn(p + 1, "0123456789abcdefABCDEF"), word = strspn(p + 1, "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	if (!word)
		return false;
	return p == begin || !is_alnum(p[-1]) || (hex == word && hex >= 7) || (p[1 + word] == '.' && is_alnum(p[2 + word]));
}

/* The dot of "www.", at the start of a word. */
static bool is_web(const char *begin, const char *p)
{
	return p - begin >= 3 && strncasecmp(p - 3, "www", 3) == 0 && (p - begin == 3 || !is_alnum(p[-4])) && !is_gap(p[1]);
}

/* The line of "GH-1". */
static bool is_issue(const char *begin, const char *p)
{
	return p - begin >= 2 && strncasecmp(p - 2, "gh", 2) == 0 && (p - begin == 2 || !is_alnum(p[-3])) && is_digit(p[1]);
}

/* What stands for the character at p in a text from begin on; NULL: itself. */
static const char *in_markdown(const char *begin, const char *p)
{
	switch (*p) {
	case '\\':
		return !p[1] || (!is_gap(p[1]) && (unsigned char)p[1] < 0x7F && !is_alnum(p[1])) ? "\\\\" : NULL;
	case '|':
		return "\\|";
	case '`':
		return "\\`";
	case '[':
		return "\\[";
	case ']':
		return "\\]";
	case '~':
		return "\\~";
	case '$': /* formulas know no backslash */
		return "<span>$</span>";
	case '*':
		return p > begin && is_gap(p[-1]) && p[1] == ' ' ? NULL : "\\*";
	case '_':
		return is_inside_word(begin, p) ? NULL : "\\_";
	case '<':
		return p[1] && (is_gap(p[1]) || p[1] == '=' || (is_digit(p[1]) && !strchr(p, '@'))) ? NULL : "&lt;";
	case '&':
		return is_entity(p) ? "&amp;" : NULL;
	case '>':
		return p == begin ? "\\>" : NULL;
	case '#':
		if (is_digit(p[1]))
			return "#" GAP;
		return p == begin || is_gap(p[-1]) || p[-1] == '#' ? "\\#" : NULL;
	case '!':
		return is_digit(p[1]) ? "!" GAP : NULL;
	case '@':
		return is_mention(begin, p) ? "@" GAP : NULL;
	case ':':
		return p[1] == '/' && p[2] == '/' ? ":" GAP : NULL;
	case '.':
		return is_web(begin, p) ? GAP "." : numbers_list(begin, p) ? "\\." : NULL;
	case ')':
		return numbers_list(begin, p) ? "\\)" : NULL;
	case '-':
		return is_issue(begin, p) ? "-" GAP : begins_block(begin, p) ? "\\-" : NULL;
	case '+':
		return begins_block(begin, p) ? "\\+" : NULL;
	case '=':
		return begins_block(begin, p) ? "\\=" : NULL;
	default:
		return NULL;
	}
}

void pb_markdown_escape(struct pb_text *out, const char *s)
{
	s += strspn(s, " \t\r\n");
	const char *begin = s;
	for (const char *end = s + strlen(s); s < end;) {
		const char *instead = in_markdown(begin, s);
		uint32_t c = pb_utf8_next(&s, end);
		if (instead)
			pb_text_string(out, instead);
		else
			put(out, is_control(c) ? ' ' : c);
	}
}
