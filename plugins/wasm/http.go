package wasm

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"rosterd/plugins"
)

// httpRequest sends a request and waits for the whole answer.
func httpRequest(c *call, a args) uint64 {
	text, body := c.view(a.u32(0), a.u32(1)), c.view(a.u32(2), a.u32(3))
	if len(text) > maxRequestText {
		return c.failsf(codeLimit, "a request of %d bytes, more than %d KiB", len(text), maxRequestText>>10)
	}
	r, err := readRequest(text)
	switch {
	case err != nil:
		return c.failsf(codeArgument, "http_request: %w", err)
	case c.op == opInit:
		return c.failsf(codeRefused, "http_request in rosterd_init, which runs for each instance anew")
	case c.asked >= maxRequests:
		return c.failsf(codeLimit, "more than %d HTTP requests in one call", maxRequests)
	case len(body) > maxRequestBody:
		return c.failsf(codeLimit, "a body of %d bytes, more than %d KiB", len(body), maxRequestBody>>10)
	}
	if len(body) > 0 {
		r.Body = append([]byte(nil), body...)
	}
	c.asked++
	res, err := c.exchange(r)
	if err != nil {
		c.httpErr = err
		return c.fails(httpCode(err), err)
	}
	c.answers = append(c.answers, res)
	return count(len(c.answers))
}

// exchange is a request whose time counts as the backend's.
func (c *call) exchange(r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	svc := c.plugin.svc
	start := svc.Now()
	res, err := svc.HTTP(c.Context, r)
	c.waited += svc.Now().Sub(start)
	return res, err
}

// httpCode is what a module is told of an error.
func httpCode(err error) int32 {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return codeTime
	case errors.Is(err, plugins.ErrRefused):
		return codeRefused
	case errors.Is(err, plugins.ErrInvalid):
		return codeArgument
	case errors.Is(err, plugins.ErrLimit):
		return codeLimit
	}
	return codeNetwork
}

// answer is the one of a handle, nil if there is none.
func (c *call) answer(handle uint32) *plugins.HTTPResponse {
	switch {
	case handle == 0:
		return c.response
	case uint64(handle) <= uint64(len(c.answers)):
		return c.answers[handle-1]
	}
	return nil
}

func (c *call) noAnswer(handle uint32) uint64 {
	return c.failsf(codeAbsent, "there is no response %d", handle)
}

func httpStatus(c *call, a args) uint64 {
	res := c.answer(a.u32(0))
	if res == nil {
		return c.noAnswer(a.u32(0))
	}
	return count(res.Status)
}

func httpHeader(c *call, a args) uint64 {
	name := c.text(a, 1)
	c.view(a.u32(3), a.u32(4))
	res := c.answer(a.u32(0))
	if res == nil {
		return c.noAnswer(a.u32(0))
	}
	values, ok := res.Header[http.CanonicalHeaderKey(name)]
	if !ok {
		return c.failsf(codeAbsent, "there is no header field %q", brief(name))
	}
	return give(c, a, 3, strings.Join(values, ", "))
}

func httpRev(c *call, a args) uint64 {
	c.view(a.u32(1), a.u32(2))
	res := c.answer(a.u32(0))
	switch {
	case res == nil:
		return c.noAnswer(a.u32(0))
	case res.Revision == "":
		return c.failsf(codeAbsent, "the answer has no revision")
	}
	return give(c, a, 1, res.Revision)
}

func httpBodyLen(c *call, a args) uint64 {
	res := c.answer(a.u32(0))
	if res == nil {
		return c.noAnswer(a.u32(0))
	}
	return count(len(res.Body))
}

func httpBodyRead(c *call, a args) uint64 {
	res := c.answer(a.u32(0))
	if res == nil {
		c.view(a.u32(1), a.u32(3))
		return c.noAnswer(a.u32(0))
	}
	return part(c, a, 1, res.Body)
}

// httpClose lets the memory of an answer go. Handles are not given out again.
func httpClose(c *call, a args) uint64 {
	h := a.u32(0)
	if c.answer(h) == nil {
		return c.noAnswer(h)
	}
	if h == 0 {
		c.response = nil
	} else {
		c.answers[h-1] = nil
	}
	return count(0)
}
