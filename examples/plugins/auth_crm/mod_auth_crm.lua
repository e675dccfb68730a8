-- Accounts of a CRM: whoever it knows the password of may log in.
local http = require "net.http";
local json = require "util.json";

local login = assert(module:get_option_string("auth_crm_url"), "auth_crm_url is not set");

-- true lets the user in, false is a wrong password. Whatever else happens is no answer to the question, and must not look
-- like a wrong password: that would lock people out who did nothing wrong.
local function test_password(user, password)
	local response, err = http.request(login, {
		method = "POST",
		headers = { ["Content-Type"] = "application/json" },
		body = json.encode({ login = user, password = password }),
	});
	if not response then
		return nil, "temporary", err; -- nobody answered
	elseif response.code ~= 200 then
		-- 401, too: it says that our own token is refused, not the user's password.
		return nil, "temporary", ("the CRM answers %d"):format(response.code);
	end

	local answer = json.decode(response.body);
	if type(answer) ~= "table" or type(answer.valid) ~= "boolean" then
		return nil, "temporary", "the CRM's answer is not { valid = true or false }";
	elseif answer.locked == true then
		return nil, "denied", "the account is locked";
	end
	return answer.valid;
end

module:provides("auth", { test_password = test_password });
