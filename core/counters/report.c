/* What this machine can count, as text and as JSON. */
#include <math.h>
#include <string.h>
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/counters/provider.h"

static json_t *rung_json(const struct pb_provider *p, const struct pb_rung *r, const char *scope)
{
	bool good = r->why.status == PB_COUNTER_MEASURED;
	json_t *one = json_pack("{s:o, s:s, s:s, s:s?}", "source", json_sprintf("%s:%s", p->name, r->event), "scope", scope,
		"status", good ? "proved" : pb_counter_status_name(r->why.status), "note", r->why.note[0] ? r->why.note : NULL);

	if (one && isfinite(r->proof[0]))
		json_object_set_new(one, "proof", json_pack("[o, o]", pb_json_number(r->proof[0]), pb_json_number(r->proof[1])));
	return one;
}

static const char *thread_scope(const struct pb_quantity *q)
{
	return q->kind == PB_KIND_ENERGY ? "package, all processes" : "every thread";
}

static const char *process_scope(const struct pb_quantity *q)
{
	return q->kind == PB_KIND_ENERGY ? "package, all processes" : "process";
}

/* Rungs that were tried, in order; `chosen` is the first that was proved. */
static json_t *step_json(const struct pb_ladder *l, unsigned q)
{
	const struct pb_ladder_step *s = &l->steps[q];
	json_t *rungs = json_array(), *chosen = NULL;

	for (unsigned i = 0; i < s->n_rungs && l->mode == PB_COUNTERS_AUTO && !l->thread_why.status; i++) {
		if (s->chosen >= 0 && (int)i > s->chosen)
			break;
		json_array_append_new(rungs, rung_json(l->thread, &s->rungs[i], thread_scope(&pb_quantities[q])));
		if ((int)i == s->chosen)
			chosen = json_array_get(rungs, json_array_size(rungs) - 1);
	}
	if (s->process.event && l->mode != PB_COUNTERS_OFF) {
		json_array_append_new(rungs, rung_json(l->process, &s->process, process_scope(&pb_quantities[q])));
		if (!chosen && s->process.why.status == PB_COUNTER_MEASURED)
			chosen = json_array_get(rungs, json_array_size(rungs) - 1);
	}
	return json_pack("{s:s, s:s, s:s, s:s?, s:O?, s:o}", "name", pb_quantities[q].name, "unit", pb_quantities[q].unit,
		"status", s->why.status ? pb_counter_status_name(s->why.status) : "measured", "note", s->why.status ? s->why.note : NULL, "chosen", chosen, "rungs", rungs);
}

static const char *advice(const struct pb_counter_facts *f)
{
	return f->paranoid >= 3 ? "an administrator can set kernel.perf_event_paranoid to 2; that is enough for own processes" : NULL;
}

static json_t *ladder_json(const struct pb_ladder *l)
{
	static const char *const modes[] = { "auto", "os", "off" };
	const struct pb_counter_facts *f = &l->facts;
	json_t *quantities = json_array(), *groups = json_array();

	for (unsigned q = 0; q < pb_n_quantities; q++)
		if (pb_quantities[q].always || l->steps[q].n_rungs)
			json_array_append_new(quantities, step_json(l, q));
	for (unsigned g = 0; l->groups && g < l->groups->n; g++)
		json_array_append_new(groups, json_pack("{s:s, s:s, s:s}", "name", l->groups->groups[g].name, "title", l->groups->groups[g].title, "help", l->groups->groups[g].help));
	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:i, s:s, s:b, s:s?, s:o?, s:s?, s:s?, s:o, s:o}", "mode", modes[l->mode], "processor", f->processor, "kernel", f->kernel,
		"virtual_machine", f->virtual_machine, "perf_event_paranoid", f->paranoid == PB_NO_PARANOID ? json_null() : json_integer(f->paranoid), "uid", (int)f->uid,
		"event_sources", f->event_sources, "pmu", f->has_pmu, "advice", advice(f),
		"papi", l->mode == PB_COUNTERS_AUTO && l->thread->describe ? l->thread->describe() : NULL,
		"papi_problem", l->thread_why.status ? l->thread_why.note : NULL, "groups_problem", l->groups_why.status ? l->groups_why.note : NULL,
		"groups", groups, "quantities", quantities);
}

static const char *member(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s ? s : "";
}

static void format_machine(const json_t *about, struct pb_text *t)
{
	const json_t *papi = json_object_get(about, "papi"), *paranoid = json_object_get(about, "perf_event_paranoid");
	bool is_virtual = json_is_true(json_object_get(about, "virtual_machine"));
	size_t i;
	json_t *c;

	pb_text_printf(t, "processor       %s\n", member(about, "processor"));
	pb_text_printf(t, "kernel          %s, user %lld\n", member(about, "kernel"), (long long)json_integer_value(json_object_get(about, "uid")));
	pb_text_printf(t, "virtualisation  %s%s%s\n", is_virtual ? "virtual machine" : "none seen", *member(papi, "virtualisation") ? ", " : "", member(papi, "virtualisation"));
	if (json_is_integer(paranoid))
		pb_text_printf(t, "paranoid level  %lld\n", (long long)json_integer_value(paranoid));
	else
		pb_text_string(t, "paranoid level  n/a (cannot be read)\n");
	if (*member(about, "advice"))
		pb_text_printf(t, "                %s\n", member(about, "advice"));
	pb_text_printf(t, "event sources   %s (%s)\n", *member(about, "event_sources") ? member(about, "event_sources") : "none",
		json_is_true(json_object_get(about, "pmu")) ? "with a core PMU" : "no core PMU");
	pb_text_printf(t, "PB_COUNTERS     %s\n", member(about, "mode"));
	if (*member(about, "papi_problem"))
		pb_text_printf(t, "PAPI            n/a (%s)\n", member(about, "papi_problem"));
	else if (json_is_object(papi))
		pb_text_printf(t, "PAPI            %s\n", member(papi, "version"));
	if (*member(papi, "preset_files"))
		pb_text_printf(t, "                warning: the meaning of presets comes from %s\n", member(papi, "preset_files"));
	json_array_foreach(json_object_get(papi, "components"), i, c)
		pb_text_printf(t, "  %-20s %s%s%s\n", member(c, "name"), member(c, "state"), *member(c, "reason") ? ": " : "", member(c, "reason"));
	if (*member(about, "groups_problem"))
		pb_text_printf(t, "group files     n/a (%s)\n", member(about, "groups_problem"));
}

static void format_rung(const json_t *r, struct pb_text *t)
{
	const json_t *proof = json_object_get(r, "proof");

	pb_text_printf(t, "    %-44s %s", member(r, "source"), member(r, "status"));
	if (proof)
		pb_text_printf(t, ", counted %.9g, then %.9g", json_number_value(json_array_get(proof, 0)), json_number_value(json_array_get(proof, 1)));
	if (*member(r, "note"))
		pb_text_printf(t, ": %s", member(r, "note"));
	pb_text_char(t, '\n');
}

static void format_text(const json_t *about, struct pb_text *t)
{
	size_t i, k;
	json_t *q, *r;

	format_machine(about, t);
	pb_text_string(t, "\nEach source counts known work once, then twice.\n");
	json_array_foreach(json_object_get(about, "quantities"), i, q) {
		const json_t *chosen = json_object_get(q, "chosen");

		if (json_is_object(chosen))
			pb_text_printf(t, "%-18s %s (%s)\n", member(q, "name"), member(chosen, "source"), member(chosen, "scope"));
		else
			pb_text_printf(t, "%-18s n/a (%s: %s)\n", member(q, "name"), member(q, "status"), member(q, "note"));
		json_array_foreach(json_object_get(q, "rungs"), k, r)
			format_rung(r, t);
	}
}

enum pb_status pb_ladder_report(const struct pb_ladder *ladder, bool json, struct pb_text *out, struct pb_error *err)
{
	json_t *about = ladder_json(ladder);
	char *text = about && json ? pb_json_pretty(about) : NULL;

	if (!about || (json && !text)) {
		json_decref(about);
		return pb_out_of_memory(err, "a description");
	}
	if (json)
		pb_text_string(out, text);
	else
		format_text(about, out);
	pb_free(text);
	json_decref(about);
	return pb_text_check(out, err);
}

enum pb_status pb_counters_report(bool json, struct pb_text *out, struct pb_error *err)
{
	const struct pb_ladder *l = NULL;
	enum pb_status st = pb_ladder_get(&l, err);

	return st ? st : pb_ladder_report(l, json, out, err);
}
