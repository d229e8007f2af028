#include "core/base/version.h"

#ifndef PB_VERSION
#define PB_VERSION "unknown"
#endif

const char *pb_version(void)
{
	return PB_VERSION;
}
