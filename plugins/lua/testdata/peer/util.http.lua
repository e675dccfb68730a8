-- util.http. Left out: names and values of forms that are numbers, which rosterd takes and Prosody does not; escapes
-- with one small and one great digit, which Prosody leaves; forms with more than one name and no order.
local http = require "util.http";

local texts = { "", "abc", "a b", "a+b", "%", "%4", "%41", "%zz", "%%41", "%2f%2F", "100%", "a=b&c=d", "\u{fc}\u{1F600}", "\255\0\n", "-._~", "!*'();:@&=+$,/?#[]", "%e2%82%ac", "%00" };
for _, s in ipairs(texts) do
	local encoded = http.urlencode(s);
	print(("%q"):format(s), encoded, ("%q"):format(http.urldecode(s)), http.urldecode(encoded) == s, http.formencode { [s] = s }, http.formencode { { name = s, value = s } });
end
print("nothing", http.urlencode(nil), http.urldecode(nil), http.urlencode(false), http.urldecode(false), select("#", http.urlencode()), select("#", http.urlencode("a b")));

print("formencode", ("%q"):format(http.formencode {}), http.formencode { { name = "b", value = "1" }, { name = "a", value = "2 3" }, { name = "b", value = "" } },
	http.formencode { { name = "a", value = "b" }, c = "d" });
print("formencode", "wrong", (pcall(http.formencode)), (pcall(http.formencode, "x")), (pcall(http.formencode, { {} })), (pcall(http.formencode, { { name = "a" } })),
	(pcall(http.formencode, { { value = "a" } })), (pcall(http.formencode, { "x" })), (pcall(http.formencode, { x = {} })), (pcall(http.formencode, { x = true })));

for _, s in ipairs { "a=b", "a=b&c=d", "a=b&a=c", "a", "", "%41+", "=", "a=", "=b", "a=b=c", "&a=b&&", "a+b=c%20d%2B", "x&a=b", "a=b;c=d", "%3d=%26", "a=%zz", "\u{fc}=\255", "1=2" } do
	local form = http.formdecode(s);
	if type(form) == "table" then
		local list, names = {}, {};
		for i, field in ipairs(form) do list[i] = ("%q=%q"):format(field.name, field.value); end
		for name in pairs(form) do if type(name) == "string" then names[#names + 1] = ("%q=%q"):format(name, form[name]); end end
		table.sort(names);
		print(("%q"):format(s), "list", table.concat(list, " "), "names", table.concat(names, " "));
	else
		print(("%q"):format(s), "text", ("%q"):format(form));
	end
end
print("formdecode", "wrong", (pcall(http.formdecode)), (pcall(http.formdecode, nil)), (pcall(http.formdecode, {})));

for _, field in ipairs { "", "a", "a, b", "A ,\tB", "ab", "a b", ",", "a,,b", "keep-alive, Upgrade" } do
	for _, token in ipairs { "", "a", "B", "ab", "upgrade", "keep-alive", "a,b", " a" } do
		print("contains_token", field, token, http.contains_token(field, token));
	end
end
print("contains_token", "wrong", (pcall(http.contains_token)), (pcall(http.contains_token, "a")), (pcall(http.contains_token, {}, "a")));

for _, path in ipairs { "", "/", "//", "a", "a/", "/a", "/a/", "a/b", "/a//", " " } do
	print("normalize_path", ("%q"):format(path), http.normalize_path(path), http.normalize_path(path, true), http.normalize_path(path, false));
end
print("normalize_path", "wrong", (pcall(http.normalize_path)), (pcall(http.normalize_path, {})));
