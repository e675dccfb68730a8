-- Promises, as Prosody's util.promise has them: a handler runs at once when there is something to tell, and what it
-- returns or raises settles the promise that next gave. Results after the first one travel along, up to the next handler:
-- they are the reason of "return nil, reason, text".

local native = ...;

local methods = {};
local mt = { __name = "promise" };

local response_fields = { code = true, body = true, headers = true, request = true };

function mt.__index(_, key)
	local method = methods[key];
	if method == nil and response_fields[key] then
		error("a promise has no "..key..": the response comes to promise:next(function (response) … end), or from async.wait_for(promise)");
	end
	return method;
end

function mt.__tostring(self)
	return "promise ("..(rawget(self, "_state") or "invalid")..")";
end

local function is_promise(v)
	return getmetatable(v) == mt;
end

-- react lets one handler of a settled promise settle another promise.
local function react(p, on_fulfilled, on_rejected, resolve, reject)
	local handler, value;
	if p._state == "fulfilled" then
		if not on_fulfilled then
			return resolve(p.value, p._why, p._text);
		end
		handler, value = on_fulfilled, p.value;
	else
		if not on_rejected then
			return reject(p.reason, p._raised);
		end
		handler, value = on_rejected, p.reason;
	end
	local ok, result, why, text = pcall(handler, value);
	if ok then
		return resolve(result, why, text);
	end
	return reject(result, true);
end

local function when(p, on_fulfilled, on_rejected, resolve, reject)
	p._seen = true;
	if p._state ~= "pending" then
		return react(p, on_fulfilled, on_rejected, resolve, reject);
	end
	local waiting = p._waiting;
	waiting[#waiting + 1] = function () react(p, on_fulfilled, on_rejected, resolve, reject); end
end

local function settle(p, state)
	p._state = state;
	local waiting = p._waiting;
	p._waiting = nil;
	for i = 1, #waiting do
		waiting[i]();
	end
end

local function settlers(p)
	local resolved = false;
	local function fulfil(value, why, text)
		p.value, p._why, p._text = value, why, text;
		settle(p, "fulfilled");
	end
	local function fail(reason, raised)
		p.reason, p._raised = reason, raised;
		settle(p, "rejected");
		if not p._seen then
			native.rejected(p);
		end
	end
	local function resolve(value, why, text)
		if resolved then return; end
		resolved = true;
		if is_promise(value) then
			when(value, nil, nil, fulfil, fail);
		else
			fulfil(value, why, text);
		end
	end
	local function reject(reason, raised)
		if resolved then return; end
		resolved = true;
		fail(reason, raised);
	end
	return resolve, reject;
end

local function pending()
	local p = setmetatable({ _state = "pending", _waiting = {} }, mt);
	return p, settlers(p);
end

native.introduce(mt, pending);

local function new(f)
	local p, resolve, reject = pending();
	if f then
		local ok, err = pcall(f, resolve, function (reason) reject(reason); end);
		if not ok then
			reject(err, true);
		end
	end
	return p;
end

local function resolve(...)
	local p, settled = pending();
	settled(...);
	return p;
end

local function reject(reason)
	local p, _, settled = pending();
	settled(reason);
	return p;
end

function methods:next(on_fulfilled, on_rejected)
	local p, resolve, reject = pending();
	when(self, on_fulfilled, on_rejected, resolve, reject);
	return p;
end

function methods:catch(on_rejected)
	return self:next(nil, on_rejected);
end

function methods:finally(on_finally)
	local p, resolve, reject = pending();
	local function after()
		local ok, err = pcall(on_finally);
		if not ok then
			return reject(err, true);
		end
		return react(self, nil, nil, resolve, reject);
	end
	self._seen = true;
	if self._state == "pending" then
		self._waiting[#self._waiting + 1] = after;
	else
		after();
	end
	return p;
end

-- collect resolves to a table of what each promise comes to, under its key, when there is nothing left to wait for.
local function collect(promises, on_fulfilled, on_rejected)
	return new(function (resolve, reject)
		local results, left = {}, 1;
		local function done()
			left = left - 1;
			if left == 0 then
				resolve(results);
			end
		end
		for key, p in pairs(promises) do
			if is_promise(p) then
				left = left + 1;
				p:next(function (value)
					results[key] = on_fulfilled(value);
					done();
				end, on_rejected and function (reason)
					results[key] = on_rejected(reason);
					done();
				end):catch(reject);
			else
				results[key] = p;
			end
		end
		done();
	end);
end

local function all(promises)
	return collect(promises, function (value) return value; end);
end

local function all_settled(promises)
	return collect(promises,
		function (value) return { status = "fulfilled", value = value }; end,
		function (reason) return { status = "rejected", reason = reason }; end);
end

local function race(promises)
	local p, resolve, reject = pending();
	for i = 1, #promises do
		when(promises[i], nil, nil, resolve, reject);
	end
	return p;
end

-- any resolves to what the first promise comes to that is not rejected, or is rejected with a list of all reasons.
local function any(promises)
	local p, resolve, reject = pending();
	local reasons, left = {}, #promises;
	if left == 0 then
		reject(reasons);
	end
	for i = 1, #promises do
		when(promises[i], nil, nil, resolve, function (reason)
			reasons[i] = reason;
			left = left - 1;
			if left == 0 then
				reject(reasons);
			end
		end);
	end
	return p;
end

local function try(f)
	return resolve():next(function () return f(); end);
end

local function join(handler, ...)
	local n = select("#", ...);
	return all({ ... }):next(function (results)
		return handler(table.unpack(results, 1, n));
	end);
end

return {
	new = new, resolve = resolve, reject = reject, all = all, all_settled = all_settled, race = race, any = any, try = try, join = join,
	is_promise = is_promise,
};
