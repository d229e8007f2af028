/* What this machine can count, as text and as JSON. */
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/counters/provider.h"

enum pb_status pb_counters_report(bool json, struct pb_text *out, struct pb_error *err)
{
	struct pb_counter_facts f;

	pb_counter_facts_read(&f);
	if (json) {
		json_t *about = json_pack("{s:s, s:s, s:i, s:s}", "processor", f.processor, "kernel", f.kernel, "perf_event_paranoid", f.paranoid, "event_sources", f.event_sources);
		char *text = about ? pb_json_pretty(about) : NULL;

		pb_text_string(out, text ? text : "");
		json_decref(about);
		pb_free(text);
		return text ? pb_text_check(out, err) : pb_out_of_memory(err, "a description");
	}
	pb_text_printf(out, "processor        %s\nkernel           %s\nparanoid level   %d\nevent sources    %s\n", f.processor, f.kernel, f.paranoid, f.event_sources);
	return pb_text_check(out, err);
}
