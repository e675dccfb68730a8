//go:build wasip1

// Asks for all that the SDK has. The path of a request from outside says what, and what came of it is the answer.
package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	rosterd "rosterd/plugins/sdk/go"
)

var (
	url   string
	calls int // of this instance
)

//go:wasmexport rosterd_init
func initialize() int32 { return rosterd.Init(configure) }

//go:wasmexport rosterd_fetch
func fetch() int32 { return rosterd.Fetch(roster) }

//go:wasmexport rosterd_edit
func wasmEdit() int32 { return rosterd.Edit(edit) }

func edit(w *rosterd.Wish) error {
	switch w.Action {
	case "subscribe":
		return nil
	case "remove":
		return rosterd.ErrNotFound
	case "unsubscribe":
		return errors.New(w.Contact)
	}
	return rosterd.Veto(fmt.Sprint(w.User, " ", w.ID, " ", w.Action, " ", w.Contact, " ", w.Name, " ", w.Subscription, " ", w.Ask, " ", w.Approved, " ", strings.Join(w.Groups, " ")))
}

//go:wasmexport rosterd_vcard
func wasmVCard() int32 { return rosterd.VCard(vcard) }

func vcard(q *rosterd.Request) (*rosterd.Card, error) {
	switch q.Local {
	case "john":
		return &rosterd.Card{
			FN: "J\"\\é\n<&", Given: "John", Family: "Doe", Nickname: "Jo", Email: []string{"j@example.com", `"j"@example.com`}, Tel: []string{"+49 1"}, Org: "O",
			Title: "T", Role: "R", URL: "http://h/?a&b", BDay: "1990-02-28", Note: "N", Photo: &rosterd.Photo{Type: "image/png", Data: []byte("\x89PNG\x00\xff\xfe\x01")},
		}, nil
	case "given":
		return &rosterd.Card{Photo: &rosterd.Photo{Data: []byte("GIF89a")}}, nil
	case "nothing":
		return &rosterd.Card{}, nil
	case "silent":
		return nil, nil
	case "nobody":
		return nil, rosterd.ErrNotFound
	case "later":
		return nil, &rosterd.TemporaryError{RetryAfter: 9 * time.Second, Err: errors.New(q.User)}
	}
	return &rosterd.Card{Photo: &rosterd.Photo{Type: "image/x-test", Data: []byte(q.Local)}}, nil
}

//go:wasmexport rosterd_auth
func auth() int32 { return rosterd.Auth(login) }

//go:wasmexport rosterd_webhook
func webhook() int32 { return rosterd.Webhook(called) }

func main() {}

func configure() (err error) {
	refuse, err := rosterd.OptionBoolean("all_refuse", false)
	if err != nil {
		return err
	}
	if refuse {
		return &rosterd.PermanentError{Err: errors.New("all_refuse is true")}
	}
	url, err = rosterd.OptionText("all_url")
	return err
}

func roster(q *rosterd.Request) (*rosterd.Roster, error) {
	if q.Rev == "7" {
		return &rosterd.Roster{Unchanged: true}, nil
	}
	r := rosterd.Roster{Rev: "7", MaxAge: 90 * time.Second}
	r.Add(rosterd.Contact{JID: q.Local + "-" + q.Reason + "@" + q.Host})
	r.Add(rosterd.Contact{JID: "to@example.org", Name: "Tö", Subscription: rosterd.To, Groups: []string{"A", "B"}})
	r.Add(rosterd.Contact{JID: "from@example.org", Name: "From", Subscription: rosterd.From, Groups: []string{"A", "B"}, Ask: true})
	r.Add(rosterd.Contact{JID: "none@example.org", Subscription: rosterd.None, Approved: true})
	r.Add(rosterd.Contact{JID: "long@example.org", Name: strings.Repeat("ö", 40_000)})
	if q.Reason == "webhook" {
		var many []string
		for i := range 300 {
			many = append(many, strconv.Itoa(i))
		}
		r.Add(rosterd.Contact{JID: "fit@example.org", Groups: many[:256]})
		r.Add(rosterd.Contact{JID: "many@example.org", Name: "\x01\"", Groups: many})
	}
	return &r, nil
}

func login(l *rosterd.Login) error {
	calls++
	switch l.Password {
	case "right":
		return nil
	case "unknown":
		return fmt.Errorf("%w: %s", rosterd.ErrNotFound, l.User)
	}
	return fmt.Errorf("%w: wrong password of %s at %s", rosterd.ErrDenied, l.Local, l.Host)
}

func called(c *rosterd.Call) (*rosterd.Reply, error) {
	calls++
	command, argument, _ := strings.Cut(c.Rest, "/")
	body, err := "", error(nil)
	switch command {
	case "echo":
		body, err = echo(c)
	case "option":
		var set bool
		if body, set, err = rosterd.Option(argument); !set {
			body = "absent"
		}
	case "boolean":
		var b bool
		b, err = rosterd.OptionBoolean(argument, true)
		body = strconv.FormatBool(b)
	case "integer":
		var n int64
		n, err = rosterd.OptionInteger(argument, 5, 1, 8)
		body = strconv.FormatInt(n, 10)
	case "kept":
		body, err = kept()
	case "get":
		body, err = get(rosterd.HTTPRequest{URL: url}, false)
	case "send":
		body, err = get(send(argument), false)
	case "ok":
		body, err = get(rosterd.HTTPRequest{URL: url}, true)
	case "error":
		body = "no error"
		var e *rosterd.HostError
		if _, err := rosterd.Get(argument); errors.As(err, &e) {
			names := map[rosterd.Code]string{rosterd.Refused: "Refused", rosterd.Limit: "Limit", rosterd.Network: "Network", rosterd.Argument: "Argument", rosterd.Deadline: "Deadline"}
			body = names[e.Code] + ": " + e.Error()
		}
	case "fail":
		err = failure(argument)
	case "panic":
		panic("all is lost: " + argument)
	case "log":
		rosterd.Log(rosterd.LevelInfo, argument)
		rosterd.Log(rosterd.LevelWarn, "two")
	case "chance":
		body = chance()
	case "url":
		body, err = fill(c.Query, argument)
	case "refresh":
		return &rosterd.Reply{Refresh: []string{"john", `ma"rie`}, Status: 202, Headers: map[string]string{"x-all": `"yes"`}, Body: "done\n"}, nil
	case "nothing":
		return nil, nil
	default:
		err = fmt.Errorf("%w: %s", rosterd.ErrNotFound, c.Path)
	}
	return &rosterd.Reply{Status: 200, Body: body}, err
}

func echo(c *rosterd.Call) (string, error) {
	body, err := c.Body()
	said := fmt.Sprint(c.Host, " ", c.Method, " ", c.Path, " ", c.Rest, " ", c.Query, " ", c.Secure, " ", c.From)
	return fmt.Sprintf("%s [%s] [%s] %s", said, c.Headers["x-test"], c.Headers["x-absent"], body), err
}

func kept() (string, error) {
	var said []string
	see := func() {
		switch value, kept, err := rosterd.Value("key"); {
		case err != nil:
			said = append(said, err.Error())
		case !kept:
			said = append(said, "absent")
		default:
			said = append(said, "["+strings.ReplaceAll(fmt.Sprintf("% x", value), " ", ", ")+"]")
		}
	}
	see()
	first := rosterd.Set("key", nil, 0)
	see()
	second := rosterd.Set("key", []byte{0, 255}, time.Hour)
	see()
	third := rosterd.Delete("key")
	see()
	var e *rosterd.HostError
	if err := rosterd.Set(strings.Repeat("k", 1000), nil, 0); errors.As(err, &e) && e.Code == rosterd.Limit {
		said = append(said, "limit")
	}
	return strings.Join(said, " "), errors.Join(first, second, third)
}

func send(method string) rosterd.HTTPRequest {
	return rosterd.HTTPRequest{
		Method: method, URL: url, Headers: map[string]string{"x-one": "1", "x-two": "\"\\u0001\u007fé😀\\\\/\""},
		Body: []byte("two\nlines"), Timeout: 1500 * time.Millisecond, Redirects: 2, Rev: `a"b`,
	}
}

func get(r rosterd.HTTPRequest, must bool) (string, error) {
	answer, err := rosterd.Send(r)
	if err == nil && must {
		err = answer.OK()
	}
	if err != nil {
		return "", err
	}
	body, err := answer.Body()
	said := fmt.Sprintf("%d %s %d [%s] %d %s", answer.Status, answer.Header("X-Answer"), len(answer.Header("x-long")), answer.Header("x-absent"), answer.RetryAfter()/time.Second, body)
	return said, errors.Join(err, answer.Close())
}

func failure(word string) error {
	text := errors.New(`because "é"`)
	switch word {
	case "not-found":
		return fmt.Errorf("%w: %w", rosterd.ErrNotFound, text)
	case "temporary":
		return &rosterd.TemporaryError{RetryAfter: 77 * time.Second, Err: text}
	case "permanent":
		return &rosterd.PermanentError{Err: text}
	}
	return fmt.Errorf("%w: %w", rosterd.ErrDenied, text)
}

func chance() string {
	a, b := make([]byte, 16), make([]byte, 16)
	_, _ = rand.Read(a)
	_, _ = rand.Read(b)
	return fmt.Sprint(string(a) != string(b), " ", time.Now().UnixMilli())
}

func fill(template, name string) (string, error) {
	t, err := rosterd.ParseURLTemplate(template)
	if err != nil {
		return err.Error(), nil
	}
	return t.Fill(name)
}
