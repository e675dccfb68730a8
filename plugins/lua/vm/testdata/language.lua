-- What this prints was taken from PUC Lua 5.4.
print('--- constructors') do
local function f() return "F","G" end
local t = {1,2,x=f()} print(#t, t[3], t.x)
t = {x=f()} print(#t, t[1], t.x)
t = {f(), x=1} print(#t)
t = {1, f(), x=f(), y=2} print(#t,t[2],t[3])
local function mk(n, ...) local r = {} for i=1,n do r[i]=i end return r end
t = {1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,50,f()} print(#t, t[1], t[50], t[51], t[52])
t = {1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,50,x=f()} print(#t, t[1], t[50], t[51], t.x)
t = {1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,50,x=f(), 51} print(#t, t[1], t[50], t[51], t.x)
-- repeat with upvalue in cond
local fs = {}
local i = 0
repeat local j = i; fs[#fs+1] = function() return j end; i = i + 1 until j >= 3
print(fs[1](), fs[2](), fs[4]())
-- while with continue goto and captures
fs = {}
i = 0
while i < 4 do
  i = i + 1
  local k = i
  if k == 2 then goto cont end
  fs[#fs+1] = function() k = k + 1 return k end
  ::cont::
end
print(fs[1](), fs[1](), fs[2](), fs[3]())
-- nested functions
local function outer() local a = 1 local function g() a = a + 1 return a end local function h() return a end return g, h end
local g, h = outer() g() print(h())
-- varargs in middle
local function v(...) return (...), select('#', ...), {n=select('#',...), ...} end
local a, b, c = v(1, nil, nil) print(a, b, c.n, #c)
print((f()))
print(f(), f())

end
print('--- scopes and jumps') do
local n=0 local function inc() n=n+1 end for i=1,3 do inc() goto continue ::continue:: end print(n)
local f while true do do local x = 1; f = function() return x end; break end end local a,b,c,d = 5,6,7,8 print(f())
-- break mid block
for i=1,3 do if i==2 then break print("no") end print(i) end
local s = "\x41\u{48}\z
   \u{20AC}" print(s, 0x1p4 == 16, 0x.8, 010, 1e2 == 100, .5, 3. == 3, 0xA)
local function x(...) local t = {n=select("#", ...), ...} return t.n, #t end print(x(1,2,3))
local arg = {7} local function va(...) return arg[1] end print(va(1))
do local f = function() return f end print(f() == nil or type(f())) end
-- nested goto with captures
local fs = {}
for i = 1, 3 do
  local a = i
  for j = 1, 3 do
    local b = j
    fs[#fs+1] = function() a = a + 1; b = b + 1; return a, b end
    if j == 2 then goto next end
  end
  ::next::
end
for _, f in ipairs(fs) do print(f()) end
for _, f in ipairs(fs) do print(f()) end
-- backward goto
do local k = 0
::top::
local c = k
fs[k+1] = function() c = c + 10 return c end
k = k + 1
if k < 3 then goto top end
end
print(fs[1](), fs[2](), fs[3](), fs[1]())
print((("x"):rep(3)), #"abc", -2^2 == -4, 2^-1, not nil == true, 1 .. 2 .. 3, "a" < "b" and "y" or "n")
print(({10,20,30})[2], (function(...) return select('#', ...) end)(nil, nil))
local t = {f = function(self, a) return self, a end}
print(t:f(5) == t, select(2, t:f "x"), select(2, t:f{1})[1])
goto done
do print("skipped") end
::done:: print "done"

end
print('--- errors, coroutines, metamethods') do
-- upvalues and errors
local n=0 local function inc() n=n+1 end inc() pcall(error,"x") inc() print(n)
pcall(function() inc() error("y") end) inc() print(n)
local esc; pcall(function() local z = 7; esc = function() z = z + 1 return z end error("e") end) print(esc(), esc())
print(pcall(error)) print(pcall(error, nil)) print(select('#', pcall(function() end)))
print(pcall(function(...) return select('#', ...), ... end, 1, nil, nil))
print(pcall(nil)) print((pcall(string.rep)))
print(xpcall(function(a, b) return a + b end, print, 3, 4))
print(xpcall(function() error({code=5}) end, function(e) return e.code, 1 end))
print(xpcall(function() error("m") end, function(e) error("again") end))
-- error levels
local function g() error("lvl", 2) end
local function f()
  g()
end
print(pcall(f))
print(pcall(function() error("lvl1") end))
print(pcall(function() error("lvl0", 0) end))
print(pcall(assert, false)) print(pcall(assert, nil, "msg")) print(type(select(2, pcall(assert, false, {1}))))
print(assert(1, 2, 3))
-- coroutines
local co = coroutine.create(function(a, b)
  print("start", a, b)
  local c, d = coroutine.yield(a + b)
  print("got", c, d)
  local e = coroutine.yield()
  print("got2", e)
  return "end", 1, nil
end)
print(coroutine.resume(co, 1, 2))
print(coroutine.status(co))
print(coroutine.resume(co))
print(coroutine.resume(co, 1, 2, 3))
print(coroutine.status(co), coroutine.resume(co))
print(select('#', coroutine.resume(coroutine.create(function() end))))
local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
for x in gen do print(x) end
print(pcall(coroutine.wrap(function() error("in co", 0) end)))
print(type(select(2, pcall(coroutine.wrap(function() error({}) end)))))
print(coroutine.isyieldable(), select(2, coroutine.running()))
print(coroutine.wrap(function() return coroutine.isyieldable(), select(2, coroutine.running())  end)())
local outer
outer = coroutine.wrap(function()
  local inner = coroutine.wrap(function() coroutine.yield(coroutine.status(coroutine.running())) coroutine.yield(2) end)
  coroutine.yield(inner())
  coroutine.yield(inner())
end)
print(outer(), outer())
print(pcall(function() local c c = coroutine.create(function() return coroutine.resume(c) end) return coroutine.resume(c) end))
print(coroutine.close(coroutine.create(print)))
local c2 c2 = coroutine.create(function() return coroutine.status(c2) end) print(coroutine.resume(c2))
local c3 c3 = coroutine.create(function() local c4 = coroutine.create(function() return coroutine.status(c3) end) return coroutine.resume(c4) end) print(coroutine.resume(c3))
print(coroutine.resume(coroutine.create(tostring), 12))
-- deep recursion
print(pcall(function() local function r(n) return 1 + r(n+1) end return r(0) end) == false)
local function tail(n) if n == 0 then return "done" end return tail(n - 1) end print(tail(100000))
-- metamethods
local mt = setmetatable({}, {__index = function(t, k) return k .. "!" end, __call = function(self, a) return "called", a end, __len = function() return 42 end,
 __tostring = function() return "TS" end, __eq = function() return true end, __lt = function() return true end, __concat = function(a, b) return "cat" end,
 __pairs = function(t) return function(_, k) if not k then return 1, "one" end end, t, nil end, __unm = function() return "neg" end})
print(mt.foo, mt(5), #mt, tostring(mt), mt < mt, mt .. "x", "x" .. mt, -mt)
for k, v in pairs(mt) do print(k, v) end
local proxy = setmetatable({}, {__index = {10, 20, 30}}) for i, v in ipairs(proxy) do print(i, v) end
print(string.format("%s|%5s|%-5s|%.2s", mt, "ab", "ab", "abc"))
print((pcall(setmetatable, {}, 1)))
print(getmetatable(setmetatable({}, {__metatable = "locked"})), pcall(setmetatable, setmetatable({}, {__metatable = 1}), {}))
print("10" + 5, "010" * 1, "0x10" + 0, (pcall(function() return "abc" + 1 end)))
print(10 == "10", "a" < "b", "a" < "B", not pcall(function() return 1 < "2" end))
print(select(-1, 1, 2, 3), select(2, "a", "b", "c"), (pcall(select, 0)))
print(next({}), next({5}), type(next), rawlen({1,2}), rawlen("abc"), rawequal("a", "a"))
print(tostring(nil), tostring(true), tostring(12), tostring(-0.5), tostring(1e100), 1/0, -1/0, 0.1 + 0.2)

end
print('--- assignments') do
local a,b=1,2 a,b=b,a print(a,b)
local function f(x) return x end
a,b = 10, f(a) print(a,b)
local t = {}
a, t[1] = 20, a print(a, t[1])
a, t.x = 30, f(a) print(a, t.x)
local i = 1
i, t[i] = i + 1, 20 print(i, t[1])
t[1], t[2] = t[2], t[1] print(t[1], t[2])
a, b, t.y = b, a, a + b print(a, b, t.y)
a, b = b + 1, a + 1 print(a, b)
g1, a = a, 5 print(g1, a)
a, g1 = 6, a print(g1, a)
local u = {v = {}} 
u, u.v = 1, 2 print(u)
local function up() a, b = b, a return a, b end print(up()) print(a, b)

end
print('--- logic') do
local x = 5; local t = {}; x = t.y and "a"; print(x)
x = 5 x = t.y and t.z or t.w print(x)
x = 5 x = (t.y and "a") print(x)
x = 5 x = t.y or false print(x)
x = 5 x = t.y or nil print(x)
x = 5 x = not t.y and t.z print(x)
local function f() return nil end
x = 5 x = f() and 1 print(x)
x = 5 x = f() or f() print(x)
x = 5 x = f() and f() or f() print(x)
x = 5 x = (f() or f()) and 3 print(x)
x = 5 x = x and f() print(x)
x = 5 local y = f() and 2 print(y)
x = 5 t.a = f() and 2 print(t.a)
x = 5 g = f() and 2 print(g)
x = 5 x = 1 == 2 and 3 print(x)
x = 5 x = f() == nil and f() print(x)
x = 5 local z = 3 x = z and f() and 7 print(x)
x = false local z = nil x = z and 7 print(x)
print(f() and 1, (f() and 1))
x = 5 x = {f() and 1, f() or 2} print(x[1], x[2])
x = 5 x = f(f() and 1) print(x)

end
print('--- parameters') do
local function f(a) a = tostring(a) return type(a), a end print(f(5))
local function g(a, b) b = tostring(b) .. a; b = tostring(b) return b end print(g(5, 6))
local function h(self, b) b = self:m(b) return b end print(h({m = function(_, x) return x end}, 6))

end
print('--- constant conditions') do
for i=1,2 do if nil then break end print(i) end
for i=1,2 do if false then print("no") end print(i) end
for i=1,2 do if nil then goto c end print(i) ::c:: end
for i=1,2 do if 1 then goto c2 end print(i) ::c2:: end
while true do if nil then print "x" end if not nil then break end end
if nil then print(1) elseif false then print(2) else print(3) end
if true then print(4) end
if not true then print(5) else print(6) end
if nil and x then print(7) else print(8) end
if false or nil then print(9) else print(10) end
if "s" and nil then print(9) else print(10) end
while false do print(11) end
repeat print(12) until true
while nil do end print(13)
local x = nil and 1 print(x) x = false or 2 print(x) x = not nil and 3 print(x)
do if nil then end end print(14)
if nil then else print(15) end

end
print('--- loops that begin with a jump')
do if g then end for _, q in ipairs({1, 2}) do if nil then print(0, 1, 2) end print(q) end end
do if g then end local n = 0 while n < 2 do if false and g then g() end n = n + 1 print(n) end end
do if g then end if g then end for _, q in ipairs({1, 2}) do if nil then print(0, 1, 2) end print(q) end end
do if g then end if g then end local n = 0 while n < 2 do if false and g then g() end n = n + 1 print(n) end end
do if g then end if g then end if g then end for _, q in ipairs({1, 2}) do if nil then print(0, 1, 2) end print(q) end end
do if g then end if g then end if g then end local n = 0 while n < 2 do if false and g then g() end n = n + 1 print(n) end end
do if g then end if g then end if g then end if g then end for _, q in ipairs({1, 2}) do if nil then print(0, 1, 2) end print(q) end end
do if g then end if g then end if g then end if g then end local n = 0 while n < 2 do if false and g then g() end n = n + 1 print(n) end end
do if g then end if g then end if g then end if g then end if g then end for _, q in ipairs({1, 2}) do if nil then print(0, 1, 2) end print(q) end end
do if g then end if g then end if g then end if g then end if g then end local n = 0 while n < 2 do if false and g then g() end n = n + 1 print(n) end end
do if g then end if g then end if g then end if g then end if g then end if g then end for _, q in ipairs({1, 2}) do if nil then print(0, 1, 2) end print(q) end end
do if g then end if g then end if g then end if g then end if g then end if g then end local n = 0 while n < 2 do if false and g then g() end n = n + 1 print(n) end end
do if g then end if g then end if g then end if g then end if g then end if g then end if g then end for _, q in ipairs({1, 2}) do if nil then print(0, 1, 2) end print(q) end end
do if g then end if g then end if g then end if g then end if g then end if g then end if g then end local n = 0 while n < 2 do if false and g then g() end n = n + 1 print(n) end end
do if g then end if g then end if g then end if g then end if g then end if g then end if g then end if g then end for _, q in ipairs({1, 2}) do if nil then print(0, 1, 2) end print(q) end end
do if g then end if g then end if g then end if g then end if g then end if g then end if g then end if g then end local n = 0 while n < 2 do if false and g then g() end n = n + 1 print(n) end end
