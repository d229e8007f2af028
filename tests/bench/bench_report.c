/* Time, memory and size of the report of a large run.
 *
 *   bench_report [-n ROWS] FOLDER      ROWS: 35000; the pages stay in FOLDER
 *
 * Twenty models of one family, settings as many as it takes, seven tasks; sizes, accuracies and errors as of a real run, with
 * some failed cells and six counters a row; pages of twelve methods and nine widths. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "reports/report.h"

#define MODELS 20
#define TASKS 7

static struct pb_error err;

static void give_up(void)
{
	fprintf(stderr, "bench_report: %s\n", err.text);
	exit(1);
}

static double now(clockid_t which)
{
	struct timespec t;
	clock_gettime(which, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const char *text(struct pb_rows *rows, const char *format, ...) PB_PRINTF(2, 3);
static const char *text(struct pb_rows *rows, const char *format, ...)
{
	char buffer[128];
	va_list args;
	va_start(args, format);
	vsnprintf(buffer, sizeof buffer, format, args);
	va_end(args);
	return pb_rows_string(rows, buffer);
}

static void fill(struct pb_rows *rows, size_t n)
{
	static const char *const tasks[TASKS] = { "world_facts", "world_agreement", "world_cloze", "world_story", "world_yesno", "world_ppl", "weights" };
	static const char *const families[] = { "k-bit", "SqueezeLLM", "VPTQ", "ParetoQ", "OneBit", "other" };
	struct pb_rng rng = pb_rng_make(1, 35000);
	for (size_t i = 0; i < n; i++) {
		size_t task = i % TASKS, model = i / TASKS % MODELS, setting = i / TASKS / MODELS;
		struct pb_row *r = pb_rows_add(rows, &err);
		if (!r)
			give_up();
		const double params = 25000.0 * pow(1.3, (double)model), bits = 1.0 + (double)(setting % 29) * 0.25;
		r->run = "large";
		r->cell = text(rows, "%016zx%016zx", model, setting);
		r->model = text(rows, "toy-%.0fK", params / 1000.0);
		r->model_hash = text(rows, "%064zx", model);
		r->family = setting == 0 ? "full precision" : families[setting % 6];
		r->quantizer = setting == 0 ? "identity" : text(rows, "method-%02zu", setting % 12);
		r->label = setting == 0 ? "identity" : text(rows, "method %zu w%.2f", setting, bits);
		r->options = "{}";
		r->params = (int64_t)params;
		r->wbits = setting == 0 ? 16.0 : ceil(bits);
		r->effective_bits = setting == 0 ? 16.0 : bits + 0.01 * (double)(setting % 7);
		r->weight_bytes = (int64_t)(params * r->effective_bits / 8.0);
		r->model_bytes = r->weight_bytes + (int64_t)(params * 0.1);
		r->size_convention = "packed";
		r->backend = "blas";
		r->kernel = "decoded";
		r->task = tasks[task];
		r->task_hash = text(rows, "%064zx", task);
		r->protocol = "harness";
		r->seed = 0;
		r->version = "0.1.0";
		r->machine = "a machine";
		r->started_utc = "2026-01-01T00:00:00Z";
		if (setting % 97 == 13) {
			r->status = PB_ROW_FAILED;
			r->reason = "method: out of time";
			continue;
		}
		r->status = PB_ROW_OK;
		r->n = 1000;
		double loss = 0.4 + 20.0 * pow(params, -0.25) + 4.0 * exp2(-1.5 * bits) + 0.02 * pb_rng_unit(&rng);
		r->metric = task == 5 ? "ppl_token" : task == 6 ? "relative_l1" : "acc";
		r->higher_is_better = task < 5;
		r->value = task == 5 ? exp(loss) : task == 6 ? exp2(-bits) : 0.25 + 0.75 * exp(-loss);
		r->stderr_value = task < 5 ? sqrt(r->value * (1.0 - r->value) / 1000.0) : 0.01 * r->value;
		r->chance = task < 5 ? 0.25 : NAN;
		r->quantize_seconds = 0.1 + pb_rng_unit(&rng);
		r->eval_seconds = 1.0 + pb_rng_unit(&rng);
		r->peak_rss_bytes = 100000000 + (int64_t)(1e8 * pb_rng_unit(&rng));
		r->counters = json_pack("{s:{s:f,s:s}, s:{s:f,s:s}, s:{s:n,s:s}, s:{s:n,s:s}, s:{s:f,s:s}, s:{s:I,s:s}}", "cpu_seconds", "value", 1.0, "unit", "s", "user_seconds", "value", 0.9,
			"unit", "s", "cycles", "value", "note", "no PMU in this VM", "instructions", "value", "note", "no PMU in this VM", "task_clock", "value", 1.1, "unit", "s", "page_faults", "value",
			(json_int_t)(i % 5000), "unit", "1");
	}
	pb_rows_sort(rows);
}

int main(int argc, char **argv)
{
	size_t n = 35000;
	if (argc == 4 && strcmp(argv[1], "-n") == 0)
		n = (size_t)strtoull(argv[2], NULL, 10);
	else if (argc != 2) {
		fprintf(stderr, "use: bench_report [-n ROWS] FOLDER\n");
		return 2;
	}
	const char *folder = argv[argc - 1];
	struct pb_rows rows;
	pb_rows_init(&rows);
	fill(&rows, n);
	const struct pb_fact facts[] = { { "name", "large" }, { "created_utc", "2026-01-01T00:00:00Z" }, { "version", "0.1.0" } };
	const struct pb_report_input input = { .title = "large", .rows = &rows, .facts = facts, .n_facts = 3, .created_utc = "2026-01-01T00:00:00Z" };
	char *page = NULL;
	double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	if (pb_report_write(&input, folder, &page, &err) != PB_OK)
		give_up();
	wall = now(CLOCK_MONOTONIC) - wall;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	struct rusage usage;
	struct stat page_stat = { 0 };
	getrusage(RUSAGE_SELF, &usage);
	(void)stat(page, &page_stat);
	printf("%zu rows: %.1f s wall, %.1f s of processor, %.0f MiB peak, %s of %.1f MiB\n", n, wall, cpu, (double)usage.ru_maxrss / 1024.0, page,
		(double)page_stat.st_size / 1048576.0);
	pb_free(page);
	pb_rows_free(&rows);
	return 0;
}
