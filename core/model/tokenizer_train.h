/* Making a byte-level BPE tokenizer from a text. */
#ifndef PB_CORE_MODEL_TOKENIZER_TRAIN_H
#define PB_CORE_MODEL_TOKENIZER_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"
#include "core/base/text.h"

/* Appends a tokenizer.json of n_tokens entries: 0 <s> (put in front of a text), 1 </s>, then the 256 bytes, then merges, made of
 * n bytes of text cut in GPT-2's way. The pair that occurs most is joined next; of equals the one with the smaller left id,
 * then the smaller right id. Fewer entries when no pair occurs twice any more. n_tokens: 258 to 65536. prefix_space: the tokenizer
 * puts a blank in front of each text that has none, so that a word is the same tokens at the beginning as elsewhere. */
enum pb_status pb_tokenizer_train(const char *text, size_t n, uint32_t n_tokens, bool prefix_space, struct pb_text *json, struct pb_error *err) PB_MUST_CHECK;

#endif
