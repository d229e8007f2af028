/* Ctrl-C, SIGTERM and a lost terminal ask for an end; a second one ends at once. */
#ifndef PB_HARNESS_RUN_INTERRUPT_H
#define PB_HARNESS_RUN_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

struct pb_interrupts {
	struct sigaction before[3]; /* SIGINT, SIGTERM, SIGHUP */
};

void pb_interrupts_begin(struct pb_interrupts *i);
bool pb_interrupted(void);      /* since the last begin */
void pb_interrupts_end(struct pb_interrupts *i);

#endif
