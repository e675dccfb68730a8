-- util.random, util.uuid and util.id: what is the same whatever chance gives.
local random, uuid, id = require "util.random", require "util.uuid", require "util.id";

print("bytes", #random.bytes(0), #random.bytes(1), #random.bytes(16), #random.bytes(1000), random.bytes(16) == random.bytes(16));
print("bytes", "wrong", (pcall(random.bytes)), (pcall(random.bytes, 1.5)), (pcall(random.bytes, "x")), (pcall(random.bytes, {})));

local seen = {};
for _ = 1, 50 do
	local u = uuid.generate();
	assert(#u == 36 and u:match("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$") and not seen[u], u);
	assert(u == u:lower(), u);
	seen[u] = true;
end
print("uuid", (uuid.generate():gsub("%x", "x")));
print("nibbles", #uuid.get_nibbles(0), #uuid.get_nibbles(1), #uuid.get_nibbles(7), uuid.get_nibbles(8):match("^%x+$") ~= nil, (pcall(uuid.get_nibbles)));

for _, name in ipairs { "tiny", "short", "medium", "long" } do
	local s = id[name]();
	print(name, #s, s:match("^[%w_-]+$") == s, name == "tiny" or s ~= id[name]());
end
local own = id.custom(7);
print("custom", #own(), own():match("^[%w_-]+$") ~= nil, own() ~= own(), #id.custom(0)(), (pcall(id.custom(1))));
