-- util.xml. Of an error, that there is one and its line. Left out: XML 1.1, UTF-16, white space in an attribute beside a
-- character reference, attributes without white space between them.
local xml = require "util.xml";

local function keys(t)
	local list = {};
	for k in pairs(t) do list[#list + 1] = k; end
	table.sort(list);
	return list;
end

local function show(s, indent)
	local words = { indent, s.name };
	for _, k in ipairs(keys(s.attr)) do words[#words + 1] = ("%q=%q"):format(k, s.attr[k]); end
	for _, k in ipairs(keys(s.namespaces)) do words[#words + 1] = ("%s->%s"):format(k, s.namespaces[k]); end
	print(table.concat(words, " "), #s, #s.tags);
	local tags = 0;
	for i = 1, #s do
		if type(s[i]) == "string" then
			print(indent .. "  " .. ("%q"):format(s[i]));
		else
			tags = tags + 1;
			assert(s.tags[tags] == s[i]);
			show(s[i], indent .. "  ");
		end
	end
end

local function parse(text, options)
	local ok, stanza, err = pcall(xml.parse, text, options);
	if not ok then
		print(("%q"):format(text), "raised");
	elseif stanza then
		print(("%q"):format(text), err);
		show(stanza, "  ");
	else
		print(("%q"):format(text), stanza, err:match("line %d+"));
	end
end

for _, text in ipairs { "<a/>", "<a></a>", "<a>b</a>", "<a x='1' y=\"2\"/>", "<a xmlns='n'><b xmlns=''/><c/></a>", "<a xmlns:p='u' p:x='1' x='2'><p:b/></a>", "<p:a/>",
	"<a p:x='1'/>", "<a xml:lang='en'/>", "", " ", "<a>", "</a>", "<a></b>", "<a/><b/>", "<a/>x", "x<a/>", " <a/> ", "\239\187\191<a/>", "<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x42;</a>",
	"<a>&foo;</a>", "<a>&#0;</a>", "<a>&amp</a>", "<a>&</a>", "<a x='1' x='2'/>", "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>", "<a xmlns:p='u' xmlns:p='u'/>", "<a xmlns='u' xmlns='u'/>",
	"<a><![CDATA[<b>&amp;]]>c</a>", "<a><![CDATA[]]></a>", "<a>]]></a>", "<a><!-- c --></a>", "<!-- c --><a/>", "<a/><!-- c -->", "<?xml version='1.0'?><a/>", " <?xml version='1.0'?><a/>",
	"<a/><?xml version='1.0'?>", "<a><?pi x?></a>", "<?pi?><a/>", "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a><!DOCTYPE b></a>", "<a x='a\nb\tc'/>", "<a>1\r\n2\r3</a>", "<a x='<'/>", "<a x='>'/>", "<a x=1/>",
	"<a x/>", "<a:b:c xmlns:a='u'/>", "<:a/>", "<a:/>", "<a xmlns:p=''/>", "<a xmlns:xml='u'/>", "<a xmlns:xmlns='u'/>", "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
	"<a xmlns='http://www.w3.org/2000/xmlns/'/>", "<1a/>", "<\u{e4} \u{f6}='\u{fc}'>\u{1F600}</\u{e4}>", "<a>\0</a>", "<a>\1</a>", "<a>\255</a>", "<a>\u{fffe}</a>", "<a\n b='1'\n/>\n", "<a><b>1</b>t<b>2</b></a>", "<a xmlns=''/>",
	"<a>\n  <b/>\n  <c/>\n</a>", "<a xmlns='u' xmlns:p='u'><p:b xmlns:p='v'/><p:c/></a>", "< a/>", "<a/ >", "<a></a >", "<a x='&lt;&amp;&quot;'/>", "<a x=\"'\" y='\"'/>", "<xml:a/>", "<a",
	"<a x='1", "<a>\n\n</b>", "<a>\n<b>\n</a>", "<a.b-c_d/>", "<a><b></a></b>", "<a xmlns:p='u'><b><p:c p:d='e' xmlns:q='w'/></b></a>", "<xmlns:a/>", "<a xmlns:p='u'><b xmlns:p='v'><p:c/></b><p:d/></a>",
	"<?xml version='1.0' encoding='UTF-8'?><a>\u{fc}</a>", "<?xml version='1.0' encoding='ISO-8859-1'?><a b='\228'>\252</a>", "<?xml version='1.0' encoding='windows-1252'?><a/>", "<a/>\0", "&amp;", "<a b='&lt;'>&#xfc;&#x1F600;</a>",
	"<a b = 'c' />", "<a><b\n\n/></a>", "<a b='c'\n\nd/>" } do
	parse(text);
end

local comments, instructions = { allow_comments = true }, { allow_processing_instructions = true };
for _, options in ipairs { comments, instructions } do
	parse("<a>x<!-- c -->y</a>", options);
	parse("<a>x<?pi d?>y</a>", options);
	parse("<!DOCTYPE a><a/>", options);
	parse("<a><!-- a -- b --></a>", options);
	parse("<!-- c --><a/>", options);
	parse("<?pi?><a/><?pi?>", options);
end
print("one result", select("#", xml.parse("<a/>")), "of an error", select("#", xml.parse("<a>")));
print("wrong", (pcall(xml.parse, {})), (pcall(xml.parse, true)));
