-- util.hashes and util.hmac. Left out: what the OpenSSL of one system has and that of another does not.
local hashes, hmac = require "util.hashes", require "util.hmac";

local function hex(s)
	return (s:gsub(".", function (c) return ("%02x"):format(c:byte()); end));
end

local texts = { "", "a", "abc", "The quick brown fox jumps over the lazy dog", "\0", "\255\0\254", ("x"):rep(1000), "\u{fc}" };
for _, name in ipairs { "md5", "sha1", "sha224", "sha256", "sha384", "sha512" } do
	local h = hashes[name];
	for _, s in ipairs(texts) do
		print(name, #s, hex(h(s)), h(s, true) == hex(h(s)), h(s, 1) == hex(h(s)), h(s, false) == h(s), h(s, nil) == h(s));
	end
	print(name, "number", h(12, true), h("12", true) == h(12, true));
	print(name, "wrong", (pcall(h)), (pcall(h, nil)), (pcall(h, {})), (pcall(h, true)));
end

local keys = { "", "key", ("k"):rep(64), ("k"):rep(200), "\0" };
for _, name in ipairs { "md5", "sha1", "sha256", "sha512" } do
	local h = hashes["hmac_" .. name];
	for _, key in ipairs(keys) do
		for _, s in ipairs { "", "text", "\0\255" } do
			print("hmac_" .. name, #key, #s, hex(h(key, s)), h(key, s, true) == hex(h(key, s)), hmac[name](key, s, true) == hex(h(key, s)));
		end
	end
	print("hmac_" .. name, "wrong", (pcall(h)), (pcall(h, "k")), (pcall(h, nil, "s")), (pcall(h, "k", {})));
end

for _, case in ipairs { { "password", "salt", 1 }, { "password", "salt", 2 }, { "password", "salt", 4096 }, { "", "", 1 }, { "pass\0word", "sa\0lt", 4096 },
	{ ("p"):rep(100), "s", 3 }, { "pencil", "\65\37\194\71\228\58\177\233\60\109\255\118", 600 }, { "p", "s", "7" } } do
	print("pbkdf2", #case[1], #case[2], case[3], hex(hashes.pbkdf2_hmac_sha1(case[1], case[2], case[3])), hex(hashes.pbkdf2_hmac_sha256(case[1], case[2], case[3])),
		hashes.scram_Hi_sha1(case[1], case[2], case[3]) == hashes.pbkdf2_hmac_sha1(case[1], case[2], case[3]));
end
for _, name in ipairs { "pbkdf2_hmac_sha1", "pbkdf2_hmac_sha256" } do
	local f = hashes[name];
	print(name, "wrong", (pcall(f)), (pcall(f, "p")), (pcall(f, "p", "s")), (pcall(f, "p", "s", 0)), (pcall(f, "p", "s", -1)), (pcall(f, "p", "s", 1.5)), (pcall(f, "p", "s", "x")), (pcall(f, "p", {}, 1)));
end

print("equals", hashes.equals("", ""), hashes.equals("a", "a"), hashes.equals("a", "b"), hashes.equals("a", "aa"), hashes.equals("\0a", "\0b"), hashes.equals("\0", ""), hashes.equals(12, "12"));
print("equals", "wrong", (pcall(hashes.equals)), (pcall(hashes.equals, "a")), (pcall(hashes.equals, nil, "a")), (pcall(hashes.equals, {}, {})));
