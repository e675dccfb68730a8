-- util.hex.
local hex = require "util.hex";

for _, s in ipairs { "", "abc", "ABC", "00ff", "a-b", "--ab--cd-", "zz", "Z", "0a0", "a", "6 1 6 2", "61 62", "61:62:63", "0x61", "\0", "\255\254", "xyz61XYZ", "61Q", "\u{fc}" } do
	print(("%q"):format(s), hex.encode(s), ("%q"):format(hex.decode(s)), ("%q"):format(hex.decode(hex.encode(s))), hex.to(s) == hex.encode(s), hex.from(s) == hex.decode(s));
end
local all = {};
for i = 0, 255 do all[#all + 1] = string.char(i); end
all = table.concat(all);
print("all", hex.encode(all), hex.decode(hex.encode(all)) == all, hex.decode(hex.encode(all):upper()) == all);
print("one result", select("#", hex.encode("a")), select("#", hex.decode("61")));
for _, name in ipairs { "encode", "decode", "to", "from" } do
	print("wrong", name, (pcall(hex[name])), (pcall(hex[name], nil)), (pcall(hex[name], {})), (pcall(hex[name], true)));
end
