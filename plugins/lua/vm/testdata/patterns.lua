-- Random patterns and subjects. What this prints was taken from PUC Lua 5.4; E is an error.
local seed = 12345
local function rnd(n) seed = (seed * 1103 + 12345) % 65536 return seed % n + 1 end
local pa = {"a","b","a","b",".","%a","%d","%s","[ab]","[^a]","[a-c]","%w","(",")","()","*","+","-","?","*","-","%1","%b()","%f[%w]","%f[^%w]","^","$"," ","1","[%w_]","[]]","%%","%.","x"}
local sa = {"a","b","c","x"," ","1","(",")","aab","ab","%",".","]","_"}
local out = {}
for i = 1, 1000 do
  local p, s = {}, {}
  for j = 1, rnd(7) do p[j] = pa[rnd(#pa)] end
  for j = 1, rnd(10) - 1 do s[j] = sa[rnd(#sa)] end
  p, s = table.concat(p), table.concat(s)
  local init = rnd(12) - 5
  local function show(...) local t = {} for k = 1, select('#', ...) do t[k] = tostring((select(k, ...))) end return table.concat(t, "|") end
  local function try(f, ...) local r = table.pack(pcall(f, ...)) if not r[1] then return "E" end return show(table.unpack(r, 2, r.n)) end
  print(i, p, s, init, try(string.find, s, p, init), try(string.match, s, p, init), try(string.gsub, s, p, "<%0>"), try(string.gsub, s, p, function(...) return show(...) end, 3), try(function() local t = {} for a, b in s:gmatch(p, init) do t[#t+1] = tostring(a) .. ":" .. tostring(b) end return table.concat(t, ",") end))
end
