/* Recipes from hostile bytes. */
#include <stddef.h>
#include <stdint.h>
#include "harness/run/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_training_recipe *recipe = NULL;
	struct pb_error err = {0};
	const struct pb_data_path nowhere = {0};

	if (pb_training_recipe_parse(&recipe, "recipe.yaml", (const char *)data, size, &nowhere, &err) == PB_OK)
		pb_training_recipe_free(recipe);
	return 0;
}
