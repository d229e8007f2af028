# The smallest model of the zoo, trained anew: the same bits, where matrix products are made by the same code.
zoo=$PB_SRC/configs/zoo
paretobench train "$zoo/micro-xxs.yaml" --quiet || exit 1
core() { sed -n 's/.*"openblas_core": "\(.*\)",/\1/p' "$1/train.json"; }
[ "$(core out/micro-xxs)" = "$(core "$zoo/micro-xxs")" ] || exit 77
cmp out/micro-xxs/model.safetensors "$zoo/micro-xxs/model.safetensors" && echo "weights are the same"
cut -d, -f1-6 out/micro-xxs/log.csv > a; cut -d, -f1-6 "$zoo/micro-xxs/log.csv" | cmp a - && echo "losses are the same"
