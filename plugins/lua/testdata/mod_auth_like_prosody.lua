-- A provider in the manner of Prosody's community modules: what it needs for SASL stands in get_sasl_handler.

local usermanager = require "core.usermanager";
local new_sasl = require "util.sasl".new;
local base64 = require "util.encodings".base64.encode;
local have_async, async = pcall(require, "util.async");
local http = require "net.http";

local log = module._log;
local host = module.host;

if not have_async then
	error("util.async is needed");
end

local base = module:get_option_string("like_auth_url", ""):gsub("$host", host);
if base == "" then error("like_auth_url is needed"); end
base = base:gsub("/$", "");

local credentials = module:get_option_string("like_auth_credentials");

local provider = {};

local function ask(what, params)
	local wait, done = async.waiter();
	local headers = { Authorization = credentials and ("Basic "..base64(credentials)) or nil };
	local answer, code;
	http.request(base.."/"..what.."?"..http.formencode(params), { headers = headers }, function (body, status)
		answer, code = body, status;
		done();
	end);
	wait();
	log("debug", "%s of %s: %d", what, params.user, code);
	return code == 200 and answer == "true";
end

function provider.test_password(username, password)
	return ask("check", { user = username, pass = password });
end

function provider.is_enabled(username)
	return ask("enabled", { user = username });
end

function provider.user_exists()
	return true;
end

function provider.users()
	return function () end
end

function provider.set_password()
	return nil, "not supported";
end

provider.create_user, provider.delete_user = provider.set_password, provider.set_password;

function provider.get_sasl_handler()
	return new_sasl(host, {
		plain_test = function (_, username, password, realm)
			return usermanager.test_password(username, realm, password), provider.is_enabled(username);
		end;
	});
end

module:provides("auth", provider);
