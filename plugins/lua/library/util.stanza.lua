-- XML elements, as Prosody's util.stanza has them. An element is a table { name =, attr = {}, tags = {}, … } whose
-- items are its children in order, elements and texts; tags are the elements among them. namespaces, where there is
-- one, is a table from prefixes to namespaces, and last_add the way to where text and tag add. Whoever makes such
-- tables otherwise, in Go, gives them the metatable that this chunk gets: see stanzas in xml.go.
--
-- The chunk also gets fault(text, kind), which says what is wrong with a text or name in XML, and escape(text).

local error, type, tostring, setmetatable = error, type, tostring, setmetatable;
local next, pairs, ipairs = next, pairs, ipairs;
local remove, concat = table.remove, table.concat;
local find, match, sub, rep = string.find, string.match, string.sub, string.rep;
local native = ...;
local fault, xml_escape = native.fault, native.escape;

local xmlns_stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"; -- RFC 6120 §8.3.2

local stanza_mt, metatable_of = native.metatable, native.metatable_of;
local methods = {};
stanza_mt.__index = methods;

local function is_stanza(v) return metatable_of(v) == stanza_mt; end

local function check(what, v, kind)
	local wrong = fault(v, kind);
	if wrong then error("invalid " .. what .. ": " .. wrong); end
end

local function new(name, attr, namespaces)
	check("tag name", name, "name");
	if attr ~= nil then
		if type(attr) ~= "table" then error("invalid attributes: table expected, got " .. type(attr)); end
		for key, value in next, attr do
			check("attribute name", key, "attribute");
			check("attribute value", value, "text");
		end
	end
	return setmetatable({ name = name, attr = attr or {}, namespaces = namespaces, tags = {} }, stanza_mt);
end

-- Adding. The place where text and tag add is the last of last_add, or the element itself.

local function place(self)
	local way = self.last_add;
	return way and way[#way] or self;
end

local function add_direct_child(self, child)
	if is_stanza(child) then
		self.tags[#self.tags + 1] = child;
	else
		check("text", child, "text");
	end
	self[#self + 1] = child;
end

local function tag(self, name, attr, namespaces)
	local child = new(name, attr, namespaces);
	add_direct_child(place(self), child);
	local way = self.last_add;
	if not way then way = {}; self.last_add = way; end
	way[#way + 1] = child;
	return self;
end

local function text(self, s)
	if s ~= nil and s ~= "" then add_direct_child(place(self), s); end
	return self;
end

local function up(self)
	if self.last_add then remove(self.last_add); end
	return self;
end

local function text_tag(self, name, s, attr, namespaces)
	return up(text(tag(self, name, attr, namespaces), s));
end

methods.add_direct_child = add_direct_child;
methods.tag, methods.text, methods.up, methods.text_tag = tag, text, up, text_tag;

function methods.add_child(self, child) add_direct_child(place(self), child); return self; end
function methods.query(self, xmlns) return tag(self, "query", { xmlns = xmlns }); end
function methods.body(self, s, attr) return text_tag(self, "body", s, attr); end
function methods.reset(self) self.last_add = nil; return self; end
function methods.at_top(self) return self.last_add == nil or #self.last_add == 0; end

-- Asking. A namespace that is not given is that of the element itself.

local function is_called(self, child, name, xmlns)
	return (not name or child.name == name) and child.attr.xmlns == (xmlns or self.attr.xmlns);
end

local function get_child(self, name, xmlns)
	for _, child in ipairs(self.tags) do
		if is_called(self, child, name, xmlns) then return child; end
	end
	return nil;
end

local function get_text(self)
	if #self.tags == 0 then return concat(self); end
	return nil;
end

local function get_child_text(self, name, xmlns)
	local child = get_child(self, name, xmlns);
	return child and get_text(child);
end

local function childtags(self, name, xmlns)
	local tags, i, n = self.tags, 0, #self.tags;
	return function ()
		while i < n do
			i = i + 1;
			if is_called(self, tags[i], name, xmlns) then return tags[i]; end
		end
	end;
end

methods.get_child, methods.get_text, methods.get_child_text, methods.childtags = get_child, get_text, get_child_text, childtags;

function methods.get_child_attr(self, name, xmlns, attr)
	local child = get_child(self, name, xmlns);
	return child and child.attr[attr];
end

function methods.get_child_with_attr(self, name, xmlns, attr, value, normalize)
	for child in childtags(self, name, xmlns) do
		local has = child.attr[attr];
		if (normalize and normalize(has) or has) == value then return child; end
	end
	return nil;
end

function methods.child_with_name(self, name)
	for _, child in ipairs(self.tags) do
		if child.name == name then return child; end
	end
	return nil;
end

function methods.child_with_ns(self, xmlns)
	for _, child in ipairs(self.tags) do
		if child.attr.xmlns == xmlns then return child; end
	end
	return nil;
end

function methods.children(self)
	local i = 0;
	return function ()
		i = i + 1;
		return self[i];
	end, self, 0;
end

-- find goes along a path: "{namespace}name/name@attribute" or "…/name#" for a text.
function methods.find(self, path)
	local at, after = 1, #path + 1;
	while self do
		local xmlns, name, sep;
		local first = sub(path, at, at);
		if first == "@" then return self.attr[sub(path, at + 1)]; end
		if first == "{" then
			xmlns, at = match(path, "^([^}]+)}()", at + 1);
			if not at then error("invalid path: no end of a namespace: " .. path); end
		end
		name, sep, at = match(path, "^([^@/#]*)([/#]?)()", at);
		if name == "" then name = nil; end
		if at == after then
			if sep == "#" then return get_child_text(self, name, xmlns); end
			return get_child(self, name, xmlns);
		end
		self = get_child(self, name, xmlns);
	end
	return nil;
end

-- maptags puts what f makes of each element in its place, and takes it out where that is nil.
local function maptags(self, f)
	local children, tags, last_tag = {}, {}, 0;
	for i = 1, #self do
		local child = self[i];
		if child == self.tags[last_tag + 1] then
			last_tag = last_tag + 1;
			child = f(child);
			tags[#tags + 1] = child;
		end
		children[#children + 1] = child;
	end
	for i = #self, #children + 1, -1 do self[i] = nil; end
	for i, child in ipairs(children) do self[i] = child; end
	for i = #self.tags, #tags + 1, -1 do self.tags[i] = nil; end
	for i, child in ipairs(tags) do self.tags[i] = child; end
	return self;
end
methods.maptags = maptags;

function methods.remove_children(self, name, xmlns)
	return maptags(self, function (child)
		if not is_called(self, child, name, xmlns) then return child; end
	end);
end

-- get_error is the type, condition and text of an error stanza, and the condition of an application (RFC 6120 §8.3).
function methods.get_error(self)
	local err = get_child(self, "error");
	if not err then return nil, nil, nil, nil; end
	local condition, described, extra;
	for _, child in ipairs(err.tags) do
		if child.attr.xmlns ~= xmlns_stanzas then
			extra = child;
		elseif child.name == "text" and not described then
			described = get_text(child);
		else
			condition = condition or child.name;
		end
		if condition and described and extra then break; end
	end
	return err.attr.type, condition or "undefined-condition", described, extra;
end

-- Copies.

local function copy(t)
	local result = {};
	for key, value in next, t do result[key] = value; end
	return result;
end

local function copied(self, only_top)
	local tags = {};
	local result = { name = self.name, attr = copy(self.attr), namespaces = self.namespaces and copy(self.namespaces), tags = tags };
	if not only_top then
		for i, child in ipairs(self) do
			if type(child) == "table" then
				child = copied(child);
				tags[#tags + 1] = child;
			end
			result[i] = child;
		end
	end
	return setmetatable(result, stanza_mt);
end

local function clone(self, only_top)
	if not is_stanza(self) then error("bad argument to 'clone' (stanza expected, got " .. type(self) .. ")"); end
	return copied(self, only_top);
end

local function preserialize(self)
	local plain = { name = self.name, attr = self.attr };
	for i, child in ipairs(self) do
		plain[i] = type(child) == "table" and preserialize(child) or child;
	end
	return plain;
end

-- deserialize takes what preserialize gave, also where the parts of an attribute's name were kept apart by "|".
local function deserialize(plain)
	if not plain then return nil; end
	local attr = {};
	for key, value in pairs(plain.attr) do
		if type(key) == "string" then
			if not find(key, "\1", 1, true) then
				local xmlns, name = match(key, "^([^|]+)|(.+)$");
				if xmlns then key = xmlns .. "\1" .. name; end
			end
			attr[key] = value;
		end
	end
	local self = new(plain.name, attr);
	for _, child in ipairs(plain) do
		if type(child) == "table" then
			add_direct_child(self, deserialize(child));
		elseif type(child) == "string" then
			add_direct_child(self, child);
		end
	end
	return self;
end

-- As text.

local function open_tag(self, out, outer)
	local prefixes = 0;
	out[#out + 1] = "<" .. self.name;
	for key, value in next, self.attr do
		local xmlns, name = match(key, "^([^\1]*)\1(.*)$");
		if xmlns then
			prefixes = prefixes + 1;
			local prefix = "ns" .. prefixes;
			out[#out + 1] = " xmlns:" .. prefix .. "='" .. xml_escape(xmlns) .. "' " .. prefix .. ":" .. name .. "='" .. xml_escape(value) .. "'";
		elseif key ~= "xmlns" or value ~= outer then
			out[#out + 1] = " " .. key .. "='" .. xml_escape(value) .. "'";
		end
	end
end

local function write(self, out, outer)
	open_tag(self, out, outer);
	if #self == 0 then
		out[#out + 1] = "/>";
		return;
	end
	out[#out + 1] = ">";
	for _, child in ipairs(self) do
		if type(child) == "table" then
			write(child, out, self.attr.xmlns);
		else
			out[#out + 1] = xml_escape(child);
		end
	end
	out[#out + 1] = "</" .. self.name .. ">";
end

function stanza_mt.__tostring(self)
	local out = {};
	write(self, out, nil);
	return concat(out);
end

function methods.top_tag(self)
	local out = {};
	open_tag(self, out, nil);
	out[#out + 1] = ">";
	return concat(out);
end

-- Colours are for terminals.
methods.pretty_print, methods.pretty_top_tag = tostring, methods.top_tag;

-- indent is a copy with its elements on lines of their own; what holds nothing but text stays as it is.
function methods.indent(self, level, by)
	if #self == 0 or #self == 1 and type(self[1]) == "string" then return self; end
	level, by = level or 1, by or "\t";
	local result, line = copied(self, true), "\n" .. rep(by, level);
	for _, child in ipairs(self) do
		if type(child) == "table" then
			text(result, line);
			add_direct_child(result, child:indent(level + 1, by));
		elseif find(child, "%S") then
			text(result, line);
			text(result, child);
		end
	end
	return text(result, "\n" .. rep(by, level - 1));
end

-- The three stanzas, and answers to them (RFC 6120 §8).

local function message(attr, body)
	local result = new("message", attr);
	return body and text_tag(result, "body", body) or result;
end

local function presence(attr) return new("presence", attr); end

local function iq(attr)
	if not attr or not attr.id or not attr.type then
		error("iq: attributes id and type are required");
	end
	return new("iq", attr);
end

local function answer(orig, name, kind)
	if not is_stanza(orig) then error("bad argument to '" .. name .. "' (stanza expected, got " .. type(orig) .. ")"); end
	local attr = orig.attr;
	return new(orig.name, { to = attr.from, from = attr.to, id = attr.id, type = kind });
end

local function reply(orig)
	return answer(orig, "reply", is_stanza(orig) and (orig.name == "iq" and "result" or orig.attr.type));
end

-- error_reply takes the words of an error, or instead of its type an object of Prosody's util.error.
local function error_reply(orig, kind, condition, described, by)
	local result = answer(orig, "error_reply", "error");
	if orig.attr.type == "error" then error("error_reply: an error is not answered with an error"); end
	local extra;
	if type(kind) == "table" then
		local object = kind;
		extra = type(object.extra) == "table" and object.extra;
		if type(object.context) == "table" and type(object.context.by) == "string" then by = object.context.by; end
		kind, condition, described = object.type, object.condition, object.text;
	end
	if by == result.attr.from then by = nil; end
	tag(tag(result, "error", { type = kind, by = by }), condition, { xmlns = xmlns_stanzas });
	if extra and condition == "gone" and type(extra.uri) == "string" then text(result, extra.uri); end
	up(result);
	if described then text_tag(result, "text", described, { xmlns = xmlns_stanzas }); end
	if extra and is_stanza(extra.tag) then
		result:add_child(extra.tag);
	elseif extra and extra.namespace and extra.condition then
		up(tag(result, extra.condition, { xmlns = extra.namespace }));
	end
	return result;
end

return {
	stanza = new; is_stanza = is_stanza; clone = clone; preserialize = preserialize;
	deserialize = deserialize; message = message; iq = iq; presence = presence; reply = reply;
	error_reply = error_reply; xml_escape = xml_escape; pretty_print = tostring;
};
