/* The kinds of tasks and the protocols, each one line. */
#include <string.h>
#include "tasks/kind.h"

extern const struct pb_task_kind pb_task_kind_divergence, pb_task_kind_loglikelihood, pb_task_kind_multiple_choice;

const struct pb_task_kind *const pb_task_kinds[] = {
	&pb_task_kind_divergence,
	&pb_task_kind_documents,
	&pb_task_kind_loglikelihood,
	&pb_task_kind_rolling,
	&pb_task_kind_multiple_choice,
	&pb_task_kind_weights,
	&pb_task_kind_window,
};
const size_t pb_n_task_kinds = sizeof(pb_task_kinds) / sizeof(*pb_task_kinds);

const struct pb_protocol pb_protocols[] = {
	{ "documents", "each text alone: BOS, its tokens, cut at the context; every token after BOS is scored" },
	{ "gptq-c4", "256 random windows of single texts, CPython's generator with seed 0; also SqueezeLLM's c4" },
	{ "gptq-c4-new", "the first 1,100 texts joined with blanks, encoded once, the first 256 windows of 2048" },
	{ "gptq-ptb", "sentences joined with two line feeds, encoded once, windows of 2048" },
	{ "gptq-ptb-new", "sentences joined with blanks, encoded once, windows of 2048" },
	{ "gptq-wt2", "rows joined with two line feeds, encoded once, windows of 2048 (or the context), mean of window means" },
	{ "llamacpp", "raw file encoded once, chunks of 512 with BOS in front, the second half of each is scored" },
	{ "lmeh", "context and continuation encoded together, as lm-evaluation-harness does now" },
	{ "lmeh-word", "whole texts in windows of the context, prefix token and the tokenizer's own BOS in front" },
	{ "lmeh-word-one-bos", "as lmeh-word with one BOS, which is not predicted" },
	{ "mobilellm", "MobileLLM's script on WikiText-2: the rule of gptq-wt2" },
	{ "onebit", "OneBit's script on WikiText-2: the rule of gptq-wt2" },
	{ "onebit-c4", "as gptq-c4, from texts with one token more than a window" },
	{ "onebit-lmeh", "context and continuation encoded apart, no BOS, as OneBit's bundled harness does" },
	{ "own-weights", "no text: each matrix after quantization beside the same matrix of the model as it was" },
	{ "paretoq", "rows encoded one by one without BOS, blocks of 1024 (or the context)" },
	{ "squeezellm", "SqueezeLLM's script on WikiText-2: the rule of gptq-wt2" },
	{ "vptq", "VPTQ's script on WikiText-2: the rule of gptq-wt2; also vptq@4096, vptq@8192" },
	{ "vptq-c4", "as gptq-c4 with 128 windows" },
};
const size_t pb_n_protocols = sizeof(pb_protocols) / sizeof(*pb_protocols);

const struct pb_task_kind *pb_task_kind_find(const char *name)
{
	for (size_t i = 0; i < pb_n_task_kinds; i++)
		if (strcmp(pb_task_kinds[i]->name, name) == 0)
			return pb_task_kinds[i];
	return NULL;
}
