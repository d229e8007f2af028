/* paretobench counters: what this machine can count, proved by counting. */
#include <string.h>
#include "core/counters/counters.h"
#include "harness/cli/cli.h"

struct counters_state {
	bool json;
};

static const struct pb_flag flags[] = {
	{ "format", 'f', "FORMAT", "text or json (default: text)" },
	{ "json", 0, NULL, "the same as --format json" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status counters_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct counters_state *s = state;

	(void)cli;
	if (strcmp(name, "json") == 0 || strcmp(value, "json") == 0)
		s->json = true;
	else if (strcmp(value, "text") == 0)
		s->json = false;
	else
		return pb_fail(err, PB_USAGE, "--format %s: choose one of text, json", value);
	return PB_OK;
}

static enum pb_status counters_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	const struct counters_state *s = state;
	struct pb_text t = {0};
	enum pb_status st = pb_counters_report(s->json, &t, err);

	(void)cli;
	(void)code;
	if (!st)
		st = pb_print(&t, err);
	pb_text_free(&t);
	return st;
}

const struct pb_command pb_cmd_counters = {
	.name = "counters",
	.arguments = "",
	.summary = "what this machine can count, proved by counting",
	.help = "Prints the machine, PAPI's version, permissions and components, then for each quantity the source that is used and\n"
		"what it counted in a proof run, or the reason why there is none. The absence of counters is no failure.\n"
		"PB_COUNTERS=auto|os|off chooses: everything, the operating system's counters alone, or none.",
	.flags = flags,
	.set = counters_set,
	.state_size = sizeof(struct counters_state),
	.run = counters_run,
};
