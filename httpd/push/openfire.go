package push

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Openfire answers, for one host, the calls about rosters of Openfire's REST plugin, below /restapi/v1, and of the user
// service plugin before it, below /userService.
func (a *API) Openfire(h *Host) http.Handler {
	o := openfire{a, h}
	mux := http.NewServeMux()
	for _, base := range []string{"/restapi/v1", "/userService"} {
		mux.HandleFunc("GET "+base+"/users/{user}/roster", o.rest(o.list))
		mux.HandleFunc("POST "+base+"/users/{user}/roster", o.rest(o.add))
		mux.HandleFunc("PUT "+base+"/users/{user}/roster/{jid}", o.rest(o.update))
		mux.HandleFunc("DELETE "+base+"/users/{user}/roster/{jid}", o.rest(o.remove))
		mux.HandleFunc("GET "+base+"/userservice", o.userService)
		mux.HandleFunc("POST "+base+"/userservice", o.userService)
	}
	return mux
}

type openfire struct {
	api  *API
	host *Host
}

// rosterItem is a contact (RosterItem in Openfire's documentation).
type rosterItem struct {
	XMLName  xml.Name `json:"-" xml:"rosterItem"`
	JID      string   `json:"jid" xml:"jid"`
	Nickname *string  `json:"nickname,omitempty" xml:"nickname"`
	Type     int      `json:"subscriptionType" xml:"subscriptionType"`
	Groups   *groups  `json:"groups,omitempty" xml:"groups"`
}

// groups are a list in JSON, or as versions before 1.3 have it, an object with one.
type groups struct {
	Names []string `xml:"group"`
}

func (g groups) MarshalJSON() ([]byte, error) { return json.Marshal(append([]string{}, g.Names...)) }

func (g *groups) UnmarshalJSON(b []byte) error {
	var old struct {
		Group json.RawMessage `json:"group"`
	}
	if json.Unmarshal(b, &old) == nil && old.Group != nil {
		b = old.Group
	}
	var one string
	if json.Unmarshal(b, &one) == nil {
		g.Names = []string{one}
		return nil
	}
	return json.Unmarshal(b, &g.Names)
}

// rosterItems are all contacts of a user.
type rosterItems struct {
	XMLName xml.Name     `json:"-" xml:"roster"`
	Items   []rosterItem `json:"rosterItem" xml:"rosterItem"`
}

// fault is an error as Openfire has it.
type fault struct {
	XMLName   xml.Name `json:"-" xml:"error"`
	Resource  string   `json:"resource" xml:"resource"`
	Message   string   `json:"message" xml:"message"`
	Exception string   `json:"exception" xml:"exception"`

	status int
}

func (f *fault) Error() string { return f.Message }

// The exceptions of Openfire that are told from each other.
const (
	illegalArgument = "IllegalArgumentException"
	noUser          = "UserNotFoundException"
	userExists      = "UserAlreadyExistsException"
	sharedGroup     = "SharedGroupException" // whatever else forbids a change of a roster
	noItem          = "RosterItemNotFound"
)

func faulty(status int, exception, resource, format string, args ...any) *fault {
	return &fault{Resource: resource, Message: fmt.Sprintf(format, args...), Exception: exception, status: status}
}

// rest lets in whoever may call, and answers.
func (o openfire) rest(do func(w http.ResponseWriter, r *http.Request, user addr.Bare) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := o.api.caller(r, o.host.Name)
		switch {
		case errors.Is(err, errUnknown):
			write(w, "", http.StatusServiceUnavailable, nil)
			return
		case err != nil, !o.host.may(c):
			w.Header().Set("WWW-Authenticate", `Basic realm="Openfire"`)
			write(w, "", http.StatusUnauthorized, nil)
			return
		}
		user, err := o.user(r, r.PathValue("user"))
		if err == nil {
			err = do(w, r, user)
		}
		if err != nil {
			f := o.fault(r, user, err)
			o.write(w, r, f.status, f)
		}
	}
}

// user is a user of the host who exists. The name may be a whole JID.
func (o openfire) user(r *http.Request, name string) (addr.Bare, error) {
	local, domain, ok := strings.Cut(name, "@")
	u, err := addr.NewBare(local, o.host.Name)
	if err != nil || local == "" || ok && domain != o.host.Name {
		return u, faulty(http.StatusNotFound, noUser, name, "Could not get user")
	}
	switch exists, err := o.host.Exists(r.Context(), u); {
	case err != nil:
		return u, err
	case !exists:
		return u, faulty(http.StatusNotFound, noUser, name, "Could not get user")
	}
	return u, nil
}

// fault says what is wrong.
func (o openfire) fault(r *http.Request, user addr.Bare, err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	if text, ok := reason(err); ok {
		return faulty(http.StatusBadRequest, sharedGroup, user.Local(), "%s", text)
	}
	o.api.failed(r, err)
	return faulty(http.StatusInternalServerError, "InternalServerErrorException", user.Local(), "internal error; the server's log has the cause")
}

func (o openfire) list(w http.ResponseWriter, r *http.Request, user addr.Bare) error {
	list, err := o.api.look(r.Context(), user)
	if err != nil {
		return err
	}
	all := rosterItems{Items: []rosterItem{}}
	for i := range list.All() {
		all.Items = append(all.Items, rosterItem{JID: i.JID.String(), Nickname: &i.Name, Type: int(i.Subscription), Groups: &groups{i.Groups}})
	}
	o.write(w, r, http.StatusOK, all)
	return nil
}

// item reads the body.
func (o openfire) item(r *http.Request) (i rosterItem, err error) {
	b, err := o.api.body(r)
	switch {
	case errors.Is(err, errTooLarge):
		return i, faulty(http.StatusRequestEntityTooLarge, illegalArgument, "", "%v", err)
	case err != nil:
		return i, faulty(http.StatusBadRequest, illegalArgument, "", "%v", err)
	}
	if isJSON(r.Header.Get("Content-Type")) {
		err = json.Unmarshal(b, &i)
	} else {
		err = xml.Unmarshal(b, &i)
	}
	if err != nil {
		return i, faulty(http.StatusBadRequest, illegalArgument, "", "not a rosterItem: %v", err)
	}
	if i.Type < -1 || i.Type > 3 {
		return i, faulty(http.StatusBadRequest, illegalArgument, i.JID, "subscriptionType %d is none of -1, 0, 1, 2, 3", i.Type)
	}
	return i, nil
}

func isJSON(contentType string) bool {
	t, _, _ := mime.ParseMediaType(contentType)
	return t == "application/json"
}

// contactOf reads the JID of a contact.
func contactOf(jid string) (addr.Bare, error) {
	j, err := addr.Parse(jid)
	if err != nil {
		return addr.Bare{}, faulty(http.StatusBadRequest, illegalArgument, clip(jid), "not a JID")
	}
	return j.Bare(), nil
}

func (o openfire) add(w http.ResponseWriter, r *http.Request, user addr.Bare) error {
	i, err := o.item(r)
	if err != nil {
		return err
	}
	if i.JID == "" {
		return faulty(http.StatusBadRequest, illegalArgument, "JID", "JID is null")
	}
	contact, err := contactOf(i.JID)
	if err != nil {
		return err
	}
	if i.Type < 0 {
		return faulty(http.StatusBadRequest, illegalArgument, i.JID, "a contact cannot be added as one who is removed")
	}
	if err := o.put(r, user, contact, i, false); err != nil {
		return err
	}
	write(w, "", http.StatusCreated, nil)
	return nil
}

func (o openfire) update(w http.ResponseWriter, r *http.Request, user addr.Bare) error {
	i, err := o.item(r)
	if err != nil {
		return err
	}
	contact, err := contactOf(r.PathValue("jid"))
	if err == nil {
		err = o.put(r, user, contact, i, true)
	}
	if err == nil {
		write(w, "", http.StatusOK, nil)
	}
	return err
}

// put adds a contact, or changes one who is there: what is not given of the name and the groups stays.
func (o openfire) put(r *http.Request, user, contact addr.Bare, i rosterItem, there bool) error {
	return o.api.put(r.Context(), user, func(now roster.Roster) ([]roster.Item, []addr.Bare, error) {
		item, ok := now.Get(contact)
		switch {
		case ok && !there:
			return nil, nil, faulty(http.StatusConflict, userExists, "", "Could not create roster item")
		case !ok && there:
			return nil, nil, faulty(http.StatusNotFound, noUser, contact.String(), "Could not update the roster")
		case i.Type < 0:
			return nil, []addr.Bare{contact}, nil
		}
		item.JID, item.Subscription = contact, roster.Subscription(i.Type)
		if i.Nickname != nil {
			item.Name = *i.Nickname
		}
		if i.Groups != nil {
			item.Groups = i.Groups.Names
		}
		return []roster.Item{item}, nil, nil
	})
}

func (o openfire) remove(w http.ResponseWriter, r *http.Request, user addr.Bare) error {
	contact, err := contactOf(r.PathValue("jid"))
	if err != nil {
		return err
	}
	if err := o.take(r, user, contact, true); err != nil {
		return err
	}
	write(w, "", http.StatusOK, nil)
	return nil
}

// take removes a contact from one roster.
func (o openfire) take(r *http.Request, user, contact addr.Bare, there bool) error {
	return o.api.put(r.Context(), user, func(now roster.Roster) ([]roster.Item, []addr.Bare, error) {
		if _, ok := now.Get(contact); !ok && there {
			return nil, nil, faulty(http.StatusNotFound, noItem, contact.String(), "Roster Item could not deleted")
		}
		return nil, []addr.Bare{contact}, nil
	})
}

// write answers in the form that is asked for: that of Accept, of an error else that of the request; XML if neither says.
func (o openfire) write(w http.ResponseWriter, r *http.Request, status int, v any) {
	accept := r.Header.Get("Accept")
	switch _, isFault := v.(*fault); {
	case accept != "" && !strings.HasPrefix(accept, "*/*"):
	case isFault:
		accept = r.Header.Get("Content-Type")
	}
	if j, x := strings.Index(accept, "json"), strings.Index(accept, "xml"); j >= 0 && (x < 0 || j < x) {
		writeJSON(w, status, v)
		return
	}
	b, err := xml.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers: cannot be
	}
	const head = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
	write(w, "application/xml", status, append([]byte(head), b...))
}

// userService answers a call of the first user service plugin: all of it are parameters, and an error has status 200, too.
func (o openfire) userService(w http.ResponseWriter, r *http.Request) {
	name, text := "result", "ok"
	b, err := o.api.body(r)
	if err == nil {
		r.Body = io.NopCloser(bytes.NewReader(b))
		err = r.ParseForm()
	}
	if err != nil {
		err = faulty(http.StatusOK, illegalArgument, "", "%v", err)
	} else {
		err = o.service(r, r.Form)
	}
	if err != nil {
		name, text = "error", o.fault(r, addr.Bare{}, err).Exception
	}
	write(w, "text/xml", http.StatusOK, fmt.Appendf(nil, "<%s>%s</%[1]s>\n", name, text))
}

func (o openfire) service(r *http.Request, q url.Values) error {
	no := func(exception string) error { return faulty(http.StatusOK, exception, "", "") }
	if secret := q.Get("secret"); o.host.Token == "" || !equal(secret, o.host.Token) {
		return no("RequestNotAuthorised")
	}
	kind, jid := q.Get("type"), q.Get("item_jid")
	sub := q.Get("subscription")
	if sub == "" {
		sub = "0"
	}
	number, err := strconv.Atoi(sub)
	if q.Get("username") == "" || jid == "" || err != nil || number < -1 || number > 3 {
		return no(illegalArgument)
	}
	user, err := o.user(r, strings.ToLower(strings.TrimSpace(q.Get("username"))))
	if err != nil {
		return err
	}
	contact, err := contactOf(jid)
	if err != nil {
		return err
	}
	nick := q.Get("name")
	i := rosterItem{Nickname: &nick, Type: number, Groups: &groups{}}
	for g := range strings.SplitSeq(q.Get("groups"), ",") {
		i.Groups.Names = append(i.Groups.Names, g)
	}
	switch kind {
	case "add_roster":
		if number < 0 {
			return no(illegalArgument)
		}
		return o.put(r, user, contact, i, false)
	case "update_roster":
		return o.put(r, user, contact, i, true)
	case "delete_roster":
		return o.take(r, user, contact, false)
	}
	return no(illegalArgument)
}
