/* Clocks. Intervals from CLOCK_MONOTONIC_RAW; calendar time only for records. */
#ifndef PB_CORE_BASE_CLOCK_H
#define PB_CORE_BASE_CLOCK_H

double pb_clock_seconds(void);              /* monotonic */
void pb_clock_utc(char out[32]);            /* "2026-01-31T12:34:56Z", now */

#endif
