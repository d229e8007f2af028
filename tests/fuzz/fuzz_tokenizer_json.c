#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/text.h"
#include "core/model/tokenizer_bpe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "ab abc  <s>abc</s> it's 12! \n\n x \xC3\xA9" "e\xCC\x81\xF0\x9F\x99\x82 \xFF\xE2\x96 \xC2\xA0" "aab\0c  ";

/* Only a pattern that gives up, a byte without a token, or memory that is out may fail. */
static void encode(const struct pb_tokenizer *t, const char *s, size_t n, struct pb_ids *ids)
{
	struct pb_error err = {0};
	enum pb_status st = pb_tokenizer_encode(t, s, n, PB_SPECIAL_DEFAULT, ids, &err);

	if (st != PB_OK && st != PB_LIMIT && st != PB_FORMAT && st != PB_UNSUPPORTED && st != PB_MEMORY)
		__builtin_trap();
	for (size_t i = 0; i < ids->n; i++)
		if (ids->data[i] < 0 || (unsigned)ids->data[i] >= pb_tokenizer_size(t))
			__builtin_trap();
}

/* What comes out with machine code comes out without. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_tokenizer *t;
	struct pb_ids ids = {0}, again = {0};
	struct pb_text back = {0};
	struct pb_error err = {0};

	if (size == 0 || data[0] != '{')
		return 0;
	if (pb_tokenizer_parse(&t, "fuzz", data, size, 0, &err) != PB_OK) {
		if (err.text[0] == '\0')
			__builtin_trap();
		return 0;
	}
	encode(t, text, sizeof(text) - 1, &ids);
	if (pb_tokenizer_decode(t, ids.data, ids.n, &back, &err) != PB_OK)
		__builtin_trap();
	pb_tokenizer_use_jit(t, false);
	encode(t, text, sizeof(text) - 1, &again);
	if (ids.n && again.n && (ids.n != again.n || memcmp(ids.data, again.data, ids.n * sizeof(*ids.data)) != 0))
		__builtin_trap();
	pb_text_free(&back);
	pb_ids_free(&ids);
	pb_ids_free(&again);
	pb_tokenizer_free(t);
	return 0;
}
