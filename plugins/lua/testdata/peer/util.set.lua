-- util.set. Items have no order: what is printed is sorted.
local set = require "util.set";

local function sorted(s)
	local list = {};
	for item in s do list[#list + 1] = tostring(item); end
	table.sort(list);
	return "{" .. table.concat(list, " ") .. "}";
end

local a, b = set.new { "x", "y", "z" }, set.new { "y", "w" };
print("new", sorted(a), sorted(set.new()), sorted(set.new {}), sorted(set.new { "q", "q" }), sorted(set.new { 1, true, "s" }));
print("is_set", set.is_set(a), set.is_set {}, set.is_set(nil), set.is_set "x", set.is_set(1));
print("union", sorted(set.union(a, b)), sorted(a + b));
print("difference", sorted(set.difference(a, b)), sorted(a - b), sorted(b - a));
print("intersection", sorted(set.intersection(a, b)), sorted(set.intersection(a, set.new())));
print("xor", sorted(set.xor(a, b)), sorted(set.xor(a, a)));
print("operands", sorted(a), sorted(b));
print("map", sorted(a / string.upper), sorted(a / function (item) if item ~= "x" then return item; end end), sorted(a / function () return "one"; end));
print("equal", a == set.new { "z", "y", "x" }, a == b, a ~= b, set.new() == set.new(), a == {}, a + b == b + a);
print("subset", set.new { "x" } == a, a == set.new { "x" });
print("tostring", tostring(set.new()), tostring(set.new { "one" }), tostring(set.new { 7 }));

print("contains", a:contains "x", a:contains "w", a:contains(nil));
print("contains_set", a:contains_set(set.new { "x", "y" }), a:contains_set(b), a:contains_set(set.new()), set.new():contains_set(a));
a:add "v"; a:add "x";
print("add", sorted(a), a:add "x");
a:remove "v"; a:remove "none";
print("remove", sorted(a), a:remove "none");
a:add_list { "l", "m" }; a:add_list {}; a:add_list(nil);
print("add_list", sorted(a));
a:include(b);
print("include", sorted(a));
a:exclude(b); a:exclude(set.new { "l", "m" });
print("exclude", sorted(a));
print("empty", a:empty(), set.new():empty(), set.new(nil):empty());

local items = {};
for item in a:items() do items[#items + 1] = item; end
table.sort(items);
print("items", table.concat(items, " "));
for item in pairs(a._items) do a:remove(item); end
print("emptied", a:empty(), sorted(a));
print("call", set.new { "only" }(nil, nil), set.new()(nil, nil));
for _, make in ipairs { set.new, function (list) return set.new(list) + set.new(); end, function (list) return set.new(list) / string.lower; end } do
	local s = make { "k" };
	s:add "j";
	print("own items", sorted(s), sorted(make { "k" }));
end
print("wrong", pcall(set.union, a, nil) or "refused", pcall(set.difference, nil, a) or "refused", pcall(function () return a + 1; end) or "refused");
