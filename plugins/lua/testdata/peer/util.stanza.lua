-- util.stanza. Attributes have no order: elements that are printed have one at the most, or those are printed one by
-- one. What rosterd does otherwise: stanza_mt is not there, control characters from 0x14 to 0x1f and U+FFFE are refused as well, pretty_print
-- has no colours, texts of errors are its own, the attributes of an element come in the order they were given.
local st = require "util.stanza";

local function attrs(s)
	local list = {};
	for key, value in pairs(s.attr) do list[#list + 1] = key:gsub("\1", "|") .. "=" .. value; end
	table.sort(list);
	return s.name .. "{" .. table.concat(list, " ") .. "}" .. #s .. "/" .. #s.tags;
end
local function names(f, s, var)
	local list = {};
	for child in f, s, var do list[#list + 1] = type(child) == "table" and child.name or "'" .. child .. "'"; end
	return "[" .. table.concat(list, " ") .. "]";
end

print("stanza", st.stanza "a", st.stanza("a", { k = "v" }), st.stanza("a", {}), st.stanza "a":tag "b", attrs(st.stanza("x", { a = "1", b = "2" })));
print("is_stanza", st.is_stanza(st.stanza "a"), st.is_stanza {}, st.is_stanza(nil), st.is_stanza "a");
print("builders", attrs(st.iq { id = "1", type = "get" }), attrs(st.message { to = "a@b" }), st.message(nil, "hi"), st.message({ type = "chat" }, "<hi>"), st.presence(), st.presence { type = "unavailable" });
print("tag and up", st.stanza "a":tag "b":tag "c":up():tag "d":up():up():tag "e", st.stanza "a":up():up():tag "b");
print("text", st.stanza "a":text "x":text "":text(nil):text "y":tag "b":text "z", st.stanza "a":text_tag("b", "t", { k = "v" }):text_tag("c", nil):text "end");
print("query and body", st.iq { id = "1", type = "get" }:query "jabber:iq:roster".tags[1], st.message():body "hello":body("hallo", { ["xml:lang"] = "de" }).tags[2]);
local s = st.stanza "root":tag "in";
print("reset", s:at_top(), s:reset():at_top(), s:tag "next", s:reset(), st.stanza "x":at_top(), st.stanza "x":tag "y":up():at_top());
s = st.stanza "a":tag "b";
s:add_child(st.stanza "c"):add_child "text";
s:add_direct_child(st.stanza "d");
print("add", s, #s, #s.tags, #s.tags[1]);
print("escape", st.xml_escape "<a href='x' k=\"y\">&amp;</a>", st.stanza("a", { k = "<'\"&>" }):text "<'\"&>", st.xml_escape "", st.xml_escape "ü");
print("namespaces", st.stanza("a", { xmlns = "urn:x" }):tag("b", { xmlns = "urn:x" }):up():tag("c", { xmlns = "urn:y" }):tag("d", { xmlns = "urn:x" }), st.stanza("a"):tag("b", { xmlns = "" }));
print("attribute of a namespace", st.stanza("a", { ["urn:x\1k"] = "v" }), st.stanza("a", { ["xml:lang"] = "de" }));
print("top_tag", st.stanza "a":top_tag(), st.stanza("a", { k = "v'" }):tag "b":top_tag());
print("number of children", #st.stanza "a":text "x":tag "b":up():text "y", #st.stanza "a":tag "b":up():tag "c".tags);

local m = st.stanza("m", { xmlns = "urn:m" });
m:text "before";
m:tag("a", { xmlns = "urn:m", n = "1" }):text "first":up();
m:tag("b", { xmlns = "urn:other", n = "2" }):tag("deep", { xmlns = "urn:other", k = "v" }):text "down":up():up();
m:text "between";
m:tag("a", { xmlns = "urn:other", n = "3" }):text "third":up();
m:tag("a", { xmlns = "urn:m", n = "4" }):up();
local function n(tag) return tag and tag.attr.n; end
print("get_child", n(m:get_child "a"), n(m:get_child "b"), n(m:get_child("b", "urn:other")), n(m:get_child("a", "urn:other")), n(m:get_child(nil, "urn:other")), n(m:get_child()), m:get_child "none");
print("get_child_text", m:get_child_text "a", m:get_child_text("a", "urn:other"), m:get_child_text "none", m:get_child_text("b", "urn:other"));
print("get_text", m:get_text(), m:get_child "a":get_text(), st.stanza "x":get_text(), st.stanza "x":text "a":text "b":get_text());
print("childtags", names(m:childtags()), names(m:childtags "a"), names(m:childtags(nil, "urn:other")), names(m:childtags("b", "urn:other")), names(m:childtags "none"));
print("children", names(m:children()), names(st.stanza "x":children()));
print("child_with", n(m:child_with_name "b"), n(m:child_with_name "none"), n(m:child_with_ns "urn:other"), n(m:child_with_ns "none"));
print("get_child_with_attr", n(m:get_child_with_attr("a", nil, "n", "4")), n(m:get_child_with_attr("a", nil, "n", "3")), n(m:get_child_with_attr("a", "urn:other", "n", "THREE", function (v) return v == "3" and "THREE"; end)));
print("find", n(m:find "a"), m:find "a#", m:find "a@n", m:find "{urn:other}b@n", m:find "{urn:other}b/deep#", m:find "{urn:other}b/{urn:other}deep@k", m:find "@xmlns", m:find "none/deep@k", m:find "{urn:other}@n", m:find "{urn:other}b/none#", n(m:find "{urn:other}b"));

local function each(f)
	local list, calls = st.stanza "l":text "t":tag "a":up():text "u":tag "b":up():tag "c":up(), {};
	list:maptags(function (t) calls[#calls + 1] = t.name; return f(t); end);
	return tostring(list) .. " " .. #list .. "/" .. #list.tags .. " " .. table.concat(calls);
end
print("maptags", each(function (t) return t; end), each(function () return nil; end), each(function (t) if t.name ~= "b" then return t; end end), each(function (t) return st.stanza(t.name .. t.name); end));
print("remove_children", st.stanza "l":tag "a":up():tag "b":up():tag "a":up():remove_children "a", st.stanza "l":tag "a":up():tag("a", { xmlns = "urn:x" }):up():remove_children("a", "urn:x"), st.stanza "l":text "t":tag "a":remove_children());

local orig = st.stanza("o", { k = "v" }):tag "in":text "x":up();
local copy, top = st.clone(orig), st.clone(orig, true);
copy.attr.k = "other"; copy.tags[1]:text "y"; copy:tag "more";
print("clone", orig, copy, top, copy.tags[1] == copy[1], st.is_stanza(copy[1]));
local plain = st.preserialize(orig);
print("preserialize", plain.name, plain.attr.k, plain[1].name, plain[1][1], getmetatable(plain), plain.tags, #plain);
local back = st.deserialize(plain);
print("deserialize", back, st.is_stanza(back.tags[1]), st.deserialize(nil), attrs(st.deserialize { name = "a", attr = { ["urn:x|k"] = "v" } }), st.deserialize { name = "a", attr = {}, { name = "b", attr = {} }, "t" });

local get = st.iq { id = "7", type = "get", from = "a@b/c", to = "d" }:query "urn:q";
print("reply", attrs(st.reply(get)), attrs(st.reply(st.message { type = "chat", from = "x" })), attrs(st.reply(st.presence { from = "y", id = "1" })));
local e = st.error_reply(get, "cancel", "item-not-found", "No <such> item");
print("error_reply", attrs(e), attrs(e.tags[1]), e.tags[1].tags[1], e.tags[1].tags[2]);
print("get_error", e:get_error());
e = st.error_reply(get, "auth", "forbidden", nil, "server");
print("by", attrs(e.tags[1]), #e.tags[1].tags, e:get_error());
print("by the sender", attrs(st.error_reply(get, "auth", "forbidden", nil, "d").tags[1]));
e = st.error_reply(get, { type = "cancel", condition = "gone", text = "moved", extra = { uri = "xmpp:x@y", namespace = "urn:app", condition = "special" }, context = { by = "ctx" } });
print("error object", attrs(e.tags[1]), e.tags[1].tags[1], e.tags[1].tags[2], e.tags[1].tags[3], (select(3, e:get_error())), select(4, e:get_error()).name);
e = st.error_reply(get, { type = "wait", condition = "conflict", extra = { tag = st.stanza "own" } }):tag "more";
print("error with a tag", e.tags[1].tags[2], e.tags[1].tags[3], e:get_error());
print("no error", st.iq { id = "1", type = "get" }:get_error(), st.stanza "x":tag "error":get_error());
print("indent", st.stanza "a":tag "b":tag "c":up():up():tag "d":text "t":up():text "  ":text "word":indent(), st.stanza "a":text "t":indent(), st.stanza "a":tag "b":indent(2, "  "));

for i, f in ipairs {
	function () return st.stanza(); end, function () return st.stanza ""; end, function () return st.stanza "a b"; end, function () return st.stanza "<a"; end,
	function () return st.stanza "a\1"; end, function () return st.stanza "\255"; end, function () return st.stanza(1); end, function () return st.stanza("a", "b"); end,
	function () return st.stanza("a", { [1] = "x" }); end, function () return st.stanza("a", { k = 1 }); end, function () return st.stanza("a", { k = true }); end,
	function () return st.stanza("a", { ["k k"] = "v" }); end, function () return st.stanza("a", { k = "\0" }); end, function () return st.stanza("a", { k = "\237\160\128" }); end,
	function () return st.stanza "a":text(1); end, function () return st.stanza "a":text "\8"; end, function () return st.stanza "a":text "\192"; end,
	function () return st.stanza "a":add_child {}; end, function () return st.stanza "a":add_child(nil); end, function () return st.stanza "a":add_direct_child(1); end,
	function () return st.iq(); end, function () return st.iq { id = "1" }; end, function () return st.iq { type = "get" }; end,
	function () return st.reply {}; end, function () return st.reply(nil); end, function () return st.error_reply(st.message { type = "error" }, "cancel", "gone"); end,
	function () return st.error_reply(nil, "cancel", "gone"); end, function () return st.clone {}; end, function () return st.clone "a"; end, function () return st.xml_escape(nil); end,
	function () return st.message(nil, 5); end, function () return st.stanza "a":tag(nil); end, function () return st.stanza "a":get_child_text "b" .. ""; end,
} do
	print("refused", i, (pcall(f)));
end
for i, f in ipairs {
	function () return st.stanza("a", { k = "\9\10\13" }); end, function () return st.stanza "a-b.c:d"; end, function () return st.stanza "ü"; end,
	function () return st.stanza("a", { ["n\1k"] = "" }); end, function () return st.stanza "a":text "\t\n"; end, function () return st.stanza("a", { k = "" }):text " "; end,
} do
	print("taken", i, (pcall(f)));
end
