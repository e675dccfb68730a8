-- What Prosody's util.promise says of errors has a traceback; here are only such as are tables.
local promise = require "util.promise";
local function oops(v) return setmetatable({ v = v }, { __tostring = function () return "oops "..v; end }); end
local function show(name)
	return function (v) print(name, "value", tostring(v)); return v; end, function (e) print(name, "reason", tostring(e)); end;
end

print(tostring(promise.resolve(1)), tostring(promise.reject(1)), tostring(promise.new(function () end)), tostring(promise.new()));
print(promise.is_promise(promise.new()), promise.is_promise({}), promise.is_promise(nil), promise.is_promise("x"));

-- handlers run at once
print("before");
promise.resolve("now"):next(show("resolve"));
print("after");
promise.reject("never"):next(show("reject"));
promise.reject("caught"):catch(function (e) print("catch", e); return "mended"; end):next(show("mended"));
promise.resolve(1):next(function (v) return v + 1; end):next(function (v) return v * 10; end):next(show("chain"));
promise.resolve(1):next(function () error(oops("in next")); end):next(show("skipped")):next(show("after reason"));
promise.new(function () error(oops("in new")); end):next(show("new"));

-- settled once
promise.new(function (resolve, reject) resolve("first"); resolve("second"); reject("third"); end):next(show("once"));
promise.new(function (resolve, reject) reject("first"); resolve("second"); end):next(show("once rejected"));

-- later
local resolve_later, reject_later;
local later = promise.new(function (resolve, reject) resolve_later, reject_later = resolve, reject; end);
later:next(show("a"));
later:next(show("b"));
later:next(function (v) return v..v; end):next(show("c"));
print(tostring(later));
resolve_later("later");
reject_later("too late");
print(tostring(later), later.value, later.reason);
later:next(show("d"));

-- promises of promises
promise.resolve(promise.resolve("inner")):next(show("adopted"));
promise.resolve(promise.reject("inner")):next(show("adopted reason"));
promise.resolve(1):next(function () return promise.reject("from next"); end):next(show("from next"));
local resolve_inner;
local inner = promise.new(function (resolve) resolve_inner = resolve; end);
local outer = promise.resolve(1):next(function () return inner; end);
outer:next(show("outer"));
print(tostring(outer));
resolve_inner("inner later");
print(tostring(outer));

-- finally
promise.resolve("kept"):finally(function (...) print("finally", select("#", ...)); return "ignored"; end):next(show("finally"));
promise.reject("kept"):finally(function () print("finally"); end):next(show("finally rejected"));
promise.resolve("lost"):finally(function () error(oops("in finally")); end):next(show("finally raised"));

-- many
local function keys(t)
	local names = {};
	for k in pairs(t) do names[#names + 1] = tostring(k); end
	table.sort(names);
	return table.concat(names, " ");
end
promise.all({ promise.resolve(1), 2, promise.resolve(3) }):next(function (r) print("all", r[1], r[2], r[3], #r); end);
promise.all({ a = promise.resolve(1), b = "plain" }):next(function (r) print("all named", r.a, r.b, keys(r)); end);
promise.all({}):next(function (r) print("all of nothing", keys(r)); end);
promise.all({ promise.resolve(1), promise.reject("one"), promise.reject("two") }):next(show("all rejected"));
promise.all_settled({ promise.resolve(1), promise.reject("no"), "plain" }):next(function (r)
	print("all_settled", r[1].status, r[1].value, r[2].status, r[2].reason, r[3]);
end);
promise.race({ promise.new(), promise.resolve("fast"), promise.resolve("slow") }):next(show("race"));
promise.race({ promise.reject("fast"), promise.resolve("slow") }):next(show("race rejected"));
print(tostring(promise.race({})));
promise.join(function (a, b, c) print("join", a, b, c); return a + c; end, promise.resolve(1), promise.resolve(nil), promise.resolve(3)):next(show("joined"));
promise.try(function () return "tried"; end):next(show("try"));
promise.try(function () error(oops("in try")); end):next(show("try raised"));
print(promise.resolve(5).value, promise.reject(6).reason, promise.resolve(5).absent);
