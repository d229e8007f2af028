# Installed under a prefix of any name, moved, and run from elsewhere: the program finds its task definitions and configurations.
unset PB_HOME MAKEFLAGS MAKELEVEL
make_model data
make -s -C "$PB_SRC" install PREFIX="$PWD/a place" > log 2>&1 || { cat log; exit 1; }
mv "a place" moved
PATH="$PWD/moved/bin:$PATH"
hash -r
printf 'models: [data/tiny.bin]\nquantizers: [rtn]\ntasks: [piqa]\n' > s.yaml
paretobench run s.yaml -o out --data data --quiet; echo "exit $?"
paretobench doctor | grep '^ok *tasks' | sed "s#in .*/moved/#in #; s/[0-9]* definitions/definitions/"
(cd "$PB_SRC" && find tasks configs -type f ! -name '*.sh' ! -name '*.md' ! -name '*.svg' ! -name '*.[ch]' | sort) > source
(cd moved/share/paretobench && find tasks configs -type f | sort) > installed
cmp source installed && echo "all files are there"
