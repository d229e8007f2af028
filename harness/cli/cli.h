/* Subcommands: each is one file that ends in one constant struct; main.c is their table. */
#ifndef PB_HARNESS_CLI_CLI_H
#define PB_HARNESS_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include "core/base/memory.h"
#include "core/base/status.h"
#include "core/base/text.h"
#include "harness/run/cell.h"
#include "harness/run/progress.h"

struct pb_flag {
	const char *name;           /* "--name"; NULL ends the table */
	char letter;                /* "-n"; 0: none */
	const char *argument;       /* "N", "DIR"; NULL: a switch */
	const char *help;
};

/* What every command shares, after parsing. */
struct pb_cli {
	struct pb_arena *arena;
	const char *program;        /* whole command line, for records */
	int verbosity;
	bool quiet;
	bool log_ready;             /* the log is set up, with the verbosity asked for */
	enum pb_when colour, progress;
	unsigned threads;           /* 0: not given */
	const char **folders;       /* --data, then PB_DATA */
	const char **plugins;
	size_t n_folders, n_plugins;
	struct pb_data_path data;
	const char **args;          /* positional */
	size_t n_args;
};

struct pb_command {
	const char *name, *arguments;   /* "run", "SWEEP.yaml" */
	const char *summary;            /* one line */
	const char *help;               /* paragraphs for --help */
	const struct pb_option *keys;   /* of a file that it reads; or NULL */
	const char *keys_title;
	const struct pb_flag *flags;
	size_t least, most;             /* positional arguments */
	bool hidden;
	/* A flag of the command; value NULL for a switch. `state` is a cleared block of state_size bytes. */
	enum pb_status (*set)(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err);
	size_t state_size;
	/* *code: the exit code when PB_OK; it is 0 before. */
	enum pb_status (*run)(void *state, struct pb_cli *cli, int *code, struct pb_error *err);
};

extern const struct pb_command pb_cmd_run, pb_cmd_rows, pb_cmd_report, pb_cmd_compare, pb_cmd_verify, pb_cmd_fit, pb_cmd_eval, pb_cmd_quantize, pb_cmd_inspect, pb_cmd_tokenize, pb_cmd_logits,
	pb_cmd_counters, pb_cmd_world, pb_cmd_train, pb_cmd_list, pb_cmd_help, pb_cmd_version, pb_cmd_doctor, pb_cmd_worker;
extern const struct pb_command *const pb_commands[];
extern const size_t pb_n_commands;

void pb_overview(struct pb_text *out);       /* all commands, one line each */
void pb_command_help(const struct pb_command *command, struct pb_text *out);

/* Output to stdout, checked: a full disk or a closed pipe is an error. */
enum pb_status pb_print(const struct pb_text *text, struct pb_error *err) PB_MUST_CHECK;

/* Numbers of flags. */
enum pb_status pb_cli_count(const char *flag, const char *value, uint64_t low, uint64_t high, uint64_t *out, struct pb_error *err) PB_MUST_CHECK;

/* A model argument with its tokenizer flag; looked for as given and in the data folders. */
enum pb_status pb_cli_model(struct pb_cli *cli, const char *name, const char *tokenizer, struct pb_sweep_model *out, struct pb_error *err) PB_MUST_CHECK;

/* The first argument as an opened model, with what works on it; all values finite. */
struct pb_opened {
	struct pb_sweep_model spec;
	struct pb_pool *pool;
	struct pb_workspace *workspace;
	struct pb_model *model;     /* the workspace's */
	struct pb_model *trained;   /* by pb_cli_quantize, for a method that is trained; else NULL */
};
enum pb_status pb_cli_open(struct pb_cli *cli, const char *tokenizer, struct pb_opened *out, struct pb_error *err) PB_MUST_CHECK;
/* All but the model itself: it is opened when it is asked for. */
enum pb_status pb_cli_workspace(struct pb_cli *cli, const char *tokenizer, struct pb_opened *out, struct pb_error *err) PB_MUST_CHECK;
void pb_cli_close(struct pb_opened *opened);    /* also after a failed open */

/* Flags of the commands that quantize: their rows in the command's table, and their values as typed. */
#define PB_METHOD_DATA_FLAGS \
	{ "calibration", 0, "FILE", "a text for methods that need data, `world_calib`, or ready tensors (.safetensors)" }, \
	{ "n-samples", 0, "N", "calibration samples (default: 128)" }, \
	{ "seq-len", 0, "N", "tokens of a sample (default: 2048, or the context when that is less)" }, \
	{ "calibration-seed", 0, "N", "of the draw of the samples (default: 0)" }, \
	{ "calibration-format", 0, "FORMAT", "of the text: lines, text, documents, or auto, by its name (default)" }, \
	{ "training", 0, "FILE", "a text for methods that are trained, or `world_train`" }, \
	{ "training-format", 0, "FORMAT", "of that text, as above" }, \
	{ "trained", 0, "DIR", "folder of trained models, which the same command goes on with (default: out/trained)" }
struct pb_cli_method_data {
	const char *data, *n_samples, *seq_len, *seed, *format, *training, *training_format, *trained;
	/* Filled by pb_cli_method_data_find. */
	const struct pb_calibration_spec *calibration_spec;     /* NULL when no data were named */
	const struct pb_training_spec *training_spec;           /* the same */
};
/* Whether the flag is one of them; then its value is kept. */
bool pb_cli_method_data_set(struct pb_cli_method_data *d, const char *name, const char *value);
enum pb_status pb_cli_method_data_find(struct pb_cli *cli, struct pb_cli_method_data *d, struct pb_error *err) PB_MUST_CHECK;
/* Quantizes the opened model; a method that is trained gives another one, opened->trained. */
enum pb_status pb_cli_quantize(struct pb_cli *cli, struct pb_opened *opened, const struct pb_quantizer_use *use, int64_t seed, const struct pb_cli_method_data *d,
	struct pb_error *err) PB_MUST_CHECK;

/* What a command shows of a cell or a training: for a terminal, unless --progress says it. */
void pb_cli_stages_begin(const struct pb_cli *cli, struct pb_progress *p);
int pb_cli_stage(void *progress, const char *stage, double done);

/* A pool of --threads threads (default: all processors). */
enum pb_status pb_cli_pool(const struct pb_cli *cli, struct pb_pool **pool, struct pb_error *err) PB_MUST_CHECK;

#endif
