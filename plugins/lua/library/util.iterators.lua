-- What can be done with iterators, as Prosody's util.iterators has it. An iterator is what a generic for takes: a
-- function, a state and the key to begin after.

local error, type, next, setmetatable = error, type, next, setmetatable;
local pack, unpack, sort = table.pack, table.unpack, table.sort;

local function keys(t)
	return function (_, key) return (next(t, key)); end, t;
end

local function values(t)
	local key, value;
	return function ()
		key, value = next(t, key);
		return value;
	end, t;
end

-- nth gives the n-th value of each step.
local function nth(n, f, state, key)
	return function ()
		local step = pack(f(state, key));
		key = step[1];
		if key == nil then return nil; end
		return step[n];
	end, state, key;
end

local function count(f, state, key)
	local n = 0;
	key = f(state, key);
	while key ~= nil do
		n = n + 1;
		key = f(state, key);
	end
	return n;
end

local function to_array(f, state, key)
	local list, n = {}, 0;
	key = f(state, key);
	while key ~= nil do
		n = n + 1;
		list[n] = key;
		key = f(state, key);
	end
	return list;
end

local function to_table(f, state, key)
	local t, value = {}, nil;
	key, value = f(state, key);
	while key ~= nil do
		t[key] = value;
		key, value = f(state, key);
	end
	return t;
end

-- steps keeps all values of all steps.
local function steps(f, state, key)
	local list, n = {}, 0;
	local step = pack(f(state, key));
	while step[1] ~= nil do
		n = n + 1;
		list[n] = step;
		step = pack(f(state, step[1]));
	end
	return list, n;
end

-- replay gives the steps of a list from first to last, forwards or backwards.
local function replay(list, first, last, by)
	local i = first - by;
	return function ()
		if i == last then return nil; end
		i = i + by;
		return unpack(list[i], 1, list[i].n);
	end;
end

local function reverse(f, state, key)
	local list, n = steps(f, state, key);
	if n == 0 then return function () end, list; end
	return replay(list, n, 1, -1), list;
end

local function tail(n, f, state, key)
	local list, all = steps(f, state, key);
	if n < 1 or all == 0 then return function () end; end
	return replay(list, n < all and all - n + 1 or 1, all, 1);
end

local function head(n, f, state, key)
	local given = 0;
	return function (s, k)
		if given >= n then return nil; end
		given = given + 1;
		return f(s, k);
	end, state, key;
end

local function skip(n, f, state, key)
	for _ = 1, n do key = f(state, key); end
	return f, state, key;
end

-- filter leaves out the steps for which want, a function, does not say yes, or those whose key is want.
local function filter(want, f, state, key)
	local unwanted = want;
	if type(want) ~= "function" then
		want = function (k) return k ~= unwanted; end
	end
	return function (s, k)
		local step = pack(f(s, k));
		while step[1] ~= nil and not want(unpack(step, 1, step.n)) do
			step = pack(f(s, step[1]));
		end
		return unpack(step, 1, step.n);
	end, state, key;
end

local function unique(f, state, key)
	local seen = {};
	return function ()
		while true do
			local step = pack(f(state, key));
			key = step[1];
			if key == nil then return nil; end
			if not seen[key] then
				seen[key] = true;
				return unpack(step, 1, step.n);
			end
		end
	end;
end

local function ripairs(list)
	return function (_, i)
		if i > 1 then return i - 1, list[i - 1]; end
	end, list, #list + 1;
end

local function range(first, last)
	if not last then first, last = 1, first; end
	return function (_, i)
		if i < last then return i + 1; end
	end, last, first - 1;
end

local function sorted_pairs(t, less)
	local list, i = to_array(keys(t)), 0;
	sort(list, less);
	return function ()
		i = i + 1;
		local key = list[i];
		if key ~= nil then return key, t[key]; end
	end;
end

-- A chain is a list of iterators and can itself be called as one; the state of that says which of them it is at.
local chain_mt = (...).metatable;
local chain = {};
chain_mt.__index = chain;

function chain.append(self, f, state, key)
	self[#self + 1] = { f, state, key };
	return self, { 1 };
end

function chain.prepend(self, f, state, key)
	for i = #self, 1, -1 do self[i + 1] = self[i]; end
	self[1] = { f, state, key };
	return self, { 1 };
end

function chain_mt.__call(self, at, key)
	if at == nil then error("an iterator that is joined needs another: iterators.join(…):append(…)"); end
	while true do
		local link = self[at[1]];
		if key == nil then key = link[3]; end
		local step = pack(link[1](link[2], key));
		if step[1] ~= nil then return unpack(step, 1, step.n); end
		if at[1] == #self then return nil; end
		at[1], key = at[1] + 1, nil;
	end
end

local function join(f, state, key) return setmetatable({ { f, state, key } }, chain_mt); end

return {
	reverse = reverse; keys = keys; values = values; select = nth; unique = unique; count = count; head = head;
	skip = skip; tail = tail; filter = filter; ripairs = ripairs; range = range; to_array = to_array;
	sorted_pairs = sorted_pairs; to_table = to_table; join = join;
};
