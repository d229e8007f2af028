#include "tests/fuzz/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What normalisation changes: blanks in a row, escaped blanks, a NUL, malformed characters; and pieces of the corpus. */
static const char text[] = "  ab <x>abc \xE2\x96\x81\0 \xC3\xA9\xE4\xBD\xA0\xF0\x9F\x99\x82" "AB\xC2\xA0 \xFF\xE2\x96 " "aabcc  ";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_tokenizer(data, size, text, sizeof text - 1);
}
