#!/bin/sh
# Makes the micro world into out/world, runs configs/quickstart.yaml on the micro models into out/quickstart, and makes the report.
set -eu
program=build/release/paretobench
$program world -o out/world --quiet
$program run configs/quickstart.yaml -o out/quickstart --data out/world
echo "the report is at:"
$program report out/quickstart
