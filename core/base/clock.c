#include "core/base/clock.h"

#include <time.h>

double pb_clock_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void pb_clock_utc(char out[32])
{
	time_t now = time(NULL);
	struct tm t = { 0 };
	gmtime_r(&now, &t);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &t);
}
