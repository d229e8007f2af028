/* The rules that belong to WikiText: pages, rows and the detokenizer. */
#ifndef PB_TASKS_WIKITEXT_H
#define PB_TASKS_WIKITEXT_H

#include <stddef.h>
#include "core/base/status.h"
#include "core/base/text.h"

/* Called with each piece in order; a status other than PB_OK ends the walk. line: from 1, where the piece begins. */
typedef enum pb_status (*pb_piece_fn)(void *arg, const char *s, size_t n, unsigned line, struct pb_error *err);

/* Pages of a raw file: a new one begins at each top-level heading. */
enum pb_status pb_wikitext_pages(const char *s, size_t n, pb_piece_fn fn, void *arg, struct pb_error *err) PB_MUST_CHECK;
/* Rows of a raw file as the hub's data set has them: a blank line is the empty string, another is kept with its line feed. */
enum pb_status pb_wikitext_rows(const char *s, size_t n, pb_piece_fn fn, void *arg, struct pb_error *err) PB_MUST_CHECK;
/* Appends the text without the spaces around punctuation (lm-evaluation-harness's wikitext_detokenizer). s is UTF-8. */
enum pb_status pb_wikitext_detokenize(const char *s, size_t n, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

#endif
