#!/bin/sh
# Makes the micro family anew: trains what is not trained yet into out/zoo (about an hour and a half on two cores; go on with the same
# command after an interruption), puts weights, logs and the list of models into configs/zoo, and scores them into scores.csv.
#
#   sh configs/zoo/make.sh
set -eu
cd "$(dirname "$0")/../.."
program=build/release/paretobench
zoo=configs/zoo
# Smallest first; those on other numbers of tokens last.
names="micro-xxs micro-xs micro-s micro-m micro-l micro-xl micro-xxl micro-s-short micro-s-long micro-l-short micro-l-long"

fact() { sed -n "s/^  \"$2\": \"*\([^\",]*\)\"*,*$/\1/p" "out/zoo/$1/train.json"; }

for name in $names; do
	$program train $zoo/$name.yaml -o out/zoo/$name
done
{
	echo "# What ships: folders beside this file, made by make.sh from the recipes here."
	echo "models:"
	for name in $names; do
		about="$(fact $name matrix_parameters) weights in matrices, trained on $(fact $name tokens) tokens"
		echo "  $name: {family: micro, parameters: $(fact $name matrix_parameters), tokens: $(fact $name tokens), about: \"$about\","
		echo "    hash: $(fact $name model_hash)}"
	done
} > $zoo/zoo.yaml
for name in $names; do
	mkdir -p $zoo/$name
	for file in config.json model.safetensors tokenizer.json log.csv train.json; do
		cp out/zoo/$name/$file $zoo/$name/$file
	done
done
$program world -o out/world --quiet
$program run $zoo/family.yaml -o out/family --data out/world
# Only what does not depend on the machine.
{
	echo "model,quantizer,task,metric,value,stderr,n"
	$program rows out/family -f jsonl |
		sed -E 's/^.*"model":"([^"]*)".*"label":"([^"]*)".*"task":"([^"]*)".*"metric":"([^"]*)","value":([^,]*),"stderr":([^,]*),"n":([^,]*),.*$/\1,"\2",\3,\4,\5,\6,\7/'
} > $zoo/scores.csv
