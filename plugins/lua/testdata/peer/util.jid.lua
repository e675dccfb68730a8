-- util.jid. rosterd prepares addresses by RFC 7622, Prosody by the profiles before it: only addresses that are the same
-- by both are prepared here. Numbers are no addresses in Prosody.
local jid = require "util.jid";

local function show(...)
	local list = table.pack(...);
	for i = 1, list.n do list[i] = type(list[i]) == "string" and ("%q"):format(list[i]) or tostring(list[i]); end
	return ("%d(%s)"):format(list.n, table.concat(list, ", "));
end

local addresses = { "a@b/c", "b", "b/c", "a@b", "A@B/C", "a@b/c@d/e", "a@b/ c ", "b/c@d", "", "@", "/", "@b", "a@", "a@/r", "a@b/", "b/", "a@b@c",
	"a@b@c/d", "//", "a/b/c", "a b@c", "J\u{d6}RG@b", "\255@b", "a\0@b", "a@b/\n", " ", "a@b/\u{1F600}", "a\\40b@c" };
for _, s in ipairs(addresses) do
	print(("%q"):format(s), "split", show(jid.split(s)));
	print("", "bare", show(jid.bare(s)), "node", show(jid.node(s)), "host", show(jid.host(s)), "resource", show(jid.resource(s)));
end
print("nothing", show(jid.split(nil)), show(jid.split()), show(jid.bare(nil)), show(jid.node(nil)), show(jid.host(nil)), show(jid.resource(nil)));

for _, s in ipairs { "a@b/c", "Juliet@Example.COM/Balcony", "b", "b.example", "b/R", "A@B", "J\u{d6}RG@b.example/\u{dc}", "", "@b", "a@", "a b@c",
	"a@b/", "a\"b@c", "a&b@c", "a<b@c", "a:b@c", "\255@b", "a@b/x y", "a@b.example.", "a.b-c_d@e", "a@b/\0" } do
	print(("%q"):format(s), "prep", show(jid.prep(s)), "prepped_split", show(jid.prepped_split(s)));
end
print("nothing", show(jid.prep(nil)), show(jid.prep()), show(jid.prepped_split(nil)), show(jid.prepped_split()));

print("join", show(jid.join("a", "b", "c")), show(jid.join("a", "b")), show(jid.join(nil, "b", "c")), show(jid.join(nil, "b")), show(jid.join("a", nil, "c")),
	show(jid.join()), show(jid.join("", "b", "")), show(jid.join("A@", "B/", "/")), show(jid.join(1, 2, 3)));

local rules = { "a@b/c", "a@b", "b", "b/c", "a@b/d", "x@b", "y", "", "@" };
for _, s in ipairs { "a@b/c", "a@b", "b", "b/c", "" } do
	for _, rule in ipairs(rules) do
		print("compare", s, rule, show(jid.compare(s, rule)));
	end
end
print("compare nothing", show(jid.compare(nil, "a@b")), show(jid.compare("a@b", nil)), show(jid.compare()));

for _, s in ipairs { "", "user", "a b", "a@b", [[d'artagnan]], "/&:<>@\"' ", "\\", "\\20", "\\2f", "\\2F", "\\5c", "\\5c20", "\\\\20", "c:\\net", "\\61", "\\2", "\\ 20",
	"\u{fc} \u{1F600}", "treville\\40musketeers", " lead", "\\3", "\\3a\\3A", "a\0b@", "\255@" } do
	local escaped = jid.escape(s);
	print(("%q"):format(s), "escape", show(escaped), "unescape", show(jid.unescape(s)), jid.unescape(escaped) == s);
end
print("nothing", show(jid.escape(nil)), show(jid.unescape(nil)), show(jid.escape(false)), show(jid.unescape(false)), show(jid.escape("a", "b")));

for _, name in ipairs { "split", "bare", "prep", "prepped_split", "node", "host", "resource", "escape", "unescape" } do
	print("wrong", name, (pcall(jid[name], {})), (pcall(jid[name], print)));
end
print("wrong join", (pcall(jid.join, {}, "b")), (pcall(jid.join, "a", {})), (pcall(jid.join, "a", "b", {})), (pcall(jid.join, true, "b")));
