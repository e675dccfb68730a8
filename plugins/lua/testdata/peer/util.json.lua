-- util.json. What rosterd does otherwise: it refuses text that is not JSON but that Prosody takes (control characters
-- in strings, 01, +1) and values that JSON has no form for (functions, NaN, tables with holes, or with both names and
-- numbers, where Prosody writes "__array" and "__hash"); names are always in order; strings are always UTF-8; texts of
-- errors are its own.
local json = require "util.json";
local array = require "util.array";

print("encode", json.encode { 1, 2, 3 }, json.encode {}, json.encode { a = true }, json.encode "x", json.encode(1.5), json.encode(false), json.encode(nil), json.encode(-3));
print("arrays", json.encode(array()), json.encode(array { 1, "x" }), json.encode { list = array() }, json.encode(json.decode "[]"), json.encode(json.decode '{"a":[]}'), json.encode(json.decode "{}"));
print("escapes", json.encode "a\"b\\c\n\t\r\b\f/", json.encode "\0\1\31\127", json.encode "ü€😀<&>'", json.encode { ["k\"y"] = 1 });
print("null", json.encode(json.null), json.encode { json.null, 1 }, json.encode { x = json.null }, tostring(json.null), type(json.null), next(json.null));
print("encode_ordered", json.encode_ordered { b = 1, a = { d = 1, c = 2 } }, json.encode_ordered { 1 });
print("encode_array", json.encode_array {}, json.encode_array { 1, 2 }, json.encode_array(array { "x" }), json.encode_array { 1, k = "v" });
print("numbers", json.encode(0), json.encode(100), json.encode(0.25), json.encode(-1.5), json.encode(123456789));

print("decode", json.decode '{"a":[1,{"b":"c"}]}'.a[2].b, #json.decode "[1,2,3]", json.decode "true", json.decode "false", json.decode ' "x" ', json.decode "1.25", json.decode "-1e2" == -100);
print("decoded null", json.decode "null" == json.null, json.decode '{"a":null}'.a == json.null, json.decode "[null]"[1] == json.null, #json.decode "[null,null]");
print("strings", json.decode [["\"\\\/\b\f\n\r\t"]] == "\"\\/\b\f\n\r\t", json.decode [["\u00fc\u20ac\ud83d\ude00"]], json.decode '"ü"', json.decode [["\u0041\u0000"]] == "A\0");
print("names", json.decode '{"":1}'[""], json.decode '{"a b":{"c":2}}'["a b"].c, json.decode '{"1":"x"}'["1"], json.decode '{"a":1,"a":2}'.a);
print("spaces", json.decode " [ 1 ,\n2\t] "[2], json.decode '\r\n{ "a" : 1 }'.a);

local list = json.decode '[3,1,2]';
print("arrays have methods", list:sort(), list:map(tostring):concat "+", list:filter(function (n) return n ~= "1"; end), getmetatable(list) == getmetatable(array()));
print("arrays compare", json.decode "[1,2]" == array { 1, 2 }, json.decode "[1]" == json.decode "[2]", json.decode "[1]" + { 2 }, json.decode "[1,2]" / function (n) return n * 2; end, tostring(json.decode "[7]"));
print("nested arrays", json.decode '{"a":[[1,2],[]]}'.a[1]:length(), json.decode "[[1]]"[1]:push(5), list.none);
for _, text in ipairs { "", " ", "{", "[", "[1", "[1,]", "{a:1}", '{"a"}', '{"a":}', '{"a":1', '"', "nul", "tru", "nil", "1 2", "[1]]", '["\\u12"]', "<html>", "'a'" } do
	local value, err = json.decode(text);
	print("wrong text " .. text, value, err ~= nil);
end
print("wrong argument", (pcall(json.decode)), (pcall(json.decode, {})));
for _, text in ipairs { '{"a":{"b":[1,2,{"c":null}],"d":"x"},"e":1.5}', "[]", "[[],[[]]]", '["ü\\n"]', "{}", '"x"', "null", "true", "-7" } do
	print("there and back", json.encode_ordered(json.decode(text)));
end
