# Every byte of the ledger is in the file: their sum is the file less its header.
make_model data
for q in identity identity:dtype=f16 rtn:bits=3,group_size=16 rtn:bits=4,group_size=32,zero=float kbit:type=nf4,nested=yes kbit:type=quantile,bits=3 squeezellm:sensitivity=none,outliers=0.4 svid paretoq:bits=1.58,train=no binary ternary; do
	paretobench quantize data/tiny.bin -q $q -o q > /dev/null
	sum=$(paretobench inspect q --ledger | awk '$1 == "sum" { print $NF }')
	size=$(wc -c < q/model.safetensors)
	header=$(od -An -t u8 -N 8 q/model.safetensors)
	[ "$sum" -eq $((size - 8 - header)) ] && echo "$q equal" || echo "$q: ledger $sum, file $((size - 8 - header))"
done
