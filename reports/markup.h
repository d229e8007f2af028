/* Escaping of text for what reports write. Everything that comes from rows passes here. */
#ifndef PB_REPORTS_MARKUP_H
#define PB_REPORTS_MARKUP_H

#include "core/base/text.h"

/* For HTML, SVG and XML, text and attribute values alike: & < > " ' become entities, malformed UTF-8 U+FFFD, and control
 * characters other than line feed and tab blanks. */
void pb_markup_escape(struct pb_text *out, const char *s);
/* For Markdown in one line: what could start markup or end a table cell is escaped, line feeds become blanks. */
void pb_markdown_escape(struct pb_text *out, const char *s);
/* For a terminal, in one line: control characters become blanks, malformed UTF-8 U+FFFD. */
void pb_terminal_escape(struct pb_text *out, const char *s);

#endif
