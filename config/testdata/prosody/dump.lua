-- What Prosody's own core.configmanager makes of configurations: lua5.4 dump.lua LIBRARY FILE… prints a line of JSON for each,
-- { "config": { section: { option: value } } } or { "error": … }. Bytes beyond ASCII are written as \u00XX.
local library = table.remove(arg, 1)
package.path = library .. "/?.lua;" .. package.path
package.cpath = library .. "/?.so;" .. package.cpath
local manager = require "core.configmanager"
function print() end -- what configurations print is none of this

local function quoted(s)
	return '"' .. s:gsub('[%c"\\\127-\255]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function object(t, value)
	local list = {}
	for k, v in pairs(t) do
		if math.type(k) == "float" and math.tointeger(k) then k = math.tointeger(k) end
		list[#list + 1] = quoted(tostring(k)) .. ":" .. value(v)
	end
	table.sort(list)
	return "{" .. table.concat(list, ",") .. "}"
end

local function json(v)
	if type(v) == "string" then return quoted(v) end
	if type(v) == "boolean" or math.type(v) == "integer" then return tostring(v) end
	if type(v) == "number" then return ("%.17g"):format(v) end
	if type(v) ~= "table" then return "null" end -- a function
	local n = 0
	for _ in pairs(v) do n = n + 1 end
	if n ~= #v then return object(v, json) end
	local list = {}
	for i = 1, n do list[i] = json(v[i]) end
	return "[" .. table.concat(list, ",") .. "]"
end

local function options(section)
	local named = {}
	for k, v in pairs(section) do
		if type(k) == "string" then named[k] = v end -- a list in a table form is read by nothing
	end
	return object(named, json)
end

for _, file in ipairs(arg) do
	local ok, _, err = manager.load(file, "lua")
	if ok then
		io.write('{"config":', object(manager.getconfig(), options), "}\n")
	else
		io.write('{"error":', quoted(tostring(err)), "}\n")
	end
end
