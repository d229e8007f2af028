/* paretobench list, help: what there is, and what its options are. */
#include <stdio.h>
#include <string.h>
#include "harness/cli/claims.h"
#include "harness/cli/cli.h"
#include "harness/run/zoo.h"

static const char *const lists[] = { "quantizers", "backends", "tasks", "models", "protocols", "claims" };
#define N_LISTS (sizeof(lists) / sizeof(lists[0]))

static enum pb_status list_quantizers(struct pb_text *t, struct pb_error *err)
{
	for (size_t i = 0; i < pb_quantizer_count(); i++) {
		const struct pb_quantizer *q = pb_quantizer_at(i);
		enum pb_status st = pb_quantizer_check(q, err);

		if (st)
			return st;
		pb_text_printf(t, "%-16s %-32s %s\n", q->name, q->title, q->source);
	}
	return PB_OK;
}

static enum pb_status list_backends(struct pb_text *t, struct pb_error *err)
{
	for (size_t i = 0; i < pb_n_backends; i++) {
		enum pb_status st = pb_backend_check(pb_backends[i], err);

		if (st)
			return st;
		pb_text_printf(t, "%-16s %s\n", pb_backends[i]->name, pb_backends[i]->title);
	}
	return PB_OK;
}

static enum pb_status list_tasks(struct pb_cli *cli, struct pb_text *t, struct pb_error *err)
{
	const char **names = NULL;
	size_t n = 0;
	enum pb_status st = pb_task_names(cli->arena, &names, &n, err);

	for (size_t i = 0; !st && i < n; i++) {
		struct pb_task *task = NULL;

		st = pb_task_open(&task, names[i], NULL, 0, err);
		if (!st)
			pb_text_printf(t, "%-16s %-12s %s\n", task->name, task->protocol, task->title ? task->title : "");
		pb_task_close(task);
	}
	return st;
}

static enum pb_status list_models(struct pb_cli *cli, struct pb_text *t, struct pb_error *err)
{
	struct pb_zoo zoo;
	enum pb_status st = pb_zoo_read(&zoo, cli->arena, err);

	for (size_t i = 0; !st && i < zoo.n; i++)
		pb_text_printf(t, "%-16s %-12s %s\n", zoo.models[i].name, zoo.models[i].family, zoo.models[i].about);
	return st;
}

static void list_protocols(struct pb_text *t)
{
	for (size_t i = 0; i < pb_n_protocols; i++)
		pb_text_printf(t, "%-16s %s\n", pb_protocols[i].id, pb_protocols[i].help);
}

static enum pb_status list_claims(struct pb_text *t, struct pb_error *err)
{
	struct pb_claims claims = {0};
	enum pb_status st = pb_cli_claims(NULL, 0, &claims, err);

	for (size_t i = 0; !st && i < claims.n; i++)
		pb_text_printf(t, "%-8s %-10s %s\n", claims.claims[i].id, pb_verdict_name(claims.claims[i].expected), claims.claims[i].statement);
	pb_claims_free(&claims);
	return st;
}

static enum pb_status add_list(struct pb_cli *cli, const char *what, struct pb_text *t, struct pb_error *err)
{
	if (strcmp(what, "quantizers") == 0)
		return list_quantizers(t, err);
	if (strcmp(what, "backends") == 0)
		return list_backends(t, err);
	if (strcmp(what, "tasks") == 0)
		return list_tasks(cli, t, err);
	if (strcmp(what, "models") == 0)
		return list_models(cli, t, err);
	if (strcmp(what, "claims") == 0)
		return list_claims(t, err);
	list_protocols(t);
	return PB_OK;
}

static enum pb_status list_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct pb_text t = {0};
	enum pb_status st = PB_OK;
	bool known = cli->n_args == 0;

	(void)state;
	(void)code;
	for (size_t i = 0; !st && i < N_LISTS; i++) {
		if (cli->n_args && strcmp(cli->args[0], lists[i]) != 0)
			continue;
		known = true;
		if (cli->n_args == 0)
			pb_text_printf(&t, "%s%s\n", i ? "\n" : "", lists[i]);
		st = add_list(cli, lists[i], &t, err);
	}
	if (!known) {
		const char *near = pb_nearest(cli->args[0], lists, N_LISTS);

		st = pb_fail(err, PB_USAGE, "list %s: choose one of quantizers, backends, tasks, models, protocols, claims%s%s%s", cli->args[0], near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	if (!st)
		st = pb_print(&t, err);
	pb_text_free(&t);
	return st;
}

const struct pb_command pb_cmd_list = {
	.name = "list",
	.arguments = "[quantizers|backends|tasks|models|protocols|claims]",
	.summary = "quantizers, backends, tasks, models, protocols and claims",
	.help = "Lists what there is, plugins of --plugin included. Each plugin is checked on the way.",
	.least = 0,
	.most = 1,
	.run = list_run,
};

/* Of the quantizer as its options are without any given. */
static enum pb_status tell_needs(const struct pb_quantizer *q, struct pb_text *t, struct pb_error *err)
{
	struct pb_quantizer_use use = {0};
	enum pb_status st = pb_quantizer_use_parse(&use, q->name, err);
	unsigned needs = st ? PB_NEEDS_NOTHING : pb_quantizer_needs(q, use.options);

	pb_quantizer_use_free(&use);
	if (needs & PB_NEEDS_TRAINING)
		pb_text_string(t, "\nneeds training data (--training): a text that the whole model is trained on\n");
	if (!(needs & PB_NEEDS_CALIBRATION))
		return st;
	pb_text_printf(t, "\nneeds calibration data (--calibration): %s%s%s%s\n", needs & PB_NEEDS_ACTIVATIONS ? "moments of the inputs" : "",
		needs & PB_NEEDS_SEQUENTIAL ? ", each layer behind quantized ones" : "", needs & PB_NEEDS_ACTIVATIONS && needs & PB_NEEDS_GRADIENTS ? "; " : "",
		needs & PB_NEEDS_GRADIENTS ? "squared gradients of the weights" : "");
	return PB_OK;
}

static enum pb_status help_quantizer(const struct pb_quantizer *q, const char *option, struct pb_text *t, struct pb_error *err)
{
	size_t before;

	if (!option) {
		enum pb_status st;

		pb_text_printf(t, "%s: %s (quantizer, %s)\n\n%s\n", q->name, q->title, q->source, q->help);
		if ((st = tell_needs(q, t, err)))
			return st;
		if (!q->options || !q->options[0].name)
			return PB_OK;
		pb_text_string(t, "\noptions, as NAME:opt=value,opt=value\n");
	}
	before = t->length;
	if (q->options)
		pb_options_help(q->options, option, t);
	if (option && t->length == before)
		return pb_fail(err, PB_USAGE, "help: %s has no option '%s'", q->name, option);
	return PB_OK;
}

static enum pb_status help_name(struct pb_cli *cli, const char *name, struct pb_text *t, struct pb_error *err)
{
	size_t n = strcspn(name, ".");
	const char *option = name[n] ? name + n + 1 : NULL;
	const char *plain = pb_arena_strndup(cli->arena, name, n);
	const struct pb_quantizer *q;
	const struct pb_backend *b;
	struct pb_task *task = NULL;
	struct pb_error why = {0};

	if (!plain)
		return pb_out_of_memory(err, "help");
	for (size_t i = 0; i < pb_n_commands; i++)
		if (strcmp(pb_commands[i]->name, name) == 0) {
			pb_command_help(pb_commands[i], t);
			return PB_OK;
		}
	if (strcmp(name, "claims") == 0) {
		pb_expression_help(t);
		return PB_OK;
	}
	if ((q = pb_quantizer_find(plain, &why)))
		return help_quantizer(q, option, t, err);
	if ((b = pb_backend_find(plain, NULL))) {
		size_t before;

		if (!option)
			pb_text_printf(t, "%s: %s (backend)\n\n%s\n", b->name, b->title, b->help);
		before = t->length;
		if (b->options)
			pb_options_help(b->options, option, t);
		return option && t->length == before ? pb_fail(err, PB_USAGE, "help: %s has no option '%s'", b->name, option) : PB_OK;
	}
	for (size_t i = 0; i < pb_n_protocols; i++)
		if (strcmp(pb_protocols[i].id, name) == 0) {
			pb_text_printf(t, "%s (protocol)\n\n%s\n", name, pb_protocols[i].help);
			return PB_OK;
		}
	if (pb_task_open(&task, name, NULL, 0, NULL) == PB_OK) {
		pb_text_printf(t, "%s: %s (task)\n\nprotocol %s; defined in %s\n%s\n", task->name, task->title ? task->title : "", task->protocol, task->file, task->source ? task->source : "");
		pb_task_close(task);
		return PB_OK;
	}
	return pb_fail(err, PB_USAGE, "help: no command, quantizer, backend, task or protocol is called '%s'\nsee 'paretobench list'", name);
}

static enum pb_status help_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct pb_text t = {0};
	enum pb_status st = PB_OK;

	(void)state;
	(void)code;
	if (cli->n_args == 0)
		pb_overview(&t);
	for (size_t i = 0; !st && i < cli->n_args; i++)
		st = help_name(cli, cli->args[i], &t, err);
	if (!st)
		st = pb_print(&t, err);
	pb_text_free(&t);
	return st;
}

const struct pb_command pb_cmd_help = {
	.name = "help",
	.arguments = "[NAME[.OPTION]]",
	.summary = "explain a command, quantizer, option, backend, task or protocol",
	.help = "Explains a command, a quantizer with its options, one option (NAME.OPTION), a backend, a task or a protocol; `claims`: the\n"
		"language that claims are tested in.",
	.least = 0,
	.most = 100,
	.run = help_run,
};
