/* Python's white space. */
#include <stdbool.h>
#include "core/base/text.h"
#include "tasks/whitespace.h"

size_t pb_space_before(const char *s, size_t n)
{
	const char *p = s, *end = s + n;

	while (p < end) {
		const char *at = p;

		if (!pb_is_python_space(pb_utf8_next(&p, end)))
			return (size_t)(at - s);
	}
	return n;
}

size_t pb_without_space_after(const char *s, size_t n)
{
	const char *p = s, *end = s + n;
	size_t kept = 0;

	while (p < end)
		if (!pb_is_python_space(pb_utf8_next(&p, end)))
			kept = (size_t)(p - s);
	return kept;
}

uint64_t pb_space_runs(const char *s, size_t n)
{
	const char *p = s, *end = s + n;
	bool inside = false;
	uint64_t runs = 0;

	while (p < end) {
		bool space = pb_is_python_space(pb_utf8_next(&p, end));

		runs += space && !inside;
		inside = space;
	}
	return runs;
}
