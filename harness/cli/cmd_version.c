/* paretobench version, doctor: what this program is, and whether it can work here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base/file.h"
#include "core/base/version.h"
#include "harness/cli/cli.h"
#include "harness/run/machine.h"

static void format_libraries(struct pb_text *t)
{
	json_t *libraries = pb_libraries_json();
	const char *name;
	json_t *versions;

	json_object_foreach(libraries, name, versions) {
		const char *built = json_string_value(json_object_get(versions, "built")), *running = json_string_value(json_object_get(versions, "running"));

		pb_text_printf(t, "%-10s built with %-20s running %s\n", name, built ? built : "n/a", running ? running : "n/a");
	}
	json_decref(libraries);
}

static enum pb_status version_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct pb_text t = {0};
	enum pb_status st;

	(void)state;
	(void)cli;
	(void)code;
	pb_text_printf(&t, "paretobench %s\n", pb_version());
	format_libraries(&t);
	st = pb_print(&t, err);
	pb_text_free(&t);
	return st;
}

const struct pb_command pb_cmd_version = {
	.name = "version",
	.arguments = "",
	.summary = "this program's version and those of its libraries",
	.help = "Prints the version, and of each library the version found when compiling and when running.",
	.run = version_run,
};

static void check_line(struct pb_text *t, bool good, const char *what, const char *detail, const char *remedy, int *code)
{
	pb_text_printf(t, "%-7s %-12s %s\n", good ? "ok" : "problem", what, detail);
	if (!good) {
		pb_text_printf(t, "        %s\n", remedy);
		*code = 1;
	}
}

static void check_plugins(struct pb_text *t, int *code)
{
	struct pb_error why = {0};
	char detail[64];
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < pb_quantizer_count(); i++)
		st = pb_quantizer_check(pb_quantizer_at(i), &why);
	for (size_t i = 0; !st && i < pb_n_backends; i++)
		st = pb_backend_check(pb_backends[i], &why);
	snprintf(detail, sizeof(detail), "%zu quantizers, %zu backends", pb_quantizer_count(), pb_n_backends);
	check_line(t, !st, "plugins", st ? why.text : detail, "this build is broken: run 'make clean && make'", code);
}

static void check_tasks(struct pb_cli *cli, struct pb_text *t, int *code)
{
	struct pb_error why = {0};
	const char **names = NULL;
	size_t n = 0, with_data = 0;
	struct pb_text detail = {0};
	enum pb_status st = pb_home() ? pb_task_names(cli->arena, &names, &n, &why) : pb_fail(&why, PB_MISSING, "no folder with task definitions");

	for (size_t i = 0; !st && i < n; i++) {
		struct pb_task *task = NULL;
		struct pb_task_data *data = NULL;

		st = pb_task_open(&task, names[i], NULL, 1, &why);
		if (!st && pb_task_data_read(&data, task, &cli->data, NULL) == PB_OK)
			with_data++;
		pb_task_data_free(data);
		pb_task_close(task);
	}
	pb_text_printf(&detail, "%zu definitions in %s/tasks, %zu with data", n, pb_home() ? pb_home() : "-", with_data);
	check_line(t, !st, "tasks", st ? why.text : pb_text_c(&detail), "set PB_HOME to the folder that holds tasks/ and configs/", code);
	if (!st && with_data == 0)
		pb_text_string(t, "        no data set is found: name folders that hold them with --data DIR or PB_DATA=DIR:DIR\n");
	pb_text_free(&detail);
}

static enum pb_status doctor_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct pb_text t = {0};
	enum pb_status st;

	(void)state;
	check_line(&t, true, "version", pb_version(), "", code);
	check_line(&t, true, "machine", pb_machine_name(), "", code);
	check_plugins(&t, code);
	check_tasks(cli, &t, code);
	check_line(&t, access(".", W_OK) == 0, "folder", "the current folder, for out/", "go to a folder that you may write, or use -o", code);
	st = pb_print(&t, err);
	pb_text_free(&t);
	return st;
}

const struct pb_command pb_cmd_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "check that everything that is needed is here",
	.help = "Checks plugins, task definitions, data sets and the machine, and says what to do about each problem.",
	.run = doctor_run,
};
