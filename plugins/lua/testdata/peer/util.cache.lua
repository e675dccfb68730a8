-- util.cache.
local cache = require "util.cache";

local function show(c)
	local list = {};
	for key, value in c:items() do list[#list + 1] = key .. "=" .. tostring(value); end
	return c:count() .. "[" .. table.concat(list, " ") .. "]";
end

local c = cache.new(3);
print("empty", show(c), c:get "a", c:head(), c:tail());
print("set", c:set("a", 1), c:set("b", 2), c:set("c", 3), show(c));
print("get", c:get "a", c:get "b", c:get "none", c:get(nil), show(c));
print("evicts the oldest", c:set("d", 4), show(c), c:get "a");
print("set again", c:set("b", 20), show(c), c:set("b", 21), show(c));
print("head and tail", c:head(), c:tail());
print("remove", c:set("b", nil), show(c), c:set("none", nil), show(c), c:get "b");
print("false", c:set("f", false), c:get "f", show(c));
local values = {};
for value in c:values() do values[#values + 1] = tostring(value); end
print("values", table.concat(values, " "));
print("clear", c:clear(), show(c), c:set("x", 1), show(c));
print("size", c.size, cache.new(2.9).size, cache.new("4").size);

local evicted = {};
local function on_evict(key, value) evicted[#evicted + 1] = key .. "=" .. value; return key ~= "keep"; end
local e = cache.new(2, on_evict);
print("on_evict", e:set("a", 1), e:set("b", 2), e:set("c", 3), show(e), table.concat(evicted, " "));
e = cache.new(1, on_evict);
print("on_evict says no", e:set("keep", 1), e:set("b", 2), show(e), e:set("keep", 3), show(e));
e = cache.new(1, false);
print("never evict", e:set("a", 1), e:set("b", 2), e:set("a", 3), show(e), e:set("a", nil), e:set("b", 2), show(e));
e = cache.new(1, function () end);
print("on_evict says nothing", e:set("a", 1), e:set("b", 2), show(e));

local r = cache.new(4);
for _, key in ipairs { "a", "b", "c", "d" } do r:set(key, key); end
print("resize", r:resize(2), show(r), r.size, r:resize(3), show(r), r:set("e", "e"), show(r));
e = cache.new(3, function (key) return key ~= "a"; end);
for _, key in ipairs { "b", "a", "c" } do e:set(key, key); end
print("resize stopped", e:resize(1), show(e), e.size);

local t = r:table();
t.x = 1; t.c = nil;
print("table", t.x, t.none, show(r), #t, rawequal(t, r:table()));
local pairs_of = {};
for key, value in pairs(t) do pairs_of[#pairs_of + 1] = key .. value; end
print("pairs of it", table.concat(pairs_of, " "));
e = cache.new(1, false):table();
e.a = 1;
print("full", (pcall(function () e.b = 2; end)), e.a, e.b);

local seen = {};
for key in r:items() do seen[#seen + 1] = key; r:set(key, nil); end
print("removed while walked", table.concat(seen, " "), show(r));
for _, size in ipairs { 0, -1, "x", {}, false } do
	local ok, err = pcall(cache.new, size);
	print("wrong size", ok, (tostring(err):gsub("^.-:%d+: ", "")));
end
print("no size", (pcall(cache.new)), (pcall(r.resize, r, 0)));
