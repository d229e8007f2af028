/* What both tokenizer formats must hold on any bytes: a refusal has a message; ids are in range; ids decode. */
#ifndef PB_TESTS_FUZZ_TOKENIZER_H
#define PB_TESTS_FUZZ_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/text.h"
#include "core/model/tokenizer.h"

/* text: n bytes to encode, beside the file's own. */
static int fuzz_tokenizer(const uint8_t *data, size_t size, const char *text, size_t n)
{
	struct pb_tokenizer *t;
	struct pb_ids ids = {0};
	struct pb_text back = {0};
	struct pb_error err;
	if (pb_tokenizer_parse(&t, "fuzz", data, size, 0, &err) != PB_OK) {
		if (err.text[0] == '\0')
			__builtin_trap(); /* a refusal without a word */
		return 0;
	}
	/* The fixed text, and the file's own bytes as one: pieces occur in it. */
	if (pb_tokenizer_encode(t, text, n, PB_SPECIAL_DEFAULT, &ids, &err) != PB_OK ||
	    pb_tokenizer_encode(t, (const char *)data, size < 4096 ? size : 4096, PB_SPECIAL_NONE, &ids, &err) != PB_OK)
		__builtin_trap();
	for (size_t i = 0; i < ids.n; i++)
		if (ids.data[i] < 0 || (unsigned)ids.data[i] >= pb_tokenizer_size(t))
			__builtin_trap();
	if (pb_tokenizer_decode(t, ids.data, ids.n, &back, &err) != PB_OK)
		__builtin_trap();
	pb_text_free(&back);
	pb_ids_free(&ids);
	pb_tokenizer_free(t);
	return 0;
}

#endif
