-- util.array.
local array = require "util.array";
local it = require "util.iterators";

local function even(n) return n % 2 == 0; end
local function double(n) return n * 2; end
local a = array { 1, 2, 3, 4 };

print("new", array(), array {}, a, array { "x", true, 1 });
local list = { "same" };
print("of the list itself", array(list) == list, rawequal(array(list), list), getmetatable(list) == getmetatable(array()));
print("of an iterator", array(it.range(3)), array(it.keys { only = 1 }), array(pairs { k = "v" }));
print("collect", array.collect(it.range(2, 5)), array.collect(ipairs { "a", "b" }), array.collect(it.range(0)));
print("length", #a, a:length(), #array());
print("tostring", tostring(array { array { 1, 2 }, array() }), tostring(a));
print("equal", a == array { 1, 2, 3, 4 }, a == array { 1, 2, 3 }, a == array { 1, 2, 4, 3 }, array() == array(), array { array { 1 } } == array { array { 1 } });
print("list and array", a == { 1, 2, 3, 4 }, { 1, 2, 3, 4 } == a);

print("add", a + { 5 }, a + a, array() + a, a);
print("divide", a / double, a / function (n) if even(n) then return n; end end, array() / double, a);

for _, name in ipairs { "map", "filter" } do
	local f = name == "map" and double or even;
	local copy = array { 1, 2, 3, 4 };
	print(name, array[name](copy, f), copy, copy[name](copy, f), copy);
	print(name .. " none", array[name]({}, f), array():map(f));
end
print("filter to nothing", array { 1, 3 }:filter(even), #array { 1, 3 }:filter(even));
print("of plain lists", array.map({ 1, 2 }, double), array.filter({ 1, 2 }, even), array.reverse { 1, 2, 3 }, array.sort { 3, 1, 2 });
print("chained", array { 5, 2, 8, 1 }:sort():filter(even):map(double):push("end"):reverse());

local chars = array { "c", "a", "d", "b" };
print("sort", array.sort(chars), chars, array.sort(chars, function (x, y) return x > y; end), chars:sort(), chars);
print("unique", array.unique { 1, 2, 1, 3, 2 }, array { "x", "x" }:unique(), array():unique());
print("pluck", array.pluck({ { n = 1 }, { n = 2 } }, "n"), array { { n = 1 }, {} }:pluck("n", "none"), array { { n = false } }:pluck("n", "none"));
print("reverse", array.reverse { 1, 2, 3, 4 }, array { 1, 2, 3 }:reverse(), array { 1 }:reverse(), array():reverse());

for _, cut in ipairs { { 1, 2 }, { 2 }, { -2 }, { 2, -2 }, { 0, 2 }, { 3, 99 }, { 4, 2 }, { -99, 1 }, { 5 }, { 1, 0 }, { -1, -1 } } do
	local copy = array { 1, 2, 3, 4 };
	print("slice " .. table.concat(cut, " "), array.slice(copy, cut[1], cut[2]), copy, copy:slice(cut[1], cut[2]), #copy);
end

local stack = array { "a" };
print("push", stack:push "b", stack:push "c", rawequal(stack:push "d", stack));
print("pop", stack:pop(), stack:pop(), stack, stack:pop(1), stack);
print("pop of none", array():pop());
print("append", array { 1 }:append { 2, 3 }, array():append(array()), rawequal(stack:append {}, stack));
print("concat", a:concat ", ", array { 1, true, "x" }:concat "-", array():concat ",", array { "a", "b" }:concat());

print("random", array { 7 }:random(), array { 7, 8 }:random_other(1), array { 7, 8 }:random_other(2));
local shuffled = array.collect(it.range(20)):shuffle();
print("shuffle", #shuffled, array.sort(shuffled), rawequal(shuffled:shuffle(), shuffled));
local seen = {};
for _ = 1, 300 do seen[a:random()] = true; end
print("random of all", it.count(it.keys(seen)), a:random_other(1) ~= 1, a:random_other(4) ~= 4);

local items = {};
for i, item in ipairs(chars) do items[i] = i .. item; end
print("ipairs", table.concat(items, " "));
print("type", type(a), type(array), next(array()), rawget(a, "map"));
print("wrong", (pcall(array.map, a, nil)), (pcall(array.map, nil, double)), (pcall(function () return a:filter(); end)), (pcall(array.collect, "x")));
