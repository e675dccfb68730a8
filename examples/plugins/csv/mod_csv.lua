-- Contacts from the CSV file that the personnel department exports: everybody sees everybody, by department.
local http = require "net.http";

local file_url = assert(module:get_option_string("csv_url"), "csv_url is not set");
local max_age = module:get_option_period("csv_max_age", "10 min", 0, 86400); -- a login within it asks for nothing
local separator = module:get_option_enum("csv_separator", ",", ";", "\t");

-- A field in quotes, and where the text goes on behind it. It may hold separators and line breaks; "" is a quote.
local function quoted(text, at)
	local parts = {};
	while true do
		local quote = assert(text:find('"', at, true), "a field in quotes without an end");
		table.insert(parts, text:sub(at, quote - 1));
		if text:sub(quote + 1, quote + 1) ~= '"' then
			return table.concat(parts, '"'), quote + 1;
		end
		at = quote + 2;
	end
end

-- The records of a text in CSV (RFC 4180), each a list of fields.
local function records(text)
	local all, record, field = {}, {}, nil;
	local at = text:sub(1, 3) == "\239\187\191" and 4 or 1; -- behind the mark that spreadsheets begin with
	while at <= #text do
		if text:sub(at, at) == '"' then
			field, at = quoted(text, at + 1);
		else
			local stop = text:find("[\r\n" .. separator .. "]", at) or #text + 1;
			field, at = text:sub(at, stop - 1), stop;
		end
		table.insert(record, field);
		local next = text:match("^\r?\n", at) or text:sub(at, at);
		assert(next == separator or next == "" or next:find("\n"), "text behind a field in quotes");
		if next ~= separator then
			table.insert(all, record);
			record = {};
		end
		at = at + math.max(#next, 1);
	end
	if record[1] then
		table.insert(all, record); -- the last line ends with a separator
	end
	return all;
end

-- Where the columns are that we need, by their names in the first record.
local function columns(header)
	local at = {};
	for i, name in ipairs(header or {}) do
		at[name] = i;
	end
	for _, name in ipairs({ "login", "name", "department" }) do
		assert(at[name], "no column " .. name);
	end
	return at;
end

local function read(text, host)
	local all = records(text);
	local at, contacts = columns(table.remove(all, 1)), {};
	for _, record in ipairs(all) do
		local login = record[at.login] or "";
		if login ~= "" then -- it is for people without an account, and on empty lines
			contacts[login:lower() .. "@" .. host] = { name = record[at.name], groups = { record[at.department] } };
		end
	end
	return contacts;
end

local function fetch(user, req)
	local response, err = http.request(file_url, { headers = { Accept = "text/csv" } });
	if not response then
		return nil, "temporary", err; -- nobody answered
	elseif response.code == 404 then
		return nil, "temporary", "no file at " .. file_url; -- which says nothing about the user
	elseif response.code ~= 200 then
		return response; -- rosterd knows what 401 and 503 mean
	end
	local ok, contacts = pcall(read, response.body, req.host);
	if not ok then
		return nil, "temporary", "the file cannot be read: " .. tostring(contacts);
	elseif not contacts[req.jid] then
		return nil, "not-found", "not in the file";
	end
	contacts[req.jid] = nil; -- nobody is his own contact
	return contacts, { max_age = max_age };
end

module:provides("roster", { fetch = fetch });
