package push_test

import (
	"strings"
	"testing"
)

// The answers are those that the documentation and the sources of Openfire's REST plugin promise.
func TestOpenfire(t *testing.T) {
	h := newHouse(t, nil)
	const (
		secret = "Authorization: " + token
		xml    = "Content-Type: application/xml"
		json   = "Content-Type: application/json"
		head   = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
	)
	const none = head + `<roster></roster>`
	for _, s := range []struct {
		do, want string
		headers  []string
	}{
		{"GET /plugins/restapi/v1/users/romeo/roster", "200 " + none, nil},
		{"GET /plugins/restapi/v1/users/romeo/roster", `200 {"rosterItem":[]}`, []string{"Accept: application/json"}},
		{"GET /plugins/restapi/v1/users/romeo/roster", "200 " + none, []string{"Accept: application/xml, application/json"}},
		{`POST /plugins/restapi/v1/users/romeo/roster ` + head + `<rosterItem><jid>peter@pan.de</jid></rosterItem>`, "201", []string{xml}},
		{`POST /plugins/restapi/v1/users/romeo/roster <rosterItem><jid>peter@pan1.de</jid><nickname>Peter &lt;1&gt;</nickname><subscriptionType>3</subscriptionType><groups><group>Friends</group><group>A</group></groups></rosterItem>`, "201", []string{xml}},
		{`POST /plugins/restapi/v1/users/romeo/roster {"jid":"juliet@example.com/balcony","nickname":"J","subscriptionType":1,"groups":["Loves"]}`, "201", []string{json}},
		{`POST /plugins/restapi/v1/users/romeo/roster {"jid":"nurse@example.com","subscriptionType":2,"groups":{"group":"Old"}}`, "201", []string{json}},
		{"GET /plugins/restapi/v1/users/romeo/roster", `200 {"rosterItem":[{"jid":"juliet@example.com","nickname":"J","subscriptionType":1,"groups":["Loves"]},{"jid":"nurse@example.com","nickname":"","subscriptionType":2,"groups":["Old"]},{"jid":"peter@pan.de","nickname":"","subscriptionType":0,"groups":[]},{"jid":"peter@pan1.de","nickname":"Peter \u003c1\u003e","subscriptionType":3,"groups":["A","Friends"]}]}`, []string{"Accept: application/json"}},
		{`PUT /plugins/restapi/v1/users/romeo/roster/nurse@example.com {"subscriptionType":3}`, "200", []string{json}},
		{`PUT /plugins/restapi/v1/users/romeo/roster/juliet%40example.com <rosterItem><nickname>Jule</nickname><subscriptionType>3</subscriptionType><groups/></rosterItem>`, "200", []string{xml}},
		{`PUT /plugins/restapi/v1/users/romeo/roster/peter@pan.de {"subscriptionType":-1}`, "200", []string{json}},
		{`DELETE /plugins/restapi/v1/users/romeo/roster/peter@pan1.de`, "200", nil},
		{"GET /plugins/restapi/v1/users/romeo@example.com/roster", "200 " + head + `<roster><rosterItem><jid>juliet@example.com</jid><nickname>Jule</nickname><subscriptionType>3</subscriptionType><groups></groups></rosterItem><rosterItem><jid>nurse@example.com</jid><nickname></nickname><subscriptionType>3</subscriptionType><groups><group>Old</group></groups></rosterItem></roster>`, nil},

		{`POST /plugins/restapi/v1/users/romeo/roster {"jid":"nurse@example.com"}`, `409 {"resource":"","message":"Could not create roster item","exception":"UserAlreadyExistsException"}`, []string{json}},
		{`POST /plugins/restapi/v1/users/nobody/roster {"jid":"nurse@example.com"}`, `404 {"resource":"nobody","message":"Could not get user","exception":"UserNotFoundException"}`, []string{json}},
		{`POST /plugins/restapi/v1/users/romeo@web.example/roster {"jid":"nurse@example.com"}`, `404 {"resource":"romeo@web.example","message":"Could not get user","exception":"UserNotFoundException"}`, []string{json}},
		{`POST /plugins/restapi/v1/users/romeo/roster {}`, `400 {"resource":"JID","message":"JID is null","exception":"IllegalArgumentException"}`, []string{json}},
		{`POST /plugins/restapi/v1/users/romeo/roster {"jid":"a b@example.com"}`, `400 {"resource":"a b@example.com","message":"not a JID","exception":"IllegalArgumentException"}`, []string{json}},
		{`POST /plugins/restapi/v1/users/romeo/roster {"jid":"x@example.com","subscriptionType":4}`, `400 {"resource":"x@example.com","message":"subscriptionType 4 is none of -1, 0, 1, 2, 3","exception":"IllegalArgumentException"}`, []string{json}},
		{`POST /plugins/restapi/v1/users/romeo/roster {"jid":"x@example.com","subscriptionType":-1}`, `400 {"resource":"x@example.com","message":"a contact cannot be added as one who is removed","exception":"IllegalArgumentException"}`, []string{json}},
		{`POST /plugins/restapi/v1/users/romeo/roster {"jid":"romeo@example.com"}`, `400 {"resource":"romeo","message":"romeo@example.com in the roster of romeo@example.com: nobody is a contact of his own","exception":"SharedGroupException"}`, []string{json}},
		{`POST /plugins/restapi/v1/users/romeo/roster <rosterItem>`, "400 " + head + `<error><resource></resource><message>not a rosterItem: XML syntax error on line 1: unexpected EOF</message><exception>IllegalArgumentException</exception></error>`, []string{xml}},
		{`POST /plugins/restapi/v1/users/romeo/roster ` + strings.Repeat(" ", 20_000), `413 {"resource":"","message":"the body is too large: more than 10000 bytes","exception":"IllegalArgumentException"}`, []string{json}},
		{`PUT /plugins/restapi/v1/users/romeo/roster/nobody@example.com {}`, `404 {"resource":"nobody@example.com","message":"Could not update the roster","exception":"UserNotFoundException"}`, []string{json}},
		{`DELETE /plugins/restapi/v1/users/romeo/roster/nobody@example.com`, `404 {"resource":"nobody@example.com","message":"Roster Item could not deleted","exception":"RosterItemNotFound"}`, []string{"Accept: application/json"}},
		{"GET /plugins/restapi/v1/users", "404 404 page not found", nil},
		{"GET /plugins/userService/users/nurse/roster", "200 " + none, nil},
	} {
		if got := h.ask(t, s.do, append(s.headers, secret)...); got != s.want {
			t.Errorf("%.300s\n got %s\nwant %s", s.do, got, s.want)
		}
	}
}

func TestUserService(t *testing.T) {
	h := newHouse(t, nil)
	h.play(t, strings.NewReplacer("TOKEN", token, "USER", "/plugins/userService/userservice").Replace(`
		GET USER?type=add_roster&secret=TOKEN&username=Romeo&item_jid=juliet@example.com&name=Jule&subscription=3&groups=Friends,Loves
		→ 200 <result>ok</result>
		GET USER?type=add_roster&secret=TOKEN&username=romeo&item_jid=juliet@example.com
		→ 200 <error>UserAlreadyExistsException</error>
		POST /api/v1/get_roster {"user":"romeo","host":"example.com"}
		→ 200 [{"jid":"juliet@example.com","nick":"Jule","subscription":"both","pending":"none","groups":["Friends","Loves"]}]
		GET USER?type=update_roster&secret=TOKEN&username=romeo&item_jid=juliet@example.com
		→ 200 <result>ok</result>
		POST /api/v1/get_roster {"user":"romeo","host":"example.com"}
		→ 200 [{"jid":"juliet@example.com","nick":"","subscription":"none","pending":"none","groups":[]}]
		GET USER?type=update_roster&secret=TOKEN&username=romeo&item_jid=nurse@example.com
		→ 200 <error>UserNotFoundException</error>
		GET USER?type=delete_roster&secret=TOKEN&username=romeo&item_jid=juliet@example.com
		→ 200 <result>ok</result>
		GET USER?type=delete_roster&secret=TOKEN&username=romeo&item_jid=juliet@example.com
		→ 200 <result>ok</result>
		GET USER?type=add_roster&secret=TOKEN&username=nobody&item_jid=juliet@example.com
		→ 200 <error>UserNotFoundException</error>
		GET USER?type=add_roster&secret=TOKEN&username=romeo
		→ 200 <error>IllegalArgumentException</error>
		GET USER?type=add_roster&secret=TOKEN&username=romeo&item_jid=juliet@example.com&subscription=4
		→ 200 <error>IllegalArgumentException</error>
		GET USER?type=add&secret=TOKEN&username=romeo&item_jid=x@y
		→ 200 <error>IllegalArgumentException</error>
		GET USER?type=add_roster&secret=wrong&username=romeo&item_jid=x@y
		→ 200 <error>RequestNotAuthorised</error>
		GET USER?type=add_roster&username=romeo&item_jid=x@y
		→ 200 <error>RequestNotAuthorised</error>
	`), bearer) // which the plugin does not look at
}

// The parameters may be a form.
func TestUserServiceForm(t *testing.T) {
	h := newHouse(t, nil)
	const form = "Content-Type: application/x-www-form-urlencoded"
	for _, s := range []step{
		{"POST /plugins/restapi/v1/userservice type=add_roster&username=romeo&item_jid=juliet%40example.com&subscription=1&secret=" + token, "200 <result>ok</result>"},
		{"POST /plugins/userService/userservice type=add_roster&username=romeo&item_jid=%zz&secret=" + token, "200 <error>IllegalArgumentException</error>"},
		{"POST /plugins/userService/userservice " + strings.Repeat("x", 20_000), "200 <error>IllegalArgumentException</error>"},
	} {
		if got := h.ask(t, s.do, form); got != s.want {
			t.Errorf("%.100s: %s, want %s", s.do, got, s.want)
		}
	}
	if got := h.ask(t, `POST /api/get_roster_count {"user":"romeo","host":"example.com"}`, bearer); got != "200 1" {
		t.Error(got)
	}
}
