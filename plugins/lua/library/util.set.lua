-- Sets, as Prosody's util.set has them: new, and what a set can be asked.

local set_mt = { __name = "set" };
set_mt.__index = set_mt;

local function is_set(v) return getmetatable(v) == set_mt; end

local function new(list)
	local items = {};
	for _, item in ipairs(list or {}) do
		items[item] = true;
	end
	return setmetatable({ _items = items }, set_mt);
end

function set_mt:contains(item) return not not self._items[item]; end
function set_mt:add(item) self._items[item] = true; end
function set_mt:remove(item) self._items[item] = nil; end
function set_mt:items() return next, self._items; end

return { new = new, is_set = is_set };
