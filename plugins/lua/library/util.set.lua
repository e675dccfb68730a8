-- Sets, as Prosody's util.set has them. The items of a set are the keys of its table _items.

local setmetatable, error, type = setmetatable, error, type;
local ipairs, next, tostring = ipairs, next, tostring;
local concat = table.concat;

local native = ...;
local set_mt, metatable_of = native.metatable, native.metatable_of;

local function is_set(v) return metatable_of(v) == set_mt; end

-- items_of is for arguments: what is no set is the caller's mistake.
local function items_of(v, arg, name)
	if metatable_of(v) ~= set_mt then
		error("bad argument #" .. arg .. " to '" .. name .. "' (set expected, got " .. type(v) .. ")");
	end
	return v._items;
end

local function add_list(self, list)
	if list then
		local items = self._items;
		for _, item in ipairs(list) do items[item] = true; end
	end
end

local function new(list)
	local set = setmetatable({ _items = {} }, set_mt);
	add_list(set, list);
	return set;
end

local function union(a, b)
	local items_a, items_b = items_of(a, 1, "union"), items_of(b, 2, "union");
	local result = {};
	for item in next, items_a do result[item] = true; end
	for item in next, items_b do result[item] = true; end
	return setmetatable({ _items = result }, set_mt);
end

-- chosen has the items of a that are in b, or those that are not.
local function chosen(items_a, items_b, in_b)
	local result = {};
	for item in next, items_a do
		if (items_b[item] ~= nil) == in_b then result[item] = true; end
	end
	return setmetatable({ _items = result }, set_mt);
end

local function difference(a, b)
	return chosen(items_of(a, 1, "difference"), items_of(b, 2, "difference"), false);
end

local function intersection(a, b)
	return chosen(items_of(a, 1, "intersection"), items_of(b, 2, "intersection"), true);
end

local function xor(a, b)
	local items_a, items_b = items_of(a, 1, "xor"), items_of(b, 2, "xor");
	return union(chosen(items_a, items_b, false), chosen(items_b, items_a, false));
end

set_mt.__index = {
	add = function (self, item) self._items[item] = true; end;
	remove = function (self, item) self._items[item] = nil; end;
	contains = function (self, item) return self._items[item]; end; -- true or nil
	items = function (self) return next, self._items; end;
	empty = function (self) return next(self._items) == nil; end;
	add_list = add_list;

	contains_set = function (self, other)
		for item in other do
			if not self:contains(item) then return false; end
		end
		return true;
	end;
	include = function (self, other)
		local items = self._items;
		for item in other do items[item] = true; end
	end;
	exclude = function (self, other)
		local items = self._items;
		for item in other do items[item] = nil; end
	end;
};

-- "for item in set"
function set_mt.__call(self, _, last) return (next(self._items, last)); end

set_mt.__add, set_mt.__sub = union, difference;

function set_mt.__div(self, func)
	local result = {};
	for item in next, self._items do
		local mapped = func(item);
		if mapped ~= nil then result[mapped] = true; end
	end
	return setmetatable({ _items = result }, set_mt);
end

function set_mt.__eq(a, b)
	if not (is_set(a) and is_set(b)) then return false; end
	local items_a, items_b = a._items, b._items;
	for item in next, items_a do
		if items_b[item] == nil then return false; end
	end
	for item in next, items_b do
		if items_a[item] == nil then return false; end
	end
	return true;
end

function set_mt.__tostring(self)
	local list = {};
	for item in next, self._items do list[#list + 1] = tostring(item); end
	return concat(list, ", ");
end

return {
	new = new; is_set = is_set;
	union = union; difference = difference; intersection = intersection; xor = xor;
};
