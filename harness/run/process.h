/* One worker process and the pipes to it. */
#ifndef PB_HARNESS_RUN_PROCESS_H
#define PB_HARNESS_RUN_PROCESS_H

#include <sys/types.h>
#include "core/base/text.h"
#include "harness/run/runner.h"

struct pb_process {
	pid_t pid;                  /* 0: none */
	int in, out, err;           /* to its stdin; from its stdout and stderr; -1 closed */
	struct pb_text line;        /* of its stdout, not yet whole */
	struct pb_text said;        /* last line of its stderr */
	uint64_t memory_seen;       /* bytes it was last seen to hold, files not counted */
};

enum pb_status pb_process_start(struct pb_process *p, const struct pb_run_options *options, uint64_t memory_bytes, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_process_send(struct pb_process *p, json_t *object, struct pb_error *err) PB_MUST_CHECK; /* takes the reference */
/* Reads what is there. 1: something, 0: nothing now, -1: it closed its end. */
int pb_process_read(struct pb_process *p);
void pb_process_read_said(struct pb_process *p);
/* Cuts the next whole line off `line` into out; false when there is none. */
bool pb_process_next_line(struct pb_process *p, struct pb_text *out);
void pb_process_watch_memory(struct pb_process *p);
/* Ends it (SIGKILL) and all that its programs have started, waits, removes their files, and says how it had ended when it ended by itself: "killed by
 * signal 11 (Segmentation fault)". */
void pb_process_end(struct pb_process *p, struct pb_text *how);

#endif
