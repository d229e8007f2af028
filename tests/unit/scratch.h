/* A scratch folder of a test program: made on first use, removed by scratch_remove. */
#ifndef PB_TESTS_UNIT_SCRATCH_H
#define PB_TESTS_UNIT_SCRATCH_H

const char *scratch_folder(void);
/* A path in it; static storage, four in turn. */
const char *scratch_path(const char *name);
/* Entries of the folder. */
unsigned scratch_count(void);
/* A folder in it, with all that it holds. */
void scratch_remove_tree(const char *path);
void scratch_remove(void);
/* The same as a group's teardown. */
int scratch_teardown(void **state);

#endif
