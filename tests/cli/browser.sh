# The page in a browser: sorting, filter, colours, tooltips, links. A script of the test's own works the page and writes what it sees.
command -v chromium > /dev/null || exit 77
"$PB_HOME/build/release/tests/unit/test_report" write page > /dev/null || exit 1
cat > work.html <<'J'
<script>
var out = [], say = function (s) { out.push(s) };
var table = document.querySelector('#table ~ .box table'), head = function (name) {
	return Array.from(table.tHead.rows[0].cells).find(function (h) { return h.textContent === name }) };
var column = function (h) { return Array.from(table.tBodies[0].rows).map(function (r) { return Number(r.cells[h.cellIndex].dataset.v) }) };
var rises = function (a) { return a.every(function (v, i) { return i === 0 || a[i - 1] <= v }) }, size = head('Size');
say('rows ' + table.tBodies[0].rows.length + ', by size at first: ' + rises(column(size)));
size.click();
say('click: ' + size.getAttribute('aria-sort') + ' ' + rises(column(size)));
size.querySelector('button').click(); /* what Enter and the space bar do to a button */
say('its button: ' + size.getAttribute('aria-sort') + ' ' + rises(column(size).reverse()));
head('Quantizer').click();
say('by name: ' + rises(Array.from(table.tBodies[0].rows).map(function (r) { return r.cells[head('Quantizer').cellIndex].textContent })));
var filter = table.closest('.box').previousElementSibling.previousElementSibling;
filter.value = 'RTN m';
filter.dispatchEvent(new Event('input'));
var shown = Array.from(table.tBodies[0].rows).filter(function (r) { return !r.hidden });
say('filter: ' + filter.type + ', all shown have it: ' + (shown.length > 0 && shown.length < table.tBodies[0].rows.length && shown.every(function (r) { return /rtn/.test(r.textContent) })) +
	', says so: ' + (filter.nextElementSibling.textContent === ' ' + shown.length + ' of ' + table.tBodies[0].rows.length + ' rows'));
filter.value = '';
filter.dispatchEvent(new Event('input'));
say('filter empty: ' + Array.from(table.tBodies[0].rows).every(function (r) { return !r.hidden }));
var theme = document.querySelector('.theme'), ground = function () { return getComputedStyle(document.body).backgroundColor };
var ink = function () { return getComputedStyle(document.querySelector('svg .f-text')).fill };
for (var i = 0; i < 3; i++) { theme.click(); say(theme.textContent + ' ' + ground() + ' ' + ink()) }
var points = Array.from(document.querySelectorAll('#front ~ figure .point'));
say('points have tooltips: ' + (points.length > 10 && points.every(function (p) { return p.querySelector('title').textContent.length > 10 })));
say('figures have names: ' + Array.from(document.querySelectorAll('svg')).every(function (s) { return s.getAttribute('aria-label') || s.querySelector(':scope > title') }));
var links = Array.from(document.querySelectorAll('a[href]')).map(function (a) { return a.getAttribute('href') });
say('anchors lead somewhere: ' + links.filter(function (h) { return h[0] === '#' }).every(function (h) { return document.getElementById(h.slice(1)) }));
links.filter(function (h) { return h[0] !== '#' && h.slice(0, 5) !== 'data:' }).forEach(function (h) { say('file ' + h) });
document.documentElement.innerHTML = '<body><pre>' + out.map(function (s) { return 'saw ' + s.replace(/</g, '&lt;') }).join('\n') + '\n</pre></body>';
</script>
J
cat page/report.html work.html > page/worked.html
timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/profile" --dump-dom "file://$PWD/page/worked.html" 2> /dev/null | sed 's/.*<pre>//' | grep '^saw ' > seen
grep -v '^saw file ' seen
sed -n 's/^saw file //p' seen | sort -u > files
wc -l < files | awk '{ print ($1 > 10) ? "links to files" : "few links" }'
for part in page/*/*.html; do
	grep -o ' href="[^"#][^"]*"' "$part" | grep -v '"data:' | sed "s|.*href=\"\(.*\)\"|${part#page/}/../\1|"
done | sort -u > parts
wc -l < parts | awk '{ print ($1 > 10) ? "links of parts" : "few links of parts" }'
sed 's|[^/]*[.]html/[.][.]/||' parts >> files
while read -r file; do [ -f "page/$file" ] || echo "no $file"; done < files
# Names that would be markup: nothing of them is, in the page, its parts and its figures.
cat > hostile.csv <<'C'
model,quantizer,label,effective_bits,model_bytes,params,backend,task,metric,value,stderr,n,run,status,reason
"""><script>window.pwned=1</script>","q""><img src=x onerror=pwned=2>","<img src=x onerror=window.pwned=3>",4,4000,1000,"cpu'""onmouseover=pwned=4 x='","t<svg onload=window.pwned=5>",acc,0.5,0.01,1000,"</title><script>pwned=6</script>",ok,
"</svg><script>window.pwned=7</script>",rtn,"javascript:pwned=8",4,8000,2000,"cpu'""onmouseover=pwned=4 x='","t<svg onload=window.pwned=5>",acc,0.6,0.01,1000,r,ok,
"</style><script>pwned=9</script>",rtn,"</td></table><iframe src=javascript:parent.pwned=10>",4,16000,4000,"cpu'""onmouseover=pwned=4 x='","t<svg onload=window.pwned=5>",acc,0.7,0.01,1000,r,ok,
x,rtn,y,4,16000,4000,cpu,"</p><script>pwned=11</script>",acc,,,,r,failed,"<script>pwned=12</script><img src=x onerror=pwned=13>"
C
paretobench report hostile.csv -o hostile --quiet > /dev/null || exit 1
cat > look.html <<'J'
<script>setTimeout(function () {
	var all = Array.from(document.querySelectorAll('*')), on = all.filter(function (e) { return Array.from(e.attributes).some(function (a) { return /^on/i.test(a.name) }) });
	var odd = document.querySelectorAll('img, iframe, object, embed').length, js = document.querySelectorAll('a[href^="javascript"]').length;
	document.documentElement.innerHTML = '<body><pre>saw ' + [window.pwned, document.scripts.length - 2, on.length, odd, js].join(' ') + '\n</pre></body>';
}, 200)</script>
J
for page in hostile/report.html hostile/methods/*.html; do
	cat "$page" look.html > "$page.look.html"
	timeout 120 chromium --headless --no-sandbox --disable-gpu --virtual-time-budget=2000 --user-data-dir="$PWD/profile" --dump-dom "file://$PWD/$page.look.html" 2> /dev/null | sed 's/.*<pre>//' | grep '^saw '
done | sort | uniq -c | sed 's/^ *//'
