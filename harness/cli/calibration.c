/* Calibration as flags of commands. */
#include <string.h>
#include "harness/cli/cli.h"

bool pb_cli_calibration_set(struct pb_cli_calibration *c, const char *name, const char *value)
{
	const struct { const char *flag, **to; } flags[] = {
		{ "calibration", &c->data }, { "n-samples", &c->n_samples }, { "seq-len", &c->seq_len }, { "calibration-seed", &c->seed },
		{ "calibration-format", &c->format },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(name, flags[i].flag) == 0) {
			*flags[i].to = value;
			return true;
		}
	return false;
}

enum pb_status pb_cli_calibration(struct pb_cli *cli, const struct pb_cli_calibration *c, const struct pb_calibration_spec **out, struct pb_error *err)
{
	const struct { const char *option, *value; } settings[] = {
		{ "n_samples", c->n_samples }, { "seq_len", c->seq_len }, { "seed", c->seed }, { "format", c->format },
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
		if (!st && !c->data)
			st = pb_fail(err, PB_USAGE, "calibration: %s=%s: without --calibration there is nothing to draw from", settings[i].option, settings[i].value);
	}
	if (!st && c->data)
		st = pb_calibration_find(cli->arena, c->data, NULL, &cli->data, &spec->data, err);
	if (!st)
		*out = c->data ? spec : NULL;
	return st;
}

enum pb_status pb_cli_quantize(const struct pb_opened *opened, const struct pb_quantizer_use *use, int64_t seed, const struct pb_calibration_spec *calibration,
	struct pb_error *err)
{
	struct pb_calibration *measured = NULL;
	enum pb_status st = pb_workspace_calibrate(opened->workspace, &opened->spec, use, calibration, NULL, NULL, NULL, &measured, err);

	if (!st)
		st = pb_quantize_model(opened->model, use, seed, measured, opened->pool, err);
	pb_calibration_close(measured);
	return st;
}
