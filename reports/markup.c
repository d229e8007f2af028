#include "reports/markup.h"

#include <string.h>

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFFFE || c == 0xFFFF;
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

void pb_markdown_escape(struct pb_text *out, const char *s)
{
	for (const char *end = s + strlen(s); s < end;) {
		uint32_t c = pb_utf8_next(&s, end);
		if (c == '<')
			pb_text_string(out, "&lt;");
		else if (c == '&')
			pb_text_string(out, "&amp;");
		else {
			if (c < 0x80 && c != 0 && strchr("\\`*_[]|>#~", (int)c))
				pb_text_char(out, '\\');
			put(out, is_control(c) ? ' ' : c);
		}
	}
}
