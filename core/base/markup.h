/* Escaping of text for what is written for people. Everything that comes from rows passes here. */
#ifndef PB_CORE_BASE_MARKUP_H
#define PB_CORE_BASE_MARKUP_H

#include "core/base/text.h"

/* For HTML, SVG and XML, text and attribute values alike: & < > " ' become entities, malformed UTF-8 U+FFFD, and control
 * characters other than line feed and tab blanks. Characters that turn the direction of text are control characters here. */
void pb_markup_escape(struct pb_text *out, const char *s);
/* For GitHub's Markdown, in one line: shows the text as it is, at the start of a block, in a line, a table cell or the text of a link.
 * Only what would be read as markup there is escaped, so that names stay readable. What is linked or mentioned wherever it
 * stands (@name, #1, a://b, www.a) is broken by a zero-width space, since a backslash does not stop that. Blanks at the
 * start are left out. */
void pb_markdown_escape(struct pb_text *out, const char *s);
/* For a terminal, in one line: control characters become blanks, malformed UTF-8 U+FFFD. */
void pb_terminal_escape(struct pb_text *out, const char *s);

#endif
