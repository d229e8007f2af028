#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "reports/claims/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char numbers[] =
	"id,source,table,kind,model,params,method,wbits,effective_bits,group,task,ctx,shots,metric,value,error,unit,higher_is_better,note\n"
	"A-1,paper,T1,table,LLaMA-7B,7000000000,ours,2,2.02,N0;v6-k4096;g1,piqa,2048,0,accuracy,50.0,,%,1,stderr 0.1\n"
	"A-2,paper,T1,table,LLaMA-7B,7000000000,gguf-Q4_K_M,4,,,boolq,,,accuracy,62.2,,%,1,\n"
	"A-3,paper,F1,digitised,OPT-13B,13000000000,theirs,2,2.25,,boolq,,,accuracy,55.1,0.2,%,1,\n"
	"A-4,paper,T2,table,OPT-13B,13000000000,broken,2,,,wikitext2,,,perplexity,,,ppl,0,printed as NaN\n";
static const char shapes[] = "- {names: [LLaMA-7B], hidden: 4096, layers: 32, heads: 32, kv_heads: 32, head_dim: 128, ffn: 11008, vocab: 32000}\n";

/* A file of claims that is read is judged and printed in every form. When it is no file of claims, its text is an expression. */
static void use(struct pb_claims *claims)
{
	struct pb_claim *chosen[16];
	struct pb_verdicts v = { chosen, 0 };
	struct pb_text out = {0};
	struct pb_error err;

	for (size_t i = 0; i < claims->n && v.n < 16; i++)
		if (pb_claim_judge(claims, &claims->claims[i], &err) == PB_OK)
			chosen[v.n++] = &claims->claims[i];
	if (pb_verdicts_table(&v, true, &out, &err) || pb_verdicts_markdown(&v, true, &out, &err) || pb_verdicts_json(&v, &out, &err))
		__builtin_trap();
	pb_text_free(&out);
}

static void evaluate(struct pb_claims *claims, const char *data, size_t size)
{
	static const char scope[] = "- {id: X, statement: s, source: s, verdict: HOLDS, rows: {a: A-1 A-2, b: A-3, c: A-4, all: {id: '*'}}, let: {d: a - 1}, test: [{that: t, is: 1 < 2}]}";
	const struct pb_expression *e;
	struct pb_value v;
	struct pb_text out = {0};
	struct pb_error err;
	char *text = pb_arena_strndup(claims->arena, data, size);

	if (!text || pb_claims_parse(claims, "scope", scope, sizeof(scope) - 1, &err))
		return;
	if (pb_expression_parse(&e, text, &claims->claims[claims->n - 1].scope, claims->arena, &err) == PB_OK
		&& pb_expression_value(e, &claims->claims[claims->n - 1].scope, claims->arena, &v, &err) == PB_OK) {
		pb_value_text(&v, &out);
		if (pb_expression_explain(e, &claims->claims[claims->n - 1].scope, claims->arena, &out, &err) && err.status == PB_MEMORY)
			__builtin_trap();
	}
	pb_text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_claims claims;
	struct pb_error err;
	struct pb_yaml_file *file = NULL;

	if (pb_claims_init(&claims, &err) || pb_numbers_parse(&claims.numbers, "numbers", numbers, sizeof(numbers) - 1, &err) || pb_yaml_parse(&file, "shapes", shapes, sizeof(shapes) - 1, &err)
		|| pb_shapes_parse(&claims.shapes, pb_yaml_root(file), claims.arena, &err))
		__builtin_trap();
	if (pb_claims_parse(&claims, "fuzz", (const char *)data, size, &err) == PB_OK)
		use(&claims);
	else
		evaluate(&claims, (const char *)data, size);
	pb_claims_free(&claims);
	pb_yaml_free(file);
	return 0;
}
