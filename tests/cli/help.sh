# An overview that exits 2 without a command and 0 when asked for; help of a command, a plugin, one option.
paretobench --help > overview; echo "help $?"
paretobench > again; echo "nothing $?"
cmp overview again && echo same
paretobench help rtn | head -1
paretobench help rtn.bits | grep -c 'bits'
paretobench run --help | head -1
paretobench help nosuch 2>/dev/null; echo "nosuch $?"
