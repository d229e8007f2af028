# The micro world: files, the same bytes twice, another seed another world; tasks find it; usage errors.
paretobench world --size small -o a > report; echo "world $?"
ls a/world
grep '^world_' report | awk '{ print $1, $2 }'
paretobench world --size small --quiet -o b; echo "again $?"
cmp a/world/world.json b/world/world.json && cmp a/world/train.txt b/world/train.txt && echo same
paretobench world --size small --quiet --seed 1 -o b
cmp -s a/world/train.txt b/world/train.txt || echo other
head -c 60 a/world/test.txt | paretobench tokenize a/world/tokenizer.json --whole > ids
paretobench tokenize a/world/tokenizer.json --decode < ids | cut -c2- | cmp -n 60 - a/world/test.txt && echo back
paretobench help world_facts | head -1
paretobench world --size small 2>&1; echo "exit $?"
paretobench world --size tiny -o a 2>&1; echo "exit $?"
paretobench world --seed -1 -o a 2>&1; echo "exit $?"
