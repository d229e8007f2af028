/* A shared object whose pb_plugin is something else, and smaller than a quantizer. */
extern const int pb_plugin;
const int pb_plugin = 1;
