package main

import "rosterd/bench/report"

// sections are what the page says of scenarios, in its order. Those that have none are at its end, by their names.
var sections = []report.Section{
	{Scenario: "login", Title: "Logins", Text: "Everybody comes back at once, in a bounded number of lanes: connect, authenticate, bind, fetch from the backend, roster result, initial presence, end of stream. Percentiles are those of a login from its connection to its roster. They are cut off after twenty seconds; where there is no target after six, and Prosody's after three: logins is how many there were. Of 5,000 users Prosody lets in no more than of 1,000 in that time: it is asked over TCP alone. rosterd, rosters not kept, is with `rosterd_keep_rosters = false`: like Prosody's module it then has no copy of a roster on disk; no target is of it."},
	{Scenario: "roster get", Title: "Roster get", Text: "One user at a time, with the time that the backend takes beside it, measured in the same run."},
	{Scenario: "refresh", Title: "Refresh", Text: "A POST with the names of users who are all online, each with a hundred contacts. Answer is the time of the HTTP answer; last push is when the last client had its last push, from the same moment on. rosterd, rosters not kept, as with logins."},
	{Scenario: "refresh of everybody", Title: "Refresh of everybody", Text: "One POST with the names of all users, of whom some are online with a hundred contacts, one of which is new. CPU time is for each who is online; more memory is how far the resident memory of the server rose above what it was before."},
	{Scenario: "outage", Title: "After an outage", Text: "The backend answers 503 when all who are online are to be refreshed, and is well again later, with a latency of 20 ms. Until all are fresh is from then on; meanwhile somebody else logs in every 50 ms."},
	{Scenario: "overload", Title: "More logins than can be served", Text: "Clients come at the rate that the server can serve, at twice and at five times that, whether or not those before them have been served; who is refused or has waited for five seconds comes again. The certificate is one of RSA with 2,048 bits: with one of ECDSA a handshake costs the load program more than the server. Percentiles are those of logins that were served."},
	{Scenario: "presence fan-out", Title: "Presence of one"},
	{Scenario: "presence storm", Title: "Presence of all", Text: "Everybody in a group sends presence at once, over and over. What counts is the cost of a delivery."},
	{Scenario: "message", Title: "Messages"},
	{Scenario: "growth over contacts", Title: "As rosters grow", Text: "A user logs in with a roster of so many, who are never online: all of it, and the roster get alone; rosterd has asked the backend by then, as soon as the resource was bound. Up to some hundred contacts what a login costs without any is most of it, so that the curve is flat; from a thousand on it is in proportion.",
		Plots: []report.Plot{
			{File: "contacts-login.svg", Title: "CPU time of a login", Over: "contacts", Value: "login"},
			{File: "contacts-get.svg", Title: "CPU time of a roster get", Over: "contacts", Value: "roster get"},
		}},
	{Scenario: "growth over users", Title: "As users come", Text: "Logins of users with ten contacts, while so many others are online, and what the server holds for each once that has stopped changing. A login costs the same however many are there. Memory falls, since what the first made the server take (buffers, stacks, room for garbage) is shared by all; what is left in the end is the session.",
		Plots: []report.Plot{
			{File: "users-login.svg", Title: "CPU time of a login", Over: "users", Value: "cpu"},
			{File: "users-memory.svg", Title: "Memory for each session", Over: "users", Value: "memory of each"},
		}},
	{Scenario: "growth over changed items", Title: "As more of a roster changes", Text: "A refresh of users who are online with a thousand contacts each, of whom so many have come or gone: at 2,000 all have gone, and others have come. All times are for each user: rosterd has a hundred of them, Prosody ten. Until some hundred items have changed the fetch, and comparing a thousand contacts, are most of it; from then on it is the pushes, and in proportion.",
		Plots: []report.Plot{{File: "changes.svg", Title: "CPU time of a refresh, for each user", Over: "items", Value: "cpu"}}},
	{Scenario: "growth over names", Title: "As a refresh names more users", Text: "One POST with so many names: of users with one other contact in a roster of ten, who are online, and of users who are not. CPU time is for each name. The first costs what a request costs, which many share. From a hundred on it is flat, but for what the machine moves from one figure to the next.",
		Plots: []report.Plot{{File: "names.svg", Title: "CPU time of a refresh, for each name", Over: "names", Value: "cpu"}}},
	{Scenario: "growth over a group", Title: "As a group grows", Text: "So many people all see each other. Coming online is the CPU time for each of them when all log in and come at once, until everybody has seen everybody, so that it grows with the group; a delivery is that of presence to one of them, when ten of them change theirs at once. rosterd has its default pace. With ten people a turn has a hundred deliveries only, which share what waking everybody up costs; from a hundred people on it is flat: a write to somebody carries the ten that come together.",
		Plots: []report.Plot{
			{File: "group-delivery.svg", Title: "CPU time of a delivery of presence", Over: "people", Value: "a delivery"},
			{File: "group-online.svg", Title: "CPU time of coming online, for each person", Over: "people", Value: "coming online"},
		}},
	{Scenario: "plugin", Across: "contacts", Place: "plugins"},
	{Scenario: "plugin load", Place: "plugin loads"},
}
