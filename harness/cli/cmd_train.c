/* paretobench train: a model by a recipe. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "harness/cli/cli.h"
#include "harness/run/training.h"

struct train_state {
	const char *folder;
};

static const struct pb_flag flags[] = {
	{ "output", 'o', "DIR", "folder of the training and its model (default: out/NAME of the recipe)" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status train_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct train_state *s = state;

	(void)cli;
	(void)name;
	(void)err;
	s->folder = value;
	return PB_OK;
}

static void print_summary(const struct pb_cli *cli, const struct pb_training_summary *s, const char *folder)
{
	char duration[32];

	if (s->interrupted) {
		fprintf(stderr, "interrupted behind step %llu; what is done is saved. To go on:\n  %s\n", (unsigned long long)s->steps, cli->program);
		return;
	}
	if (cli->quiet)
		return;
	if (s->already) {
		fprintf(stderr, "model     %s, trained already\nhash      %s\n", folder, s->hash);
		return;
	}
	pb_format_duration(duration, s->seconds);
	fprintf(stderr, "trained   %llu steps, %llu tokens in %s", (unsigned long long)s->steps, (unsigned long long)s->tokens, duration);
	if (!isnan(s->rate))
		fprintf(stderr, ", %.0f tokens/s", s->rate);
	fprintf(stderr, "\nloss      %.4f", s->loss);
	if (!isnan(s->validation_loss))
		fprintf(stderr, ", validation %.4f", s->validation_loss);
	fprintf(stderr, "\nmodel     %s\nhash      %s\nreport:   paretobench report %s\n", folder, s->hash, folder);
}

static enum pb_status train_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	const struct train_state *s = state;
	struct pb_training_options options = { .folder = s->folder, .progress = cli->progress, .colour = cli->colour, .quiet = cli->quiet };
	struct pb_training_summary summary;
	struct pb_training_recipe *recipe = NULL;
	enum pb_status st = pb_training_recipe_read(&recipe, cli->args[0], &cli->data, err);

	if (!st && !options.folder && !(options.folder = pb_arena_printf(cli->arena, "out/%s", recipe->name)))
		st = pb_out_of_memory(err, "a path");
	if (!st)
		st = pb_cli_pool(cli, &options.pool, err);
	if (!st)
		st = pb_train(recipe, &options, &summary, err);
	if (!st) {
		print_summary(cli, &summary, options.folder);
		*code = summary.interrupted ? 130 : 0;
	}
	pb_pool_free(options.pool);
	pb_training_recipe_free(recipe);
	return st;
}

const struct pb_command pb_cmd_train = {
	.name = "train",
	.arguments = "RECIPE.yaml",
	.summary = "train a model by a recipe, or go on with it",
	.help = "Trains a Llama-type model into DIR: config.json, model.safetensors and the tokenizer when it is done; train.json,\n"
		"log.csv and a checkpoint on the way. The same command goes on where it was stopped, to the same bits. A recipe:\n"
		"\n"
		"  name: mine                # default: the file's name\n"
		"  model: {dim: 64, layers: 2, heads: 4}   # or  from: MODEL  to go on from its weights; also kv_heads, head_dim, hidden,\n"
		"                            # context, vocab, norm_eps, rope_base, tied_head\n"
		"  data: {world: large}      # or {world: {size: large, seed: 1}}, or {train: FILE, validation: FILE, tokenizer: FILE,\n"
		"                            # documents: lines|whole}\n"
		"  train: {steps: 2000, sequences: 16, length: 128, learning_rate: 4e-3, warmup: 100}\n"
		"  validate_every: 100       # steps; save_every too\n"
		"  dtype: bf16               # of the written weights: bf16, f16, f32",
	.keys = pb_recipe_options,
	.keys_title = "train:",
	.flags = flags,
	.least = 1,
	.most = 1,
	.set = train_set,
	.state_size = sizeof(struct train_state),
	.run = train_run,
};
