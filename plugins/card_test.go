package plugins

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
)

// What an answer about a vCard means. That credentials are refused is an outage and not a mistake in one user's vCard, of
// which there would be a line in the log for each.
func TestHTTPCard(t *testing.T) {
	for _, tt := range []struct {
		status    int
		body      string
		fn        string
		permanent bool
		temporary bool
	}{
		{status: http.StatusOK, body: `{"fn":"Anna"}`, fn: "Anna"},
		{status: http.StatusOK, body: `<html>`, permanent: true},
		{status: http.StatusNotFound},
		{status: http.StatusNoContent},
		{status: http.StatusUnauthorized, temporary: true},
		{status: http.StatusForbidden, temporary: true},
		{status: http.StatusBadGateway, temporary: true},
	} {
		r := &HTTPResponse{Status: tt.status, Body: []byte(tt.body)}
		card, err := r.Card(addr.MustBare("anna@example.com"), time.Time{})
		var permanent *engine.PermanentError
		var temporary *engine.TemporaryError
		if card.FN != tt.fn || errors.As(err, &permanent) != tt.permanent || errors.As(err, &temporary) != tt.temporary {
			t.Errorf("%d %s: %+v, %v", tt.status, tt.body, card, err)
		}
	}
}
