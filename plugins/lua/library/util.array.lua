-- Lists with methods, as Prosody's util.array has them. The metatable is that of the lists of JSON: what json.decode and
-- module:get_option_array return are arrays, too.

local error, type, tostring, ipairs, setmetatable = error, type, tostring, ipairs, setmetatable;
local remove, sort, concat = table.remove, table.sort, table.concat;
local random, floor = math.random, math.floor;

local native = ...;
local array_mt, metatable_of = native.metatable, native.metatable_of;

local function empty() return setmetatable({}, array_mt); end

-- function_for is for arguments: what is no function is the caller's mistake.
local function function_for(name, v)
	if type(v) ~= "function" then
		error("bad argument to '" .. name .. "' (function expected, got " .. type(v) .. ")");
	end
	return v;
end

-- cut leaves the first n items.
local function cut(list, n)
	for i = #list, n + 1, -1 do list[i] = nil; end
	return list;
end

local function append(self, list)
	local n = #self;
	for i = 1, #list do self[n + i] = list[i]; end
	return self;
end

local function collect(f, state, key)
	local list, n = {}, 0;
	function_for("collect", f);
	key = f(state, key);
	while key ~= nil do
		n = n + 1;
		list[n] = key;
		key = f(state, key);
	end
	return setmetatable(list, array_mt);
end

-- Each of these writes what it makes of the list from into the list to: the same one for a method, a new one for a
-- function of the library.

local function map(to, from, f)
	function_for("map", f);
	for i, item in ipairs(from) do to[i] = f(item); end
	return to;
end

local function filter(to, from, f)
	function_for("filter", f);
	local n = 0;
	for i = 1, #from do
		local item = from[i];
		if f(item) then
			n = n + 1;
			to[n] = item;
		end
	end
	return cut(to, n);
end

local function unique(to, from)
	local seen = {};
	return filter(to, from, function (item)
		local again = seen[item];
		seen[item] = true;
		return not again;
	end);
end

local function slice(to, from, first, last)
	local n = #from;
	last = last or -1;
	if first < 0 then first = n + 1 + first; end
	if last < 0 then last = n + 1 + last; end
	if first < 1 then first = 1; end
	if last > n then last = n; end
	for i = first, last do to[i - first + 1] = from[i]; end
	return cut(to, last < first and 0 or last - first + 1);
end

local function sorted(to, from, less)
	if to ~= from then append(to, from); end
	sort(to, less);
	return to;
end

local function pluck(to, from, key, default)
	for i = 1, #from do
		local value = from[i][key];
		if value == nil then value = default; end
		to[i] = value;
	end
	return to;
end

local function reverse(to, from)
	local n = #from;
	for i = 1, floor((n + 1) / 2) do
		local o = n + 1 - i;
		local a, b = from[i], from[o];
		to[i] = b; to[o] = a;
	end
	return to;
end

local methods = {
	append = append;
	pop = remove;

	map = function (self, f) return map(self, self, f); end;
	filter = function (self, f) return filter(self, self, f); end;
	unique = function (self) return unique(self, self); end;
	slice = function (self, first, last) return slice(self, self, first, last); end;
	sort = function (self, less) return sorted(self, self, less); end;
	pluck = function (self, key, default) return pluck(self, self, key, default); end;
	reverse = function (self) return reverse(self, self); end;

	push = function (self, item) self[#self + 1] = item; return self; end;
	length = function (self) return #self; end;
	concat = function (self, separator) return concat(map({}, self, tostring), separator); end;

	random = function (self) return self[random(1, #self)]; end;
	-- any item but the one at the place i
	random_other = function (self, i)
		local n = #self;
		return self[(random(1, n - 1) + i - 1) % n + 1];
	end;
	shuffle = function (self)
		local n = #self;
		for i = 1, n do
			local o = random(i, n);
			local a, b = self[i], self[o];
			self[i] = b; self[o] = a;
		end
		return self;
	end;
};

local function is_array(v) return metatable_of(v) == array_mt; end

array_mt.__index = methods;

function array_mt.__tostring(self) return "{" .. methods.concat(self, ", ") .. "}"; end

function array_mt.__add(a, b) return append(append(empty(), a), b); end

-- array / f is what f makes of each item, where that is not nil.
function array_mt.__div(self, f)
	local list, n = empty(), 0;
	function_for("/", f);
	for i = 1, #self do
		local made = f(self[i]);
		if made ~= nil then
			n = n + 1;
			list[n] = made;
		end
	end
	return list;
end

function array_mt.__eq(a, b)
	if not (is_array(a) and is_array(b)) or #a ~= #b then return false; end
	for i = 1, #a do
		if a[i] ~= b[i] then return false; end
	end
	return true;
end

-- array(list) makes an array of the list itself, array(f, state, key) of what an iterator gives.
local function new(_, list, state, key)
	if type(list) == "function" then return collect(list, state, key); end
	if list == nil then return empty(); end
	return is_array(list) and list or setmetatable(list, array_mt);
end

return setmetatable({
	collect = collect;
	map = function (list, f) return map(empty(), list, f); end;
	filter = function (list, f) return filter(empty(), list, f); end;
	unique = function (list) return unique(empty(), list); end;
	slice = function (list, first, last) return slice(empty(), list, first, last); end;
	sort = function (list, less) return sorted(empty(), list, less); end;
	pluck = function (list, key, default) return pluck(empty(), list, key, default); end;
	reverse = function (list) return reverse(empty(), list); end;
}, { __call = new });
