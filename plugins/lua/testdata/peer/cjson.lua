-- lua-cjson. What rosterd leaves out or does otherwise: settings (encode_max_depth and the like), null is a table and
-- not userdata, "/" is not escaped, a table with holes or with both names and numbers is refused, decoded empty lists
-- are written as [] again, strings are always UTF-8.
local cjson, safe = require "cjson", require "cjson.safe";

print("encode", cjson.encode { 1, 2, 3 }, cjson.encode {}, cjson.encode { a = true }, cjson.encode "x", cjson.encode(1.5), cjson.encode(false), cjson.encode(nil));
print("escapes", cjson.encode "a\"b\\c\n\t\r\b\f", cjson.encode "ü€", cjson.encode { ["k\"y"] = 1 });
print("null", cjson.encode(cjson.null), cjson.encode { cjson.null }, cjson.decode "null" == cjson.null, cjson.decode '{"a":null}'.a == cjson.null, safe.null == cjson.null);
print("decode", cjson.decode '{"a":[1,{"b":"c"}]}'.a[2].b, #cjson.decode "[1,2,3]", cjson.decode "true", cjson.decode '"\\u00fc\\ud83d\\ude00"', cjson.decode "1.25");
for _, text in ipairs { "", "{", "nil", "[1,]", "{a:1}", '"', "1 2" } do
	print("wrong text", (pcall(cjson.decode, text)), (select("#", safe.decode(text))), (safe.decode(text)), type(select(2, safe.decode(text))));
end
print("wrong value", (pcall(cjson.encode, print)), (pcall(cjson.encode, { [{}] = 1 })), (pcall(cjson.encode, 0 / 0)), (safe.encode(print)), type(select(2, safe.encode(print))));
local own, own_safe = cjson.new(), safe.new();
print("new", own.encode { 1 }, own.null == cjson.null, rawequal(own, cjson), (pcall(own.decode, "{")), (own_safe.decode "{"));
