/* The data that methods learn from, as flags of commands, and quantizing with them. */
#include <string.h>
#include <unistd.h>
#include "harness/cli/cli.h"

#define TRAINED "out/trained"

bool pb_cli_method_data_set(struct pb_cli_method_data *d, const char *name, const char *value)
{
	const struct { const char *flag, **to; } flags[] = {
		{ "calibration", &d->data }, { "n-samples", &d->n_samples }, { "seq-len", &d->seq_len }, { "calibration-seed", &d->seed },
		{ "calibration-format", &d->format }, { "training", &d->training }, { "training-format", &d->training_format }, { "trained", &d->trained },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(name, flags[i].flag) == 0) {
			*flags[i].to = value;
			return true;
		}
	return false;
}

static enum pb_status find_calibration(struct pb_cli *cli, struct pb_cli_method_data *d, struct pb_error *err)
{
	const struct { const char *option, *value; } settings[] = {
		{ "n_samples", d->n_samples }, { "seq_len", d->seq_len }, { "seed", d->seed }, { "format", d->format },
	};
	struct pb_calibration_spec *spec = pb_arena_alloc(cli->arena, 1, sizeof(*spec));
	enum pb_status st = PB_OK;

	if (!spec)
		return pb_out_of_memory(err, "the command line");
	pb_options_default(pb_calibration_options, spec);
	for (size_t i = 0; !st && i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (!settings[i].value)
			continue;
		st = pb_options_set(pb_calibration_options, spec, "calibration", settings[i].option, settings[i].value, err);
		if (!st && !d->data)
			st = pb_fail(err, PB_USAGE, "calibration: %s=%s: without --calibration there is nothing to draw from", settings[i].option, settings[i].value);
	}
	if (!st && d->data)
		st = pb_text_find(cli->arena, d->data, NULL, &cli->data, &spec->data, err);
	if (!st)
		d->calibration_spec = d->data ? spec : NULL;
	return st;
}

static enum pb_status find_training(struct pb_cli *cli, struct pb_cli_method_data *d, struct pb_error *err)
{
	struct pb_training_spec *spec = pb_arena_alloc(cli->arena, 1, sizeof(*spec));
	enum pb_status st = PB_OK;

	if (!spec)
		return pb_out_of_memory(err, "the command line");
	pb_options_default(pb_training_options, spec);
	if (d->training_format)
		st = pb_options_set(pb_training_options, spec, "training", "format", d->training_format, err);
	if (!st && d->training_format && !d->training)
		st = pb_fail(err, PB_USAGE, "training: format=%s: without --training there is nothing to read", d->training_format);
	if (!st && d->training)
		st = pb_text_find(cli->arena, d->training, NULL, &cli->data, &spec->data, err);
	if (!st)
		d->training_spec = d->training ? spec : NULL;
	return st;
}

enum pb_status pb_cli_method_data_find(struct pb_cli *cli, struct pb_cli_method_data *d, struct pb_error *err)
{
	enum pb_status st = find_calibration(cli, d, err);

	if (!d->trained)
		d->trained = TRAINED;
	return st ? st : find_training(cli, d, err);
}

void pb_cli_stages_begin(const struct pb_cli *cli, struct pb_progress *p)
{
	pb_progress_begin(p, 1, 0, 0, 1, cli->quiet || (cli->progress == PB_AUTO && !isatty(STDERR_FILENO)) ? PB_NEVER : cli->progress, cli->colour);
}

int pb_cli_stage(void *progress, const char *stage, double done)
{
	struct pb_text what = {0};

	pb_text_printf(&what, "%s %.0f%%", stage, 100 * done);
	pb_progress_status(progress, pb_text_c(&what));
	pb_text_free(&what);
	return 0;
}

static enum pb_status train(struct pb_cli *cli, struct pb_opened *opened, const struct pb_quantizer_use *use, int64_t seed, const struct pb_cli_method_data *d,
	struct pb_error *err)
{
	struct pb_progress progress;
	double seconds;
	enum pb_status st;

	pb_cli_stages_begin(cli, &progress);
	st = pb_workspace_train(opened->workspace, &opened->spec, use, d->training_spec, d->trained, seed, pb_cli_stage, &progress, &opened->trained, &seconds, err);
	pb_progress_clear(&progress);
	return st;
}

enum pb_status pb_cli_quantize(struct pb_cli *cli, struct pb_opened *opened, const struct pb_quantizer_use *use, int64_t seed, const struct pb_cli_method_data *d,
	struct pb_error *err)
{
	struct pb_calibration *measured = NULL;
	enum pb_status st;

	if (pb_quantizer_needs(use->quantizer, use->options) & PB_NEEDS_TRAINING)
		return train(cli, opened, use, seed, d, err);
	st = pb_workspace_calibrate(opened->workspace, &opened->spec, use, d->calibration_spec, NULL, NULL, NULL, &measured, err);
	if (!st)
		st = pb_quantize_model(opened->model, use, seed, measured, opened->pool, err);
	pb_calibration_close(measured);
	return st;
}
