-- Waiting, as with Prosody's util.async. Prosody suspends the coroutine that waits; here the waiting is a loop in which
-- everything else of the call goes on.

local native = ...;

local function waiter(num, allow_many)
	num = num or 1;
	return function ()
		while num > 0 do
			native.step("async.wait");
		end
	end, function ()
		num = num - 1;
		if num < 0 and not allow_many then
			error("done() called too many times");
		end
	end
end

local function wait_for(promise)
	local settled, result, err = false, nil, nil;
	promise:next(function (value) settled, result = true, value; end, function (reason) settled, err = true, reason; end);
	while not settled do
		native.step("async.wait_for");
	end
	if result then
		return result;
	end
	return nil, err;
end

local function sleep(seconds)
	local over = false;
	native.after(seconds, function () over = true; end);
	while not over do
		native.step("async.sleep");
	end
end

local function guarder()
	local held = {};
	local default = {};
	return function (id, func)
		if id == nil then
			id = default;
		end
		while held[id] do
			native.step("a guard of async.guarder");
		end
		held[id] = true;
		local function exit()
			held[id] = nil;
		end
		if func then
			func();
			exit();
			return;
		end
		return exit;
	end
end

local runner_methods = {};
local runner_mt = { __index = runner_methods };

-- run does what is queued, one after the other, and comes back when it is done.
function runner_methods:run(input)
	local queue = self.queue;
	if input ~= nil then
		queue[#queue + 1] = input;
	end
	if self.state ~= "ready" then
		return true, self.state, #queue;
	end
	self.state = "running";
	while #queue > 0 do
		local ok, err = pcall(self.func, queue[1]);
		table.remove(queue, 1);
		if not ok then
			local watcher = self.watchers.error;
			if not watcher then
				self.state = "ready";
				error(err, 0);
			end
			watcher(self, err);
		end
	end
	self.state = "ready";
	return true, "ready", 0;
end

function runner_methods:enqueue(input)
	self.queue[#self.queue + 1] = input;
	return self;
end

function runner_methods:onready(f) self.watchers.ready = f; return self; end
function runner_methods:onwaiting(f) self.watchers.waiting = f; return self; end
function runner_methods:onerror(f) self.watchers.error = f; return self; end

local function runner(func, watchers, data)
	return setmetatable({
		func = func or function (f) f(); end, state = "ready", queue = {}, watchers = watchers or {}, data = data,
	}, runner_mt);
end

return {
	waiter = waiter, wait_for = wait_for, wait = wait_for, sleep = sleep, guarder = guarder, runner = runner, ready = native.ready,
};
