/* What the numbers were made on and with. */
#ifndef PB_HARNESS_RUN_MACHINE_H
#define PB_HARNESS_RUN_MACHINE_H

#include <stdint.h>
#include <jansson.h>

const char *pb_machine_name(void);      /* "AMD EPYC, 2 cores, avx2": short, for rows */
json_t *pb_machine_json(void);          /* processor, cores, memory, kernel, instruction sets, OpenBLAS core; NULL when memory is out */
json_t *pb_libraries_json(void);        /* name -> {built, running}, null where the library does not say; NULL when memory is out */
int64_t pb_peak_rss_bytes(void);        /* VmHWM of this process; PB_ABSENT when it cannot be read */
void pb_peak_rss_reset(void);           /* starts the high-water mark anew, where the kernel lets us */

#endif
