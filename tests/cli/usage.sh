# Usage errors: one line, exit 2, the nearest name.
paretobench evla 2>&1; echo "exit $?"
paretobench eval 2>&1; echo "exit $?"
paretobench eval m.bin --taks x 2>&1; echo "exit $?"
paretobench eval m.bin -t piqa --limit zero 2>&1; echo "exit $?"
paretobench eval m.bin -t piqa --threads 0 2>&1; echo "exit $?"
paretobench rows . --format xml 2>&1; echo "exit $?"
paretobench list quantisers 2>&1; echo "exit $?"
paretobench eval nofile.bin -t piqa 2>&1; echo "exit $?"
printf 'models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: {data: x}\n' > c.yaml
paretobench run c.yaml 2>&1; echo "exit $?"
