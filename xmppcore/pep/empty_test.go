package pep

import "testing"

// A text in a form that was filled in may have no value.
func TestEmptyText(t *testing.T) {
	c := Config{Access: "open", Title: "x", MaxItems: 1}
	if err := c.apply(submitted{"pubsub#title": {}}, 10); err != nil || c.Title != "" {
		t.Errorf("%v, title %q", err, c.Title)
	}
	if err := c.apply(submitted{"pubsub#max_items": {}}, 10); err == nil {
		t.Error("no number of items is taken for one")
	}
}
