#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <getopt.h>
#include <unistd.h>
#include "backends/backend.h"
#include "core/base/log.h"
#include "core/base/version.h"
#include "harness/cli/cli.h"
#include "quantizers/quantizer.h"

const struct pb_command *const pb_commands[] = {
	&pb_cmd_run, &pb_cmd_rows, &pb_cmd_report, &pb_cmd_compare, &pb_cmd_verify, &pb_cmd_fit, &pb_cmd_eval, &pb_cmd_quantize, &pb_cmd_inspect, &pb_cmd_tokenize, &pb_cmd_logits, &pb_cmd_counters, &pb_cmd_world, &pb_cmd_train,
	&pb_cmd_list, &pb_cmd_help, &pb_cmd_version, &pb_cmd_doctor, &pb_cmd_worker,
};
const size_t pb_n_commands = sizeof(pb_commands) / sizeof(pb_commands[0]);

static const struct pb_flag shared_flags[] = {
	{ "help", 'h', NULL, "this text" },
	{ "quiet", 0, NULL, "errors only" },
	{ "verbose", 'v', NULL, "say more; twice: still more" },
	{ "color", 0, "WHEN", "auto, always or never" },
	{ "progress", 0, "WHEN", "auto, always or never" },
	{ "threads", 0, "N", "threads of the work (default: all processors)" },
	{ "data", 0, "DIR", "a folder with models and data sets; may be repeated; before PB_DATA" },
	{ "plugin", 0, "FILE.so", "load a quantizer from a shared object; may be repeated" },
	{ NULL, 0, NULL, NULL },
};

#define MAX_FLAGS 48

static void flag_lines(const struct pb_flag *flags, struct pb_text *out)
{
	for (const struct pb_flag *f = flags; f && f->name; f++) {
		struct pb_text left = {0};

		if (f->letter)
			pb_text_printf(&left, "  -%c, ", f->letter);
		else
			pb_text_string(&left, "      ");
		pb_text_printf(&left, "--%s", f->name);
		if (f->argument)
			pb_text_printf(&left, " %s", f->argument);
		pb_text_printf(out, "%-30s %s\n", pb_text_c(&left), f->help);
		pb_text_free(&left);
	}
}

void pb_command_help(const struct pb_command *c, struct pb_text *out)
{
	pb_text_printf(out, "usage: paretobench %s%s%s%s\n\n%s\n", c->name, c->arguments[0] ? " " : "", c->arguments, c->flags && c->flags->name ? " [options]" : "", c->help);
	if (c->keys) {
		pb_text_printf(out, "\n%s\n", c->keys_title);
		pb_options_help(c->keys, NULL, out);
	}
	if (c->flags && c->flags->name) {
		pb_text_string(out, "\noptions\n");
		flag_lines(c->flags, out);
	}
	pb_text_string(out, "\nfor every command\n");
	flag_lines(shared_flags, out);
	pb_text_string(out, "\nexit codes: 0 all done; 1 something failed; 2 usage or configuration; 3 a claim is refuted or a regression was found; 130 interrupted, saved\n");
}

enum pb_status pb_print(const struct pb_text *text, struct pb_error *err)
{
	enum pb_status st = pb_text_check(text, err);

	if (!st && (fwrite(pb_text_c(text), 1, text->length, stdout) != text->length || fflush(stdout) != 0))
		st = pb_fail(err, PB_IO, "stdout: cannot write");
	return st;
}

enum pb_status pb_cli_count(const char *flag, const char *value, uint64_t low, uint64_t high, uint64_t *out, struct pb_error *err)
{
	int64_t n;

	if (!pb_parse_int64(value, &n) || n < 0 || (uint64_t)n < low || (uint64_t)n > high)
		return pb_fail(err, PB_USAGE, "--%s %s: a whole number from %llu to %llu", flag, value, (unsigned long long)low, (unsigned long long)high);
	*out = (uint64_t)n;
	return PB_OK;
}

static enum pb_status parse_when(const char *flag, const char *value, enum pb_when *out, struct pb_error *err)
{
	static const char *const names[] = { "auto", "always", "never" };

	for (int i = 0; i < 3; i++)
		if (strcmp(value, names[i]) == 0) {
			*out = (enum pb_when)i;
			return PB_OK;
		}
	return pb_fail(err, PB_USAGE, "--%s %s: choose one of auto, always, never", flag, value);
}

static enum pb_status append(struct pb_cli *cli, const char ***list, size_t *n, const char *value, struct pb_error *err)
{
	const char **longer = pb_arena_alloc(cli->arena, *n + 2, sizeof(*longer));

	if (!longer)
		return pb_out_of_memory(err, "the command line");
	for (size_t i = 0; i < *n; i++)
		longer[i] = (*list)[i];
	longer[(*n)++] = value;
	*list = longer;
	return PB_OK;
}

static enum pb_status set_shared(struct pb_cli *cli, const char *name, const char *value, bool *help, struct pb_error *err)
{
	uint64_t n;
	enum pb_status st = PB_OK;

	if (strcmp(name, "help") == 0)
		*help = true;
	else if (strcmp(name, "quiet") == 0)
		cli->quiet = true;
	else if (strcmp(name, "verbose") == 0)
		cli->verbosity++;
	else if (strcmp(name, "color") == 0)
		st = parse_when(name, value, &cli->colour, err);
	else if (strcmp(name, "progress") == 0)
		st = parse_when(name, value, &cli->progress, err);
	else if (strcmp(name, "threads") == 0) {
		st = pb_cli_count(name, value, 1, 1024, &n, err);
		if (!st)
			cli->threads = (unsigned)n;
	} else if (strcmp(name, "data") == 0)
		st = append(cli, &cli->folders, &cli->n_folders, value, err);
	else if (strcmp(name, "plugin") == 0)
		st = append(cli, &cli->plugins, &cli->n_plugins, value, err);
	return st;
}

/* getopt's tables out of ours; its own messages are off, ours name the nearest flag. */
static enum pb_status parse_flags(const struct pb_command *c, void *state, struct pb_cli *cli, int argc, char **argv, bool *help, struct pb_error *err)
{
	const struct pb_flag *all[MAX_FLAGS];
	struct option options[MAX_FLAGS + 1];
	const char *names[MAX_FLAGS];
	char letters[2 * MAX_FLAGS + 2] = ":";
	size_t n = 0, n_shared = sizeof(shared_flags) / sizeof(shared_flags[0]) - 1;
	enum pb_status st = PB_OK;
	int got, index;

	for (const struct pb_flag *f = shared_flags; f->name; f++)
		all[n++] = f;
	for (const struct pb_flag *f = c->flags; f && f->name; f++)
		all[n++] = f;
	for (size_t i = 0; i < n; i++) {
		size_t end = strlen(letters);

		options[i] = (struct option){ all[i]->name, all[i]->argument ? required_argument : no_argument, NULL, 1000 + (int)i };
		names[i] = all[i]->name;
		if (all[i]->letter) {
			letters[end] = all[i]->letter;
			letters[end + 1] = all[i]->argument ? ':' : '\0';
			letters[end + 2] = '\0';
		}
	}
	options[n] = (struct option){ 0 };
	opterr = 0;
	while (!st && (got = getopt_long(argc, argv, letters, options, &index)) != -1) {
		/* What a message names: a letter may stand in a cluster, its word is not behind us yet. */
		const char letter[] = { '-', (char)optopt, '\0' };
		const char *typed = (got == '?' || got == ':') && optopt > 0 && optopt < 256 ? letter : argv[optind - 1];
		size_t i = n;

		if (got >= 1000)
			i = (size_t)got - 1000;
		for (size_t k = 0; got < 1000 && k < n; k++)
			if (all[k]->letter == got)
				i = k;
		if (got == ':')
			return pb_fail(err, PB_USAGE, "%s: %s needs a value", c->name, typed);
		if (got == '?' && optopt >= 1000)
			return pb_fail(err, PB_USAGE, "%s: --%s takes no value", c->name, names[optopt - 1000]);
		if (got == '?' || i == n) {
			const char *near = strncmp(typed, "--", 2) == 0 ? pb_nearest(typed + 2, names, n) : NULL;

			return near ? pb_fail(err, PB_USAGE, "%s: unknown option %s; did you mean --%s?", c->name, typed, near)
				: pb_fail(err, PB_USAGE, "%s: unknown option %s\nsee 'paretobench %s --help'", c->name, typed, c->name);
		}
		if (got >= 1000) {
			const char *word = argv[optind - (optarg && optarg == argv[optind - 1] ? 2 : 1)] + 2;

			/* getopt completes what is unambiguous today; a script that relied on it would break with the next option. */
			if (strcspn(word, "=") != strlen(all[i]->name))
				return pb_fail(err, PB_USAGE, "%s: unknown option --%.*s; did you mean --%s?", c->name, (int)strcspn(word, "="), word, all[i]->name);
		}
		if (all[i]->argument && !optarg[0] && (strncmp(all[i]->argument, "DIR", 3) == 0 || strncmp(all[i]->argument, "FILE", 4) == 0))
			return pb_fail(err, PB_USAGE, "%s: --%s: an empty name", c->name, all[i]->name);
		st = i < n_shared ? set_shared(cli, all[i]->name, optarg, help, err) : c->set(state, cli, all[i]->name, optarg, err);
	}
	cli->args = (const char **)argv + optind;
	cli->n_args = (size_t)(argc - optind);
	return st;
}

/* The folders of PB_DATA come after those of --data. */
static enum pb_status add_environment_folders(struct pb_cli *cli, struct pb_error *err)
{
	const char *p = getenv("PB_DATA");
	enum pb_status st = PB_OK;

	while (!st && p && *p) {
		size_t n = strcspn(p, ":");
		const char *folder = pb_arena_strndup(cli->arena, p, n);

		if (!folder)
			return pb_out_of_memory(err, "the command line");
		if (n)
			st = append(cli, &cli->folders, &cli->n_folders, folder, err);
		p += n + (p[n] == ':');
	}
	cli->data = (struct pb_data_path){ .folders = cli->folders, .n = cli->n_folders };
	return st;
}

static enum pb_status run_command(const struct pb_command *c, struct pb_cli *cli, int argc, char **argv, int *code, struct pb_error *err)
{
	void *state = pb_arena_alloc(cli->arena, 1, c->state_size ? c->state_size : 1);
	bool help = false;
	enum pb_status st = state ? parse_flags(c, state, cli, argc, argv, &help, err) : pb_out_of_memory(err, "the command line");

	if (st)
		return st;
	if (help) {
		struct pb_text text = {0};

		pb_command_help(c, &text);
		st = pb_print(&text, err);
		pb_text_free(&text);
		return st;
	}
	pb_log_setup(cli->quiet ? -1 : cli->verbosity);
	cli->log_ready = true;
	if (cli->n_args < c->least || cli->n_args > c->most)
		return pb_fail(err, PB_USAGE, "%s: %s\nusage: paretobench %s%s%s", c->name, cli->n_args < c->least ? "too few arguments" : "too many arguments", c->name,
			c->arguments[0] ? " " : "", c->arguments);
	st = add_environment_folders(cli, err);
	for (size_t i = 0; !st && i < cli->n_plugins; i++)
		st = pb_quantizer_load(cli->plugins[i], err);
	return st ? st : c->run(state, cli, code, err);
}

void pb_overview(struct pb_text *out)
{
	pb_text_printf(out, "paretobench %s: sizes, scores and Pareto fronts of quantized language models\n\nusage: paretobench COMMAND [arguments] [options]\n\n", pb_version());
	for (size_t i = 0; i < pb_n_commands; i++)
		if (!pb_commands[i]->hidden)
			pb_text_printf(out, "  %-10s %s\n", pb_commands[i]->name, pb_commands[i]->summary);
	pb_text_string(out, "\n'paretobench COMMAND --help' tells more; 'paretobench help NAME' explains a quantizer, backend or task.\n");
}

static const struct pb_command *find_command(const char *name, struct pb_error *err)
{
	const char *names[64];
	const char *near;

	for (size_t i = 0; i < pb_n_commands; i++) {
		if (strcmp(pb_commands[i]->name, name) == 0)
			return pb_commands[i];
		names[i] = pb_commands[i]->name;
	}
	near = pb_nearest(name, names, pb_n_commands);
	if (near)
		pb_fail(err, PB_USAGE, "unknown command '%s'; did you mean '%s'?", name, near);
	else
		pb_fail(err, PB_USAGE, "unknown command '%s'\nsee 'paretobench help'", name);
	return NULL;
}

/* As a shell reads it. */
static void append_word(struct pb_text *t, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@%+";

	if (word[0] && word[strspn(word, plain)] == '\0') {
		pb_text_string(t, word);
		return;
	}
	pb_text_char(t, '\'');
	for (; *word; word++)
		if (*word == '\'')
			pb_text_string(t, "'\\''");
		else
			pb_text_char(t, *word);
	pb_text_char(t, '\'');
}

static const char *command_line(struct pb_arena *arena, int argc, char **argv)
{
	struct pb_text line = {0};
	const char *copy;

	pb_text_string(&line, "paretobench");
	for (int i = 1; i < argc; i++) {
		pb_text_char(&line, ' ');
		append_word(&line, argv[i]);
	}
	copy = line.failed ? NULL : pb_arena_strdup(arena, pb_text_c(&line));
	pb_text_free(&line);
	return copy;
}

#ifdef __SANITIZE_ADDRESS__
/* fontconfig keeps what it has loaded to the end of the process. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfontconfig\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}
#endif

/* A caller may have closed them; the next file opened must not become stdout. They stay as good as closed: stdin
 * cannot be read, stdout and stderr cannot be written. */
static void keep_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			_exit(1);
}

int main(int argc, char **argv)
{
	struct pb_error err = {0};
	struct pb_cli cli = { .arena = pb_arena_new() };
	const struct pb_command *command = NULL;
	enum pb_status st = PB_OK;
	int code = 0;

	keep_standard_descriptors();
	/* A file that grows over its limit is a failed write with a message, not the end of the program. */
	signal(SIGXFSZ, SIG_IGN);
	if (!cli.arena || !(cli.program = command_line(cli.arena, argc, argv))) {
		st = pb_out_of_memory(&err, "the command line");
	} else if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		struct pb_text text = {0};

		pb_overview(&text);
		st = pb_print(&text, &err);
		pb_text_free(&text);
		code = argc < 2 ? 2 : 0;
	} else if (strcmp(argv[1], "--version") == 0) {
		argv[1] = "version";
	}
	if (!st && argc >= 2 && argv[1][0] != '-') {
		command = find_command(argv[1], &err);
		st = command ? run_command(command, &cli, argc - 1, argv + 1, &code, &err) : PB_USAGE;
	} else if (!st && argc >= 2 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0) {
		st = pb_fail(&err, PB_USAGE, "unknown option '%s'\nsee 'paretobench --help'", argv[1]);
	}
	if (st) {
		if (!cli.log_ready)
			pb_log_setup(0);
		pb_log_failure(&err);
		code = pb_status_exit(st);
	}
	pb_arena_free(cli.arena);
	return code;
}
