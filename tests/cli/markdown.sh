# Names that would be links, mentions, references or structure where Markdown is read are shown as they are: random texts by a reader of
# GitHub's Markdown, then what the commands write.
command -v cmark-gfm > /dev/null || exit 77
read_md() { cmark-gfm --unsafe -e table -e autolink -e strikethrough -e tasklist -e footnotes "$@" | sed 's/\xE2\x80\x8B//g; s/<span>\$<\/span>/$/g; s/&lt;span&gt;\$&lt;\/span&gt;/$/g'; }
"$PB_HOME/build/release/tests/unit/test_markup" write texts
read_md texts.md | cmp - texts.html && wc -l < texts.html

cat > hostile.csv <<'C'
model,quantizer,label,effective_bits,model_bytes,params,backend,task,metric,value,stderr,n
@someone,rtn,https://evil.example/x,4,4000,1000,@team,t|u,acc,0.5,0.01,1000
#123,rtn,<img src=x onerror=alert(1)>,4,8000,2000,@team,t|u,acc,0.6,0.01,1000
www.evil.example,rtn,`code` **bold** [a](http://b),4,12000,3000,@team,t|u,acc,0.55,0.01,1000
- [x] done,rtn,> quoted,4,16000,4000,@team,t|u,acc,0.7,0.01,1000
C
sed 's/0[.]6,/0.5,/; s/0[.]7,/0.4,/' hostile.csv > @worse.csv
cp @worse.csv '#1.csv'
paretobench report hostile.csv -o page > /dev/null || exit 1
paretobench rows hostile.csv -f md > rows.md
paretobench compare hostile.csv @worse.csv -f md --all > compare.md
paretobench compare --history hostile.csv @worse.csv '#1.csv' -f md > history.md
for name in rows compare history page/report; do
	read_md $name.md > read.html
	# Markup that is not the report's own: links, code, quotes, boxes, figures from elsewhere.
	echo "$name: $(grep -cE '<(a |code|blockquote|input|del|sup)' read.html) bad, $(grep -o '<img[^>]*>' read.html | grep -cv 'src="figures/') bad figures," \
		"someone $(grep -c '@someone' read.html | awk '{ print ($1 > 0) }'), image $(grep -c '&lt;img src=x onerror=alert(1)&gt;' read.html | awk '{ print ($1 > 0) }')"
	sed 's/&#8203;/_/g' $name.md | grep -nE '@[a-z]|#[0-9]|[a-z]://|www[.]'
done
true
