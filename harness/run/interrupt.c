#include "harness/run/interrupt.h"

#include <unistd.h>

static const int numbers[3] = { SIGINT, SIGTERM, SIGHUP };
static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
	(void)number;
	if (++interrupts > 1)
		_exit(130);
}

void pb_interrupts_begin(struct pb_interrupts *i)
{
	const struct sigaction action = { .sa_handler = on_interrupt };

	interrupts = 0;
	for (int k = 0; k < 3; k++) {
		sigaction(numbers[k], NULL, &i->before[k]);
		/* nohup says to go on without a terminal. */
		if (numbers[k] != SIGHUP || i->before[k].sa_handler != SIG_IGN)
			sigaction(numbers[k], &action, NULL);
	}
}

bool pb_interrupted(void)
{
	return interrupts > 0;
}

void pb_interrupts_end(struct pb_interrupts *i)
{
	for (int k = 0; k < 3; k++)
		sigaction(numbers[k], &i->before[k], NULL);
}
