/* Models as arguments of commands. */
#include <string.h>
#include "harness/cli/cli.h"
#include "harness/run/zoo.h"

enum pb_status pb_cli_model(struct pb_cli *cli, const char *name, const char *tokenizer, struct pb_sweep_model *out, struct pb_error *err)
{
	enum pb_status st;

	memset(out, 0, sizeof(*out));
	st = pb_find_model(cli->arena, name, NULL, &cli->data, &out->path, err);
	if (!st && tokenizer)
		st = pb_find_file(cli->arena, tokenizer, NULL, &cli->data, &out->tokenizer, err);
	return st;
}

enum pb_status pb_cli_pool(const struct pb_cli *cli, struct pb_pool **pool, struct pb_error *err)
{
	return pb_pool_new(pool, cli->threads ? cli->threads : pb_cpu_count(), err);
}

enum pb_status pb_cli_workspace(struct pb_cli *cli, const char *tokenizer, struct pb_opened *out, struct pb_error *err)
{
	enum pb_status st;

	memset(out, 0, sizeof(*out));
	st = pb_cli_model(cli, cli->args[0], tokenizer, &out->spec, err);
	if (!st)
		st = pb_cli_pool(cli, &out->pool, err);
	return st ? st : pb_workspace_new(&out->workspace, out->pool, &cli->data, err);
}

enum pb_status pb_cli_open(struct pb_cli *cli, const char *tokenizer, struct pb_opened *out, struct pb_error *err)
{
	enum pb_status st = pb_cli_workspace(cli, tokenizer, out, err);

	return st ? st : pb_workspace_model(out->workspace, &out->spec, &out->model, err);
}

void pb_cli_close(struct pb_opened *opened)
{
	pb_model_close(opened->trained);
	pb_workspace_free(opened->workspace);
	pb_pool_free(opened->pool);
}
