/* A shared object that is no plugin. */
extern const int pb_something_else;
const int pb_something_else = 1;
