-- What this prints was taken from PUC Lua 5.4.
local line = "" local real = print local function write(...) line = line .. table.concat({...}) end local function print(...) if line ~= "" then real(line) line = "" end if select("#", ...) > 0 then real(...) end end
-- strings
print(("x"):rep(3, ","), ("x"):rep(0), ("x"):rep(-1), (""):rep(5), ("ab"):rep(2, "--"))
print(("hello"):sub(2, -2), ("hello"):sub(-100, 2), ("hello"):sub(4, 100), ("hello"):sub(3, 2), ("hello"):byte(1, -1), ("hello"):byte(10))
print(string.char(72, 105), ("Hi"):upper(), ("Hi"):lower(), ("abc"):reverse(), ("abc"):len(), #"\0\0")
-- find
print(("hello world"):find("o w"), ("hello"):find("l+"), ("hello"):find("xyz"), ("hello"):find(""), ("hello"):find("", 10), ("hello"):find("", 6))
print(("a.b"):find(".", 1, true), ("a.b"):find("%."), ("a+b"):find("+", 1, true), ("key = val"):find("(%w+)%s*=%s*(%w+)"))
print(("hello"):match("^h(.)l"), ("hello"):match("()ll()"), ("hello"):match("h.-o"), ("  trim  "):match("^%s*(.-)%s*$") .. "|")
print(("THE (quick) fox"):find("%((%a+)%)"), ("f(a(b)c)d"):match("%b()"), ("THE (quick) fox"):gsub("%f[%a]%a+", string.lower))
print(("hello hello"):match("(h%w+) %1"), ("x=1, y=2"):gsub("(%w)=(%w)", "%2=%1"), ("abc"):gsub("", "-"), ("abc"):gsub("%w", "%0%0", 2))
print(("abc"):gsub("b", {b = "X"}), ("abc"):gsub("b", {b = false}), ("abc"):gsub("%w", function(c) if c == "b" then return 1 end end), ("$name is $x"):gsub("%$(%w+)", {name = "bob"}))
print(("hello"):gsub("l", "%%"), pcall(string.gsub, "a", "a", "%z"), (pcall(string.gsub, "a", "a", "%2")))
print(pcall(string.find, "a", "[a"), pcall(string.find, "a", "a%"), pcall(string.find, "a", "(a"), pcall(string.find, "a", "a)"), pcall(string.find, "a", "%b"), pcall(string.find, "a", "%f"), (pcall(string.find, "a", "%1")))
for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do write(k, v, ";") end print()
for w in ("one two  three"):gmatch("%a+") do write(w, ";") end for p in ("abc"):gmatch("()") do write(p, ";") end for w in ("abc"):gmatch("%w*") do write("[", w, "]") end print()
for w in ("hello world"):gmatch("o", 6) do write(w) end for w in ("^a^a"):gmatch("^a") do write("(", w, ")") end print()
print(("x]y"):find("[]]"), ("x-y"):find("[a%-]"), ("x^y"):find("[%^]"), ("xay"):find("[^x]"), ("a-z"):find("[a-]", 2), ("09"):match("[0-9]+"), ("é"):find("[\xc3]"), ("]"):match("[^]]"))
print(("0xFF"):match("%x+"), ("\1\2a"):match("%c+") == "\1\2", ("a!b"):match("%p"), ("a b"):match("%g+"), ("aB1_"):match("%w+"), ("aB"):match("%u"), ("aB"):match("%L"), ("a\0b"):match("%z") == "\0", ("a b"):find("%S", 2))
print(("aaa"):find("a-", 2), ("aaa"):match("a-$"), ("a$"):find("$", 1, true), ("a$"):match("a$"), ("a$b"):match("a$b"), ("^a"):match("%^a"), ("a"):match("a?b?a?"), ("aXb"):match("%u?b"))
print(pcall(string.gsub, "abc", ".", {a = true}), ("abc"):gsub("x*", "-"), ("héllo"):gsub("[\128-\255]", "?"))
print(string.find("abc", "b", -1), string.find("abc", "b", -2), string.find("a\nb", "a.b"), ("abc"):gsub("^a", "x"), ("aaa"):gsub("^a", "x"), ("hello world from lua"):gsub("(%w+)", "<%1>", 2))
-- format
print(string.format("%d %5d %-5d| %05d %+d % d %i", 1, 2, 3, 4, 5, 6, 7), string.format("%x %X %#x %o %#o", 255, 255, 255, 8, 8))
print(string.format("%s %10s %-10s| %.2s %%", "a", "b", "c", "def"), string.format("%c%c", 72, 105), string.format("%5.1f|%-8.3f|%e|%g|%g|%g", 3.14159, 2.5, 12345.678, 0.1, 1e20, 100000))
print(string.format("%q", 'a "quoted"\n\\ \0 \r1\0012 line'), string.format("%q %q %q", 1, 0.5, true), string.format("%g %g", 1/0, -1/0))
print(pcall(string.format, "%d", 7.5), pcall(string.format, "%y", 1), pcall(string.format, "%", 1), pcall(string.format, "%d"), pcall(string.format, "%123d", 1), (pcall(string.format, "%d", "x")))
print(string.format("%d", "10"), string.format("%s %s", nil, true), string.format("%.3d|%5.3d|%-5.3d|", 5, 5, 5), string.format("%x", -1), string.format("%a %.1a", 1, 0.5), string.format("%5s|%-5s|%5.1s|", "ab", "ab", "ab"))
print(string.format("%.14g %.3g %#.3g %G", 0.1, 1234567, 1, 1e-10), string.format("%+.2e", 12345.6789), string.format("%08.3f|%+08.3f|%-8.3f|", 3.14159, 3.14159, 3.14159), string.format("%08x|%-8x|", 255, 255))
print(string.format("%s", setmetatable({}, {__tostring = function() return "meta" end})), pcall(string.format, "%s", setmetatable({}, {__tostring = function() return {} end})))
print(string.format("%.0f %.20f %5.3s|", 0.5, 0.1, "abcdef"), string.format("% 5d|% d", 42, -42), string.format("%+d %+d", 0, -1), string.format("%#.0f %#x %#o", 1, 0, 0))
-- tonumber
print(tonumber("10"), tonumber("  0x1F  "), tonumber("1e2") == 100, tonumber("1e"), tonumber(""), tonumber(" "), tonumber("10", 2), tonumber("ff", 16), tonumber("zz", 36), tonumber("8", 8), tonumber("-ff", 16), tonumber("1 2"), tonumber("0x"), tonumber("0x1p4") == 16, tonumber("inf"), tonumber("nan"), tonumber("1_000"), tonumber(".5"), tonumber("5.") == 5, tonumber("."), tonumber("0b1"), tonumber("010"), tonumber("--1"), tonumber("- 1"), tonumber("+1"), tonumber(nil))
print(pcall(tonumber), pcall(tonumber, "1", 99), pcall(tonumber, 1, 10), tonumber("1\n"), tonumber("1e1000"), tonumber("99999999999999999999"))
-- table
local t = {1, 2, 3} table.insert(t, 4) table.insert(t, 1, 0) print(table.concat(t, ","), table.remove(t), table.remove(t, 1), table.concat(t, ","), table.remove({}), table.remove({}, 0), #t)
print(pcall(table.insert, t, 10, 1), pcall(table.insert, t), pcall(table.insert, t, 1, 2, 3), pcall(table.remove, t, 10), pcall(table.concat, {1, {}, 3}))
print(table.unpack({1, 2, 3})) print(table.unpack({1, 2, 3}, 2)) print(table.unpack({1, 2}, 1, 3)) print(table.pack(1, nil, 3).n, select('#', table.unpack({}, 1, 3)))
print(table.concat(table.move({1, 2, 3}, 1, 3, 2), ","), table.concat(table.move({1, 2, 3}, 2, 3, 1), ","), table.concat(table.move({1, 2, 3}, 1, 3, 1, {}), ","))
local s = {3, 1, 2} table.sort(s) print(table.concat(s, ",")) table.sort(s, function(a, b) return a > b end) print(table.concat(s, ",")) print(pcall(table.sort, {1, "a"}))
local words = {"banana", "apple", "cherry"} table.sort(words) print(table.concat(words, " "), table.concat({}, ","), table.concat({1, 2, 3}, ", ", 2, 3), table.concat({1, 2}, ",", 3))
print(#table.pack(), next({}, nil), select('#', table.unpack({n = 3}, 1, 2)))
-- math
print(math.floor(3.7), math.ceil(3.2), math.floor(-3.5), math.max(1, 5, 3), math.min(2, 0), math.abs(-4), math.huge, -math.huge, math.type(1), math.type(1.5), math.type("1"), math.tointeger(3.0), math.tointeger(3.5), math.tointeger("8"), math.fmod(7, 3), math.fmod(-7, 3))
print(7 % 3, -7 % 3, 7 % -3, 5.5 % 2, 2^10 == 1024, math.sqrt(16) == 4, math.pi, pcall(math.random, 2, 1), pcall(math.random, 0.5), math.ult(1, -1), math.modf(3.7))
-- utf8
print(utf8.char(72, 228, 8364, 128512), utf8.len("häß€"), utf8.len("\xff"), utf8.codepoint("h€", 1, -1)) for p, c in utf8.codes("a€b") do write(p, ":", c, " ") end print(utf8.offset("a€b", 3), utf8.offset("a€b", -1), utf8.offset("a€b", 0, 3), utf8.offset("abc", 5), utf8.len("abc", 4), utf8.len("€", -3), pcall(utf8.codepoint, "\xff"), (pcall(utf8.len, "abc", 5)))
for c in ("h€ä"):gmatch(utf8.charpattern) do write("[", c, "]") end print()
-- os
print(os.date("!%Y-%m-%d %H:%M:%S", 0), os.date("!%c", 86400), os.date("!%x %X %p %A %B %j %U %W %V %G %u %w %y %e %D %T %R %I", 1e9), os.time({year = 2024, month = 1, day = 1, hour = 0}) ~= nil, os.date("!*t", 3600).hour, os.date("!*t", 0).yday, os.date("!*t", 0).wday, pcall(os.date, "%Ez", 0), pcall(os.date, "%Q"), pcall(os.time, {year = 2020}))
local tt = os.time({year = 2024, month = 14, day = 1, hour = 12}) print(os.date("%Y-%m-%d", tt), os.difftime(5, 3) == 2)
