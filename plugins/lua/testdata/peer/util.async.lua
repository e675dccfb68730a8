-- Prosody waits in coroutines, so that it wants a runner around everything; runner:run comes back there as soon as
-- something waits. Here are such as need not wait for anything that comes later.
local async = require "util.async";
local promise = require "util.promise";

local main = async.runner(function ()
	print((async.ready()));

	local wait, done = async.waiter();
	done();
	wait();
	print("waited for one");
	wait, done = async.waiter(3);
	done(); done(); done();
	wait();
	wait();
	print("waited for three");
	print(pcall(done) == false);
	wait, done = async.waiter(1, true);
	done();
	wait(); -- done() once more before it would have Prosody wait for ever
	done();
	print("too many are allowed");

	print(async.wait_for(promise.resolve("value")));
	print(async.wait_for(promise.reject("reason")));
	print(async.wait_for(promise.resolve(false)));
	print(async.wait(promise.resolve("value")));

	local guard = async.guarder();
	local exit = guard("a");
	exit();
	guard("a", function () print("guarded"); end);
	guard(nil, function () guard("other", function () print("nested"); end); end);
	exit = guard();
	exit();
end);
print(main:run(true));

-- what is queued while something runs comes after it
local r;
r = async.runner(function (item)
	print("begin", item);
	if item == 1 then
		local more, state, queued = r:run(2);
		print(more, state, queued);
		r:enqueue(3);
	end
	print("end", item);
end);
print(r:run(1));
print(r.state);
print(async.runner():run(function () print("a function"); end));

local failing = async.runner(function (item) if item == "bad" then error("oops", 0); end print("good", item); end, {
	error = function (_, err) print("error", (tostring(err):gsub("\n.*", ""))); end,
});
print(failing:run("good"));
failing:run("bad");
failing:run("again");
print(failing.state);
print(async.runner(print, {}, "data").data);
