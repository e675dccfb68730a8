package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Ejabberd answers POST /COMMAND with a JSON object of arguments, and GET with them in the query, as ejabberd's
// mod_http_api does. A path element vN before or behind the command is the version of the API.
func (a *API) Ejabberd() http.Handler { return http.HandlerFunc(a.ejabberd) }

// commands are those that are answered.
var commands = map[string]command{
	"add_rosteritem":      {[]string{"localuser", "localhost", "user", "host", "nick", "group", "subs"}, (*call).addItem},
	"delete_rosteritem":   {[]string{"localuser", "localhost", "user", "host"}, (*call).deleteItem},
	"get_roster":          {[]string{"user", "host"}, (*call).getRoster},
	"get_roster_count":    {[]string{"user", "host"}, (*call).countRoster},
	"process_rosteritems": {[]string{"action", "subs", "asks", "users", "contacts"}, (*call).processItems},
	"push_alltoall":       {[]string{"host", "group"}, (*call).pushAllToAll},
	"push_roster":         {[]string{"file", "user", "host"}, (*call).pushRoster},
	"push_roster_all":     {[]string{"file"}, (*call).pushRosterAll},
}

type command struct {
	args []string
	run  func(*call) (any, error)
}

// renamed are arguments that have had other names, which are still understood.
var renamed = map[string]string{"localserver": "localhost", "server": "host", "groups": "group"}

// call is one command under way.
type call struct {
	api     *API
	ctx     context.Context
	caller  caller
	args    map[string]argument
	version int // -1: the host's
}

// argument is a string, or a list of them.
type argument struct {
	text string
	list []string
	many bool
	raw  json.RawMessage
}

func notText(value []byte) *refusal {
	return refused(http.StatusBadRequest, "Arg %s is not in format binary", clip(string(value)))
}

// refusal is an answer that says no. Code -1: the message alone, as ejabberd has it for what a command throws.
type refusal struct {
	status, code int
	message      string
}

func (r *refusal) Error() string { return r.message }

func refused(status int, format string, args ...any) *refusal {
	return &refusal{status, -1, fmt.Sprintf(format, args...)}
}

var (
	unauthorized = &refusal{http.StatusUnauthorized, 10, "You are not authorized to call this command."}
	invalidToken = &refusal{http.StatusUnauthorized, 10, "Oauth Token is invalid or expired."}
	forbidden    = &refusal{http.StatusForbidden, 32, "AccessRules: Account does not have the right to perform the operation."}
	noCommand    = &refusal{http.StatusNotFound, 40, "Endpoint not found."}
	noName       = &refusal{http.StatusBadRequest, 40, "Missing command name."}
)

func (a *API) ejabberd(w http.ResponseWriter, r *http.Request) {
	result, err := a.command(r)
	var no *refusal
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, result)
		return
	case !errors.As(err, &no):
		a.failed(r, err)
		no = refused(http.StatusInternalServerError, "internal_error")
	}
	if no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="ejabberd"`)
	}
	if no.code < 0 {
		writeJSON(w, no.status, no.message)
		return
	}
	writeJSON(w, no.status, map[string]any{"status": "error", "code": no.code, "message": no.message})
}

// command makes a call of a request, and runs it.
func (a *API) command(r *http.Request) (any, error) {
	name, version := commandName(r.URL.Path)
	if name == "" || r.Method != http.MethodPost && r.Method != http.MethodGet {
		return nil, noName
	}
	cmd, ok := commands[name]
	if !ok {
		return nil, noCommand
	}
	c := &call{api: a, ctx: r.Context(), version: version}
	var err error
	if c.caller, err = a.caller(r, ""); err != nil {
		return nil, callerRefusal(err)
	}
	c.caller.plain = c.caller.plain && r.Method == http.MethodPost
	if r.Method == http.MethodGet {
		c.args, err = queryArguments(r.URL.Query())
	} else {
		c.args, err = a.bodyArguments(r)
	}
	if err != nil {
		return nil, err
	}
	if err := c.check(cmd.args); err != nil {
		return nil, err
	}
	return cmd.run(c)
}

// commandName splits a path.
func commandName(path string) (name string, version int) {
	version = -1
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if n, err := strconv.ParseUint(strings.TrimPrefix(part, "v"), 10, 16); err == nil && strings.HasPrefix(part, "v") {
			version = int(n)
		} else if name == "" {
			name = part
		}
	}
	return name, version
}

func callerRefusal(err error) *refusal {
	switch {
	case errors.Is(err, errUnknown):
		return refused(http.StatusServiceUnavailable, "%v", err)
	case errors.Is(err, errPage):
		return forbidden
	}
	return unauthorized
}

func (a *API) bodyArguments(r *http.Request) (map[string]argument, error) {
	b, err := a.body(r)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, refused(http.StatusRequestEntityTooLarge, "%v", err)
	case err != nil:
		return nil, refused(http.StatusBadRequest, "%v", err)
	case len(b) == 0:
		return nil, refused(http.StatusBadRequest, "Missing POST data")
	case bytes.Equal(b, []byte("\n")): // from a pipe
		return nil, nil
	}
	var raw map[string]json.RawMessage
	var none []any // an object without members, to languages that do not tell the two apart
	if json.Unmarshal(b, &none) == nil && len(none) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, refused(http.StatusBadRequest, "400 Bad Request")
	}
	args := make(map[string]argument, len(raw))
	for name, value := range raw {
		var arg argument
		if json.Unmarshal(value, &arg.text) != nil || string(value) == "null" {
			if json.Unmarshal(value, &arg.list) != nil || arg.list == nil {
				return nil, notText(value)
			}
			arg.many = true
		}
		arg.raw = value
		args[name] = arg
	}
	return args, nil
}

func queryArguments(q url.Values) (map[string]argument, error) {
	args := make(map[string]argument, len(q))
	for name, values := range q {
		if len(values) > 1 {
			return nil, refused(http.StatusBadRequest, "Request have duplicate argument: %s", clip(name))
		}
		args[name] = argument{text: values[0]}
	}
	return args, nil
}

// check wants exactly the arguments that a command has.
func (c *call) check(names []string) error {
	args := make(map[string]argument, len(c.args))
	for name, arg := range c.args {
		key := name
		if now, ok := renamed[name]; ok && !slices.Contains(names, name) {
			key = now
		}
		if _, twice := args[key]; twice {
			return refused(http.StatusBadRequest, "Request have duplicate argument: %s", clip(key))
		}
		args[key] = arg
	}
	for _, name := range names {
		arg, ok := args[name]
		switch {
		case !ok:
			return refused(http.StatusBadRequest, "Request have missing argument: %s", name)
		case arg.many && name != "group":
			return notText(arg.raw)
		}
	}
	var more []string
	for name := range args {
		if !slices.Contains(names, name) {
			more = append(more, clip(name))
		}
	}
	if len(more) > 0 {
		slices.Sort(more)
		return refused(http.StatusBadRequest, "Request have unknown arguments: [%s]", strings.Join(more, ","))
	}
	c.args = args
	return nil
}

func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// groups are those of a contact: a list, or one string in which they are separated by semicolons.
func (c *call) groups() []string {
	arg := c.args["group"]
	if !arg.many {
		arg.list = strings.Split(arg.text, ";")
	}
	return slices.DeleteFunc(arg.list, func(g string) bool { return g == "" })
}

// host is the VirtualHost of a name, if the caller may change rosters there.
func (c *call) host(name string) (*Host, error) {
	domain, err := addr.PrepareDomain(name)
	if err != nil {
		domain = name
	}
	if h := c.api.Hosts[domain]; h != nil && h.may(c.caller) {
		return h, nil
	}
	if len(c.hosts()) == 0 {
		return nil, c.nobody()
	}
	return nil, refused(http.StatusForbidden, "%s is no host here whose rosters you change", clip(name))
}

// hosts are those that the caller may change rosters of, by name.
func (c *call) hosts() (list []*Host) {
	for _, h := range c.api.Hosts {
		if h.may(c.caller) {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(x, y *Host) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// nobody is what a caller learns who may do nothing.
func (c *call) nobody() *refusal {
	if c.caller.token != "" {
		return invalidToken
	}
	return forbidden
}

// user is the user of a host that two arguments name.
func (c *call) user(local, host string) (*Host, addr.Bare, error) {
	h, err := c.host(c.args[host].text)
	if err != nil {
		return nil, addr.Bare{}, err
	}
	u, err := addr.NewBare(c.args[local].text, h.Name)
	if err != nil || u.Local() == "" {
		return nil, u, refused(http.StatusBadRequest, "Invalid '%s'/'%s'", local, strings.Replace(host, "host", "server", 1))
	}
	return h, u, nil
}

// contact is whom the arguments user and host name. A user of "" is a server.
func (c *call) contact() (addr.Bare, error) {
	b, err := addr.NewBare(c.args["user"].text, c.args["host"].text)
	if err != nil {
		return b, refused(http.StatusBadRequest, "Invalid 'user'/'server'")
	}
	return b, nil
}

// ends are the user whose roster is changed, and the contact in it.
func (c *call) ends() (user, contact addr.Bare, err error) {
	if _, user, err = c.user("localuser", "localhost"); err == nil {
		contact, err = c.contact()
	}
	return user, contact, err
}

// done is the answer to what has no other result than that it was done.
func done(err error) (any, error) {
	if err == nil {
		return 0, nil
	}
	return nil, decided(err)
}

// decided is a refusal where somebody has decided so.
func decided(err error) error {
	if text, ok := reason(err); ok {
		return refused(http.StatusBadRequest, "%s", text)
	}
	return err
}

func (c *call) addItem() (any, error) {
	user, contact, err := c.ends()
	if err != nil {
		return nil, err
	}
	if c.args["subs"].text == "remove" { // which is how ejabberd takes it
		return done(c.remove(user, contact))
	}
	s, err := roster.ParseSubscription(c.args["subs"].text)
	if err != nil {
		return nil, refused(http.StatusBadRequest, "%v", err)
	}
	item := roster.Item{JID: contact, Name: c.args["nick"].text, Groups: c.groups(), Subscription: s}
	return done(c.api.put(c.ctx, user, func(roster.Roster) ([]roster.Item, []addr.Bare, error) { return []roster.Item{item}, nil, nil }))
}

func (c *call) deleteItem() (any, error) {
	user, contact, err := c.ends()
	if err != nil {
		return nil, err
	}
	return done(c.remove(user, contact))
}

// remove takes a contact out of a roster, and before that what the two had of each other's presence out of the contact's,
// as a server does for a client (RFC 6121 §2.5.2), where the caller changes that one, too. What has failed can be called
// again.
func (c *call) remove(user, contact addr.Bare) error {
	own, err := c.api.own(c.ctx, user)
	if err != nil {
		return err
	}
	was, _ := own.Get(contact)
	if h := c.api.Hosts[contact.Domain()]; was.Subscription != roster.None && h != nil && h.may(c.caller) && contact.Local() != "" {
		err := c.api.put(c.ctx, contact, func(now roster.Roster) (put []roster.Item, _ []addr.Bare, _ error) {
			if i, ok := now.Get(user); ok {
				i.Subscription = roster.None
				put = append(put, i)
			}
			return put, nil, nil
		})
		if _, no := reason(err); err != nil && !no { // no: his roster is somebody else's
			return err
		}
	}
	return c.api.put(c.ctx, user, func(roster.Roster) ([]roster.Item, []addr.Bare, error) {
		return nil, []addr.Bare{contact}, nil
	})
}
