-- Tables of a bounded size that forget what was not used for longest, as Prosody's util.cache has them. Here they last
-- as long as a call: what is to last longer belongs into module:open_store.
--
-- The entries are a ring that begins and ends at the cache's _ring: _ring.older is the newest, _ring.newer the oldest.

local error, tonumber, type, setmetatable = error, tonumber, type, setmetatable;
local floor = math.floor;

local function unlink(entry)
	entry.newer.older, entry.older.newer = entry.older, entry.newer;
end

local function link_newest(ring, entry)
	local second = ring.older;
	entry.newer, entry.older = ring, second;
	ring.older, second.newer = entry, entry;
end

local function clear(self)
	local ring = {};
	ring.newer, ring.older = ring, ring;
	self._ring, self._entries, self._count = ring, {}, 0;
end

local function forget(self, entry)
	unlink(entry);
	self._entries[entry.key] = nil;
	self._count = self._count - 1;
end

-- evict makes room for one, unless the cache's on_evict says no.
local function evict(self)
	local oldest, on_evict = self._ring.newer, self._on_evict;
	if on_evict == false or on_evict and on_evict(oldest.key, oldest.value) == false then return false; end
	forget(self, oldest);
	return true;
end

local function checked_size(size)
	size = tonumber(size) or error("cache size must be a number");
	size = floor(size);
	if not (size > 0) then error("cache size must be greater than zero"); end
	return size;
end

local methods = { clear = clear };

function methods.get(self, key)
	local entry = self._entries[key];
	return entry and entry.value;
end

function methods.set(self, key, value)
	local entry = self._entries[key];
	if value == nil then
		if entry then forget(self, entry); end
		return true;
	end
	if entry then
		unlink(entry);
		entry.value = value;
		link_newest(self._ring, entry);
		return true;
	end
	if self._count == self.size and not evict(self) then return false; end
	entry = { key = key, value = value };
	self._entries[key] = entry;
	self._count = self._count + 1;
	link_newest(self._ring, entry);
	return true;
end

-- walk goes from the newest to the oldest; what is removed meanwhile is no obstacle.
local function walk(self, pick)
	local ring = self._ring;
	local entry = ring;
	return function ()
		entry = entry.older;
		if entry == ring then
			entry = { older = ring };
			return nil;
		end
		return pick(entry);
	end;
end

local function both(entry) return entry.key, entry.value; end
local function value_of(entry) return entry.value; end

function methods.items(self) return walk(self, both); end
function methods.values(self) return walk(self, value_of); end
function methods.count(self) return self._count; end

function methods.head(self) return both(self._ring.older); end
function methods.tail(self) return both(self._ring.newer); end

function methods.resize(self, size)
	size = checked_size(size);
	while self._count > size do
		if not evict(self) then return false; end
	end
	self.size = size;
	return true;
end

-- table gives the cache the looks of a table.
function methods.table(self)
	if not self._table then
		self._table = setmetatable({}, {
			__index = function (_, key) return self:get(key); end;
			__newindex = function (_, key, value)
				if not self:set(key, value) then error("cache is full: no place for the key"); end
			end;
			__pairs = function () return self:items(); end;
			__len = function () return self:count(); end;
		});
	end
	return self._table;
end

local cache_mt = (...).metatable;
cache_mt.__index = methods;

local function new(size, on_evict)
	if on_evict and type(on_evict) ~= "function" then
		error("bad argument #2 to 'new' (function expected, got " .. type(on_evict) .. ")");
	end
	local cache = { size = checked_size(size), _on_evict = on_evict };
	clear(cache);
	return setmetatable(cache, cache_mt);
end

return { new = new };
