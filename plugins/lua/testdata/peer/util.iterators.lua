-- util.iterators. The order of pairs is no one's to know: what depends on it has one key, or is sorted.
-- Left out: join(…):prepend(…), which raises an error in Prosody 0.12 where Lua is 5.4, and join without append.
local it = require "util.iterators";

-- show lists all values of all steps.
local function show(f, s, var)
	local steps = {};
	while true do
		local step = table.pack(f(s, var));
		var = step[1];
		if var == nil then break; end
		for i = 1, step.n do step[i] = tostring(step[i]); end
		steps[#steps + 1] = table.concat(step, "=");
	end
	return "[" .. table.concat(steps, " ") .. "]";
end
local function sorted(f, s, var)
	local list = it.to_array(f, s, var);
	table.sort(list);
	return "[" .. table.concat(list, " ") .. "]";
end
local letters = { "a", "b", "c", "b" };

print("keys", show(it.keys { k = 1 }), sorted(it.keys { x = 1, y = 2, z = 3 }), show(it.keys {}));
print("values", show(it.values { k = "v" }), sorted(it.values(letters)), show(it.values {}));
print("count", it.count(pairs { a = 1, b = 2 }), it.count(ipairs(letters)), it.count(it.keys {}), it.count(it.range(10)));
print("range", show(it.range(3)), show(it.range(2, 5)), show(it.range(0)), show(it.range(5, 4)), show(it.range(-1, 1)));
print("to_array", #it.to_array(ipairs(letters)), table.concat(it.to_array(it.range(4)), ","), #it.to_array(pairs {}));
local t = it.to_table(ipairs(letters));
print("to_table", t[1], t[4], #t, it.to_table(pairs { k = "v" }).k);
print("sorted_pairs", show(it.sorted_pairs { c = 3, a = 1, b = 2 }), show(it.sorted_pairs({ 5, 6, 7 }, function (x, y) return x > y; end)), show(it.sorted_pairs {}));
print("ripairs", show(it.ripairs(letters)), show(it.ripairs {}));
print("reverse", show(it.reverse(ipairs(letters))), show(it.reverse(it.range(3))), show(it.reverse(pairs {})));
print("head", show(it.head(2, ipairs(letters))), show(it.head(9, it.range(3))), show(it.head(0, it.range(3))));
print("skip", show(it.skip(2, ipairs(letters))), show(it.skip(0, it.range(2))), show(it.skip(3, it.range(3))));
print("tail", show(it.tail(2, ipairs(letters))), show(it.tail(9, it.range(3))), show(it.tail(1, it.range(3))), show(it.tail(3, it.range(0))));
print("filter", show(it.filter(function (k) return k > 2; end, ipairs(letters))), show(it.filter(2, it.range(4))), show(it.filter(function (_, v) return v == "b"; end, ipairs(letters))));
print("filter all", show(it.filter(function () return false; end, it.range(4))), show(it.filter("x", it.range(0))));
print("unique", show(it.unique(it.values { "x", "x" })), show(it.unique(ipairs(letters))), sorted(it.unique(it.values(letters))));
print("select", show(it.select(2, ipairs(letters))), show(it.select(1, ipairs(letters))));
print("join", show(it.join(ipairs { "a", "b" }):append(ipairs { "c" })), show(it.join(it.range(2)):append(it.range(0)):append(it.range(7, 8))));
print("join none", show(it.join(it.range(0)):append(it.range(0))), show(it.join(pairs {}):append(it.range(1))));

local parts = {};
for key, value in it.sorted_pairs { one = 1, two = 2 } do parts[#parts + 1] = key .. value; end
for i in it.head(2, it.range(9)) do parts[#parts + 1] = i; end
for a, b in it.join(ipairs { "x" }):append(ipairs { "y" }) do parts[#parts + 1] = a .. b; end
for v in it.values { "w" } do parts[#parts + 1] = v; end
print("in for", table.concat(parts, " "));
print("string.gmatch", table.concat(it.to_array(("a,b,c"):gmatch "[^,]+"), ";"), it.count(("xyz"):gmatch "."));
print("nested", show(it.head(2, it.filter(3, it.skip(1, it.range(9))))), it.count(it.unique(it.reverse(it.values(letters)))));
print("wrong", (pcall(it.keys(nil))), (pcall(it.count, nil)), (pcall(it.sorted_pairs, nil)), (pcall(it.sorted_pairs, { a = 1, [2] = 1 })));
