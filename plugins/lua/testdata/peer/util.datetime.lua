-- util.datetime. Left out: fractions of seconds, which Prosody 13 writes and reads, and 0.12 does not; years that have not
-- four digits; the second before 1970, at which Prosody fails.
local datetime = require "util.datetime";

for _, t in ipairs { 0, 1, -2, 951782400, 1136214245, 2147483647, 2147483648, 4102444799, 253402300799, "12", -2208988800 } do
	print("format", t, datetime.date(t), datetime.datetime(t), datetime.time(t), datetime.legacy(t), datetime.parse(datetime.datetime(t)), datetime.parse(datetime.legacy(t)));
end
print("now", #datetime.datetime(), math.abs(datetime.parse(datetime.datetime()) - os.time()) < 5, #datetime.date(), #datetime.time(), #datetime.legacy(), #datetime.date(nil));
for _, name in ipairs { "date", "datetime", "time", "legacy" } do
	print("wrong", name, (pcall(datetime[name], "x")), (pcall(datetime[name], {})), (pcall(datetime[name], 2^60)), (pcall(datetime[name], true)));
end

for _, s in ipairs { "1970-01-01T00:00:00Z", "19700101T00:00:10", "2006-01-02T15:04:05+02:00", "2006-01-02T15:04:05-0330", "2006-01-02T15:04:05+2", "2006-01-02", "x", "",
	"2006-13-41T25:61:61Z", "2006-01-02T15:04:05 somewhere+01:00", "2006-01-02T15:04:05somewhere", "2006-01-02T15:04:05+01:3", "2006-01-02t15:04:05z",
	"2024-02-30T00:00:00Z", "2006-01-02T15:04:05.Z", "2006-01-02T15:04:05,5Z", "2006-01-02T15:04:05", "2006-1-2T15:04:05Z", " 2006-01-02T15:04:05Z",
	"2006-01-02T15:04:05Z ", "2006-01-02T15:04:05Z\n", "2006-0102T15:04:05Z", "2006-01-02T15:04Z", "2006-00-00T00:00:00Z", "2006-01-02T15:04:60Z", "2016-12-31T23:59:60Z",
	"2006-01-02T15:04:05+99:99", "2006-01-02T15:04:05+0200", "2006-01-02T15:04:05+02000", "2006-01-02T15:04:05+02", "2006-01-02T15:04:05--02", "2006-01-02T15:04:05+-02:00",
	"2006-01-02T15:04:05Z+02:00", "\u{fc}", "2006-01-02T15:04:05\0", "1969-07-21T02:56:15Z", "CCCC-MM-DDThh:mm:ssZ", "1900-01-01T00:00:00Z" } do
	print("parse", ("%q"):format(s), select("#", datetime.parse(s)), datetime.parse(s));
end
print("nothing", select("#", datetime.parse()), select("#", datetime.parse(nil)), select("#", datetime.parse(false)), (pcall(datetime.parse, {})), (pcall(datetime.parse, true)));
