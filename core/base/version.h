/* The version of this build: the git description, or the file VERSION in a tree without git. */
#ifndef PB_CORE_BASE_VERSION_H
#define PB_CORE_BASE_VERSION_H

const char *pb_version(void);

#endif
