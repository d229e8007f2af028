#include "tests/fuzz/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A text with what tokenizers stumble over: blanks, a NUL, characters of two to four bytes, malformed ones. */
static const char text[] = "  ab <0x0A>\0 \xC3\xA9\xE4\xBD\xA0\xF0\x9F\x99\x82\xE2\x96\x81 \xFF\xE2\x96 abab \n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_tokenizer(data, size, text, sizeof text - 1);
}
