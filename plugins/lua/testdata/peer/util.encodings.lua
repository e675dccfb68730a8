-- util.encodings. Left out: characters that are younger than Unicode 3.2 or that IDNA2008 treats otherwise, but for a few;
-- confusable, which rosterd does not have.
local encodings = require "util.encodings";
local base64, stringprep, idna, utf8 = encodings.base64, encodings.stringprep, encodings.idna, encodings.utf8;

local function show(...)
	local list = table.pack(...);
	for i = 1, list.n do
		list[i] = type(list[i]) == "string" and (#list[i] > 200 and "text of " .. #list[i] or ("%q"):format(list[i])) or tostring(list[i]);
	end
	return ("%d(%s)"):format(list.n, table.concat(list, ", "));
end

for _, s in ipairs { "", "a", "ab", "abc", "abcd", "\0", "\255\254\253", "\u{fc}\u{1F600}", ("x"):rep(1000) } do
	print("encode", show(s), show(base64.encode(s)), base64.decode(base64.encode(s)) == s);
end
for _, s in ipairs { "", "a", "YQ==", "YQ=", "YQ", "YWI", "YWI=", "YWJj", "Y W\nJj", "YQ==YQ==", "Y", "=", "====", "YWJj=", "Y-", "Y_Q=", "\0YWJj", "YWJj\0YWJj", "YQ\0==",
	"YWJjYQ==x", "YWJj YQ\b=", "!", "YWJj!", "YW\tJj\r\n\f", "+/+/", "YR==", "YWJ=j", "YWJjY===", "\255", "Y=WJj" } do
	print("decode", show(s), show(base64.decode(s)));
end
print("number", base64.encode(12), base64.decode(1234) == base64.decode("1234"));

local profiles = { "nameprep", "nodeprep", "resourceprep", "saslprep" };
for _, s in ipairs { "", "abc", "ABC", "a b", " a ", "J\u{d6}RG", "\255", "a\255", "a\0b", "a\nb", "\127", "\u{ad}x", "x\u{200b}", "x\u{200d}y", "\u{2126}", "\u{a0}", "\u{3000}",
	"a@b", "a/b", "a.b.", 'a"b', "a&b", "a'b", "a:b", "a<b", "a>b", "a\\b", "\u{5d0}a", "\u{5d0}1", "\u{5d0}1\u{5d0}", "a\u{5d0}", "\u{5d0}", "\u{5d0} \u{5d0}", "\u{627}1\u{628}",
	"\u{e000}", "\u{feff}", "\u{fffd}", "\u{fb01}", "\u{df}", "\u{3002}", "\u{340}", "\u{130}", "\u{1c4}", "\u{2168}", "\u{1F600}", "\u{221}", "\u{202a}", "\u{2028}", "\u{fdd0}",
	"\u{e0041}", "\u{2ff0}", "A\u{308}", "\u{fe00}z", "\u{3a3}\u{3c2}", "\u{17f}", "\u{390}", ("x"):rep(1023), ("x"):rep(1024), ("\u{fb01}"):rep(341), ("\u{df}"):rep(511),
	("\u{149}"):rep(500) } do
	for _, name in ipairs(profiles) do
		print(name, show(s), show(stringprep[name](s)), show(stringprep[name](s, true)), stringprep[name](s, false) == stringprep[name](s));
	end
end
for _, name in ipairs(profiles) do
	print(name, "number", stringprep[name](12), "wrong", (pcall(stringprep[name])), (pcall(stringprep[name], nil)), (pcall(stringprep[name], {})), (pcall(stringprep[name], true)));
end

for _, s in ipairs { "", "example.com", "EXAMPLE.com", "b\u{fc}cher.example", "B\u{dc}CHER.example", "xn--bcher-kva.example", "XN--BCHER-KVA.Example", "a b", "a_b.example", "-a.example",
	"a-.example", "a..b", "a.", ".", ".a", "\255", ("a"):rep(63), "\u{df}.de", "fa\u{df}.de", "\u{3002}", "a\u{3002}b", "\u{5d0}.com", "1.2.3.4", "[::1]", "a\0b", "localhost",
	"\u{65e5}\u{672c}.jp", "\u{3b2}\u{3cc}\u{3bb}\u{3bf}\u{3c2}.gr", "a@b", "a/b", "xn--wgv71a.jp", "\u{ad}a", "a:1", "*.example" } do
	print("idna", show(s), show(idna.to_ascii(s)), show(idna.to_unicode(s)));
end
print("idna", "long", show(idna.to_ascii(("a"):rep(64))), show(idna.to_ascii(("a."):rep(200))), show(idna.to_unicode(("a"):rep(64))), show(idna.to_ascii(("a"):rep(2000))));

for _, s in ipairs { "", "a", "\u{e4}", "\u{20ac}", "\u{1F600}", "\255", "\237\160\128", "\244\144\128\128", "\192\128", "a\0b", "\226\130", "a\128", "\u{10ffff}", "\239\191\191", "\239\187\191" } do
	print("utf8", show(s), utf8.valid(s), show(utf8.length(s)));
end
print("number", utf8.valid(12), utf8.length(12));
for _, f in ipairs { base64.encode, base64.decode, idna.to_ascii, idna.to_unicode, utf8.valid, utf8.length } do
	print("wrong", (pcall(f)), (pcall(f, nil)), (pcall(f, {})), (pcall(f, true)));
end
