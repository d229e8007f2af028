/* paretobench world: the micro world's texts, tokenizer and tasks. */
#include <math.h>
#include <string.h>
#include "harness/cli/cli.h"
#include "tasks/world/world.h"

struct world_state {
	uint64_t seed;
	const char *size, *folder;
};

static const struct pb_flag flags[] = {
	{ "output", 'o', "DIR", "where the folder world/ is made" },
	{ "seed", 0, "N", "another seed is another world (default: 0)" },
	{ "size", 0, "SIZE", "small, medium or large (default: large, that of the micro models)" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status world_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct world_state *s = state;

	(void)cli;
	if (strcmp(name, "seed") == 0)
		return pb_cli_count(name, value, 0, INT64_MAX, &s->seed, err);
	if (strcmp(name, "size") == 0) {
		if (!pb_world_size_find(value))
			return pb_fail(err, PB_USAGE, "--size %s: choose one of small, medium, large", value);
		s->size = value;
	} else {
		s->folder = value;
	}
	return PB_OK;
}

static void put_share(struct pb_text *out, double value)
{
	if (isnan(value))
		pb_text_string(out, "       n/a");
	else
		pb_text_printf(out, "%10.3f", value);
}

static void put_report(const struct pb_world *world, const char *folder, struct pb_text *out)
{
	for (int i = 0; i < PB_WORLD_FILES; i++) {
		char size[32];

		pb_format_size(size, (double)world->files[i].text.length);
		pb_text_printf(out, "%s/world/%-16s %s\n", folder, world->files[i].name, size);
	}
	pb_text_printf(out, "\n%u facts. What scores without knowledge:\n%-16s %6s%10s%10s%10s%10s\n", world->n_facts, "task", "items", "chance", "position", "length", "unigram");
	for (int i = 0; i < PB_WORLD_CHEATS; i++) {
		const struct pb_world_cheat *c = &world->cheats[i];

		pb_text_printf(out, "%-16s %6u", c->task, c->n_items);
		put_share(out, c->chance);
		put_share(out, c->position);
		put_share(out, c->length);
		put_share(out, c->unigram);
		pb_text_char(out, '\n');
	}
}

static enum pb_status world_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	const struct world_state *s = state;
	struct pb_world world = {0};
	struct pb_text report = {0};
	enum pb_status st;

	(void)code;
	if (!s->folder)
		return pb_fail(err, PB_USAGE, "world: name a folder with -o DIR");
	st = pb_world_make(&world, s->seed, pb_world_size_find(s->size ? s->size : "large"), err);
	if (!st)
		st = pb_world_write(&world, s->folder, err);
	if (!st && !cli->quiet) {
		put_report(&world, s->folder, &report);
		st = pb_print(&report, err);
	}
	pb_text_free(&report);
	pb_world_free(&world);
	return st;
}

const struct pb_command pb_cmd_world = {
	.name = "world",
	.arguments = "",
	.summary = "write the micro world: texts, a tokenizer and tasks of its own",
	.help = "Writes the micro world into DIR/world/: train.txt, validation.txt, test.txt and calibration.txt, where a line is a\n"
		"document; tokenizer.json, made from train.txt; and a file for each of the tasks world_facts, world_agreement,\n"
		"world_cloze, world_story and world_yesno (world_ppl reads test.txt). Give --data DIR to run them. All follows from\n"
		"seed and size; world.json holds hashes and the scores of three cheats that know nothing.",
	.flags = flags,
	.set = world_set,
	.state_size = sizeof(struct world_state),
	.run = world_run,
};
