/* Python's idea of white space (str.strip, str.isspace, re's \s) over UTF-8. */
#ifndef PB_TASKS_WHITESPACE_H
#define PB_TASKS_WHITESPACE_H

#include <stddef.h>
#include <stdint.h>

/* The same set as a class for PCRE2 with UTF; PCRE2's own \s is another set. */
#define PB_SPACE_CLASS "[\\x09-\\x0d\\x1c-\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}]"

size_t pb_space_before(const char *s, size_t n);    /* bytes of white space that s begins with */
size_t pb_without_space_after(const char *s, size_t n); /* bytes of s up to its last character that is none */
uint64_t pb_space_runs(const char *s, size_t n);    /* maximal runs of white space */

#endif
