#include "reports/claims/claims.h"

#include <string.h>
#include "core/base/file.h"
#include "core/base/text.h"

#define FILE_LIMIT (8u << 20)
#define MOST_SELECTIONS 32

const char *pb_verdict_name(enum pb_verdict verdict)
{
	static const char *const names[PB_VERDICTS] = { "HOLDS", "FAILS", "DEPENDS", "UNTESTABLE" };

	return names[verdict];
}

enum pb_status pb_claims_init(struct pb_claims *claims, struct pb_error *err)
{
	*claims = (struct pb_claims){ .arena = pb_arena_new() };
	pb_numbers_init(&claims->numbers);
	return claims->arena ? PB_OK : pb_out_of_memory(err, "the claims");
}

void pb_claims_free(struct pb_claims *claims)
{
	for (size_t i = 0; i < claims->n_files; i++)
		pb_yaml_free(claims->files[i]);
	pb_free(claims->files);
	pb_free(claims->claims);
	pb_numbers_free(&claims->numbers);
	pb_arena_free(claims->arena);
	*claims = (struct pb_claims){ 0 };
}

struct pb_claim *pb_claims_find(const struct pb_claims *claims, const char *id)
{
	for (size_t i = 0; i < claims->n; i++)
		if (strcmp(claims->claims[i].id, id) == 0)
			return &claims->claims[i];
	return NULL;
}

/* ---- one claim ---- */

struct reader {
	struct pb_claims *claims;
	struct pb_error *err;
};

/* A text that stands in one line or more; never empty. */
static enum pb_status text_of(struct reader *r, const struct pb_yaml *map, const char *key, bool needed, const char **out)
{
	const struct pb_yaml *node = pb_yaml_get(map, key);
	enum pb_status st;

	*out = "";
	if (!node)
		return needed ? pb_yaml_fail(map, r->err, "a claim needs %s", key) : PB_OK;
	st = pb_yaml_string(node, out, r->err);
	return st ? st : (*out)[0] ? PB_OK : pb_yaml_fail(node, r->err, "%s is empty", key);
}

static bool is_name(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	static const char *const words[] = { "and", "or", "not", "by", "if" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(s, words[i]) == 0)
			return false;
	return strspn(s, letters) > 0 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == strlen(s);
}

static enum pb_status read_rows(struct reader *r, const struct pb_yaml *map, struct pb_claim *c)
{
	const struct pb_yaml *rows = pb_yaml_get(map, "rows");
	struct pb_selection *selections;
	enum pb_status st = PB_OK;

	if (!rows)
		return PB_OK;
	if (rows->kind != PB_YAML_MAP || rows->n > MOST_SELECTIONS)
		return pb_yaml_fail(rows, r->err, "rows is {name: ids or conditions, ...}, at most %d of them", MOST_SELECTIONS);
	if (!(selections = pb_arena_alloc(r->claims->arena, rows->n + 1, sizeof(*selections))))
		return pb_out_of_memory(r->err, "the claims");
	for (size_t i = 0; !st && i < rows->n; i++) {
		if (!is_name(rows->keys[i]))
			return pb_yaml_fail(rows->key_nodes[i], r->err, "'%s' is not a name for rows: letters, digits and _, and no word of the language", rows->keys[i]);
		selections[i].name = rows->keys[i];
		st = pb_select(&selections[i], rows->values[i], &r->claims->numbers, r->claims->arena, r->err);
	}
	c->scope.selections = selections;
	c->scope.n_selections = rows->n;
	return st;
}

static enum pb_status read_expression(struct reader *r, const struct pb_yaml *node, const struct pb_claim *c, const char **text, const struct pb_expression **out)
{
	struct pb_error why = {0};
	enum pb_status st = pb_yaml_string(node, text, r->err);

	if (st)
		return st;
	st = pb_expression_parse(out, *text, &c->scope, r->claims->arena, &why);
	if (st == PB_USAGE)
		return pb_yaml_fail(node, r->err, "%s", why.text);
	return st ? pb_fail(r->err, st, "%s", why.text) : PB_OK;
}

/* A definition can name the ones before it. */
static enum pb_status read_definitions(struct reader *r, const struct pb_yaml *map, struct pb_claim *c)
{
	const struct pb_yaml *let = pb_yaml_get(map, "let");
	struct pb_definition *definitions;
	const char *text;
	enum pb_status st = PB_OK;

	if (!let)
		return PB_OK;
	if (let->kind != PB_YAML_MAP || let->n > PB_MOST_DEFINITIONS)
		return pb_yaml_fail(let, r->err, "let is {name: expression, ...}, at most %d of them", PB_MOST_DEFINITIONS);
	if (!(definitions = pb_arena_alloc(r->claims->arena, let->n + 1, sizeof(*definitions))))
		return pb_out_of_memory(r->err, "the claims");
	c->scope.definitions = definitions;
	for (size_t i = 0; !st && i < let->n; i++) {
		if (!is_name(let->keys[i]))
			return pb_yaml_fail(let->key_nodes[i], r->err, "'%s' is not a name: letters, digits and _, and no word of the language", let->keys[i]);
		for (size_t k = 0; k < c->scope.n_selections; k++)
			if (strcmp(c->scope.selections[k].name, let->keys[i]) == 0)
				return pb_yaml_fail(let->key_nodes[i], r->err, "'%s' is the name of rows already", let->keys[i]);
		st = read_expression(r, let->values[i], c, &text, &definitions[i].expression);
		definitions[i].name = let->keys[i];
		c->scope.n_definitions++;
	}
	return st;
}

static enum pb_status read_test(struct reader *r, const struct pb_yaml *node, const struct pb_claim *c, bool beside, struct pb_claim_test *t)
{
	static const char *const keys[] = { "that", "is", "reading", NULL }, *const beside_keys[] = { "that", "is", NULL };
	const struct pb_yaml *is = node->kind == PB_YAML_MAP ? pb_yaml_get(node, "is") : NULL;
	enum pb_status st;

	if (!is || !pb_yaml_get(node, "that"))
		return pb_yaml_fail(node, r->err, "a test is {that: in words, is: expression}");
	st = pb_yaml_check_keys(node, beside ? beside_keys : keys, r->err);
	if (!st)
		st = text_of(r, node, "that", true, &t->that);
	if (!st)
		st = text_of(r, node, "reading", false, &t->reading);
	if (!st)
		st = read_expression(r, is, c, &t->text, &t->expression);
	if (!st && !t->reading[0])
		t->reading = NULL;
	return st;
}

static enum pb_status read_tests(struct reader *r, const struct pb_yaml *map, const struct pb_claim *c, const char *key, struct pb_claim_test **out, size_t *n)
{
	const struct pb_yaml *list = pb_yaml_get(map, key);
	enum pb_status st = PB_OK;

	if (!list)
		return PB_OK;
	if (list->kind != PB_YAML_LIST || list->n == 0)
		return pb_yaml_fail(list, r->err, "%s is a list of {that: in words, is: expression}", key);
	if (!(*out = pb_arena_alloc(r->claims->arena, list->n, sizeof(**out))))
		return pb_out_of_memory(r->err, "the claims");
	for (size_t i = 0; !st && i < list->n; i++)
		st = read_test(r, list->values[i], c, strcmp(key, "beside") == 0, &(*out)[i]);
	*n = list->n;
	return st;
}

static enum pb_status read_verdict(struct reader *r, const struct pb_yaml *map, struct pb_claim *c)
{
	const struct pb_yaml *node = pb_yaml_get(map, "verdict");

	if (!node || node->kind != PB_YAML_SCALAR)
		return pb_yaml_fail(map, r->err, "a claim needs the verdict that is expected");
	for (int v = 0; v < PB_VERDICTS; v++)
		if (strcmp(node->text, pb_verdict_name((enum pb_verdict)v)) == 0) {
			c->expected = (enum pb_verdict)v;
			return PB_OK;
		}
	return pb_yaml_fail(node, r->err, "a verdict is HOLDS, FAILS, DEPENDS or UNTESTABLE, not '%s'", node->text);
}

static enum pb_status read_run(struct reader *r, const struct pb_yaml *run, struct pb_claim *c)
{
	enum pb_status st;

	c->how = "";
	if (!run)
		return PB_OK;
	st = pb_claim_comparison_parse(&c->comparison, &c->has_comparison, run, r->err);
	if (!st)
		c->how = pb_yaml_get(run, "how")->text;
	return st;
}

static bool is_id(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n > 0 && n <= 64 && s[n] == '\0';
}

static enum pb_status read_claim(struct reader *r, const struct pb_yaml *node, struct pb_claim *c)
{
	static const char *const keys[] = { "id", "statement", "source", "rows", "let", "test", "beside", "untestable", "verdict", "protocol", "note", "run", NULL };
	enum pb_status st;

	*c = (struct pb_claim){ .file = node->file, .line = node->line, .scope = { .shapes = &r->claims->shapes }, .reason = "" };
	if (node->kind != PB_YAML_MAP)
		return pb_yaml_fail(node, r->err, "a claim is {id, statement, source, rows, test, verdict, ...}");
	st = pb_yaml_check_keys(node, keys, r->err);
	if (!st)
		st = text_of(r, node, "id", true, &c->id);
	if (!st && !is_id(c->id))
		st = pb_yaml_fail(pb_yaml_get(node, "id"), r->err, "the id of a claim is 1 to 64 letters, digits, '.', '_' or '-'");
	if (!st)
		st = text_of(r, node, "statement", true, &c->statement);
	if (!st)
		st = text_of(r, node, "source", true, &c->source);
	if (!st)
		st = text_of(r, node, "protocol", false, &c->protocol);
	if (!st)
		st = text_of(r, node, "note", false, &c->note);
	if (!st)
		st = text_of(r, node, "untestable", false, &c->untestable);
	if (!st)
		st = read_verdict(r, node, c);
	if (!st)
		st = read_rows(r, node, c);
	if (!st)
		st = read_definitions(r, node, c);
	if (!st)
		st = read_tests(r, node, c, "test", &c->tests, &c->n_tests);
	if (!st)
		st = read_tests(r, node, c, "beside", &c->beside, &c->n_beside);
	if (st)
		return st;
	if (!c->untestable[0])
		c->untestable = NULL;
	if (pb_claims_find(r->claims, c->id))
		return pb_yaml_fail(pb_yaml_get(node, "id"), r->err, "a claim %s is there already, at %s:%u", c->id, pb_claims_find(r->claims, c->id)->file, pb_claims_find(r->claims, c->id)->line);
	if (!c->untestable == !c->n_tests)
		return pb_yaml_fail(node, r->err, "a claim has either test, or untestable with what is not published");
	return read_run(r, pb_yaml_get(node, "run"), c);
}

static enum pb_status add_claims(struct pb_claims *claims, const struct pb_yaml *root, struct pb_error *err)
{
	struct reader r = { claims, err };
	enum pb_status st = PB_OK;

	if (root->kind != PB_YAML_LIST)
		return pb_yaml_fail(root, err, "a file of claims is a list of them");
	for (size_t i = 0; !st && i < root->n; i++) {
		if (claims->n == claims->capacity) {
			size_t larger = claims->capacity ? 2 * claims->capacity : 64;
			struct pb_claim *grown = pb_realloc(claims->claims, larger, sizeof(*grown));

			if (!grown)
				return pb_out_of_memory(err, "the claims");
			claims->claims = grown;
			claims->capacity = larger;
		}
		st = read_claim(&r, root->values[i], &claims->claims[claims->n]);
		if (!st)
			claims->n++;
	}
	return st;
}

/* The tree stays: texts of claims belong to it. */
static enum pb_status parse(struct pb_claims *claims, const char *name, const char *data, size_t size, const struct pb_yaml **root, struct pb_error *err)
{
	struct pb_yaml_file **files = pb_realloc(claims->files, claims->n_files + 1, sizeof(struct pb_yaml_file *));
	enum pb_status st;

	if (!files)
		return pb_out_of_memory(err, "the claims");
	claims->files = files;
	if ((st = pb_yaml_parse(&files[claims->n_files], name, data, size, err)))
		return st;
	*root = pb_yaml_root(files[claims->n_files++]);
	return PB_OK;
}

enum pb_status pb_claims_parse(struct pb_claims *claims, const char *name, const char *data, size_t size, struct pb_error *err)
{
	const struct pb_yaml *root;
	enum pb_status st = parse(claims, name, data, size, &root, err);

	return st ? st : add_claims(claims, root, err);
}

static enum pb_status read_tree(struct pb_claims *claims, const char *path, const struct pb_yaml **root, struct pb_error *err)
{
	char *data = NULL;
	size_t size = 0;
	enum pb_status st = pb_file_read(path, FILE_LIMIT, &data, &size, err);

	if (!st)
		st = parse(claims, path, data, size, root, err);
	pb_free(data);
	return st;
}

enum pb_status pb_claims_add(struct pb_claims *claims, const char *path, struct pb_error *err)
{
	const struct pb_yaml *root;
	enum pb_status st = read_tree(claims, path, &root, err);

	return st ? st : add_claims(claims, root, err);
}

/* ---- the folder ---- */

static enum pb_status read_each(struct pb_claims *claims, const char *folder, const struct pb_yaml *index, const char *key, bool numbers, struct pb_error *err)
{
	const struct pb_yaml *list = pb_yaml_get(index, key);
	enum pb_status st = PB_OK;

	if (!list || list->kind != PB_YAML_LIST)
		return pb_yaml_fail(list ? list : index, err, "%s: a list of files", key);
	for (size_t i = 0; !st && i < list->n; i++) {
		const char *name;
		char *path;

		if ((st = pb_yaml_file_name(list->values[i], "a file", &name, err)))
			return st;
		if (!(path = pb_path_join(folder, name)))
			return pb_out_of_memory(err, "the claims");
		st = numbers ? pb_numbers_read(&claims->numbers, path, err) : pb_claims_add(claims, path, err);
		pb_free(path);
	}
	return st;
}

static enum pb_status read_shapes(struct pb_claims *claims, const char *folder, const struct pb_yaml *index, struct pb_error *err)
{
	const struct pb_yaml *node = pb_yaml_get(index, "shapes"), *root;
	const char *name;
	char *path;
	enum pb_status st = node ? pb_yaml_file_name(node, "a file", &name, err) : pb_yaml_fail(index, err, "shapes: a file");

	if (st)
		return st;
	if (!(path = pb_path_join(folder, name)))
		return pb_out_of_memory(err, "the claims");
	st = read_tree(claims, path, &root, err);
	pb_free(path);
	return st ? st : pb_shapes_parse(&claims->shapes, root, claims->arena, err);
}

enum pb_status pb_claims_read(struct pb_claims *claims, const char *folder, const char *const *more, size_t n_more, struct pb_error *err)
{
	static const char *const keys[] = { "numbers", "shapes", "claims", NULL };
	const struct pb_yaml *index = NULL;
	char *path = pb_path_join(folder, "index.yaml");
	enum pb_status st = path ? read_tree(claims, path, &index, err) : pb_out_of_memory(err, "the claims");

	pb_free(path);
	if (!st && index->kind != PB_YAML_MAP)
		st = pb_yaml_fail(index, err, "an index of claims is {numbers, shapes, claims}");
	if (!st)
		st = pb_yaml_check_keys(index, keys, err);
	if (!st)
		st = read_each(claims, folder, index, "numbers", true, err);
	for (size_t i = 0; !st && i < n_more; i++)
		st = pb_numbers_read(&claims->numbers, more[i], err);
	if (!st)
		st = read_shapes(claims, folder, index, err);
	return st ? st : read_each(claims, folder, index, "claims", false, err);
}
