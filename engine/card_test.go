package engine

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"rosterd/engine/addr"
)

var anna = addr.MustBare("anna@example.com")

func TestParseCard(t *testing.T) {
	png := base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x1a\n"))
	for _, tt := range []struct {
		name, doc string
		want      Card
		wrong     string
	}{
		{name: "everything", doc: `{"fn":"Anna A","nickname":"an","given":"Anna","family":"A","email":"a@x","tel":["1","","2"],"org":"O","title":"T","role":"R","url":"https://x/","bday":"1990-01-02","note":"n\nm","photo":{"type":"image/jpeg","data":"YW\nJj"},"more":[1]}`,
			want: Card{FN: "Anna A", Nickname: "an", Given: "Anna", Family: "A", Email: []string{"a@x"}, Tel: []string{"1", "2"}, Org: "O", Title: "T", Role: "R", URL: "https://x/", BDay: "1990-01-02", Note: "n\nm", Photo: Photo{"image/jpeg", []byte("abc")}}},
		{name: "nothing", doc: `{}`},
		{name: "nothing, as PHP writes it", doc: "[ ]\n"},
		{name: "null", doc: `{"fn":null,"email":null,"photo":null}`},
		{name: "a picture without a type", doc: `{"photo":{"data":"` + png + `"}}`, want: Card{Photo: Photo{"image/png", []byte("\x89PNG\r\n\x1a\n")}}},
		{name: "an empty picture", doc: `{"photo":{"type":"image/png","data":""}}`},
		{name: "no JSON", doc: `<html>`, wrong: "vCard of anna@example.com: "},
		{name: "no object", doc: `"x"`, wrong: "vCard of anna@example.com: it is no JSON object"},
		{name: "a list", doc: `[1]`, wrong: "vCard of anna@example.com: it is no JSON object"},
		{name: "null alone", doc: `null`, wrong: "vCard of anna@example.com: it is no JSON object"},
		{name: "a number", doc: `{"fn":5}`, wrong: "vCard of anna@example.com: fn: a number, not a string"},
		{name: "a list of numbers", doc: `{"tel":["1",true]}`, wrong: "vCard of anna@example.com: tel: a boolean, not a string"},
		{name: "control characters", doc: `{"note":"\u0000"}`, wrong: "vCard of anna@example.com: note: text holds U+0000"},
		{name: "a picture that is none", doc: `{"photo":"x"}`, wrong: "vCard of anna@example.com: photo: a string, not an object"},
		{name: "no base64", doc: `{"photo":{"data":"!"}}`, wrong: "vCard of anna@example.com: photo: data: illegal base64"},
		{name: "a page", doc: `{"photo":{"type":"text/html","data":"YWJj"}}`, wrong: `vCard of anna@example.com: photo: type: "text/html" is no type of a picture`},
		{name: "no type to be seen", doc: `{"photo":{"data":"YWJj"}}`, wrong: `vCard of anna@example.com: photo: type: "text/plain"`},
		{name: "a large picture", doc: `{"photo":{"type":"image/png","data":"` + base64.StdEncoding.EncodeToString(make([]byte, MaxPicture+1)) + `"}}`, wrong: "vCard of anna@example.com: photo: a picture of 262145 bytes, more than 262144"},
		{name: "the largest picture", doc: `{"photo":{"type":"image/png","data":"` + base64.StdEncoding.EncodeToString(make([]byte, MaxPicture)) + `"}}`, want: Card{Photo: Photo{"image/png", make([]byte, MaxPicture)}}},
		{name: "too large", doc: `{"x":"` + strings.Repeat("x", MaxCard) + `"}`, wrong: "vCard of anna@example.com: 524296 bytes, more than 524288"},
		{name: "too large, as it is read", doc: `{"note":"` + strings.Repeat("\xff", MaxCard/4) + `","fn":"` + strings.Repeat("\xff", MaxCard/4) + `"}`, wrong: "vCard of anna@example.com: 786432 bytes, more than 524288"},
		{name: "many", doc: `{"email":["` + strings.Repeat(`a","`, 100) + `"]}`, wrong: "vCard of anna@example.com: email: 101 of them, more than 100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseCard(anna, []byte(tt.doc))
			if err != nil && (tt.wrong == "" || !strings.HasPrefix(err.Error(), tt.wrong)) || err == nil && tt.wrong != "" {
				t.Errorf("error %v, want %s", err, tt.wrong)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// FuzzParseCard: whatever a backend says is refused, or comes out the same again.
func FuzzParseCard(f *testing.F) {
	f.Add([]byte(`{"fn":"A","email":"a","tel":["1"],"photo":{"type":"image/png","data":"YWJj"}}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"photo":{"data":"\n"}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := ParseCard(anna, doc)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > MaxCard {
			return // it escapes more
		}
		if d, err := ParseCard(anna, again); err != nil || !reflect.DeepEqual(c, d) {
			t.Errorf("%s became %s: %v", doc, again, err)
		}
	})
}
